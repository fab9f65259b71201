"""The admin's sidebar: what staff may open, in the order in which they need it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.templatetags.static import static
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

#: Title, and then its pages: title, icon, address by name, and the permissions of which one is enough.
SECTIONS: tuple[tuple[Any, tuple[tuple[Any, str, str, tuple[str, ...]], ...]], ...] = (
    (
        None,
        (
            (_("Overview"), "home", "admin:index", ()),
            (_("Open the shop"), "storefront", "catalogue:home", ()),
        ),
    ),
    (
        _("Catalogue"),
        (
            (_("Products"), "sell", "admin:catalogue_product_changelist", ("catalogue.view_product",)),
            (
                _("Photos"),
                "photo_library",
                "admin:catalogue_productimage_changelist",
                ("catalogue.view_productimage",),
            ),
            (_("Categories"), "account_tree", "admin:catalogue_category_changelist", ("catalogue.view_category",)),
            (_("Brands"), "loyalty", "admin:catalogue_brand_changelist", ("catalogue.view_brand",)),
        ),
    ),
    (
        _("Search"),
        (
            (_("Index"), "monitoring", "admin:search_index", ("search.view_indexversion",)),
            (_("Versions"), "layers", "admin:search_indexversion_changelist", ("search.view_indexversion",)),
            (
                _("Photos in the index"),
                "fact_check",
                "admin:search_indexentry_changelist",
                ("search.view_indexentry",),
            ),
            (_("Queries"), "image_search", "admin:search_query_changelist", ("search.view_query",)),
        ),
    ),
    (
        _("People"),
        (
            (_("Users"), "person", "admin:auth_user_changelist", ("auth.view_user",)),
            (_("Groups"), "group", "admin:auth_group_changelist", ("auth.view_group",)),
            (
                _("Failed sign-ins"),
                "lock",
                "admin:axes_accessattempt_changelist",
                ("axes.view_accessattempt",),
            ),
        ),
    ),
)


def sections(request: HttpRequest) -> list[dict[str, Any]]:
    """The user's sidebar, as the theme expects it. Pages that do not exist are left out."""
    shown = []
    for title, pages in SECTIONS:
        items = [
            {"title": name, "icon": icon, "link": link}
            for name, icon, address, permissions in pages
            if _allowed(request, permissions) and (link := _address(address))
        ]
        if items:
            shown.append({"title": title, "items": items})
    everything = [item for section in shown for item in section["items"]]
    here = _here(request, [item["link"] for item in everything])
    for item in everything:
        item["active"] = item["link"] == here
    return shown


def script(request: HttpRequest) -> str:
    """The address of the script that gives the theme's controls to the keyboard, with the words that it needs."""
    words = {
        "menu": gettext("Menu"),
        "theme": gettext("Light or dark"),
        "overview": gettext("Overview"),
        "search": gettext("Search"),
        "more": gettext("More"),
    }
    return f"{static('js/admin.js')}#{urlencode(words)}"


def search_or_app(request: HttpRequest) -> HttpResponse:
    """The admin's search for `s`. Without it, the page of the app `search`, whose address is the same."""
    if "s" in request.GET:
        return admin.site.search(request)  # type: ignore[attr-defined, no-any-return] # the theme's
    return admin.site.app_index(request, "search")


def _allowed(request: HttpRequest, permissions: tuple[str, ...]) -> bool:
    """Who may change something may look at it too, as Django's admin has it."""
    names = {name for view in permissions for name in (view, view.replace(".view_", ".change_"))}
    return not names or any(request.user.has_perm(name) for name in names)


def _address(name: str) -> str:
    try:
        return reverse(name)
    except NoReverseMatch:
        return ""


def _here(request: HttpRequest, links: list[str]) -> str | None:
    """The link that says best where the reader is: some pages lie below others' addresses."""
    exact = {_address("admin:index"), _address("catalogue:home")}
    leading = [link for link in links if (request.path == link if link in exact else request.path.startswith(link))]
    return max(leading, key=len, default=None)
