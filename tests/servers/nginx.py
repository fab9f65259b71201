"""nginx in front of a site, with the configuration that compose gives it."""

from __future__ import annotations

import socket
from pathlib import Path
from string import Template
from typing import ClassVar

from tests.servers.base import HOST, ROOT, Server, free_port

CONFIGURATION = ROOT / "docker" / "nginx.conf.template"


class Nginx(Server):
    name = "nginx"
    programs: ClassVar[dict[str, str]] = {"nginx": "nginx-light"}

    def __init__(self, folder: Path, site: str = f"{HOST}:9") -> None:
        """site: host and port of the web server."""
        super().__init__(folder)
        self.port = free_port()
        self.site = site

    @property
    def variables(self) -> dict[str, str]:
        return {"NGINX_URL": f"http://{HOST}:{self.port}"}

    def prepare(self) -> None:
        text = Template(CONFIGURATION.read_text()).safe_substitute(
            PORT=f"{HOST}:{self.port}", SITE=self.site, FORWARDED_PROTO="$scheme"
        )
        (self.folder / "site.conf").write_text(text)
        (self.folder / "nginx.conf").write_text(
            "daemon off; master_process off; error_log stderr; pid nginx.pid; events {}\n"
            "http { access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;\n"
            "uwsgi_temp_path uwsgi; scgi_temp_path scgi; include site.conf; }\n"
        )

    def command(self) -> list[str]:
        return ["nginx", "-p", str(self.folder), "-c", str(self.folder / "nginx.conf"), "-e", "stderr"]

    def answers(self) -> bool:
        try:
            socket.create_connection((HOST, self.port), timeout=2).close()
        except OSError:
            return False
        return True
