"""The admin's pages for importing: choose files, see what will change, queue the import, follow it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from http import HTTPStatus
from threading import Lock
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST
from unfold.widgets import UnfoldAdminFileFieldWidget

from catalogue.admin import values
from catalogue.importers import columns, jobs
from catalogue.importers.importer import Importer, ProcessorBudget, Summary
from catalogue.importers.records import Difference, Reject, SourceRefused
from catalogue.importers.uploads import MAX_PHOTOS, MAX_TABLE_BYTES, TABLES, Upload, UploadGone
from catalogue.models import ImportJob, Product
from catalogue.overview import may_import

SHOWN = 100
"""Products, and rejects, that a page lists one by one; the rest it counts."""

JOBS_SHOWN = 5
"""Imports that the page lists, the newest first."""

RETRY_SECONDS = 60
"""When to try again after another preview was being prepared."""

PREVIEW_BATCH = 500
"""Products in a batch of a preview. Each batch creates its categories and brands, and rolls them back."""


class ImportForm(forms.Form):
    """A table, a zip of photos, or both."""

    table = forms.FileField(
        label=gettext_lazy("Table"),
        required=False,
        widget=UnfoldAdminFileFieldWidget(attrs={"accept": ",".join(TABLES)}),
        help_text=gettext_lazy("CSV or Excel (.xlsx), with a row for each product and the columns listed below."),
    )
    photos = forms.FileField(
        label=gettext_lazy("Zip of photos"),
        required=False,
        widget=UnfoldAdminFileFieldWidget(attrs={"accept": ".zip"}),
        help_text=gettext_lazy(
            "The photos that the table's column “photos” names. Without a table, each photo becomes a product and "
            "each folder a category."
        ),
    )

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors and not any(cleaned.values()):
            self.add_error("table", _("Choose a table, a zip of photos, or both."))
        return cleaned


@dataclass(frozen=True, slots=True)
class Row:
    """A product of the upload and its changes."""

    difference: Difference

    @property
    def kind(self) -> str:
        return _("New") if self.difference.created else _("Changed")

    @property
    def details(self) -> list[tuple[str, str, str]]:
        """Labels of fields with their values before and after."""
        if self.difference.created:
            record = self.difference.record
            return [(values.label(name), "", values.shown(value)) for name, value in record.values.items() if value]
        return values.rows(self.difference.fields)

    @property
    def photos(self) -> list[str]:
        added, moved, removed = (
            self.difference.photos_added,
            self.difference.photos_moved,
            self.difference.photos_removed,
        )
        return [
            text % count
            for count, text in (
                (added, ngettext("%d photo added", "%d photos added", added)),
                (moved, ngettext("%d photo moved or with a new text", "%d photos moved or with a new text", moved)),
                (removed, ngettext("%d photo removed", "%d photos removed", removed)),
            )
            if count
        ]


@dataclass
class Preview:
    """What an import would do."""

    summary: Summary = field(default_factory=Summary)
    rows: list[Row] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)

    @property
    def changes(self) -> int:
        return self.summary.created + self.summary.updated

    @property
    def more_rows(self) -> int:
        return self.changes - len(self.rows)

    @property
    def more_rejects(self) -> int:
        return self.summary.rejected - len(self.rejects)

    def add(self, difference: Difference) -> None:
        if not difference.unchanged and len(self.rows) < SHOWN:
            self.rows.append(Row(difference))

    def reject(self, reject: Reject) -> None:
        if len(self.rejects) < SHOWN:
            self.rejects.append(reject)


class Busy(SourceRefused):
    """This process prepares another preview."""


_previewing = Lock()
"""One preview at a time occupies one of the web server's threads."""


def preview(upload: Upload) -> Preview:
    """What importing files would do. Raises `SourceRefused`, also if it takes more than `MAX_SECONDS`, or `Busy`."""
    if not _previewing.acquire(blocking=False):
        raise Busy(_("Another preview is being prepared. Try again in a minute."))
    try:
        found = Preview()
        with closing(upload.open()) as source:
            importer = Importer(
                reject=found.reject,
                on_difference=found.add,
                batch=PREVIEW_BATCH,
                dry_run=True,
                budget=ProcessorBudget(jobs.MAX_SECONDS),
            )
            found.summary = importer.run(source)
        return found
    finally:
        _previewing.release()


class ImportPages:
    """Replaces the import views of django-import-export's mixin, at the same URLs and with the same permission.

    It uses the command's importer, so that tables mean the same, bad rows fail alone, and photos are imported too.
    """

    import_template_name = "admin/catalogue/product/import.html"

    def get_urls(self) -> list[URLPattern]:
        site: Any = self.admin_site  # type: ignore[attr-defined]
        view = site.admin_view(self.import_job)
        urls: list[URLPattern] = super().get_urls()  # type: ignore[misc]
        return [path("import/<int:pk>/", view, name="catalogue_product_import_job"), *urls]

    def has_import_permission(self, request: HttpRequest) -> bool:
        return may_import(request)

    def import_action(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """Choose files and preview their changes. Uploads that had to wait are previewed by their token."""
        self._check(request)
        if "upload" in request.POST:
            return self._preview_again(request, request.POST["upload"])
        form = ImportForm(request.POST, request.FILES) if request.method == "POST" else ImportForm()
        context: dict[str, Any] = {"form": form}
        if form.is_bound and form.is_valid():
            try:
                upload = Upload.keep(form.cleaned_data["table"], form.cleaned_data["photos"])
                return self._preview(request, upload)
            except SourceRefused as error:
                form.add_error("table" if form.cleaned_data["table"] else "photos", str(error))
        return self._page(request, context)

    def _preview_again(self, request: HttpRequest, token: str) -> HttpResponse:
        try:
            return self._preview(request, Upload.find(token))
        except UploadGone:
            return self._gone(request)
        except SourceRefused as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(self._address("import"))

    @method_decorator(require_POST)
    def process_import(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        """Queue the import of what was previewed."""
        self._check(request)
        token = request.POST.get("upload", "")
        job = ImportJob.objects.filter(upload=token).first() if token else None
        if job is None:
            try:
                job = jobs.ask(Upload.find(token), request.user)
            except UploadGone:
                return self._gone(request)
            except SourceRefused as error:
                messages.error(request, str(error))
                return HttpResponseRedirect(self._address("import"))
        return HttpResponseRedirect(self._address("import_job", job.pk))

    def import_job(self, request: HttpRequest, pk: int) -> HttpResponse:
        """How far an import is, and what came of it. A POST cancels it."""
        self._check(request)
        job = get_object_or_404(ImportJob, pk=pk)
        if request.method == "POST":
            if jobs.cancel(job):
                messages.success(request, _("The import was cancelled. Products already imported stay in the shop."))
            else:
                messages.warning(request, _("This import has already ended."))
            return HttpResponseRedirect(request.path)
        return self._page(
            request, {"job": job, "finished": _finished(job)}, "admin/catalogue/product/import_job.html"
        )

    def _preview(self, request: HttpRequest, upload: Upload) -> HttpResponse:
        """What an upload would change. It is kept if that is anything, or if another preview has to end first."""
        try:
            outcome = preview(upload)
        except Busy as error:
            messages.warning(request, str(error))
            response = self._page(request, {"waiting": upload})
            response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
            response.headers["Retry-After"] = str(RETRY_SECONDS)
            return response
        except BaseException:
            upload.discard()
            raise
        if not outcome.changes:
            upload.discard()
        return self._page(request, {"outcome": outcome, "upload": upload})

    def _gone(self, request: HttpRequest) -> HttpResponse:
        messages.warning(request, _("These files have expired. Choose them again."))
        return HttpResponseRedirect(self._address("import"))

    def _check(self, request: HttpRequest) -> None:
        if not self.has_import_permission(request):
            raise PermissionDenied

    def _address(self, page: str, *args: int) -> str:
        return reverse(f"admin:catalogue_product_{page}", args=args)

    def _page(self, request: HttpRequest, context: dict[str, Any], template: str = "") -> TemplateResponse:
        site: Any = self.admin_site  # type: ignore[attr-defined]
        request.current_app = site.name
        context |= {
            **site.each_context(request),
            "title": _("Import products"),
            "opts": Product._meta,
            "media": self.media,  # type: ignore[attr-defined]
            "columns": columns.names(),
            "jobs": ImportJob.objects.select_related("asked_by")[:JOBS_SHOWN],
            "limits": {"table": MAX_TABLE_BYTES // 1_000_000, "photos": MAX_PHOTOS},
        }
        return TemplateResponse(request, template or self.import_template_name, context)


def _finished(job: ImportJob) -> str:
    """What an import that is done has brought, in a sentence."""
    if job.state != job.State.DONE:
        return ""
    created, updated, added = (job.result[name] for name in ("created", "updated", "photos_added"))
    return _("Import finished: %(created)s, %(updated)s, %(photos)s.") % {
        "created": ngettext("%d new product", "%d new products", created) % created,
        "updated": ngettext("%d changed", "%d changed", updated) % updated,
        "photos": ngettext("%d photo added", "%d photos added", added) % added,
    }
