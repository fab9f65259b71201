"""Path converters."""

from __future__ import annotations

from urllib.parse import unquote

from django.urls import register_converter


class SkuConverter:
    """A SKU in a URL. Any SKU can be in a URL, and ordinary ones stay readable.

    Browsers and proxies give slashes, percent signs and names of dots alone a meaning of their own, so they are
    escaped twice.
    """

    regex = ".+"  # also accept a typed slash

    def to_python(self, value: str) -> str:
        sku = unquote(value)
        if "\0" in sku:  # no SKU contains one, and PostgreSQL refuses the query
            raise ValueError(value)
        return sku

    def to_url(self, sku: str) -> str:
        if sku in {".", ".."}:
            return sku.replace(".", "%2E")
        return sku.replace("%", "%25").replace("/", "%2F")


register_converter(SkuConverter, "sku")
