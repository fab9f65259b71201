from __future__ import annotations

import numpy as np
import pytest

from search.vision.embedders import efficientnet, torchfile
from search.vision.embedders.efficientnet import VARIANTS, WeightsError
from search.vision.embedders.sources import EfficientNet
from tests.search.vision.embedders.squares import photograph

LITE0 = VARIANTS["lite0"]


@pytest.fixture(scope="module")
def tensors():
    return torchfile.load(EfficientNet("lite0", "weighted").weights)


@pytest.fixture(scope="module")
def classify(tensors):
    """The network with its own classifier: uint8 (n, 224, 224, 3) -> logits (n, 1000)."""
    return compiled(efficientnet.classifier(LITE0, tensors))


def compiled(graph):
    from openvino import Core

    model = Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda squares: model(squares)[0]


# ImageNet's classes: 281 tabby, 282 tiger cat, 285 Egyptian cat; 967 espresso; 657 missile, 744 projectile
# (a rocket is no class of its own); 872 tripod (the photographer's).
@pytest.mark.parametrize(
    ("name", "expected"),
    [("chelsea", {281, 282, 285}), ("coffee", {967}), ("rocket", {657, 744}), ("camera", {872})],
)
def test_the_classifier_recognises_what_is_in_the_photograph(classify, name, expected):
    """Only right weights, strides, padding and preprocessing together get there."""
    [logits] = classify(photograph(name, LITE0.size)[None])
    assert set(np.argsort(-logits)[: len(expected)]) == expected


def test_weighted_pooling_is_the_formula_on_the_last_feature_map(tensors):
    from openvino import Model

    square = photograph("coffee", LITE0.size)[None]
    graph = efficientnet.embedder(LITE0, tensors, "weighted")
    [last] = [op for op in graph.get_ordered_ops() if op.get_type_name() == "Clamp"][-1:]
    features = compiled(Model([last], graph.get_parameters(), "features"))(square)
    assert features.shape == (1, 1280, 7, 7)

    at = (np.arange(7) + 0.5) / 7 - 0.5
    gauss = np.exp(-(at[:, None] ** 2 + at[None, :] ** 2) / (2 * 0.35**2))
    pooled = np.sqrt((gauss / gauss.sum() * features.astype(np.float64) ** 2).sum(axis=(2, 3)))
    expected = pooled / np.linalg.norm(pooled)
    np.testing.assert_allclose(compiled(graph)(square), expected, atol=1e-5)

    mean = features.mean(axis=(2, 3))
    plain = compiled(efficientnet.embedder(LITE0, tensors, "mean"))(square)
    np.testing.assert_allclose(plain, mean / np.linalg.norm(mean), atol=1e-5)


def test_the_centre_weighs_most_and_all_weights_sum_to_one():
    weight = efficientnet.centre_weight(7, 9)
    assert weight.shape == (7, 9)
    assert weight.sum() == pytest.approx(1)
    assert np.unravel_index(weight.argmax(), weight.shape) == (3, 4)
    np.testing.assert_allclose(weight, weight[::-1, ::-1], rtol=1e-6)


@pytest.mark.parametrize("size", [192, 260])
def test_another_size_of_square_makes_another_graph(tensors, size):
    graph = efficientnet.embedder(efficientnet.Variant(size=size, depth=1.0), tensors, "weighted")
    assert str(graph.input(0).get_partial_shape()) == f"[?,{size},{size},3]"
    assert str(graph.output(0).get_partial_shape()) == "[?,1280]"


def test_weights_of_a_deeper_variant_are_refused(tensors):
    deeper = {f"_blocks.16{name[9:]}" if name.startswith("_blocks.1.") else name: t for name, t in tensors.items()}
    with pytest.raises(WeightsError, match="no tensor"):
        efficientnet.embedder(LITE0, deeper, "weighted")
    with pytest.raises(WeightsError, match="too many"):
        efficientnet.embedder(LITE0, tensors | {"_blocks.16._bn1.bias": np.zeros(3)}, "weighted")
    with pytest.raises(WeightsError, match="no tensor"):
        efficientnet.embedder(VARIANTS["lite1"], tensors, "weighted")
