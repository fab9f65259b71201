"""The server's metrics, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

# From a decoded thumbnail to SageMaker's limit of 60 s.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_PICTURES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """The metrics of one server, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = one = CollectorRegistry()
        ProcessCollector(registry=one)
        self.requests = Counter("endpoint_requests", "Invocations, by HTTP status", ["status"], registry=one)
        self.pictures = Counter("endpoint_pictures", "Images embedded", registry=one)
        self.admitted = Gauge("endpoint_requests_admitted", "Invocations that are being answered", registry=one)
        self.waiting = Gauge("endpoint_pictures_waiting", "Decoded images that wait for the model", registry=one)
        self.batches = Histogram("endpoint_batch_pictures", "Images of a batch", buckets=_PICTURES, registry=one)
        self.request_seconds = _seconds("endpoint_request_seconds", "Invocations, from head to answer", one)
        self.decode_seconds = _seconds("endpoint_decode_seconds", "Parsing and decoding of an invocation", one)
        self.model_seconds = _seconds("endpoint_model_seconds", "A batch in the model", one)

    def text(self) -> bytes:
        """All of them, in Prometheus's text format."""
        return generate_latest(self.registry)


def _seconds(name: str, text: str, registry: CollectorRegistry) -> Histogram:
    return Histogram(name, text, buckets=_SECONDS, registry=registry)
