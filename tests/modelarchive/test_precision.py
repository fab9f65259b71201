"""Which precision a processor is given, told by what OpenVINO and Linux say of it."""

from __future__ import annotations

from typing import Any

import pytest

from modelarchive import precision
from modelarchive.precision import PrecisionError, configuration


class Processor:
    """What `precision` asks of OpenVINO's Core."""

    def __init__(self, name: str, *capabilities: str) -> None:
        self._known = {"FULL_DEVICE_NAME": name, "OPTIMIZATION_CAPABILITIES": ["FP32", *capabilities]}

    def get_property(self, device: str, name: str) -> Any:
        assert device == "CPU"
        return self._known[name]


AMD = Processor("AMD EPYC 9R14", "BF16")
INTEL = Processor("Intel(R) Xeon(R) Processor", "BF16")
OLD = Processor("Intel(R) Xeon(R) CPU E5-2686 v4")


def chosen(processor: Any, wanted: precision.Precision = "auto") -> str:
    return configuration(processor, wanted, 0)["INFERENCE_PRECISION_HINT"]


@pytest.mark.parametrize(
    ("processor", "flags", "expected"),
    [
        pytest.param(AMD, {"avx512_bf16"}, "bf16", id="AMD's bf16"),
        pytest.param(INTEL, {"avx512_bf16"}, "f32", id="Intel without AMX, slower in bf16"),
        pytest.param(INTEL, {"avx512_bf16", "amx_bf16"}, "bf16", id="Intel with AMX"),
        pytest.param(OLD, set(), "f32", id="no bf16"),
    ],
)
def test_auto_is_the_precision_that_the_processor_is_faster_in(
    processor: Any, flags: set[str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "_flags", lambda: frozenset(flags))
    assert chosen(processor) == expected


def test_what_is_asked_for_is_given_where_the_processor_has_it() -> None:
    assert chosen(INTEL, "bf16") == "bf16"
    assert chosen(AMD, "f32") == "f32"
    with pytest.raises(PrecisionError, match="has no bf16"):
        configuration(OLD, "bf16", 0)  # type: ignore[arg-type]


def test_threads_are_those_asked_for_or_openvino_s_own() -> None:
    assert configuration(AMD, "f32", 3)["INFERENCE_NUM_THREADS"] == "3"  # type: ignore[arg-type]
    assert "INFERENCE_NUM_THREADS" not in configuration(AMD, "f32", 0)  # type: ignore[arg-type]
