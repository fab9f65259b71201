"""Fine-tuning on drawn photos: what it learns, what it writes, and how it ends otherwise."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from endpoint import export, finetune, photos, training
from endpoint.architectures import ARCHITECTURES
from endpoint.photos import Photos
from endpoint.training import Finetuned, Plan
from modelarchive import archive
from tests.endpoint import scenes
from tests.endpoint.exported import on_openvino
from tests.endpoint.serving import cosines
from tests.endpoint.tiny import TINY
from tests.interpreter import ROOT, python

SMALL = "mobilenetv2"
SIZE = 64
TWO_KINDS = ("stripes", "dots")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Photos]:
    sources = photos.folder_sources(scenes.folder(tmp_path_factory.mktemp("photos") / "drawn", 40))
    with photos.prepared(sources, SIZE, lambda: None) as prepared:
        yield prepared


@pytest.fixture(scope="module")
def learned(prepared: Photos, tiny: str) -> Finetuned:
    plan = Plan(epochs=20, batch=16, learning_rate=5e-3)
    start = partial(export.backbone, tiny, "none", 0, SIZE)
    return training.finetune(start, prepared, plan, architecture=tiny, pooling="gem")


def test_the_loss_falls(learned: Finetuned) -> None:
    assert learned.losses[-1] < 0.7 * learned.losses[0]
    assert min(learned.stopping_losses) < 0.7 * learned.stopping_losses[0]


def test_held_out_photos_find_their_kind_better_than_before(learned: Finetuned) -> None:
    figures = learned.figures
    assert figures["photos held out"] == 24
    assert figures["P@1 after"] > figures["P@1 before"]
    assert figures["P@10 after"] > figures["P@10 before"] + 0.1
    assert figures["mAP after"] > figures["mAP before"] + 0.1


def test_training_changes_only_the_last_block(learned: Finetuned, tiny: str) -> None:
    start = export.backbone(tiny, "none", 0, SIZE)
    changed = {
        layer.name
        for layer, now in zip(start.layers, learned.backbone.layers, strict=True)
        if any(not np.array_equal(a, b) for a, b in zip(layer.get_weights(), now.get_weights(), strict=True))
    }
    assert changed == {"convolution_2"}


def test_the_package_has_the_network_as_it_was_measured_and_the_figures(
    learned: Finetuned, prepared: Photos, tiny: str, tmp_path: Path
) -> None:
    path = export.write(learned.backbone, tiny, "mean", tmp_path, learned.figures)
    manifest = archive.read_manifest(path)
    assert manifest.size == SIZE
    assert manifest.figures == learned.figures
    assert manifest.weights == export.digest(learned.backbone)
    pixels = prepared.squares[:4]
    known = ARCHITECTURES[tiny]
    expected = learned.backbone.predict(known.preprocess(pixels.astype(np.float32)), verbose=0).mean(axis=(1, 2))
    with archive.unpacked(path) as opened:
        assert cosines(on_openvino(opened.folder, pixels), expected).min() > 0.9999


def test_a_network_that_training_makes_worse_is_left_as_it_was(tiny: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (16, 32, 32, 3), np.uint8)
    nothing_to_learn = Photos(noise, np.arange(16) % 2, np.arange(16), ["a", "b"], {})
    said: list[str] = []
    start = partial(export.backbone, tiny, "none", 0, 32)
    plan = Plan(epochs=1, batch=16, learning_rate=1000.0)
    done = training.finetune(start, nothing_to_learn, plan, architecture=tiny, report=said.append)
    assert any("left as it was" in line for line in said)
    assert export.digest(done.backbone) == export.digest(start())
    assert done.figures["P@1 after"] == done.figures["P@1 before"]


def test_measures_of_known_rows() -> None:
    rows = np.array([[1, 0], [0, 1], [1, 0.1], [0.1, 1], [0.9, 0.2]], np.float32)
    labels = np.array([0, 1, 0, 1, 1])
    found = training._retrieval(rows, labels, np.array([0, 1]), np.array([2, 3, 4]))
    # The first finds its one companion at once; the second both of its own, at once.
    assert found == {"P@1": 1.0, "P@10": pytest.approx(0.15), "mAP": 1.0}


# The command line ----------------------------------------------------------------------------------


def test_the_command_trains_a_random_network_on_all_devices(
    tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = scenes.folder(tmp_path / "photos", 8, TWO_KINDS)
    (folder / "dots" / "torn.jpg").write_bytes(b"\xff\xd8\xff torn")
    (folder / "dots" / "notes.txt").write_text("no photo")
    arguments = ["--architecture", tiny, "--weights", "none", "--image-size", "48", "--epochs", "1", "--batch", "4"]
    output = tmp_path / "model"
    assert finetune.main([str(folder), *arguments, "--pooling", "gem", "--multi-gpu", "--output", str(output)]) == 0
    written = capsys.readouterr()
    assert "1 photos cannot be read and are left out:\n  dots/torn.jpg: " in written.err
    assert "Training on 1 device(s)." in written.out
    assert "16 photos of 2 classes: 12 to learn from, 2 to say when to stop, 2 held out." in written.out
    assert "The whole network learns:" in written.out
    manifest = archive.read_manifest(output / "model.tar.gz")
    assert manifest.fingerprint in written.out
    assert (manifest.pooling, manifest.size) == ("gem", 48)
    for name in ("P@1", "P@10", "mAP"):
        line = next(line for line in written.out.splitlines() if line.startswith(f"{name} "))
        assert line.split()[1:] == [f"{manifest.figures[f'{name} {when}']:.3f}" for when in ("before", "after")]


def test_ctrl_c_ends_the_command_and_leaves_nothing(tmp_path: Path) -> None:
    folder, scratch, output = scenes.folder(tmp_path / "photos", 8, TWO_KINDS), tmp_path / "tmp", tmp_path / "out"
    scratch.mkdir()
    code = "from tests.endpoint import tiny; tiny.register(); from endpoint import finetune; exit(finetune.main())"
    arguments = ["--architecture", TINY, "--weights", "none", "--epochs", "1000", "--output", str(output)]
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", code, str(folder), *arguments],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(scratch), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        next(line for line in process.stdout if line.startswith("The head learns"))
        process.send_signal(signal.SIGINT)
        _rest, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == "\nStopped. No package was written.\n"
    assert list(output.iterdir()) == []
    assert list(scratch.iterdir()) == []


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What the command says before it ends with 1, TensorFlow not having been asked for anything."""
    with tempfile.TemporaryDirectory() as output:
        assert finetune.main([*arguments, "--output", output]) == 1
        assert os.listdir(output) == []  # noqa: PTH208
    written = capsys.readouterr()
    assert written.out == ""
    return written.err


def test_a_missing_folder_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, "/nowhere/photos").startswith("There is no folder /nowhere/photos.")


@pytest.mark.parametrize(("kinds", "found"), [((), "has none."), (("dots",), "has only one (dots).")])
def test_fewer_than_two_classes_are_refused(
    kinds: tuple[str, ...], found: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    error = refused(capsys, str(scenes.folder(tmp_path, 5, kinds)))
    assert "needs two or more" in error
    assert found in error


def test_a_class_with_too_few_photos_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = scenes.folder(tmp_path, 5, TWO_KINDS)
    (folder / "dots" / "0.png").unlink()
    error = refused(capsys, str(folder))
    assert (
        error == f"The folder {folder / 'dots'} has 4 photos; a class needs 5. Add photos, or take the class out.\n"
    )


def test_a_class_with_too_few_readable_photos_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = scenes.folder(tmp_path, 5, TWO_KINDS)
    (folder / "dots" / "0.png").write_bytes(b"no picture")
    assert "Of what can be read, the class dots has 4 photos" in refused(capsys, str(folder))


def test_an_unwritable_output_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert finetune.main([str(tmp_path), "--output", str(tmp_path / "file")]) == 1
    assert "cannot be written to" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["photos", "--catalogue"]])
def test_either_a_folder_or_the_catalogue_is_required(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert finetune.main([*arguments, "--output", str(tmp_path)]) == 2
    assert "either a folder of photos or --catalogue" in capsys.readouterr().err


def test_a_size_too_small_for_the_network_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = scenes.folder(tmp_path / "photos", 5, TWO_KINDS)
    arguments = [str(folder), "--architecture", SMALL, "--weights", "none", "--image-size", "16"]
    assert finetune.main([*arguments, "--output", str(tmp_path / "out")]) == 1
    assert "Input size must be at least 32x32" in capsys.readouterr().err


def test_photos_of_a_folder_need_no_settings(tmp_path: Path) -> None:
    """A folder is prepared without the site's settings, on a machine that only trains."""
    folder = scenes.folder(tmp_path, 5, TWO_KINDS)
    (folder / "dots" / "small.png").write_bytes((folder / "dots" / "0.png").read_bytes()[:100])
    code = (
        "from pathlib import Path\n"
        "from endpoint import photos\n"
        f"with photos.prepared(photos.folder_sources(Path({str(folder)!r})), 32, lambda: None) as read:\n"
        "    print(read.squares.shape, *read.skipped.values())"
    )
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    done = python("-c", code, environment=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("(10, 32, 32, 3) This picture is damaged")


# Photos --------------------------------------------------------------------------------------------


def labelled(counts: list[int], photos_each: int = 1) -> Photos:
    labels = np.concatenate([np.full(count * photos_each, label) for label, count in enumerate(counts)])
    products = np.arange(sum(counts)).repeat(photos_each)
    return Photos(np.zeros((len(labels), 1, 1, 3), np.uint8), labels, products, [str(n) for n in counts], {})


def test_parts_are_of_all_classes_in_proportion() -> None:
    some = labelled([100, 40, 5])
    held_out, stopping, learnt = some.parts((0.15, 0.15), seed=0)
    assert sorted(np.concatenate([held_out, stopping, learnt])) == list(range(len(some)))
    for part, counts in ((held_out, [15, 6, 1]), (stopping, [15, 6, 1]), (learnt, [70, 28, 3])):
        assert list(np.bincount(some.labels[part])) == counts


def test_photos_of_a_product_stay_together() -> None:
    some = labelled([20, 20], photos_each=3)
    parts = some.parts((0.15, 0.15), seed=3)
    products = [set(some.products[part]) for part in parts]
    assert not products[0] & products[1]
    assert not (products[0] | products[1]) & products[2]


def test_the_split_depends_on_the_seed_only() -> None:
    some = labelled([50, 50])
    first, same, other = (some.parts((0.2,), seed)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert list(first) != list(other)


def test_photos_are_prepared_as_the_site_prepares_them(tmp_path: Path) -> None:
    from catalogue import images
    from search.vision import pictures

    folder = scenes.folder(tmp_path, 5, TWO_KINDS)
    sources = photos.folder_sources(folder)
    told: list[None] = []
    with photos.prepared(sources, 48, lambda: told.append(None)) as read:
        assert len(told) == len(read) == 10
        assert read.classes == ["dots", "stripes"]
        for row, source in enumerate(sources):
            picture = images.read((folder / source.name).read_bytes(), short_side=pictures.short_side(48))
            np.testing.assert_array_equal(read.squares[row], pictures.square(picture.image, 48))


# The catalogue -------------------------------------------------------------------------------------


def product(category: Any, number: int, count: int = 1) -> None:
    from catalogue.models import Product, ProductImage
    from tests import drawing

    made = Product.objects.create(sku=f"S{number}", title="Thing", category=category)
    for position in range(count):
        photo = ProductImage(product=made, position=position)
        photo.set_content(drawing.encoded(scenes.scene("stripes", 100 * number + position), "PNG"))
        photo.save()


@pytest.mark.django_db
def test_categories_are_classes_and_small_ones_count_as_their_parent() -> None:
    from catalogue.models import Category

    clothes = Category.objects.create(name="Clothes", slug="clothes")
    shirts = Category.objects.create(name="Shirts", slug="shirts", parent=clothes)
    hats = Category.objects.create(name="Hats", slug="hats", parent=clothes)
    caps = Category.objects.create(name="Caps", slug="caps", parent=hats)
    shoes = Category.objects.create(name="Shoes", slug="shoes")
    number = 0
    for category, count in ((shirts, 5), (hats, 3), (caps, 2), (shoes, 1), (None, 1)):
        for _product in range(count):
            product(category, number, count=2 if number == 0 else 1)
            number += 1
    sources = photos.catalogue_sources()
    assert {source.label for source in sources} == {f"Shirts ({shirts.pk})", f"Hats ({hats.pk})"}
    with photos.prepared(sources, 32, lambda: None) as read:
        assert list(np.bincount(read.labels)) == [5, 6]
        assert len(set(read.products)) == 10
        assert read.skipped == {}


@pytest.mark.django_db
def test_a_photo_without_its_file_is_skipped_and_named() -> None:
    from django.core.files.storage import default_storage

    from catalogue.models import Category, ProductImage

    for start, name in ((0, "Shirts"), (10, "Hats")):
        category = Category.objects.create(name=name, slug=name.lower())
        for number in range(start, start + 6):
            product(category, number)
    lost = ProductImage.objects.earliest("pk").file.name
    default_storage.delete(lost)
    with photos.prepared(photos.catalogue_sources(), 32, lambda: None) as read:
        assert len(read) == 11
        assert list(read.skipped) == [lost]


@pytest.mark.django_db
def test_an_empty_catalogue_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert finetune.main(["--catalogue", "--output", str(tmp_path)]) == 1
    assert "The catalogue has none." in capsys.readouterr().err


def test_a_site_without_a_database_is_refused_with_what_to_do(tmp_path: Path) -> None:
    command = ["-m", "endpoint.finetune", "--catalogue", "--output", str(tmp_path / "out")]
    done = python(*command, environment=os.environ | {"DATA_DIR": str(tmp_path / "data")})
    assert done.returncode == 1
    assert "The site's database cannot be read" in done.stderr
    assert "manage.py migrate" in done.stderr
