"""Measuring search on arrays whose answers are known, and on drawn pictures."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from evaluation.acceptance import alike, best_cosines, let_through
from evaluation.colour import colour_differences, dominant_colour
from evaluation.distortions import DISTORTIONS, screenshot
from evaluation.feedback import Feedback, feedback
from evaluation.held_out import HeldOut, held_out
from evaluation.metrics import Retrieval, ciede2000
from evaluation.originals import find_originals, see
from evaluation.photos import Photos, TooFewPhotos, folds, split
from evaluation.report import report, tables
from search.vision import vectors
from search.vision.matches import DEFAULT
from tests.drawing import KINDS, picture
from tests.search.grid import Grid


def catalogue(embeddings: Any, categories: Any, products: Any = None) -> Photos:
    n = len(embeddings)
    colour = np.full((n, 125), 125**-0.5, np.float32)
    return Photos(
        vectors.unit(embeddings), colour, list(categories), np.arange(n) if products is None else np.array(products)
    )


def measured(photos: Photos, *weights: float) -> list[HeldOut]:
    return held_out(photos, split(photos), weights or (0.0,))


def test_a_perfect_embedding_gives_one() -> None:
    categories = np.arange(100) % 4
    found = measured(catalogue(np.eye(4, 16)[categories], categories))[0].retrieval
    assert [mean for mean, *_ in found.summary().values()] == [1, 1, 1]


def test_a_random_embedding_gives_chance() -> None:
    rng = np.random.default_rng(3)
    found = measured(catalogue(rng.normal(size=(300, 16)), np.arange(300) % 3))[0].retrieval
    for mean, low, high in found.summary().values():
        assert low <= mean <= high
        assert mean == pytest.approx(1 / 3, abs=0.08)


def test_every_labelled_photo_is_asked_once_and_never_finds_its_own_product() -> None:
    rng = np.random.default_rng(0)
    products = np.arange(120) // 2
    categories = [None if product % 10 == 0 else int(product % 3) for product in products]
    found = measured(catalogue(rng.normal(size=(120, 8)), categories, products))[0]
    assert sorted(found.queries) == [row for row in range(120) if categories[row] is not None]
    assert found.nearest.shape == (len(found.queries), 10)
    assert not (products[found.nearest] == products[found.queries, None]).any()


def test_what_is_held_out_teaches_the_projection_nothing() -> None:
    # Labels without any relation to the embeddings: a projection that had seen a query's label would beat chance.
    rng = np.random.default_rng(0)
    photos = catalogue(rng.normal(size=(520, 32)), rng.integers(0, 2, 520))
    parts = split(photos)
    found = held_out(photos, parts, [0.0])[0].retrieval
    assert found.summary()["P@10"][0] == pytest.approx(0.5, abs=0.05)
    assert sorted(np.concatenate([part.queries for part in parts])) == list(range(520))


def test_folds_keep_products_together_and_are_of_like_size() -> None:
    products = np.repeat(np.arange(50), 3)
    fold = folds(products)
    assert all(len(set(fold[products == product])) == 1 for product in range(50))
    assert list(np.bincount(fold)) == [30] * 5


def test_weight_makes_the_colour_count() -> None:
    categories = np.arange(60) % 2
    photos = catalogue(np.eye(2, 8)[categories] + 0.1, categories)
    shades = np.arange(60) // 30
    photos.colours[:] = np.eye(2, 125)[shades]
    without, with_colour = measured(photos, 0.0, 0.5)
    assert (shades[with_colour.nearest] == shades[with_colour.queries, None]).all()
    assert not (shades[without.nearest] == shades[without.queries, None]).all()


@pytest.mark.parametrize(
    ("count", "categories"), [(49, [0, 1] * 25), (60, [0] * 60), (60, [None] * 60)], ids=["photos", "one", "none"]
)
def test_too_small_a_catalogue_is_refused_with_what_to_do(count: int, categories: list[int | None]) -> None:
    with pytest.raises(TooFewPhotos, match="Add products"):
        split(catalogue(np.ones((count, 4)), categories[:count]))


def test_categories_of_single_products_leave_nothing_to_find() -> None:
    photos = catalogue(np.ones((60, 4)), range(60))
    with pytest.raises(TooFewPhotos, match="nothing to find"):
        measured(photos)


def test_colour_differences_are_means_over_readable_results() -> None:
    lab = np.array([[50, 0, 0], [60, 0, 0], [50, 40, 0], [np.nan] * 3])
    none = np.empty(0)
    found = HeldOut(0.0, np.array([0, 1]), np.array([[1, 2], [0, 3]]), Retrieval(none, none, none, 0))
    asked = []

    def dominant(rows: Any) -> Any:
        asked.append(list(rows))
        return lab[rows]

    (differences,) = colour_differences([found], dominant)
    assert asked == [[0, 1, 2, 3]]
    assert differences == pytest.approx([(ciede2000(lab[0], lab[1]) + ciede2000(lab[0], lab[2])) / 2])


@pytest.mark.parametrize("colour", ["#b03030", "#2050b0", "#308040"])
def test_the_dominant_colour_is_the_garments_not_the_grounds(colour: str) -> None:
    from search.vision import colours

    square = np.asarray(picture("shirt", colour, size=(224, 224)))
    expected = colours.lab(np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)]], np.uint8))[0]
    assert ciede2000(dominant_colour(square), expected) < 4


def test_a_plain_square_has_its_own_colour() -> None:
    from search.vision import colours

    square = np.full((64, 64, 3), 255, np.uint8)
    assert dominant_colour(square) == pytest.approx(colours.lab(square)[0, 0], abs=0.01)


# Likes and dislikes -----------------------------------------------------------------------------------------


def mingled() -> Photos:
    """Two kinds that most of a photo's first ten results confuse, and that one direction tells apart."""
    rng = np.random.default_rng(5)
    categories = np.arange(200) % 2
    rows = np.concatenate([rng.normal(size=(200, 6)), 0.6 * (2 * categories[:, None] - 1)], axis=1)
    return catalogue(rows, categories)


def fed_back(photos: Photos, *weights: float) -> list[Feedback]:
    return feedback(photos, split(photos), weights or (0.0,))


def test_likes_and_dislikes_bring_more_of_the_kind() -> None:
    (found,) = fed_back(mingled())
    assert found.full.mean() > 0.5
    assert (found.after - found.before)[found.full].mean() > 0.05
    assert (found.unseen_after - found.unseen_before)[found.full].mean() > 0.05


def test_before_and_after_are_the_same_where_feedback_moves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "LIKED_WEIGHT", 0.0)
    monkeypatch.setattr(vectors, "DISLIKED_WEIGHT", 0.0)
    for found in fed_back(mingled(), 0.0, 0.2):
        assert np.array_equal(found.before, found.after)
        assert np.array_equal(found.unseen_before, found.unseen_after)


def test_what_was_judged_is_none_of_the_next_ten() -> None:
    # Of each kind there are eight photos: the next ten hold those that were not judged, and no more are right.
    categories = np.arange(80) // 8
    photos = catalogue(np.eye(10, 16)[categories], categories)
    parts = split(photos)
    (found,) = feedback(photos, parts, (0.0,))
    left = np.concatenate(
        [(categories[part.queries][:, None] == categories[part.gallery]).sum(axis=1) for part in parts]
    )
    assert np.array_equal(found.liked, np.minimum(left, 2))
    assert found.before == pytest.approx((left - found.liked) / 10)
    assert found.after == pytest.approx((left - found.liked) / 10)
    assert (found.unseen_after == 0).all()


def test_a_judged_photo_leaves_with_its_whole_product() -> None:
    # Each kind has three products of four photos. The first two results are photos of one product.
    products, categories = np.arange(240) // 4, np.arange(240) // 12
    photos = catalogue(
        np.concatenate([np.eye(20)[categories], 0.5 * np.eye(60)[products]], axis=1), categories, products
    )
    parts = split(photos)
    (found,) = feedback(photos, parts, (0.0,))
    right = np.concatenate(
        [(categories[part.queries][:, None] == categories[part.gallery]).sum(axis=1) for part in parts]
    )
    asked = right[right > 0]
    assert set(asked) == {4, 8}
    assert found.before == pytest.approx((asked - 4) / 10)


def test_a_query_that_finds_nothing_wrong_dislikes_nothing() -> None:
    categories = np.arange(100) % 4
    (found,) = fed_back(catalogue(np.eye(4, 16)[categories], categories))
    assert set(found.liked) == {2}
    assert set(found.disliked) == {0}
    assert not found.full.any()
    assert (found.after == 1).all()


def test_each_weight_has_feedback_of_its_own_and_progress_counts_all_photos() -> None:
    photos, done = mingled(), []
    found = feedback(photos, split(photos), (0.0, 0.5), progress=done.append)
    assert [one.weight for one in found] == [0.0, 0.5]
    assert [len(one.before) for one in found] == [200, 200]
    assert sum(done) == 200


def test_feedback_on_categories_of_single_products_is_refused() -> None:
    photos = catalogue(np.ones((60, 4)), range(60))
    with pytest.raises(TooFewPhotos, match="nothing to find"):
        fed_back(photos)


# Nothing like this ------------------------------------------------------------------------------------------


def test_the_best_cosine_is_of_the_raw_embeddings_with_the_gallery_alone() -> None:
    photos = catalogue(np.eye(60, 64), np.arange(60) % 2)
    asked = vectors.unit([np.eye(64)[3], np.eye(64)[3] + np.eye(64)[60], np.eye(64)[61]])
    gallery = np.arange(30)
    assert best_cosines(photos, gallery, None, asked) == pytest.approx([1, 0.5**0.5, 0])
    assert best_cosines(photos, np.arange(30, 60), None, asked) == pytest.approx([0, 0, 0])
    assert list(alike(photos, gallery, None, asked)) == [True, True, True]  # at right angles all alike


def test_other_things_are_refused_and_held_out_photos_let_through() -> None:
    rng = np.random.default_rng(1)
    photos = catalogue(
        np.concatenate([2 + rng.normal(size=(200, 16)), np.zeros((200, 16))], axis=1), np.arange(200) % 2
    )
    others = vectors.unit(np.concatenate([np.zeros((50, 16)), 2 + rng.normal(size=(50, 16))], axis=1))
    assert not alike(photos, np.arange(200), None, others).any()
    assert let_through(photos, split(photos)).mean() > 0.9


# Originals --------------------------------------------------------------------------------------------------


def drawn() -> tuple[Photos, list[Image.Image]]:
    pictures = [picture(kind, colour, seed=1) for kind in KINDS for colour in ("#b03030", "#2050b0", "#308040")]
    files = [DISTORTIONS["160 pixels"](image) for image in pictures]
    embeddings, colours = see(files, Grid("default"))
    return Photos(embeddings, colours, [None] * len(pictures), np.arange(len(pictures))), pictures


def test_compressed_copies_find_their_originals_and_are_the_same_item() -> None:
    photos, pictures = drawn()
    done: list[int] = []
    found = find_originals(photos, enumerate(pictures), Grid("default"), None, DEFAULT, progress=done.append)
    assert list(found) == list(DISTORTIONS)
    assert found["JPEG quality 30"].found.all()
    assert found["JPEG quality 30"].same_item.all()
    assert found["160 pixels"].found.all()
    assert sum(done) == len(pictures)


def test_a_copy_that_shows_another_product_does_not_find_its_original() -> None:
    photos, pictures = drawn()
    wrong = [(row, pictures[(row + 1) % len(pictures)]) for row in range(len(pictures))]
    found = find_originals(photos, wrong, Grid("default"), None, DEFAULT)
    assert not found["JPEG quality 30"].found.any()


def test_products_that_share_a_picture_are_as_good_as_each_other() -> None:
    photos, pictures = drawn()
    photos.embeddings[1], photos.colours[1] = photos.embeddings[0], photos.colours[0]
    found = find_originals(photos, [(0, pictures[0]), (1, pictures[0])], Grid("default"), None, DEFAULT)
    assert list(found["JPEG quality 30"].found) == [True, True]


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def test_distortions_have_the_sizes_that_their_names_say() -> None:
    image = picture(size=(300, 400))
    sizes = {name: opened(distort(image)).size for name, distort in DISTORTIONS.items()}
    width, height = sizes["crop to 70 % of the area"]
    assert width * height / (300 * 400) == pytest.approx(0.7, abs=0.01)
    width, height = sizes["on white, half the area"]
    assert width * height / (300 * 400) == pytest.approx(2, abs=0.02)
    assert min(sizes["160 pixels"]) == 160
    assert (
        sizes["mirrored"] == sizes["30 % brighter"] == sizes["30 % darker"] == sizes["JPEG quality 30"] == (300, 400)
    )
    assert sizes["rotated by 10 degrees"] > (300, 400)
    width, height = sizes["phone screenshot"]
    assert height / width == pytest.approx(19.5 / 9, abs=0.01)


@pytest.mark.parametrize("size", [(300, 400), (400, 300), (100, 900)])
def test_a_screenshot_shows_the_whole_picture_in_its_middle(size: tuple[int, int]) -> None:
    screen = np.asarray(opened(screenshot(Image.new("RGB", size, "red")))).astype(int)
    red = (screen[..., 0] > 200) & (screen[..., 1] < 60)
    rows, columns = np.flatnonzero(red.any(axis=1)), np.flatnonzero(red.any(axis=0))
    height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert width / height == pytest.approx(size[0] / size[1], rel=0.05)
    assert rows.mean() == pytest.approx(len(screen) / 2, abs=3)
    assert rows[0] > 0.03 * len(screen)


# The report -------------------------------------------------------------------------------------------------


def test_figures_of_categories_and_columns_that_line_up() -> None:
    categories = np.arange(60) % 2
    photos = catalogue(np.eye(2, 8)[categories], categories)
    found = measured(photos)
    figures = report(photos, found, [np.array([3.0, 5.0])], {}, names={0: "Shoes", 1: "Hats"})
    assert figures["held_out"][0]["P@1"] == (1, 1, 1)
    assert figures["held_out"][0]["colour_difference"][0] == 4
    assert figures["held_out"][0]["categories"]["Hats"]["queries"] == 30
    assert figures["feedback"] == []
    text = tables(figures)
    assert "liked" not in text
    assert "1.000 [1.000, 1.000]" in text
    for part in text.split("\n\n")[2::2]:
        assert len({len(line) for line in part.splitlines()}) == 1


def test_feedback_is_reported_for_all_queries_and_for_judged_ones() -> None:
    photos = mingled()
    found, judged = measured(photos), fed_back(photos)
    figures = report(photos, found, [np.array([3.0])], {}, judged=judged)
    every, full, fewer = figures["feedback"]
    assert every["queries"] == full["queries"] + fewer["queries"] == 200
    mean, low, high = full["gain"]
    assert mean == pytest.approx(full["after"][0] - full["before"][0])
    assert low < mean < high
    assert "two right, two wrong" in tables(figures)
