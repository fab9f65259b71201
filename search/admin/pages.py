"""The page of the index and its buttons: views that `IndexVersionAdmin` has."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.db.models import Exists, OuterRef
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext
from django.views.decorators.http import require_POST, require_safe

from catalogue.models import ProductImage
from search import runs
from search.admin.overview import Kind, State, lasted, numbers, title
from search.admin.states import try_again
from search.embedders import embedders
from search.exceptions import SearchError
from search.models import Embedding, IndexEntry, IndexRun, IndexVersion


class IndexPages:
    """The page of the index and what its buttons do; part of the admin of index versions."""

    admin_site: admin.AdminSite
    media: Any

    def index_urls(self) -> list[URLPattern]:
        site = self.admin_site
        return [
            path("index/", site.admin_view(require_safe(self.index_view)), name="search_index"),
            path("index/numbers/", site.admin_view(require_safe(self.numbers_view)), name="search_index_numbers"),
            path("index/rebuild/", site.admin_view(require_safe(self.rebuild_view)), name="search_index_rebuild"),
            path("index/do/", site.admin_view(require_POST(self.do_view)), name="search_index_do"),
        ]

    def _page(self, request: HttpRequest, template: str, name: str, **context: Any) -> HttpResponse:
        shared = {**self.admin_site.each_context(request), "model_admin": self, "media": self.media, "title": name}
        return TemplateResponse(request, f"search/admin/{template}", shared | context)

    def index_view(self, request: HttpRequest) -> HttpResponse:
        _require(request, "search.view_indexversion")
        return self._page(request, "index.html", gettext("Index"), **numbers(request))

    def numbers_view(self, request: HttpRequest) -> HttpResponse:
        """The parts of the page that change, for its script."""
        _require(request, "search.view_indexversion")
        return TemplateResponse(request, "search/admin/index_parts.html", numbers(request))

    def rebuild_view(self, request: HttpRequest) -> HttpResponse:
        """What a rebuild will change, before it is asked for."""
        _require(request, "search.change_indexversion")
        live = IndexVersion.objects.live()
        photos = ProductImage.objects.count()
        last = IndexRun.objects.filter(kind=Kind.REBUILD, state=State.DONE, photos__gt=0).first()
        expected = ""
        if last and last.started and last.ended:
            expected = lasted((last.ended - last.started) * (photos / last.photos))
        return self._page(
            request,
            "rebuild.html",
            gettext("Rebuild the index"),
            live=live,
            photos=photos,
            expected=expected,
            last=last,
            unfinished=IndexVersion.objects.filter(state__in=["building", "ready"]).exists(),
            **_model(live),
        )

    def do_view(self, request: HttpRequest) -> HttpResponse:
        """The page's buttons. Nothing is done here but to write down what the worker is to do."""
        if "again" in request.POST:
            _require(request, "search.change_indexentry")
            entries = IndexEntry.objects.filter(
                version=IndexVersion.objects.live(), state=IndexEntry.State.FAILED, reason=request.POST["again"]
            )
            try_again(self, request, entries.values_list("photo_id", flat=True))
            return redirect("admin:search_index")
        _require(request, "search.change_indexversion")
        if "cancel" in request.POST:
            self._cancel(request, request.POST["cancel"])
        elif request.POST.get("ask") in Kind.values:
            self._ask(request, Kind(request.POST["ask"]))
        else:
            messages.error(request, gettext("There is no such button."))
        return redirect("admin:search_index")

    def _ask(self, request: HttpRequest, kind: IndexRun.Kind) -> None:
        run, new = runs.ask(kind, request.user)
        if new:
            there, _seen = runs.last_worker()
            text = gettext("%(kind)s was asked for. The worker begins in a moment.")
            if not there:
                text = gettext("%(kind)s was asked for. It waits for a worker: there is none at the moment.")
            messages.success(request, text % {"kind": title(run)})
        elif run.state == State.RUNNING:
            messages.info(request, gettext("%(kind)s is under way already.") % {"kind": title(run)})
        else:
            messages.info(request, gettext("%(kind)s is waiting already; nothing was added.") % {"kind": title(run)})

    def _cancel(self, request: HttpRequest, pk: str) -> None:
        if pk.isdecimal() and runs.cancel(int(pk)):
            messages.success(request, gettext("It was cancelled before it began."))
        else:
            messages.warning(request, gettext("It cannot be cancelled any more: it has begun or ended."))


def _model(live: IndexVersion | None) -> dict[str, Any]:
    """Which model a rebuild takes, and how many photos that model has to look at."""
    try:
        fingerprint = embedders["default"].fingerprint
    except (SearchError, ImproperlyConfigured) as error:
        return {"trouble": str(error)}
    known = Embedding.objects.filter(digest=OuterRef("sha256"), fingerprint=fingerprint)
    return {
        "model": fingerprint,
        "same_model": live is not None and live.fingerprint == fingerprint,
        "unseen": ProductImage.objects.filter(~Exists(known)).count(),
    }


def _require(request: HttpRequest, permission: str) -> None:
    if not request.user.has_perm(permission):
        raise PermissionDenied
