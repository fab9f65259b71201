"""Which language a page is in, and where the same page is in the others."""

from __future__ import annotations

from typing import NamedTuple

from django.conf import settings
from django.http import HttpRequest
from django.middleware.locale import LocaleMiddleware
from django.urls import reverse, translate_url
from django.utils.functional import SimpleLazyObject
from django.utils.translation import activate, get_language, get_language_from_request, override

from visualsearch.problems import in_api


class Translation(NamedTuple):
    """The address of this page in a language."""

    code: str
    #: the language's name in itself
    name: str
    address: str


class PageLanguage(LocaleMiddleware):
    """A page's language is in its address, so that an address always shows the same. The API, whose addresses have
    none, answers in the language that a client asks for."""

    def process_request(self, request: HttpRequest) -> None:
        if in_api(request.path_info):
            activate(get_language_from_request(request))
            request.LANGUAGE_CODE = get_language_from_request(request)
        else:
            super().process_request(request)


def _translated(here: str, code: str) -> str:
    """The address of a page in a language; that of the first page for an address that leads nowhere in any."""
    there = translate_url(here, code)
    if there == here and code != get_language():
        with override(code):
            return reverse("catalogue:home")
    return there


def translations(request: HttpRequest) -> dict[str, object]:
    """For templates: this page in each language; worked out only where it is shown."""

    def addresses() -> list[Translation]:
        here = request.get_full_path()
        return [Translation(code, name, _translated(here, code)) for code, name in settings.LANGUAGES]

    return {"translations": SimpleLazyObject(addresses)}
