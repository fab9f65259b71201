"""What a page says of itself in its head, to search engines and to those who share it."""

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
LONGEST_DESCRIPTION = 160
#: Languages as Open Graph names them, with a territory.
LOCALES = {"en": "en_US", "ja": "ja_JP"}
#: Inside a script element these could end it, or begin another.
_ESCAPES = {ord(character): f"\\u{ord(character):04X}" for character in "<>&"}


@dataclass(frozen=True)
class Meta:
    """The head of a page; addresses are absolute."""

    title: str
    description: str
    canonical: str
    #: language -> where this page is in it; `x-default` for all other readers
    alternates: dict[str, str]
    image: str
    image_alt: str
    #: `website` or `product`, in terms of Open Graph
    kind: str
    locale: str
    other_locales: list[str]
    #: False for one of the many cuts of a list, whose links may be followed all the same
    indexed: bool
    #: schema.org's objects
    data: list[dict[str, Any]]

    @property
    def scripts(self) -> list[SafeString]:
        """The objects as JSON that may stand in a script element, whatever is in them."""
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
    """The head of the page whose own address is `path`, whichever parameters it was asked for with."""
    canonical = request.build_absolute_uri(path)
    language = get_language() or settings.LANGUAGE_CODE
    alternates = {code: translate_url(canonical, code) for code, _name in settings.LANGUAGES}
    alternates["x-default"] = alternates[settings.LANGUAGE_CODE]
    return Meta(
        title=title,
        description=Truncator(" ".join(description.split())).chars(LONGEST_DESCRIPTION),
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
    """Where a photo is found for as long as its product is shown; an address that S3 has signed expires."""
    return settings.MEDIA_URL + filepath_to_uri(photo.shown.name or "")


def product_data(request: HttpRequest, product: Product, path: Sequence[Category]) -> dict[str, Any]:
    """A product as schema.org describes one, with what it costs and whether it can be had."""
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
    """The way from all products to a page, as schema.org describes it; `here` names a page that is no category."""
    steps = [(_("All products"), reverse("catalogue:products"))]
    steps += [(category.name, category.get_absolute_url()) for category in path]
    items: list[dict[str, Any]] = [
        {"@type": "ListItem", "position": place, "name": name, "item": request.build_absolute_uri(address)}
        for place, (name, address) in enumerate(steps, 1)
    ]
    if here:
        items.append({"@type": "ListItem", "position": len(items) + 1, "name": here})
    return {"@context": "https://schema.org", "@type": "BreadcrumbList", "itemListElement": items}
