"""gunicorn's worker: uvicorn's event loop in front of threads that run Django."""

from __future__ import annotations

import asyncio
import logging
import resource
from typing import Any

from uvicorn_worker import UvicornWorker

from visualsearch.webserver.admission import Admission
from visualsearch.webserver.bridge import Bridge
from visualsearch.webserver.connections import Connection, Limits, Register


class Worker(UvicornWorker):  # type: ignore[misc]
    """gunicorn starts, reloads and ends the processes; each has one event loop and `threads` threads."""

    CONFIG_KWARGS = {
        "loop": "asyncio",
        "interface": "asgi3",
        "lifespan": "off",
        "ws": "none",
        # Whose headers are believed, Django's settings say (NUM_PROXIES).
        "proxy_headers": False,
        "server_header": False,
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Anybody can send what is no HTTP; a line for each would fill the disk.
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
        self.config.timeout_graceful_shutdown = self.cfg.graceful_timeout

    def load_wsgi(self) -> None:
        super().load_wsgi()
        from django.conf import settings

        from search.clients import key_of
        from visualsearch.webserver.refusals import refuse

        _allow_files()
        register = Register(Limits(of_address=None) if settings.NUM_PROXIES else Limits())
        self.config.http = type("Connection", (Connection,), {"register": register})
        self.register = register
        application: Any = self.wsgi
        self.wsgi: Any = Bridge(
            application,
            Admission(self.cfg.threads),
            threads=self.cfg.threads,
            body_limit=settings.DATA_UPLOAD_MAX_MEMORY_SIZE,
            client_of=key_of,
            refuse=refuse,
        )

    async def _serve(self) -> None:
        sweeping = asyncio.create_task(self.register.sweep())
        try:
            await super()._serve()
        finally:
            sweeping.cancel()


FILES = 4_096
"""Open files: each connection is one, and so are a body's temporary file and what an answer is read from."""


def _allow_files() -> None:
    """Raise this process's limit of open files as far as the system lets it; 1,024 is what many begin with."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
