"""Workers on many machines: Celery, with Redis as its broker. Imported only where `REDIS_URL` is set.

    celery -A visualsearch worker -Q interactive -c 1 -n interactive@%h
    celery -A visualsearch worker -Q bulk -c 1 -n bulk@%h
    celery -A visualsearch beat

The first waits for single photos that somebody has just saved, the second does what takes longer, so that it never
delays the first; there may be any number of both. There is one beat, which says when.
"""

from __future__ import annotations

import os
import ssl
from typing import Any

from celery import Celery, signals

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "visualsearch.settings")

#: A task that has not been answered for as long is given to another worker: longer than any task takes
#: (`search.tasks.LONG_LIMITS`).
VISIBLE_AGAIN = 2 * 3_600


def configuration() -> dict[str, Any]:
    from django.conf import settings
    from kombu import Queue

    # kombu verifies no certificate unless it is told to.
    verified = {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": True}
    return {
        "broker_url": settings.REDIS_URL,
        "broker_use_ssl": verified if settings.REDIS_URL.startswith("rediss:") else False,
        # Short enough for a save to wait for. If Redis is unavailable, the workers still read the ledger.
        "broker_connection_timeout": 1,
        "broker_transport_options": {
            "visibility_timeout": VISIBLE_AGAIN,
            "socket_connect_timeout": 1,
            "socket_timeout": 2,
        },
        "task_publish_retry": False,
        # A worker waits for Redis for ever, also when it starts.
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        # Only keys go through the broker, and nothing comes back.
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_ignore_result": True,
        # Acknowledged when it is done: another takes what a dead worker has begun.
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "worker_prefetch_multiplier": 1,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "task_queues": [Queue("interactive"), Queue("bulk")],
        "task_default_queue": "interactive",
        "task_routes": {
            "search.sync_many": {"queue": "bulk"},
            "search.run_jobs": {"queue": "bulk"},
            "search.lifecycle.upkeep": {"queue": "bulk"},
        },
        "timezone": "UTC",
        "beat_schedule": {
            "reconcile": every(60, "search.reconcile"),
            "cleanup": every(60, "search.cleanup"),
            "upkeep": every(60, "search.lifecycle.upkeep"),
            "run_jobs": every(5, "search.run_jobs"),
        },
        "beat_schedule_filename": str(settings.DATA_DIR / "celerybeat-schedule"),
        "beat_max_loop_interval": 5,
    }


def every(seconds: int, task: str) -> dict[str, Any]:
    """An entry of beat's schedule. What no worker has begun when the next is due is dropped."""
    return {"task": task, "schedule": seconds, "options": {"expires": seconds}}


app = Celery("visualsearch")
app.set_default()  # also for the threads of the web server
app.add_defaults(configuration)
app.autodiscover_tasks(["search"])


@signals.setup_logging.connect
def _keep_logging(**kwargs: Any) -> None:
    """Logs are Django's (`LOGGING`); Celery would set up its own unless somebody listens here."""
