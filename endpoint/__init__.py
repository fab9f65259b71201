"""The model server: Keras -> SavedModel -> package -> Amazon SageMaker, or a server of one's own with its contract.

Stands alone: nothing here imports the site, but for `finetune --catalogue`. The site imports `package` and `pooling`,
which need neither TensorFlow nor Keras.
"""
