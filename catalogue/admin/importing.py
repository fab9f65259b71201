"""The admin's import pages: choose files, preview, import."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from http import HTTPStatus
from threading import Lock
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.models import ADDITION, CHANGE
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST
from unfold.widgets import UnfoldAdminFileFieldWidget

from catalogue.admin import history, values
from catalogue.importers import columns
from catalogue.importers.importer import BATCH, BudgetSpent, Importer, ProcessorBudget, Summary
from catalogue.importers.records import Difference, Reject, SourceRefused
from catalogue.importers.uploads import MAX_PHOTOS, MAX_TABLE_BYTES, TABLES, Upload, UploadGone
from catalogue.models import Product
from catalogue.overview import may_import

SHOWN = 100
"""Products, and rejects, that a page lists; the others are counted."""

MAX_SECONDS = 120
"""Processor seconds of a preview or an import, in all threads: enough for a zip of `MAX_PHOTOS`."""

RETRY_SECONDS = 60
"""When to try again if another import is running."""

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
class Outcome:
    """The result of an import or a preview."""

    summary: Summary = field(default_factory=Summary)
    rows: list[Row] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    created: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    stopped: str = ""
    """The reason if it ended early."""

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
        if difference.unchanged:
            return
        (self.created if difference.created else self.updated).append(difference.record.sku)
        if len(self.rows) < SHOWN:
            self.rows.append(Row(difference))

    def reject(self, reject: Reject) -> None:
        if len(self.rejects) < SHOWN:
            self.rejects.append(reject)


class Busy(SourceRefused):
    """This process is running another import."""


_importing = Lock()
"""One import at a time, so that imports occupy a single thread of the web server."""


def bring_in(upload: Upload, *, dry_run: bool) -> Outcome:
    """Import an upload, or preview the import with `dry_run`.

    Raises `SourceRefused`, or `Busy`. An import that takes more than `MAX_SECONDS` has `Outcome.stopped`; such a
    preview is refused.
    """
    if not _importing.acquire(blocking=False):
        raise Busy(_("Another import is running. Try again in a minute."))
    try:
        outcome = Outcome()
        with closing(upload.open()) as source:
            importer = Importer(
                reject=outcome.reject,
                on_difference=outcome.add,
                batch=PREVIEW_BATCH if dry_run else BATCH,
                dry_run=dry_run,
                budget=ProcessorBudget(MAX_SECONDS),
            )
            outcome.summary = importer.summary
            try:
                importer.run(source)
            except BudgetSpent as error:
                if dry_run:
                    raise
                outcome.stopped = str(error)
        return outcome
    finally:
        _importing.release()


class ImportPages:
    """Replaces the import views of django-import-export's mixin, at the same URLs and with the same permission.

    It uses the command's importer, so that tables mean the same, bad rows fail alone, and photos are imported too.
    """

    import_template_name = "admin/catalogue/product/import.html"

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
        """Import a previewed upload."""
        self._check(request)
        try:
            upload = Upload.find(request.POST.get("upload", ""))
            outcome = bring_in(upload, dry_run=False)
        except UploadGone:
            return self._gone(request)
        except Busy as error:
            return self._waiting(request, upload, "process_import", str(error))
        except SourceRefused as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(self._address("import"))
        upload.discard()
        _log(request, outcome)
        text = _("Import finished: %(created)s, %(updated)s, %(photos)s.") % {
            "created": ngettext("%d new product", "%d new products", outcome.summary.created)
            % outcome.summary.created,
            "updated": ngettext("%d changed", "%d changed", outcome.summary.updated) % outcome.summary.updated,
            "photos": ngettext("%d photo added", "%d photos added", outcome.summary.photos_added)
            % outcome.summary.photos_added,
        }
        if outcome.stopped:
            messages.error(request, outcome.stopped)
            go_on = _("Choose the same files again to continue; products already imported are not changed.")
            messages.warning(request, f"{text} {go_on}")
            return self._page(request, {"outcome": outcome, "done": True})
        messages.success(request, text)
        if not outcome.summary.rejected:
            return HttpResponseRedirect(self._address("changelist"))
        return self._page(request, {"outcome": outcome, "done": True})

    def _preview(self, request: HttpRequest, upload: Upload) -> HttpResponse:
        """Preview an upload. It is kept if it has changes, or has to wait for another import."""
        try:
            outcome = bring_in(upload, dry_run=True)
        except Busy as error:
            return self._waiting(request, upload, "import", str(error))
        except BaseException:
            upload.discard()
            raise
        if not outcome.changes:
            upload.discard()
        return self._page(request, {"outcome": outcome, "upload": upload})

    def _waiting(self, request: HttpRequest, upload: Upload, page: str, reason: str) -> HttpResponse:
        """A page that submits the upload's token again later."""
        messages.warning(request, reason)
        response = self._page(request, {"waiting": upload, "address": self._address(page)})
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
        response.headers["Retry-After"] = str(RETRY_SECONDS)
        return response

    def _gone(self, request: HttpRequest) -> HttpResponse:
        messages.warning(request, _("These files have expired. Choose them again."))
        return HttpResponseRedirect(self._address("import"))

    def _check(self, request: HttpRequest) -> None:
        if not self.has_import_permission(request):
            raise PermissionDenied

    def _address(self, page: str) -> str:
        return reverse(f"admin:catalogue_product_{page}")

    def _page(self, request: HttpRequest, context: dict[str, Any]) -> TemplateResponse:
        site: Any = self.admin_site  # type: ignore[attr-defined]
        request.current_app = site.name
        context |= {
            **site.each_context(request),
            "title": _("Import products"),
            "opts": Product._meta,
            "media": self.media,  # type: ignore[attr-defined]
            "columns": columns.names(),
            "limits": {"table": MAX_TABLE_BYTES // 1_000_000, "photos": MAX_PHOTOS},
        }
        return TemplateResponse(request, self.import_template_name, context)


def _log(request: HttpRequest, outcome: Outcome) -> None:
    """Log the import in the history of each product."""
    for flag, skus in ((ADDITION, outcome.created), (CHANGE, outcome.updated)):
        for start in range(0, len(skus), 500):
            products = Product.objects.filter(sku__in=skus[start : start + 500]).order_by()
            history.note(request, products, flag, _("Imported."))
