"""The model server: Keras -> SavedModel -> package -> Amazon SageMaker, or a server of one's own with its contract.

Nothing here imports the site but `photos` and `training`.
"""
