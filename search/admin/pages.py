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
from django.utils.html import format_html
from django.utils.translation import gettext
from django.views.decorators.http import require_POST, require_safe

from catalogue.models import ProductImage
from jobs.models import STANDING
from search import versions
from search.admin.job_words import Kind, State, lasted, title
from search.admin.keys import is_key
from search.admin.overview import BUILDING, has_indexed, numbers
from search.admin.states import try_again
from search.exceptions import NothingToCancel, SearchError
from search.lifecycle import building, jobs
from search.models import KEPT, Embedding, IndexEntry, IndexJob, IndexVersion
from search.vision.embedders import embedders


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
            path("index/rollback/", site.admin_view(require_safe(self.rollback_view)), name="search_index_rollback"),
            path("index/discard/", site.admin_view(require_safe(self.discard_view)), name="search_index_discard"),
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
        unfinished = IndexVersion.objects.unfinished()
        last = IndexJob.objects.filter(kind=Kind.REBUILD, state=State.DONE, photos__gt=0).first()
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
            unfinished=unfinished,
            models=_models(),
            chosen=building.unfinished_model(),
            **_model(live),
        )

    def rollback_view(self, request: HttpRequest) -> HttpResponse:
        """What going back to the former version will change, before it is asked for."""
        _require(request, "search.change_indexversion")
        former = IndexVersion.objects.former()
        trouble, waiting = gettext("There is no version to roll back to."), 0
        if former is not None:
            indexed = IndexEntry.objects.filter(version=former, state=IndexEntry.State.INDEXED).count()
            former = former if has_indexed(former, indexed) else None
        if former is not None:
            waiting = IndexEntry.objects.filter(version=former, state=IndexEntry.State.PENDING).count()
            trouble = _trouble(former)
        return self._page(
            request,
            "rollback.html",
            gettext("Roll back to the previous version"),
            former=former,
            live=IndexVersion.objects.live(),
            waiting=waiting,
            trouble=trouble,
            days=KEPT.days,
        )

    def discard_view(self, request: HttpRequest) -> HttpResponse:
        """What is lost with the version that is not live yet, before it is discarded."""
        _require(request, "search.change_indexversion")
        build = IndexVersion.objects.unfinished()
        indexed = IndexEntry.objects.filter(version=build, state=IndexEntry.State.INDEXED).count() if build else 0
        return self._page(
            request,
            "discard.html",
            gettext("Discard a version"),
            build=build,
            indexed=indexed,
            live=IndexVersion.objects.live(),
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
        elif "discard" in request.POST:
            self._discard(request)
        elif "switch" in request.POST:
            options = {"model": building.unfinished_model(), "force": True}  # continues the version that was built
            self._ask(request, Kind.REBUILD, options)
        elif "repair" in request.POST:
            self._ask(request, Kind.AUDIT, {"repair": True})
        elif request.POST.get("ask") == Kind.REBUILD:
            model = request.POST.get("model", building.unfinished_model())
            self._ask(request, Kind.REBUILD, {"model": model if model in embedders else "default"})
        elif request.POST.get("ask") in Kind.values:
            self._ask(request, Kind(request.POST["ask"]))
        else:
            messages.error(request, gettext("Unknown action."))
        return redirect("admin:search_index")

    def _ask(self, request: HttpRequest, kind: IndexJob.Kind, options: dict[str, Any] | None = None) -> None:
        job, new = jobs.ask(kind, request.user, options)
        if new:
            there, _seen = jobs.last_worker()
            text = gettext("%(kind)s requested. A worker starts it in a moment.")
            if not there:
                text = gettext("%(kind)s requested. No worker is running, so it waits for one.")
            messages.success(request, _asked(text % {"kind": title(job)}))
        elif job.state == State.RUNNING:
            messages.info(request, _asked(gettext("%(kind)s is already running.") % {"kind": title(job)}))
        else:
            text = gettext("%(kind)s is already queued.")
            messages.info(request, _asked(text % {"kind": title(job)}))

    def _cancel(self, request: HttpRequest, pk: str) -> None:
        job = IndexJob.objects.filter(pk=pk, state__in=STANDING).first() if is_key(pk) else None
        if job is None:
            messages.warning(request, gettext("This job has already ended."))
        elif job.kind in BUILDING:
            self._discard(request)
        else:
            jobs.cancel(job.pk)
            messages.success(request, gettext("The job was cancelled."))

    def _discard(self, request: HttpRequest) -> None:
        try:
            version = building.cancel()
        except NothingToCancel as error:
            messages.warning(request, str(error))
            return
        if version is not None and version.returning:
            messages.success(request, gettext("Version %(number)d stays retired.") % {"number": version.pk})
        else:
            text = gettext("The rebuild was cancelled. Embeddings are kept, so the next rebuild is quick.")
            messages.success(request, text)


def _asked(text: str) -> str:
    """A message that holds until what was asked for has ended: the page's script takes it back then."""
    return format_html('<span class="index-asked">{}</span>', text)


def _models() -> list[tuple[str, str]]:
    """The models to choose from, by alias, with words that tell them apart; none where there is only one."""
    aliases = list(embedders)
    return [(alias, _name(alias)) for alias in aliases] if len(aliases) > 1 else []


def _name(alias: str) -> str:
    try:
        fingerprint = embedders[alias].fingerprint
    except (SearchError, ImproperlyConfigured):
        fingerprint = gettext("does not answer")
    if alias == "default":
        return gettext("the configured model (%(fingerprint)s)") % {"fingerprint": fingerprint}
    return f"{alias} ({fingerprint})"


def _model(live: IndexVersion | None) -> dict[str, Any]:
    """Which model a rebuild takes, and how many photos that model has to look at."""
    try:
        draft = building.draft("default")
    except (SearchError, ImproperlyConfigured) as error:
        return {"trouble": str(error)}
    known = Embedding.objects.of(draft).filter(digest=OuterRef("sha256"))
    return {
        "model": draft.fingerprint,
        "same_model": live is not None and live.fingerprint == draft.fingerprint,
        "unseen": ProductImage.objects.filter(~Exists(known)).count(),
    }


def _trouble(former: IndexVersion) -> str:
    """Why a version cannot be rolled back to, as far as is known without opening its index; else empty."""
    try:
        versions.embedder_of(former)
    except (SearchError, ImproperlyConfigured) as error:
        return str(error)
    unfinished = IndexVersion.objects.unfinished()
    if unfinished is not None and not unfinished.returning:
        return gettext("A rebuild is not finished. Finish or discard it first.")
    return ""


def _require(request: HttpRequest, permission: str) -> None:
    if not request.user.has_perm(permission):
        raise PermissionDenied
