"""The site. Where it has a broker, its Celery app comes with the package, so that tasks find it."""

from visualsearch.environment import Environment

if "REDIS_URL" in Environment():
    from visualsearch.celery import app as celery

    __all__ = ["celery"]
