"""The simple model of the write path's tests, as slow as SLOW says: seconds for a photo.

A process that embeds a photo whose middle is as red as FATAL says is killed.
"""

from __future__ import annotations

import os
import signal
import time

import numpy as np
from numpy.typing import NDArray

from tests.search.grid import Grid


class Slow(Grid):
    def _embed(self, squares: NDArray[np.uint8]) -> NDArray[np.float32]:
        if (squares[:, 32, 32, 0] == int(os.environ.get("FATAL", "-1"))).any():
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(float(os.environ.get("SLOW", "0")) * len(squares))
        return super()._embed(squares)
