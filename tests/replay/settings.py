"""The site's own settings; static files need not be collected, and passwords are hashed quickly."""

from visualsearch.settings import *  # noqa: F403
from visualsearch.settings import STORAGES

STORAGES = STORAGES | {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
