from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import pytest

from endpoint.architectures import ARCHITECTURES
from modelarchive.manifest import Manifest, ManifestError

MANIFEST = Manifest(
    architecture="resnet50",
    weights="0123456789ab" + 52 * "0",
    pooling="mean",
    size=224,
    dimensions=2048,
    libraries={"keras": "3.15.1"},
    figures={"P@1 after": 0.5},
)


def test_a_manifest_is_read_as_it_was_written() -> None:
    assert Manifest.from_json(MANIFEST.to_json()) == MANIFEST


def test_the_fingerprint_names_what_decides_about_rows() -> None:
    assert MANIFEST.fingerprint == "resnet50-224-0123456789ab-g1-mean"


@pytest.mark.parametrize(
    "change",
    [{"architecture": "vgg16"}, {"weights": 64 * "1"}, {"pooling": "gem"}, {"size": 160}, {"graph": 2}],
    ids=lambda change: next(iter(change)),
)
def test_whatever_changes_rows_changes_the_fingerprint(change: dict[str, Any]) -> None:
    assert replace(MANIFEST, **change).fingerprint != MANIFEST.fingerprint


def test_libraries_and_figures_do_not_change_the_fingerprint() -> None:
    assert replace(MANIFEST, libraries={}, figures={}).fingerprint == MANIFEST.fingerprint


def test_fingerprints_fit_where_they_are_kept() -> None:
    longest = replace(MANIFEST, architecture=max(ARCHITECTURES, key=len), pooling="mean", graph=100, size=1024)
    assert len(longest.fingerprint) <= 60


def test_unknown_names_are_ignored() -> None:
    assert Manifest.from_dict(asdict(MANIFEST) | {"colour": "blue"}) == MANIFEST


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"resnet50"', b"\xff\xfe\x00"])
def test_anything_but_a_json_object_is_refused(text: str | bytes) -> None:
    with pytest.raises(ManifestError, match="manifest"):
        Manifest.from_json(text)


@pytest.mark.parametrize("name", ["architecture", "weights", "pooling", "size", "dimensions"])
def test_an_incomplete_manifest_names_the_missing_field(name: str) -> None:
    values = asdict(MANIFEST)
    del values[name]
    with pytest.raises(ManifestError, match=name):
        Manifest.from_json(json.dumps(values))


@pytest.mark.parametrize(
    "change",
    [
        {"architecture": ""},
        {"architecture": 5},
        {"architecture": "resnet 50"},
        {"architecture": "../../etc"},
        {"architecture": 100 * "a"},
        {"weights": "<script>"},
        {"pooling": None},
        {"size": 0},
        {"size": True},
        {"size": 2.5},
        {"dimensions": "2048"},
        {"dimensions": 10**9},
        {"graph": -1},
        {"libraries": []},
        {"figures": "good"},
    ],
    ids=str,
)
def test_invalid_values_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ManifestError, match=r"manifest's .* have to be"):
        Manifest.from_dict(asdict(MANIFEST) | change)
