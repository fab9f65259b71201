"""The model server: Keras -> SavedModel -> package -> Amazon SageMaker, or a server of one's own with its contract.

Stands alone: nothing here imports the site but `finetune` and `photos`. The site imports `inference`, `manifest`,
`package`, `pooling` and `precision`, which need neither TensorFlow nor Keras.
"""

import sys

# `import openvino` reports itself to its makers unless this package, which it can do without, is missing.
# None in sys.modules makes it so, and has to be there first, as it is for every module that imports anything of here;
# nothing is installed, written or sent.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
