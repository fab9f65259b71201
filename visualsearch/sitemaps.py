"""Sitemaps and robots.txt: every page worth finding, in each language, and what not to crawl."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.sitemaps import Sitemap
from django.db.models import Max, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import escape
from django.utils.safestring import mark_safe
from django.utils.translation import override
from django.views.decorators.http import require_safe

from catalogue.models import Category, Product
from catalogue.tree import CategoryTree

#: Pages of one file, each of which is listed in every language with its other languages. The format allows 50,000
#: addresses; a file is generated for each request, so that no hidden product stays in one, and must cost little.
PAGES_OF_FILE = 250
#: What is made for one visitor alone.
PRIVATE = ("search:ask", "admin:index")


class Translated(Sitemap):  # type: ignore[type-arg]
    """Pages in each language. `location` gives the address in the site's own language.

    Django's `i18n` would read all items for each file and reverse each address in each language for each language,
    and its template takes most of the time of a file.
    """

    limit = PAGES_OF_FILE

    def lastmod(self, item: Any) -> datetime | None:
        return None

    def get_urls(self, page: int | str = 1, site: Any = None, protocol: str | None = None) -> list[str]:  # type: ignore[override]  # for a template of ours
        """The entries of one file, in XML. Raises `EmptyPage` and `PageNotAnInteger`."""
        items = self.paginator.page(page).object_list
        origin = f"{self.get_protocol(protocol)}://{self.get_domain(site)}"
        homes = {language: _home(language) for language, _name in settings.LANGUAGES}
        own = homes[settings.LANGUAGE_CODE]
        entries: list[str] = []
        with override(settings.LANGUAGE_CODE):
            for item in items:
                path = self.location(item).removeprefix(own)
                locations = {language: escape(f"{origin}{home}{path}") for language, home in homes.items()}
                lastmod = self.lastmod(item)
                # The same for each language.
                rest = f"<lastmod>{lastmod.date().isoformat()}</lastmod>" if lastmod else ""
                for language, location in {**locations, "x-default": locations[settings.LANGUAGE_CODE]}.items():
                    rest += f'<xhtml:link rel="alternate" hreflang="{language}" href="{location}"/>'
                entries += [mark_safe(f"<url><loc>{location}</loc>{rest}</url>") for location in locations.values()]  # noqa: S308
        return entries


def _home(language: str) -> str:
    """What the addresses of a language begin with."""
    with override(language):
        return reverse("catalogue:home")


class Products(Translated):
    def items(self) -> QuerySet[Product]:
        """The paginator reads the rows of one file."""
        return self._visible().order_by("pk").only("sku", "modified")

    def lastmod(self, item: Product) -> datetime:
        return item.modified

    def get_latest_lastmod(self) -> datetime | None:
        latest: datetime | None = self._visible().aggregate(latest=Max("modified"))["latest"]
        return latest

    def _visible(self) -> QuerySet[Product]:
        return Product.objects.visible()


class Categories(Translated):
    def items(self) -> list[Category]:
        return [category for category, _depth in CategoryTree.load().below()]


class Pages(Translated):
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
