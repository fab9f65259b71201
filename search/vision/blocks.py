"""What search keeps of a picture: the model's square, and the colours seen in it.

One way for catalogue photos and for shoppers' pictures: `writing.embedding` and `reading.queries` both use it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from search.vision import colours, pictures
from search.vision.pictures import Box


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """A picture, ready for the model."""

    #: uint8 (size, size, 3)
    square: npt.NDArray[np.uint8]
    #: float32 (125,), unit length
    colour: npt.NDArray[np.float32]
    #: up to three names with their shares, the largest first
    names: list[tuple[str, float]]


def blocks(image: Image.Image, size: int, colours_version: int, box: Box | None = None) -> Blocks:
    """The blocks of an upright RGB picture, or of a box of it, for a model that sees `size` pixels.

    `colours_version` is that of the index version they are for, a key of `colours.EXTRACTORS`.
    """
    square = pictures.square(image, size, box)
    colour, named = colours.EXTRACTORS[colours_version](square, boxed=box is not None)
    return Blocks(square, colour, [(name, round(share, 3)) for name, share in named])
