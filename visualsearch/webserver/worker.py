"""gunicorn's worker: uvicorn's event loop in front of threads that run Django."""

from __future__ import annotations

import asyncio
import logging
import resource
from dataclasses import replace
from typing import Any

from uvicorn_worker import UvicornWorker

from visualsearch.webserver import admission, connections
from visualsearch.webserver.admission import Admission
from visualsearch.webserver.bridge import Bridge
from visualsearch.webserver.connections import Connection, Register


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
        "access_log": False,  # it would name proxies as clients
    }

    admission = admission.Limits()
    connections = connections.Limits()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Anybody can send what is no HTTP; a line for each would fill the disk.
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
        self.config.timeout_graceful_shutdown = self.cfg.graceful_timeout

    def load_wsgi(self) -> None:
        super().load_wsgi()
        from django.conf import settings

        from search.web.clients import key_of
        from visualsearch.webserver.refusals import refuse

        # A connection is an open file, and so are its body and what its answer is read from.
        limits = replace(self.connections, connections=min(self.connections.connections, _allow_files() // 3))
        if settings.NUM_PROXIES:
            limits = replace(limits, of_client=None)
        register = Register(limits, lambda address: key_of({"REMOTE_ADDR": address}))
        self.config.http = type("Connection", (Connection,), {"register": register})
        self.register = register
        application: Any = self.wsgi
        self.wsgi: Any = Bridge(
            application,
            Admission(self.cfg.threads, self.admission),
            threads=self.cfg.threads,
            body_limit=settings.DATA_UPLOAD_MAX_MEMORY_SIZE,
            client_of=key_of,
            refuse=refuse,
            log=self.log.access_log if self.cfg.accesslog else None,
        )

    async def _serve(self) -> None:
        sweeping = asyncio.create_task(self.register.sweep())
        try:
            await super()._serve()
        finally:
            sweeping.cancel()


FILES = 4_096
"""Open files that a process wants: many systems begin with 1,024."""


def _allow_files() -> int:
    """Raise this process's limit of open files as far as the system lets it; what it is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return FILES
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(soft, wanted)
