"""Rolling back to the previous version.

The previous version is kept for a while, and the ledger keeps recording changes for it, so it can be brought up to
date and made live again.
"""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from jobs.running import Progress
from search import versions
from search.exceptions import IndexMissing, RollbackRefused, SearchError
from search.indexes import index_of
from search.lifecycle import activation, jobs
from search.models import KEPT, IndexEntry, IndexJob, IndexVersion
from search.writing import ledger


def roll_back(progress: Progress | None = None, job: IndexJob | None = None, *, force: bool = False) -> IndexVersion:
    """Make the version live again that was live before, and return it.

    It is brought up to date first, while the present version answers. Raises RollbackRefused, before anything is
    done, where there is none any more or where it could not be asked; BuildRefused where it is not complete, unless
    it is `force`d; and what the model or the index raise: another call then goes on.
    """
    with jobs.recorded(IndexJob.Kind.ROLLBACK, progress, job) as report:
        version = _former()
        try:
            with transaction.atomic():
                IndexVersion.objects.filter(pk=version.pk).update(state=IndexVersion.State.READY)
        except IntegrityError as error:
            raise RollbackRefused(
                _(
                    "A rebuild is not finished. Finish it with “manage.py rebuild_index”, or discard it with "
                    "“manage.py rebuild_index --cancel”, first."
                )
            ) from error
        version.refresh_from_db(fields=["state"])
        ledger.retry_now([version])
        activation.bring_up_to_date(version, report)
        version = activation.activate(version, report, force=force, compare=False)
        # A refit to the same photos would give the version that was just rolled back.
        activation.hold(version)
        indexed = IndexEntry.objects.filter(version=version, state=IndexEntry.State.INDEXED)
        report.result(version=version, photos=indexed.count())
    return version


def _former() -> IndexVersion:
    """The version to go back to. Raises RollbackRefused."""
    unfinished = IndexVersion.objects.unfinished()
    version = unfinished if unfinished and unfinished.returning else IndexVersion.objects.former()
    if version is None:
        text = _("There is no version to roll back to: the previous version is kept for %(days)d days.")
        raise RollbackRefused(text % {"days": KEPT.days})
    try:
        versions.embedder_of(version)
        index_of(version).count()
    except IndexMissing as error:
        text = _("Version %(number)d cannot be rolled back to, because its index is lost. %(reason)s")
        raise RollbackRefused(text % {"number": version.pk, "reason": error}) from error
    except (SearchError, ImproperlyConfigured) as error:
        text = _(
            "Version %(number)d cannot be rolled back to, because its model %(model)s is unavailable."
            " Configure that model again. %(reason)s"
        )
        named = {"number": version.pk, "model": version.fingerprint, "reason": error}
        raise RollbackRefused(text % named) from error
    return version
