from __future__ import annotations

import pytest
from django.test import override_settings

from search.vision.embedders import InvalidEmbedder, check_all, embedders

OPENVINO = "search.vision.embedders.openvino.OpenVinoEmbedder"


def test_the_project_s_own_setting_is_sound():
    assert check_all() == []


def test_an_unknown_alias_is_an_invalid_embedder():
    with pytest.raises(InvalidEmbedder, match="Known aliases"):
        embedders["no such alias"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"precison": "f32"}, "'precison'"),
        ({"precision": "f64"}, "auto, f32, bf16"),
        ({"pooling": "max"}, "weighted, mean"),
        ({"variant": "lite9"}, "lite0, lite1, lite2"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_a_wrong_option_is_found_by_the_check(options, sentence):
    with override_settings(EMBEDDERS={"default": {"BACKEND": OPENVINO, "OPTIONS": options}}):
        [message] = check_all()
    assert sentence in message.msg
