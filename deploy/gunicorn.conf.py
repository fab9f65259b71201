"""The web server: gunicorn, in the shape that fits one machine.

HOST, PORT, WEB_PROCESSES, WEB_THREADS and ACCESS_LOG come from the environment (docs/settings.md).
"""

from __future__ import annotations

import gc
import ipaddress
import os
import threading
from typing import TYPE_CHECKING

from visualsearch.environment import Environment

if TYPE_CHECKING:
    from gunicorn.workers.base import Worker

    from search.models import IndexVersion

env = Environment()
host = env.text("HOST", "127.0.0.1")
port = env.number("PORT", 8000, minimum=1, maximum=65_535)

wsgi_app = "visualsearch.wsgi:application"
bind = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

# One process with threads: the model, the index's rows and SQLite's pages are in memory once, and what takes time
# (decoding, inference, inner products, SQLite) runs outside Python's global lock, so that threads use every core.
# More processes pay on machines with many cores, at the price of the model and the index once more for each.
worker_class = "visualsearch.webserver.worker.Worker"
workers = env.number("WEB_PROCESSES", 1, minimum=1, maximum=64)
threads = env.number("WEB_THREADS", 8, minimum=1, maximum=256)
# Each process loads the model after the fork: neither OpenVINO's nor faiss's threads survive one.
preload_app = False

timeout = 60
# Seconds for requests under way to end, at a stop and at a reload. honcho kills after five.
graceful_timeout = env.number("WEB_GRACE", 4, minimum=1, maximum=600)
# Longer than load balancers keep a connection that is not used (60 s at Amazon's): it must not end as they use it.
keepalive = 75

accesslog = "-" if env.truth("ACCESS_LOG", default=False) else None
errorlog = "-"
loglevel = "warning"
proc_name = "visualsearch"
# All state is in DATA_DIR: no socket in the user's home folder. Heartbeats go to memory, where no slow disk delays
# them.
control_socket_disable = True
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108


UNREADY = "Search could not be made ready; see the reason above. The site runs without it."


def post_worker_init(worker: Worker) -> None:
    """Load the model and the index before the first request; after the fork, see `preload_app`."""
    from django.db import connections

    from visualsearch.webserver.memory import give_memory_back

    give_memory_back()
    make_ready(worker)
    if worker.age == 1:
        print(welcome(), flush=True)
    connections.close_all()
    # What is loaded by now stays for good: the collector of garbage need not look through it at every turn.
    gc.collect()
    gc.freeze()


def make_ready(worker: Worker) -> None:
    """Load the index and the model; a model that is elsewhere is asked meanwhile, for it may take its time.

    Before the first heartbeat there is no more of that than `timeout`.
    """
    from search.indexes import index_of
    from search.models import IndexVersion
    from search.vision.embedders import embedders

    try:
        if (live := IndexVersion.objects.live()) is not None:
            index_of(live).count()
        if any(embedders[alias].remote for alias in embedders):
            threading.Thread(target=_warm, args=(live, worker), name="warm", daemon=True).start()
            return
    except Exception:
        # A site whose search is not ready still has its catalogue to show; /readyz says what is missing.
        worker.log.exception(UNREADY)
    else:
        _warm(live, worker)


def _warm(live: IndexVersion | None, worker: Worker) -> None:
    from django.db import connections

    from search import versions
    from search.vision.embedders import embedders

    try:
        (embedders["default"] if live is None else versions.embedder_of(live)).warm()
    except Exception:
        worker.log.exception(UNREADY)
    finally:
        connections.close_all()  # of this thread


def welcome() -> str:
    """Print the addresses of the site."""
    shown = "localhost" if host in {"0.0.0.0", "::"} else host  # noqa: S104
    site = f"http://{f'[{shown}]' if ':' in shown else shown}:{port}"
    lines = [
        "",
        f"The shop       {site}/",
        f"The admin      {site}/admin/",
        f"The API        {site}/api/docs/",
    ]
    if not _has_staff():
        lines += [
            "",
            "An account for the admin, in another terminal: make superuser",
            "or, what it runs: .venv/bin/python manage.py createsuperuser",
        ]
    lines += ["", "Ctrl-C stops it."]
    if not _loopback(host) and "ALLOWED_HOSTS" not in env:
        lines += [
            f"Others reach it at {host}, but it answers to “localhost” alone: ALLOWED_HOSTS takes the names that",
            f"shoppers use, as in  make run HOST={host} ALLOWED_HOSTS=shop.example,192.0.2.7",
        ]
    return "\n".join(lines)


def _has_staff() -> bool:
    """Whether anybody can sign in to the admin; if the database does not say, nothing is offered."""
    from django.contrib.auth import get_user_model
    from django.db import DatabaseError

    try:
        return bool(get_user_model().objects.filter(is_staff=True, is_active=True).exists())
    except DatabaseError:
        return True


def _loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
