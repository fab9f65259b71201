"""The WSGI application that the web server runs."""

import os

from django.core.wsgi import get_wsgi_application

from visualsearch.charset import ReadableCharset

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "visualsearch.settings")

application = ReadableCharset(get_wsgi_application())
