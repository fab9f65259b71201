"""A network of three convolutions, for tests in which the architecture does not matter: it builds in milliseconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from endpoint.architectures import ARCHITECTURES, Architecture

if TYPE_CHECKING:
    import keras

TINY = "tiny"


@dataclass(frozen=True)
class _Tiny(Architecture):
    """Convolution, batch normalisation and ReLU, three times; it is preprocessed as MobileNetV2."""

    def backbone(self, weights: str | None, size: int | None = None) -> keras.Model:
        from keras import Input, Model, layers

        side = size or self.size
        inputs = features = Input((side, side, 3))
        for number, filters in enumerate((16, 32, self.dimensions)):
            features = layers.Conv2D(filters, 3, strides=2, padding="same", name=f"convolution_{number}")(features)
            features = layers.BatchNormalization(name=f"normalisation_{number}")(features)
            features = layers.ReLU(name=f"relu_{number}")(features)
        return Model(inputs, features, name=TINY)


def register() -> None:
    """Make it one of the architectures, in this process."""
    ARCHITECTURES[TINY] = _Tiny("mobilenet_v2", "", 32, 128, trunk="relu_1")
