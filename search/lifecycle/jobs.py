"""What is being done to the index, told from process to process: requests, progress, throughput, workers.

Staff ask in the web process (`ask`); a worker looks for it (`take`), does it (`worker.perform`) and writes down
how far it is. Rebuilds that nobody asked for are written down by whoever begins them (`recorded`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext

from search.exceptions import BuildPaused, SearchError, WorkStopped
from search.models import IndexedMinute, IndexJob, IndexVersion, Worker

logger = logging.getLogger(__name__)

#: Seconds between two notes of a run's progress.
NOTE = 1.0
#: A run whose process has not been heard of for as long is taken for left. A fit is the longest silence: a minute
#: at the most. Where that is wrong, two processes share the work and nothing is lost.
LEFT = timedelta(minutes=3)
#: How often a request is begun whose process ends half-way each time: it may be what ends them.
MOST_ATTEMPTS = 3
#: Seconds between two signs of life of a worker.
BEAT = 5.0
#: A worker that has not been seen for as long counts as away.
AWAY = timedelta(seconds=90)
#: How long minutes and workers are remembered, and runs.
REMEMBERED = timedelta(days=1)
JOBS_REMEMBERED = timedelta(days=90)

#: Told of a stage by name, with the photos done and the photos in all.
Progress = Callable[[str, int, int], object]


# What staff ask for -----------------------------------------------------------------------------------------


def ask(kind: IndexJob.Kind, by: Any = None, options: dict[str, Any] | None = None) -> tuple[IndexJob, bool]:
    """Ask for a sync, a rebuild, ... Returns the request, and whether it is new.

    There is one already where the same is waiting or running, or where another kind of work is waiting.
    """
    _write_off()
    standing = IndexJob.objects.filter(state__in=[IndexJob.State.WAITING, IndexJob.State.RUNNING])
    if run := standing.filter(kind=kind).order_by("pk").last():
        return run, False
    try:
        with transaction.atomic():
            return IndexJob.objects.create(kind=kind, asked=True, asked_by=by, options=options or {}), True
    except IntegrityError:
        run = IndexJob.objects.filter(state=IndexJob.State.WAITING).first()
        return (run, False) if run else ask(kind, by, options)  # it has begun or ended in between


def cancel(pk: int) -> bool:
    """Take back a request that no worker has begun; returns whether that was so."""
    waiting = IndexJob.objects.filter(pk=pk, state=IndexJob.State.WAITING)
    return bool(waiting.update(state=IndexJob.State.CANCELLED, ended=timezone.now()))


def running(kind: IndexJob.Kind) -> IndexJob | None:
    """The run of a kind that a living process is at."""
    run = IndexJob.objects.filter(kind=kind, state=IndexJob.State.RUNNING).first()
    return run if run is not None and _alive(run) else None


def paused() -> IndexJob | None:
    """The rebuild that is paused."""
    return IndexJob.objects.filter(state=IndexJob.State.PAUSED).first()


def pause() -> IndexJob | None:
    """Pause the rebuild that is under way: its process finds it paused at its next step. None where there is none.

    Also where a process that is not written down builds, or has died: nobody goes on with its version then.
    """
    try:
        with transaction.atomic():
            rebuild = IndexJob.objects.filter(kind=IndexJob.Kind.REBUILD, state=IndexJob.State.RUNNING)
            if rebuild.update(state=IndexJob.State.PAUSED):
                return paused()
            version = IndexVersion.objects.unfinished()
            if version is not None and version.state == IndexVersion.State.BUILDING:
                return IndexJob.objects.create(
                    kind=IndexJob.Kind.REBUILD, state=IndexJob.State.PAUSED, options={"model": version.embedder}
                )
    except IntegrityError:
        pass
    return paused()  # already


def resume(by: Any = None) -> IndexJob | None:
    """Let the paused rebuild wait for a worker, as it was asked for. None where none is paused or another waits."""
    run = paused()
    try:
        with transaction.atomic():
            if run is None or not IndexJob.objects.filter(pk=run.pk, state=IndexJob.State.PAUSED).update(
                state=IndexJob.State.WAITING, asked=True, asked_by=by or run.asked_by, started=None, attempts=0
            ):
                return None
    except IntegrityError:
        return None
    return run


def give_up_paused(reason: str) -> bool:
    """Cancel the paused rebuild; returns whether there was one."""
    standing = IndexJob.objects.filter(state=IndexJob.State.PAUSED)
    return bool(standing.update(state=IndexJob.State.CANCELLED, ended=timezone.now(), reason=reason))


def due() -> IndexJob | None:
    """What was asked for and can be begun now, if anything: one indexed query."""
    standing = IndexJob.objects.filter(state__in=[IndexJob.State.WAITING, IndexJob.State.RUNNING])
    runs = {run.state: run for run in standing}
    running = runs.get(IndexJob.State.RUNNING)
    if running is None:
        return runs.get(IndexJob.State.WAITING)
    return None if _alive(running) else running


def take() -> IndexJob | None:
    """Begin what was asked for, if anything was: the caller does it. None where another process is at it."""
    run = due()
    if run is not None and run.state == IndexJob.State.RUNNING:
        _give_up(run)
        run = due()
    return run if run is not None and _begin(run) else None


def _alive(running: IndexJob) -> bool:
    return running.seen is not None and running.seen >= timezone.now() - LEFT


def _write_off() -> None:
    """Give up a run whose process has died, so that what is asked for next does not wait behind it."""
    running = IndexJob.objects.filter(state=IndexJob.State.RUNNING).first()
    if running is not None and not _alive(running):
        _give_up(running)


def _give_up(run: IndexJob, *, in_order: bool = False) -> None:
    """What a process has left goes back to those who wait, or is written off where nobody asked for it.

    It is also written off when its process has died each time; one that ended `in_order` is no such sign.
    """
    left = IndexJob.objects.filter(pk=run.pk, state=IndexJob.State.RUNNING, seen=run.seen, started=run.started)
    if run.asked and (in_order or run.attempts < MOST_ATTEMPTS):
        attempts = F("attempts") - 1 if in_order else F("attempts")
        try:
            with transaction.atomic():
                left.update(state=IndexJob.State.WAITING, started=None, stage="", done=0, total=0, attempts=attempts)
        except IntegrityError:
            pass  # something else waits already
        else:
            return
    reason = gettext("The process that was at it has ended half-way.")
    left.update(state=IndexJob.State.FAILED, ended=timezone.now(), reason=reason)


def _begin(run: IndexJob) -> bool:
    now = timezone.now()
    try:
        with transaction.atomic():
            begun = IndexJob.objects.filter(pk=run.pk, state=IndexJob.State.WAITING).update(
                state=IndexJob.State.RUNNING, started=now, seen=now, attempts=F("attempts") + 1
            )
            if begun and run.kind == IndexJob.Kind.REBUILD:
                _go_on_with_paused()
    except IntegrityError:  # another is running
        return False
    run.state, run.started, run.seen = IndexJob.State.RUNNING, now, now
    return bool(begun)


def _go_on_with_paused() -> None:
    give_up_paused(gettext("Another rebuild has gone on with it."))


# What is being done -----------------------------------------------------------------------------------------


@contextmanager
def recorded(
    kind: IndexJob.Kind,
    progress: Progress | None = None,
    run: IndexJob | None = None,
    options: dict[str, Any] | None = None,
) -> Iterator[Record]:
    """Write down a piece of work as it goes on and how it ends; `run` is one that was taken.

    The record is a `Progress`. Where another process is at something that is written down, as when two build
    together, it tells `progress` alone until that has ended. Raises BuildPaused in a rebuild that was paused.
    """
    record = Record(kind, _own(kind, options or {}) if run is None else run, progress, options)
    if record.run is None and (other := IndexJob.objects.filter(state=IndexJob.State.RUNNING).first()):
        logger.warning("Another process is at it: %s, begun at %s; the work is shared.", other, other.started)
    try:
        yield record
    except BuildPaused:
        raise  # it is written down by whoever paused it
    except WorkStopped as stopped:
        record.stop(str(stopped))
        raise
    except BaseException as error:
        record.end(IndexJob.State.FAILED, reason_of(error))
        raise
    record.end(IndexJob.State.DONE)


def _own(kind: IndexJob.Kind, options: dict[str, Any]) -> IndexJob | None:
    """A run that nobody asked for, begun here; None where another is running."""
    now = timezone.now()
    _write_off()
    try:
        with transaction.atomic():
            run = IndexJob.objects.create(
                kind=kind, state=IndexJob.State.RUNNING, started=now, seen=now, options=options
            )
            if kind == IndexJob.Kind.REBUILD:
                _go_on_with_paused()
            return run
    except IntegrityError:
        return None


class Record:
    """One run's row in the database, brought up to date about once a second."""

    def __init__(
        self,
        kind: IndexJob.Kind,
        run: IndexJob | None,
        progress: Progress | None,
        options: dict[str, Any] | None = None,
    ) -> None:
        self.kind = kind
        self.run = run
        self._options = options or {}
        self._progress = progress
        self._stage = ""
        self._noted = 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if stage != self._stage or now - self._noted >= NOTE:
            self._stage, self._noted = stage, now
            self._note(stage=stage, done=done, total=total, seen=timezone.now())
        if self._progress:
            self._progress(stage, done, total)

    def of(self, version: IndexVersion | None, photos: int, result: dict[str, Any] | None = None) -> None:
        """Say what came of it: a version, the photos in it, and what an audit has found."""
        self._write(version=version, photos=photos, result=result or {})

    def stop(self, reason: str) -> None:
        """The process has to end: another goes on with what was asked for."""
        if self.run is not None:
            self.run.refresh_from_db(fields=["seen", "state"])
            if self.run.asked and self.run.state == IndexJob.State.RUNNING:
                _give_up(self.run, in_order=True)
            else:
                self.end(IndexJob.State.CANCELLED, reason)

    def end(self, state: IndexJob.State, reason: str = "") -> None:
        self._write(state=state, reason=reason, ended=timezone.now())

    def _note(self, **values: Any) -> None:
        """Write, and obey: a rebuild ends here if it was paused, whoever writes it down."""
        if self.run is None and paused() is None:
            self.run = _own(self.kind, self._options)  # where what was written down has ended, or was left
        if self._write(**values) or self.kind != IndexJob.Kind.REBUILD:
            return
        if self._take_back():
            self._write(**values)
            return
        if self._state() == IndexJob.State.CANCELLED:
            raise BuildPaused(gettext("The rebuild was given up meanwhile."))
        if paused():
            raise BuildPaused(
                gettext(
                    "The rebuild is paused; what is done is kept. Go on with “manage.py rebuild_index --resume”, or "
                    "press “Go on” in the admin."
                )
            )

    def _state(self) -> str | None:
        return None if self.run is None else IndexJob.objects.values_list("state", flat=True).get(pk=self.run.pk)

    def _take_back(self) -> bool:
        """Go on with a run that was paused and waits again already, before this process has seen the pause."""
        if self.run is None:
            return False
        waiting = IndexJob.objects.filter(pk=self.run.pk, state=IndexJob.State.WAITING)
        try:
            with transaction.atomic():
                return bool(
                    waiting.update(
                        state=IndexJob.State.RUNNING, started=self.run.started, seen=timezone.now(), attempts=1
                    )
                )
        except IntegrityError:  # another is running
            return False

    def _write(self, **values: Any) -> bool:
        """Only while it is running here: one that was given up in between belongs to whoever began it again.

        Returns whether it is written down, or could not be asked.
        """
        if self.run is None:
            return False
        try:
            mine = IndexJob.objects.filter(pk=self.run.pk, state=IndexJob.State.RUNNING, started=self.run.started)
            return bool(mine.update(**values))
        except DatabaseError:
            # The work matters more than its record, which is taken for left after a while.
            logger.exception("A run's record could not be written.")
            return True


def reason_of(error: BaseException) -> str:
    """Why something failed, for staff."""
    if isinstance(error, SearchError):
        return str(error)
    if isinstance(error, KeyboardInterrupt):
        return gettext("It was stopped.")
    return f"{type(error).__name__}: {error}".rstrip(": ")


# Workers ----------------------------------------------------------------------------------------------------


class Heartbeat:
    """A worker's sign of life, written every few seconds at the most."""

    def __init__(self) -> None:
        self._pk = 0  # none yet
        self._last = 0.0

    def beat(self) -> None:
        if self._pk and time.monotonic() - self._last < BEAT:
            return
        self._last = time.monotonic()
        # Anew where its row was swept away, as after a machine's long sleep.
        if not Worker.objects.filter(pk=self._pk).update(seen=timezone.now()):
            self._pk = Worker.objects.create().pk

    def end(self) -> None:
        now = timezone.now()
        Worker.objects.filter(pk=self._pk).update(seen=now, ended=now)


def last_worker() -> tuple[bool, datetime | None]:
    """Whether a worker is there, and when one was last seen (None: never)."""
    present = Worker.objects.filter(ended=None).order_by("-seen").first()
    if present and present.seen >= timezone.now() - AWAY:
        return True, present.seen
    last = Worker.objects.order_by("-seen").first()
    return False, last.seen if last else None


def last(kind: IndexJob.Kind) -> IndexJob | None:
    """The last run of a kind that ended well."""
    return IndexJob.objects.filter(kind=kind, state=IndexJob.State.DONE).first()


def forget() -> None:
    """Housekeeping: minutes, workers and runs of long ago; the last rebuild and audit that ended well stay."""
    now = timezone.now()
    IndexedMinute.objects.filter(minute__lt=now - REMEMBERED).delete()
    Worker.objects.filter(seen__lt=now - REMEMBERED).delete()
    kept = [run.pk for kind in (IndexJob.Kind.REBUILD, IndexJob.Kind.AUDIT) if (run := last(kind))]
    IndexJob.objects.filter(ended__lt=now - JOBS_REMEMBERED).exclude(pk__in=kept).delete()
