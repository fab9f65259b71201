"""What reading and writing both need of an index version: which one is live, its model, and its space."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _

from search.exceptions import EmbedderError, IndexMissing, SpaceMismatch
from search.models import IndexVersion
from search.vision import colours, vectors
from search.vision.embedders import Embedder, embedders


def live_version() -> IndexVersion:
    """The version that answers searches: one query. Raises IndexMissing if there is none yet."""
    version = IndexVersion.objects.live()
    if version is None:
        raise IndexMissing(_("There is no index yet. Import a catalogue, or run “manage.py sync_index”."))
    return version


def embedder_of(version: IndexVersion) -> Embedder:
    """The model that made a version's embeddings: its own alias, or any other alias that is the same model by now.

    Aliases that need no network are asked first. Raises SpaceMismatch if no alias is that model or the version's
    colour code is gone, and EmbedderError if the version's own alias cannot say which model it is.
    """
    if version.colours_version not in colours.EXTRACTORS:
        raise SpaceMismatch(
            _(
                "The index was built with version %(built)d of the colour code, which this release no longer has. "
                "Run “manage.py rebuild_index”."
            )
            % {"built": version.colours_version}
        )
    own = version.embedder if version.embedder in embedders else "default"
    fingerprint, trouble = "", None
    remote: list[Embedder] = []
    for alias in sorted([own, *(other for other in embedders if other != own)], key=_is_remote):
        try:
            embedder = embedders[alias]
            if embedder.fingerprint == version.fingerprint:
                return embedder
            if alias == own or not fingerprint:
                fingerprint = embedder.fingerprint
            if embedder.remote:
                remote.append(embedder)
        except (EmbedderError, ImproperlyConfigured) as error:
            if alias == own:
                trouble = error
    if trouble is not None:
        raise trouble
    for embedder in remote:
        embedder.mark_stale()
    raise SpaceMismatch(
        _(
            "The index was built with the model %(built)s, but %(model)s is configured. Run "
            "“manage.py rebuild_index” to build an index with it. Until then, configure the previous "
            "model."
        )
        % {"built": version.fingerprint, "model": fingerprint}
    )


def _is_remote(alias: str) -> bool:
    try:
        return embedders[alias].remote
    except ImproperlyConfigured:
        return False


def style_of(version: IndexVersion, embeddings: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Raw embeddings (n, d) -> style blocks (n, w) in the space of a version."""
    projection = version.projection
    return vectors.unit(embeddings) if projection is None else projection.apply(embeddings)


def rebuild_hint(version: IndexVersion) -> str:
    """A sentence for staff if a rebuild would use another model or colour code, or the model cannot be asked."""
    try:
        configured = embedders["default"].fingerprint
        embedder_of(version)
    except (EmbedderError, SpaceMismatch, ImproperlyConfigured) as error:
        return str(error)
    if configured != version.fingerprint:
        return _(
            "The index was built with the model %(built)s and keeps answering with it, but %(model)s is configured. "
            "Rebuild the index (or run “manage.py rebuild_index”) to search with the configured model."
        ) % {"built": version.fingerprint, "model": configured}
    if version.colours_version != colours.COLOURS_VERSION:
        return _(
            "The index was built with an earlier version of the colour code and keeps answering with it. Rebuild the "
            "index (or run “manage.py rebuild_index”) to use the current one."
        )
    return ""
