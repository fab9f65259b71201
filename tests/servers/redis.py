"""Redis, which keeps nothing on disk."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import ClassVar

from tests.servers.base import HOST, Server, free_port


class Redis(Server):
    name = "redis"
    programs: ClassVar[dict[str, str]] = {"redis-server": "redis-server"}

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    @property
    def variables(self) -> dict[str, str]:
        return {"REDIS_URL": self.url}

    def command(self) -> list[str]:
        options = {"port": str(self.port), "bind": HOST, "dir": str(self.folder), "save": "", "appendonly": "no"}
        return ["redis-server", *(word for name, value in options.items() for word in (f"--{name}", value))]

    def answers(self) -> bool:
        try:
            with socket.create_connection((HOST, self.port), timeout=2) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False
