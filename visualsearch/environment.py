"""What the environment's variables say, each read as the kind of value that its setting takes.

A wrong value raises `ImproperlyConfigured` with a sentence that names its variable and says what to write. An empty
variable counts as one that is not set, as a line `NAME=` in a deployment's file of variables means it to.
"""

from __future__ import annotations

import ipaddress
import os
import re
import tempfile
import warnings
import zoneinfo
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

DATABASE_SCHEMES = ("postgresql", "postgres", "sqlite")

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})
#: What REST framework's throttles read: of the period they look at the first letter alone.
_RATE = re.compile(r"[1-9]\d*/(s|sec|second|m|min|minute|h|hour|d|day)\Z")


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Environment:
    """Typed access to environment variables; every method raises ImproperlyConfigured for a wrong value."""

    def __init__(self, variables: Mapping[str, str] = os.environ) -> None:
        self._variables = variables

    def __contains__(self, name: str) -> bool:
        return bool(self.text(name))

    def text(self, name: str, default: str = "") -> str:
        return self._variables.get(name, "").strip() or default

    def truth(self, name: str, *, default: bool) -> bool:
        value = self.text(name, str(default)).lower()
        if value in _TRUE | _FALSE:
            return value in _TRUE
        raise self._wrong(name, "use true or false")

    def number(self, name: str, default: int, *, minimum: int, maximum: int | None = None) -> int:
        try:
            value = int(self.text(name, str(default)))
        except ValueError as error:
            raise self._wrong(name, "use a whole number") from error
        if value < minimum:
            raise self._wrong(name, f"it must be at least {minimum}")
        if maximum is not None and value > maximum:
            raise self._wrong(name, f"it must be at most {maximum}")
        return value

    def choice(self, name: str, default: str, choices: Collection[str]) -> str:
        value = self.text(name, default)
        if value not in choices:
            raise self._wrong(name, f"use one of {', '.join(choices)}")
        return value

    def names(self, name: str, default: Sequence[str] = ()) -> list[str]:
        """A list, separated by commas."""
        return [part.strip() for part in self.text(name).split(",") if part.strip()] or list(default)

    def hosts(self, name: str, default: Sequence[str] = ()) -> list[str]:
        """Host names as Django's ALLOWED_HOSTS takes them: without a scheme, a port or a path."""
        hosts = self.names(name, default)
        for host in hosts:
            if "/" in host or re.search(r"\s|(?<!\]):\d+\Z", host):
                raise self._wrong(name, f"{host!r} is no host: write names such as shop.example, with commas between")
        return hosts

    def host(self, name: str) -> str:
        """One host name, or none."""
        hosts = self.hosts(name)
        if len(hosts) > 1:
            raise self._wrong(name, "write one host, as in d111111abcdef8.cloudfront.net")
        return hosts[0] if hosts else ""

    def origins(self, name: str) -> list[str]:
        """Origins: a scheme and a host each."""
        origins = self.names(name)
        for origin in origins:
            parts = urlsplit(origin)
            if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path:
                raise self._wrong(name, f"{origin!r} is no origin: write it as in https://shop.example")
        return origins

    def networks(self, name: str) -> list[Network]:
        """Addresses of machines, and ranges of them."""
        networks = []
        for text in self.names(name):
            try:
                networks.append(ipaddress.ip_network(text))
            except ValueError as error:
                hint = f"{text!r} is no address and no range: write them as in 10.1.0.0/16 or 127.0.0.1"
                raise self._wrong(name, hint) from error
        return networks

    def urls(self, name: str) -> list[str]:
        """Addresses of servers, which may hold a user and a password; messages do not show them."""
        urls = self.names(name)
        for url in urls:
            try:
                parts = urlsplit(url)
                whole = parts.scheme in {"http", "https"} and parts.hostname and (parts.port or True)
            except ValueError:
                whole = False
            if not whole or parts.query or parts.fragment:
                raise ImproperlyConfigured(
                    f"The environment variable {name} is no list of addresses: write them as in "
                    "https://user:password@host:9200, with commas between. Signs such as @, /, : and , in a password "
                    "are written as %40, %2F, %3A and %2C."
                )
        return urls

    def origin(self, name: str) -> str | None:
        """The address of a server: a scheme, a host and perhaps a port."""
        origins = self.origins(name)
        if len(origins) > 1:
            raise self._wrong(name, "write one address, as in https://s3.example:9000")
        return origins[0] if origins else None

    def currency(self, name: str, default: str) -> str:
        """A code of ISO 4217, by its form alone."""
        value = self.text(name, default)
        if not re.fullmatch("[A-Z]{3}", value):
            raise self._wrong(name, "use three capital letters, as in EUR")
        return value

    def rate(self, name: str, default: str) -> str:
        """So many in a period, as in 60/min."""
        value = self.text(name, default)
        if not _RATE.match(value):
            raise self._wrong(name, "write a number and a period (sec, min, hour or day), as in 60/min")
        return value

    def time_zone(self, name: str, default: str) -> str:
        value = self.text(name, default)
        try:
            zoneinfo.ZoneInfo(value)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise self._wrong(name, "use a name of the time zone database, as in Europe/Paris") from error
        return value

    def database(self, name: str) -> dict[str, Any]:
        """A database's address -> an entry of DATABASES. The message shows no password."""
        url = self.text(name)
        hint = "write it as in postgresql://user:password@host:5432/name or sqlite:////folder/db.sqlite3"
        if url.partition("://")[0] not in DATABASE_SCHEMES or "://" not in url:
            raise ImproperlyConfigured(f"The environment variable {name} is no database's address: {hint}.")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                config: dict[str, Any] = environ.Env.db_url_config(url)
        except (ValueError, TypeError, Warning) as error:
            raise ImproperlyConfigured(
                f"The environment variable {name} cannot be read as a database's address: {hint}. Signs such as "
                "@, / and : in a password are written as %40, %2F and %3A."
            ) from error
        if not config["NAME"]:
            raise ImproperlyConfigured(f"The environment variable {name} names no database: {hint}.")
        return config

    def redis(self, name: str) -> str:
        """The address of a Redis server, or an empty text. The message shows no password."""
        url = self.text(name)
        hint = "write it as in redis://:password@host:6379/0, or rediss:// for TLS"
        try:
            parts = urlsplit(url)
            whole = parts.scheme in {"redis", "rediss"} and parts.hostname and parts.port != 0
        except ValueError:
            whole = False
        if url and not whole:
            raise ImproperlyConfigured(f"The environment variable {name} is no Redis server's address: {hint}.")
        if url and not re.fullmatch(r"(/\d*)?", parts.path):
            raise ImproperlyConfigured(
                f"The environment variable {name} names a database by something else than its number: {hint}."
            )
        return url

    def folder(self, name: str, default: Path) -> Path:
        """A folder that can be written to; it is made where it is missing, for this user alone."""
        path = Path(self.text(name, str(default))).expanduser().resolve()
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=path):
                pass
        except OSError as error:
            raise ImproperlyConfigured(
                f"The environment variable {name} means the folder {path}, which cannot be written to "
                f"({error.strerror}): name another, or give this user the right to write there."
            ) from error
        return path

    def existing(self, name: str) -> Path:
        """A file or folder that is there."""
        path = Path(self.text(name)).expanduser().resolve()
        if not path.exists():
            raise self._wrong(name, "there is no such file or folder")
        return path

    def _wrong(self, name: str, hint: str) -> ImproperlyConfigured:
        value = self.text(name)
        return ImproperlyConfigured(f"The environment variable {name} is {value!r}; {hint}.")
