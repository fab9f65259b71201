"""A model package, `model.tar.gz`: its manifest, its files, and how OpenVINO runs it.

The model server writes and serves packages, and the site runs them; both import this and not each other.
"""

import sys

# `import openvino` reports itself to its makers unless this package, which it can do without, is missing.
# None in sys.modules makes it so, and has to be there first, as it is for every module that imports anything of here;
# nothing is installed, written or sent.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
