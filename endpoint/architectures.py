"""The networks of Keras Applications that a package can be made of, without their classifier."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Architecture:
    """One network, with the input size that it was trained on and its own preprocessing."""

    #: its module in `keras.applications`, which has its `preprocess_input`
    module: str
    #: its function there
    function: str
    #: side of its input, in pixels
    size: int
    #: channels of its last feature map
    dimensions: int

    def backbone(self, weights: str | None) -> keras.Model:
        """Build it: float32 (n, size, size, 3), preprocessed -> the last feature map (n, h, w, dimensions).

        weights: "imagenet" (downloaded by Keras), None (random, by Keras's seed), or the path of a file of weights.
        """
        shape = (self.size, self.size, 3)
        build = getattr(self._applications(), self.function)
        return build(include_top=False, weights=weights, pooling=None, input_shape=shape)

    def preprocess(self, pixels: Any) -> Any:
        """RGB of 0 to 255, float32 (n, size, size, 3) -> what the network was trained on; in a graph as well."""
        return self._applications().preprocess_input(pixels)

    def _applications(self) -> Any:
        return importlib.import_module(f"keras.applications.{self.module}")


ARCHITECTURES = {
    "resnet50": Architecture("resnet50", "ResNet50", 224, 2048),
    "resnet50v2": Architecture("resnet_v2", "ResNet50V2", 224, 2048),
    "vgg16": Architecture("vgg16", "VGG16", 224, 512),
    "inceptionv3": Architecture("inception_v3", "InceptionV3", 299, 2048),
    "mobilenetv2": Architecture("mobilenet_v2", "MobileNetV2", 224, 1280),
    "efficientnetv2-b0": Architecture("efficientnet_v2", "EfficientNetV2B0", 224, 1280),
}
