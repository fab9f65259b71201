"""The description of a model, kept in its package; its fingerprint names the space of the model's vectors."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field, fields
from typing import Self

GRAPH_VERSION = 1
"""Part of the fingerprint: raise it with any change of `graph` that changes the rows of a picture."""


_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,18}[a-z0-9])?|[0-9a-f]{64}")
"""An architecture, a pooling, or a digest."""


class ManifestError(ValueError):
    """The text is not a manifest."""


@dataclass(frozen=True)
class Manifest:
    """What a model is: two models with equal fingerprints give vectors that can be compared."""

    architecture: str
    #: SHA-256 of all weights, in hexadecimal digits
    weights: str
    #: "mean" or "gem", see `pooling`
    pooling: str
    #: side of the squares that the model sees, in pixels
    size: int
    #: length of a row
    dimensions: int
    #: GRAPH_VERSION when the package was made
    graph: int = GRAPH_VERSION
    #: versions of the libraries that made it; not in the fingerprint
    libraries: dict[str, str] = field(default_factory=dict)
    #: measurements, such as retrieval before and after fine-tuning; not in the fingerprint
    figures: dict[str, float] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """What decides about rows, at most 60 characters, of lower-case letters, digits and hyphens.

        Architecture, input size, weights, graph version, pooling.
        """
        return f"{self.architecture}-{self.size}-{self.weights[:12]}-g{self.graph}-{self.pooling}"

    def to_json(self) -> str:
        """All fields and, for readers that cannot import this module, the fingerprint; `from_json` ignores it."""
        return json.dumps({**asdict(self), "fingerprint": self.fingerprint}, indent=2, sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Raises ManifestError."""
        try:
            return cls.from_dict(json.loads(text))
        except (ValueError, RecursionError) as error:
            raise ManifestError(f"This is not the manifest of a model: {error}") from error

    @classmethod
    def from_dict(cls, values: object) -> Self:
        """A manifest from its JSON object; unknown names are ignored. Raises ManifestError."""
        if not isinstance(values, dict):
            raise ManifestError("A manifest is a JSON object.")
        known = {f.name: values[f.name] for f in fields(cls) if f.name in values}
        try:
            manifest = cls(**known)
        except TypeError as error:
            raise ManifestError(f"The manifest is incomplete: {error}.") from error
        texts = (manifest.architecture, manifest.weights, manifest.pooling)
        numbers = (manifest.size, manifest.dimensions, manifest.graph)
        if not all(isinstance(text, str) and _NAME.fullmatch(text) for text in texts):
            raise ManifestError("The manifest's architecture, weights and pooling have to be short names.")
        if not all(type(number) is int and 0 < number < 1_000_000 for number in numbers):  # noqa: PLR2004
            raise ManifestError("The manifest's size, dimensions and graph have to be whole numbers above 0.")
        if not isinstance(manifest.libraries, dict) or not isinstance(manifest.figures, dict):
            raise ManifestError("The manifest's libraries and figures have to be JSON objects.")
        return manifest
