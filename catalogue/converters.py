"""Parts of addresses."""

from __future__ import annotations

from urllib.parse import unquote

from django.urls import register_converter


class SkuConverter:
    """A SKU in an address. Any SKU comes back as it went, and ordinary ones read as they are.

    Slashes, percent signs and names that are only dots would be taken for parts of the path somewhere between a
    browser and this process: they are escaped once more than the address as a whole.
    """

    regex = ".+"  # a slash that somebody typed is understood too

    def to_python(self, value: str) -> str:
        sku = unquote(value)
        if "\0" in sku:  # no SKU has one, and PostgreSQL refuses to look
            raise ValueError(value)
        return sku

    def to_url(self, sku: str) -> str:
        if sku in {".", ".."}:
            return sku.replace(".", "%2E")
        return sku.replace("%", "%25").replace("/", "%2F")


register_converter(SkuConverter, "sku")
