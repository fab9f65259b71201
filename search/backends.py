"""Backends that a setting names, as STORAGES does: alias -> {"BACKEND": dotted path, "OPTIONS": {...}}."""

from __future__ import annotations

import inspect
import threading
from abc import ABC
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.module_loading import import_string


class InvalidBackend(ImproperlyConfigured):
    """The setting names no such alias, or what it says of the alias cannot be built; `hint` says what can."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message} {hint}".strip())
        self.message = message
        self.hint = hint


class Backend(ABC):  # noqa: B024, each kind of backend adds its own abstract methods
    """What the setting's alias becomes. Subclasses take their options as keyword-only arguments."""

    outdated = False
    """Whether what it stands for has been replaced. The handler then builds a new backend for the next caller, so a
    backend that is in use never changes."""

    def __init__(self, alias: str) -> None:
        self.alias = alias

    def check(self) -> list[CheckMessage]:
        """Say what would keep this backend from working, cheaply: no model is loaded, no server is asked."""
        return []


B = TypeVar("B", bound=Backend)


class BackendHandler(Generic[B]):
    """The backends of one setting, each built when it is first asked for and kept for the whole process."""

    def __init__(self, setting: str, base: type[B], error: type[InvalidBackend] = InvalidBackend) -> None:
        self.setting = setting
        self.base = base
        self.error = error
        self._built: dict[str, B] = {}
        self._lock = threading.Lock()
        setting_changed.connect(self._forget)

    def __getitem__(self, alias: str) -> B:
        """Return the backend called `alias`, the same object until it is outdated. Raises the handler's error."""
        with self._lock:
            built = self._built.get(alias)
            if built is None or built.outdated:
                built = self._built[alias] = self._build(alias)
            return built

    def __iter__(self) -> Iterator[str]:
        return iter(self._configured)

    def check(self) -> list[CheckMessage]:
        """Say what is wrong with the setting and with the backends it names."""
        messages: list[CheckMessage] = []
        for alias in self._configured:
            try:
                messages += self[alias].check()
            except InvalidBackend as error:
                messages.append(Error(error.message, hint=error.hint or None, id="search.backends.E001"))
        if "default" not in self._configured:
            hint = "Search uses this alias; add it."
            messages.append(Error(f'{self.setting} has no "default".', hint=hint, id="search.backends.E002"))
        return messages

    @property
    def _configured(self) -> dict[str, Any]:
        configured: dict[str, Any] = getattr(settings, self.setting, {})
        return configured

    def _build(self, alias: str) -> B:
        where = f"{self.setting}[{alias!r}]"
        if alias not in self._configured:
            known = ", ".join(map(repr, self._configured)) or "none"
            raise self.error(f"{where} is not configured.", f"Known aliases: {known}.")
        config = self._configured[alias]
        if not isinstance(config, dict) or not {"BACKEND"} <= config.keys() <= {"BACKEND", "OPTIONS"}:
            raise self.error(f"{where} is misshapen.", 'It has a "BACKEND" and, if need be, "OPTIONS".')
        try:
            backend = import_string(config["BACKEND"])
        except ImportError as error:
            raise self.error(f"{where} names a backend that cannot be imported: {error}.") from error
        if not (isinstance(backend, type) and issubclass(backend, self.base)):
            raise self.error(f"{where} names {config['BACKEND']}, which is no {self.base.__name__}.")
        options = config.get("OPTIONS", {})
        try:
            inspect.signature(backend).bind(alias, **options)
        except TypeError as error:
            hint = f"Options of {backend.__name__}: {', '.join(_options(backend)) or 'none'}."
            raise self.error(f"{where} has wrong OPTIONS: {error}.", hint) from error
        try:
            return backend(alias, **options)
        except (ImproperlyConfigured, ValueError) as error:
            raise self.error(f"{where} has wrong OPTIONS: {error}") from error

    def _forget(self, *, setting: str, **kwargs: Any) -> None:
        # Django sends this in tests only, when they override a setting.
        if setting == self.setting:
            with self._lock:
                self._built.clear()


def _options(backend: type[Backend]) -> list[str]:
    parameters = inspect.signature(backend).parameters.values()
    return [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
