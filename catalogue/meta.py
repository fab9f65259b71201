"""Metadata in the head of a page, for search engines and link previews."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse, translate_url
from django.utils.encoding import filepath_to_uri
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import Truncator
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from catalogue.models import Category, Product, ProductImage

#: Characters of a description that search engines show.
MAX_DESCRIPTION = 160
#: Languages as Open Graph names them, with a territory.
LOCALES = {"en": "en_US", "ja": "ja_JP"}
#: These could end a script element or start another.
_ESCAPES = {ord(character): f"\\u{ord(character):04X}" for character in "<>&"}


@dataclass(frozen=True)
class Meta:
    """The metadata of a page. URLs are absolute."""

    title: str
    description: str
    canonical: str
    #: language -> URL of this page; `x-default` for all other languages
    alternates: dict[str, str]
    image: str
    image_alt: str
    #: Open Graph's `website` or `product`
    kind: str
    locale: str
    other_locales: list[str]
    #: False for filtered lists; their links may still be followed
    indexed: bool
    #: schema.org objects
    data: list[dict[str, Any]]

    @property
    def scripts(self) -> list[SafeString]:
        """The objects as JSON that is safe in a script element."""
        return [mark_safe(json.dumps(one, ensure_ascii=False).translate(_ESCAPES)) for one in self.data]  # noqa: S308


def describe(
    request: HttpRequest,
    path: str,
    *,
    title: str,
    description: str = "",
    photo: ProductImage | None = None,
    kind: str = "website",
    indexed: bool = True,
    data: Iterable[dict[str, Any]] = (),
) -> Meta:
    """The metadata of the page whose canonical path is `path`."""
    canonical = request.build_absolute_uri(path)
    language = get_language() or settings.LANGUAGE_CODE
    alternates = {code: translate_url(canonical, code) for code, _name in settings.LANGUAGES}
    alternates["x-default"] = alternates[settings.LANGUAGE_CODE]
    return Meta(
        title=title,
        description=Truncator(" ".join(description.split())).chars(MAX_DESCRIPTION),
        canonical=canonical,
        alternates=alternates,
        image=request.build_absolute_uri(lasting(photo)) if photo else "",
        image_alt=photo.alternative if photo else "",
        kind=kind,
        locale=LOCALES.get(language, language),
        other_locales=[LOCALES.get(code, code) for code, _name in settings.LANGUAGES if code != language],
        indexed=indexed,
        data=list(data),
    )


def lasting(photo: ProductImage) -> str:
    """A photo's permanent URL; signed URLs of S3 expire."""
    return settings.MEDIA_URL + filepath_to_uri(photo.shown.name or "")


def product_data(request: HttpRequest, product: Product, path: Sequence[Category]) -> dict[str, Any]:
    """A product in schema.org's terms, with price and availability."""
    address = request.build_absolute_uri(product.get_absolute_url())
    data: dict[str, Any] = {
        "@context": "https://schema.org",
        "@type": "Product",
        "name": product.title,
        "sku": product.sku,
        "url": address,
        "image": [request.build_absolute_uri(lasting(photo)) for photo in product.photos.all()],
    }
    if product.description:
        data["description"] = product.description
    if product.brand:
        data["brand"] = {"@type": "Brand", "name": product.brand.name}
    if path:
        data["category"] = " > ".join(category.name for category in path)
    if product.price is not None:
        data["offers"] = {
            "@type": "Offer",
            "url": product.shop_url or address,
            "price": f"{product.price:.2f}",
            "priceCurrency": product.currency,
            "availability": "https://schema.org/" + ("InStock" if product.in_stock else "OutOfStock"),
        }
    return data


def crumbs_data(request: HttpRequest, path: Sequence[Category], here: str = "") -> dict[str, Any]:
    """Breadcrumbs in schema.org's terms. `here` names a last page that is not a category."""
    steps = [(_("All products"), reverse("catalogue:products"))]
    steps += [(category.name, category.get_absolute_url()) for category in path]
    items: list[dict[str, Any]] = [
        {"@type": "ListItem", "position": place, "name": name, "item": request.build_absolute_uri(address)}
        for place, (name, address) in enumerate(steps, 1)
    ]
    if here:
        items.append({"@type": "ListItem", "position": len(items) + 1, "name": here})
    return {"@context": "https://schema.org", "@type": "BreadcrumbList", "itemListElement": items}
