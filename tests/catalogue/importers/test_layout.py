"""Products from paths of photos."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalogue.importers import layout
from catalogue.importers.records import BytesPhoto, ProductRecord, Reject
from catalogue.models import Product

PHOTO = BytesPhoto("photo", b"")


@pytest.mark.parametrize(
    ("stem", "category", "title"),
    [
        ("blue_summer-dress 02", ("Dresses",), "Blue summer dress 02"),
        ("Élan", (), "Élan"),
        ("009b3c31-fb62-45c0-be9a-37a5c238cb88", ("Clothes", "Hat"), "Hat 009b3c31"),
        ("d41d8cd98f00b204e9800998ecf8427e", (), "Photo d41d8cd9"),
        ("facade", (), "Facade"),
        ("___", ("Hat",), "Hat"),
    ],
)
def test_a_title_is_the_name_made_readable(stem: str, category: tuple[str, ...], title: str) -> None:
    assert layout.title(stem, category) == title


def test_folders_become_a_path_of_categories() -> None:
    record = layout.record(("women", "summer_dresses", "a.JPG"), PHOTO)
    assert isinstance(record, ProductRecord)
    assert record.values["category"] == ("Women", "Summer dresses")
    assert record.sku == record.where == "women/summer_dresses/a.JPG"


def test_a_photo_at_the_top_has_no_category() -> None:
    record = layout.record(("a.jpg",), PHOTO)
    assert isinstance(record, ProductRecord)
    assert record.values["category"] == ()


def test_a_file_without_a_pictures_name_is_rejected() -> None:
    reject = layout.record(("notes.txt",), PHOTO)
    assert isinstance(reject, Reject)
    assert "not that of a picture" in reject.reason


def test_a_folders_name_that_is_too_long_is_rejected() -> None:
    reject = layout.record(("x" * 101, "a.jpg"), PHOTO)
    assert isinstance(reject, Reject)
    assert "100 characters" in reject.reason


@pytest.mark.parametrize("name", [".DS_Store", "Thumbs.db", "__MACOSX", "desktop.ini", ".git"])
def test_files_of_operating_systems_are_hidden(name: str) -> None:
    assert layout.hidden(name)


def test_paths_that_differ_in_unprintable_characters_have_different_skus() -> None:
    assert layout.sku(("a\x01b.jpg",)) != layout.sku(("a\x02b.jpg",))


def test_a_long_path_is_cut_and_stays_distinct() -> None:
    one, other = (layout.sku(("x" * 250, name)) for name in ("a.jpg", "b.jpg"))
    assert one != other
    assert len(one) == 200


# What a file system may give: bytes that are not UTF-8 arrive as lone surrogates.
NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=[]), min_size=1, max_size=120).filter(
    lambda name: not re.search("[\ud800-\udc7f\udd00-\udfff]", name)
)


# The first text that hypothesis draws on a machine takes it seconds.
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(NAMES, min_size=1, max_size=4))
def test_any_path_gives_a_sku_and_a_title_that_the_model_takes(parts: list[str]) -> None:
    record: Any = layout.record((*parts[:-1], parts[-1] + ".jpg"), PHOTO)
    if isinstance(record, ProductRecord):
        Product(sku=record.sku, title=record.values["title"]).clean_fields(exclude=["category", "brand"])
        f"{record.sku}{record.values}{record.where}".encode()
    else:
        record.where.encode()
