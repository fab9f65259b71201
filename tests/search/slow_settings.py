"""The site's settings, with a model that needs no loading and takes as long as a test wants."""

from visualsearch.settings import *  # noqa: F403

EMBEDDERS = {"default": {"BACKEND": "tests.search.slow.Slow"}}
