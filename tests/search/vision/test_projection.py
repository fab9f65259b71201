from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from search.exceptions import SpaceMismatch
from search.vision import fitting, projection
from search.vision.fitting import Fit, fit, is_due
from search.vision.projection import Projection
from search.vision.vectors import unit

WIDTH = 96
KINDS = 6


def photos(count: int, spread: float = 0.5) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Embeddings around a common mean, with a kind that is weaker than what tells them apart."""
    rng = np.random.default_rng(7)
    kinds = rng.integers(0, KINDS, count)
    centres = spread * rng.normal(size=(KINDS, WIDTH))
    own = rng.normal(size=(count, WIDTH)) * np.linspace(2, 0.5, WIDTH)
    return unit(2 + centres[kinds] + own), kinds


@pytest.fixture(scope="module")
def fitted() -> Fit:
    embeddings, kinds = photos(800)
    return fit(embeddings, kinds.tolist(), {}, range(800))


@pytest.fixture(scope="module")
def learnt(fitted: Fit) -> Projection:
    assert fitted.projection is not None
    return fitted.projection


def test_class_scores_are_kept_where_they_help(fitted: Fit, learnt: Projection) -> None:
    assert fitted.report["kept"] == "components and classes"
    precision = fitted.report["held_out_precision_at_10"]
    assert precision["components and classes"] > precision["components"] + 0.1
    assert (learnt.components, learnt.classes) == (WIDTH, KINDS)


def test_class_scores_are_dropped_where_categories_mean_nothing() -> None:
    embeddings, _ = photos(800)
    noise = np.random.default_rng(0).integers(0, KINDS, 800)
    fitted = fit(embeddings, noise.tolist(), {}, range(800))
    assert fitted.projection is not None
    assert fitted.projection.classes == 0
    assert fitted.report["kept"] == "components"
    assert "do not raise" in fitted.report["reason"]


def test_without_categories_the_components_are_learnt_alone() -> None:
    embeddings, _ = photos(500)
    fitted = fit(embeddings, [None] * 500, {}, range(500))
    assert fitted.projection is not None
    assert (fitted.projection.components, fitted.projection.classes) == (WIDTH, 0)
    assert fitted.report["held_out_precision_at_10"] == {}


def test_class_scores_are_dropped_where_originals_would_be_lost() -> None:
    # In so few dimensions there is little to tell photos apart by, and two classes push the rest aside.
    rng = np.random.default_rng(7)
    kinds = rng.integers(0, 2, 800)
    embeddings = unit(rng.normal(size=(2, 16))[kinds] + rng.normal(size=(800, 16)))
    fitted = fit(embeddings, kinds.tolist(), {}, range(800))
    precision, recall = (fitted.report[name] for name in ("held_out_precision_at_10", "distorted_recall_at_1"))
    assert precision["components and classes"] > precision["components"]
    assert recall["components and classes"] < recall["nothing"] - fitting.RECALL_MARGIN
    assert fitted.report["kept"] == "components"
    assert "originals less often" in fitted.report["reason"]


def test_no_projection_is_kept_that_loses_what_tells_photos_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "COMPONENTS", 4)
    fitted = fit(photos(800)[0], [None] * 800, {}, range(800))
    recall = fitted.report["distorted_recall_at_1"]
    assert recall["components"] < recall["nothing"] - fitting.RECALL_MARGIN
    assert fitted.projection is None
    assert fitted.report["kept"] == "nothing"


def test_under_400_photos_there_is_no_projection() -> None:
    embeddings, kinds = photos(fitting.MIN_PHOTOS)
    assert fit(embeddings, kinds.tolist(), {}, range(400)).projection is not None
    fitted = fit(embeddings[1:], kinds[1:].tolist(), {}, range(399))
    assert fitted.projection is None
    assert "fewer than 400 photos" in fitted.report["reason"]


def test_a_handful_of_products_is_too_few_to_hold_any_out() -> None:
    embeddings, kinds = photos(400)
    fitted = fit(embeddings, kinds.tolist(), {}, [i % 4 for i in range(400)])
    assert fitted.projection is None
    assert "fewer than 5 products" in fitted.report["reason"]


def test_a_small_category_counts_as_its_parent() -> None:
    embeddings, kinds = photos(800)
    plain = [f"kind {kind}" for kind in kinds]
    split = [
        f"{name}, part {i % 10}" if kind == 0 else name
        for i, (name, kind) in enumerate(zip(plain, kinds, strict=True))
    ]
    parts = {name: split.count(name) for name in split if "part" in name}
    assert len(parts) == 10
    assert max(parts.values()) < fitting.MIN_CLASS
    whole = fit(embeddings, plain, {}, range(800))
    risen = fit(embeddings, split, dict.fromkeys(parts, "kind 0"), range(800))
    assert whole.report["classes"] == KINDS
    assert risen.report == whole.report  # with the digest of the projection


def test_a_category_that_is_large_enough_stays_beside_its_parent() -> None:
    embeddings, _ = photos(450)
    groups = ["sandals"] * 20 + ["boots"] * 19 + ["shoes"] * 11 + ["hats"] * 400
    parents = {"sandals": "shoes", "boots": "shoes", "shoes": None}
    assert fit(embeddings, groups, parents, range(450)).report["classes"] == 3  # boots are shoes


def test_small_categories_rise_until_there_are_enough_photos() -> None:
    embeddings, _ = photos(450)
    # 8 + 8 photos make no class at their parent; with the 4 of an aunt they do at the root.
    groups = ["a"] * 8 + ["b"] * 8 + ["aunt"] * 4 + ["other"] * 430
    parents = {"a": "mother", "b": "mother", "mother": "root", "aunt": "root", "root": None}
    assert fit(embeddings, groups, parents, range(450)).report["classes"] == 2
    # One photo less, and they belong to no class at all.
    groups[0] = "other"
    assert fit(embeddings, groups, parents, range(450)).report["classes"] == 1


@pytest.mark.parametrize("seed", range(8))
def test_all_photos_with_a_category_may_be_held_out_at_once(seed: int) -> None:
    embeddings, _ = photos(400)
    groups = ["a"] * 20 + ["b"] * 20 + [None] * 360
    fitted = fit(embeddings, groups, {}, [0] * 40 + [1 + i % 4 for i in range(360)], seed)
    # What was not seen in the fit cannot be told by it: either way there is no gain to keep class scores for.
    assert fitted.report["classes"] == 2
    assert fitted.report["kept"] == "components"


def test_at_most_64_classes_are_learnt() -> None:
    embeddings, _ = photos(1_400)
    groups = [i % 70 for i in range(1_400)]
    assert fit(embeddings, groups, {}, range(1_400)).report["classes"] == fitting.MAX_CLASSES


def test_photos_of_one_product_are_all_fitted_to_or_all_held_out() -> None:
    # Six photos of each product are nearly the same, and categories mean nothing: were the holdout to split
    # products, class scores would look right by having seen the product.
    rng = np.random.default_rng(0)
    embeddings = unit(2 + np.repeat(rng.normal(size=(150, WIDTH)), 6, axis=0) + 0.01 * rng.normal(size=(900, WIDTH)))
    groups = np.repeat(rng.integers(0, 2, 150), 6).tolist()
    split = fit(embeddings, groups, {}, range(900)).report["held_out_precision_at_10"]
    whole = fit(embeddings, groups, {}, np.repeat(np.arange(150), 6).tolist()).report["held_out_precision_at_10"]
    assert split["nothing"] > 0.7
    assert whole["nothing"] == pytest.approx(0.5, abs=0.12)


def test_the_same_catalogue_gives_the_same_projection(fitted: Fit, learnt: Projection) -> None:
    embeddings, kinds = photos(800)
    again = fit(embeddings, kinds.tolist(), {}, range(800))
    assert again.projection is not None
    assert again.projection.digest == learnt.digest
    assert again.report == fitted.report


def test_embeddings_stored_as_float16_teach_the_same(fitted: Fit, learnt: Projection) -> None:
    embeddings, kinds = photos(800)
    again = fit(embeddings.astype(np.float16), kinds.tolist(), {}, range(800))
    assert again.projection is not None
    assert again.report["kept"] == fitted.report["kept"]
    own, others = (p.apply(embeddings) for p in (learnt, again.projection))
    assert own @ own.T == pytest.approx(others @ others.T, abs=0.01)


def test_a_large_catalogue_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "MAX_FITTED", 500)
    embeddings, kinds = photos(800)
    fitted = fit(embeddings, kinds.tolist(), {}, range(800))
    assert (fitted.report["photos"], fitted.report["fitted"]) == (800, 500)


def test_the_report_can_be_stored_as_json(fitted: Fit) -> None:
    assert json.loads(json.dumps(fitted.report)) == fitted.report


@given(st.integers(1, 20), st.sampled_from([np.float16, np.float32]), st.integers(0, 2**32 - 1))
def test_styleblocks_are_unit_rows(learnt: Projection, count: int, dtype: type, seed: int) -> None:
    rows = unit(np.random.default_rng(seed).normal(size=(count, WIDTH)))
    style = learnt.apply(rows.astype(dtype))
    assert style.dtype == np.float32
    assert style.shape == (count, learnt.width)
    assert np.linalg.norm(style, axis=1) == pytest.approx(1, abs=1e-5)


def test_the_two_parts_have_their_documented_shares(learnt: Projection) -> None:
    style = learnt.apply(photos(10)[0])
    lengths = np.linalg.norm(style[:, : learnt.components], axis=1)
    assert lengths**2 == pytest.approx(1 - projection.RIDGE_SHARE, abs=1e-5)


def test_the_components_are_those_of_the_centred_embeddings(learnt: Projection) -> None:
    embeddings, _ = photos(800)
    # All components of 96 dimensions are a rotation: cosines are those of the embeddings less their mean.
    style = learnt.without_classes().apply(embeddings)
    centred = unit(embeddings - embeddings.mean(axis=0))
    assert style[:50] @ style.T == pytest.approx(centred[:50] @ centred.T, abs=1e-4)


def test_components_of_wide_embeddings_explain_as_much_as_the_exact_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    x, _labels = photos(450)
    wide = np.concatenate([x] * (fitting.MAX_WHOLE // x.shape[1] + 1), axis=1) / 8
    assert wide.shape[1] > fitting.MAX_WHOLE
    wide += np.random.default_rng(1).standard_normal(wide.shape, np.float32) / 200
    unit = wide / np.linalg.norm(wide, axis=1, keepdims=True)
    products, groups = list(range(len(unit))), [None] * len(unit)

    def explained() -> float:
        learnt = fitting.fit(unit, groups, {}, products).projection
        assert learnt is not None
        components = learnt.matrix[:, : learnt.components]
        assert components.T @ components == pytest.approx(np.eye(learnt.components), abs=1e-3)
        return float(((unit - unit.mean(axis=0)) @ components).var(axis=0).sum())

    quick = explained()
    assert quick == explained()
    monkeypatch.setattr(fitting, "MAX_WHOLE", unit.shape[1])
    # Half of them are noise here, alike in every direction, where which are found matters least.
    assert quick == pytest.approx(explained(), rel=5e-3)


def test_a_projection_does_not_depend_on_the_batch(learnt: Projection, monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings, _ = photos(30)
    whole = learnt.apply(embeddings)
    monkeypatch.setattr(projection.batches, "__defaults__", (7,))
    assert np.concatenate([learnt.apply(row[None]) for row in embeddings]) == pytest.approx(whole, abs=1e-6)
    assert learnt.apply(embeddings) == pytest.approx(whole, abs=1e-6)
    assert learnt.apply(embeddings[:0]).shape == (0, learnt.width)


def test_a_row_of_zeros_or_the_mean_itself_gives_no_nan(learnt: Projection) -> None:
    embeddings, _ = photos(800)
    odd = np.stack([np.zeros(WIDTH, np.float32), embeddings.mean(axis=0)])
    assert np.isfinite(learnt.apply(odd)).all()
    assert np.isfinite(
        Projection(np.eye(3, dtype=np.float32), np.zeros(3, np.float32), 3).apply(np.zeros((1, 3), np.float32))
    ).all()


def test_embeddings_of_another_width_are_refused_with_what_to_do(learnt: Projection) -> None:
    with pytest.raises(SpaceMismatch, match=r"width 96.*rebuild_index"):
        learnt.apply(np.zeros((1, WIDTH + 1), np.float32))


def test_a_projection_survives_its_bytes(learnt: Projection) -> None:
    embeddings, _ = photos(20)
    again = Projection.from_bytes(learnt.to_bytes())
    assert again.digest == learnt.digest
    assert (again.apply(embeddings) == learnt.apply(embeddings)).all()
    assert (again.width, again.components, again.classes) == (learnt.width, learnt.components, learnt.classes)


def test_the_digest_tells_projections_apart(learnt: Projection) -> None:
    moved = Projection(learnt.matrix, learnt.offset + np.float32(1e-3), learnt.components)
    other_share = Projection(learnt.matrix, learnt.offset, learnt.components, 0.2)
    digests = {p.digest for p in (learnt, learnt.without_classes(), moved, other_share)}
    assert len(digests) == 4


def archive(**arrays: object) -> Callable[[], bytes]:
    def write() -> bytes:
        file = io.BytesIO()
        np.savez(file, **arrays)  # type: ignore[arg-type]
        return file.getvalue()

    return write


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda: b"", id="nothing"),
        pytest.param(lambda: b"garbage", id="garbage"),
        pytest.param(lambda: b"\x93NUMPY", id="half an array"),
        pytest.param(archive(format=1), id="parts missing"),
        pytest.param(archive(format=2), id="another format"),
        pytest.param(archive(format=np.array([{}], dtype=object)), id="a pickle"),
        pytest.param(
            archive(format=1, matrix=np.eye(3), offset=np.zeros(2), components=3, ridge_share=0.35),
            id="parts that do not fit",
        ),
    ],
)
def test_invalid_bytes_are_refused_with_what_to_do(write: Callable[[], bytes]) -> None:
    with pytest.raises(SpaceMismatch, match="rebuild_index"):
        Projection.from_bytes(write())


def test_truncated_bytes_are_refused_wherever_they_end(learnt: Projection) -> None:
    data = learnt.to_bytes()
    for length in range(0, len(data), 997):
        with pytest.raises(SpaceMismatch, match="rebuild_index"):
            Projection.from_bytes(data[:length])


def test_fits_are_due_at_25_photos_at_400_and_at_each_doubling() -> None:
    fits, at = [], None
    for count in range(2_000):
        if is_due(count, at):
            fits.append(count)
            at = count
    assert fits == [25, 50, 100, 200, 400, 800, 1600]


def test_a_fit_is_due_when_a_catalogue_passes_400_photos() -> None:
    assert is_due(400, 399)
    assert not is_due(399, 398)
    assert not is_due(799, 400)
    assert is_due(30, 0)
    assert not is_due(24, None)


def test_applying_a_projection_loads_no_learning_library() -> None:
    code = (
        "import sys, numpy as np; from search.vision.projection import Projection; "
        "Projection(np.eye(3, dtype='f4'), np.zeros(3, 'f4'), 3).apply(np.eye(3, dtype='f4')); "
        "sys.exit('sklearn' in sys.modules or 'scipy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603


@pytest.mark.parametrize(
    ("now", "at_fit", "gone", "wanted"),
    [
        (0, 480, 480, True),
        (0, 0, 480, False),
        (500, 480, 240, True),
        (500, 480, 239, False),
    ],
)
def test_a_fit_is_due_when_half_of_what_it_learnt_from_has_gone(
    now: int, at_fit: int, gone: int, wanted: bool
) -> None:
    assert is_due(now, at_fit, gone) is wanted
