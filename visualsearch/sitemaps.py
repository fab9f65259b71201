"""What search engines are told of the site: every page worth finding, in each language, and where not to look."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from django.conf import settings
from django.contrib.sitemaps import Sitemap
from django.db.models import Max, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import override
from django.views.decorators.http import require_safe

from catalogue.models import Category, Product
from catalogue.tree import CategoryTree

#: Addresses of one file. The format allows ten times as many, each of which is told with its other languages.
ADDRESSES = 5_000
#: What is made for one visitor alone.
PRIVATE = ("search:ask", "admin:index")


class Row(NamedTuple):
    """What a product's line is made of. All are read for each file, and whole products would cost much more."""

    sku: str
    modified: datetime


class Products(Sitemap):  # type: ignore[type-arg]
    i18n = alternates = x_default = True
    limit = ADDRESSES

    def items(self) -> list[Row]:
        return [Row(*row) for row in self._visible().order_by("pk").values_list("sku", "modified")]

    def location(self, item: Row) -> str:
        return reverse("catalogue:product", args=[item.sku])

    def lastmod(self, item: Row) -> datetime:
        return item.modified

    def get_latest_lastmod(self) -> datetime | None:
        latest: datetime | None = self._visible().aggregate(latest=Max("modified"))["latest"]
        return latest

    def _visible(self) -> QuerySet[Product]:
        return Product.objects.visible()


class Categories(Sitemap):  # type: ignore[type-arg]
    i18n = alternates = x_default = True
    limit = ADDRESSES

    def items(self) -> list[Category]:
        return [category for category, _depth in CategoryTree.load().below()]


class Pages(Sitemap):  # type: ignore[type-arg]
    i18n = alternates = x_default = True

    def items(self) -> list[str]:
        return ["catalogue:home", "catalogue:products", "search:about", "search:privacy"]

    def location(self, item: str) -> str:
        return reverse(item)


#: By the names in their addresses: /sitemap-products.xml.
SITEMAPS = {"pages": Pages, "categories": Categories, "products": Products}


@require_safe
def robots(request: HttpRequest) -> HttpResponse:
    """What crawlers leave out. Cuts of lists are not here: they say themselves, when read, that they are not kept."""
    left_out = ["/api/"]
    for language, _name in settings.LANGUAGES:
        with override(language):
            left_out += [reverse(name) for name in PRIVATE]
    lines = [
        "User-agent: *",
        f"Allow: {reverse('docs')}",
        *(f"Disallow: {path}" for path in left_out),
        "",
        f"Sitemap: {request.build_absolute_uri(reverse('sitemap-index'))}",
        "",
    ]
    return HttpResponse("\n".join(lines), content_type="text/plain; charset=utf-8")
