from __future__ import annotations

import threading
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from endpoint import decoding
from endpoint.decoding import square
from modelarchive.inference import Refused
from tests.drawing import picture
from tests.endpoint.serving import encoded

SIZE = 224


@pytest.fixture(scope="module")
def of_tensorflow():  # type: ignore[no-untyped-def]
    """The squares that a package's own graph makes of an encoded image."""
    tf = pytest.importorskip("tensorflow")
    from endpoint import graph

    return lambda data: graph._square(tf.constant(data), SIZE).numpy()


def refusal(data: bytes, name: str = "The image") -> Refused:
    with pytest.raises(Refused) as caught:
        square(data, SIZE, name)
    return caught.value


def noise(width: int, height: int, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(width * height).integers(0, 256, (height, width, channels), dtype=np.uint8)


@pytest.mark.parametrize("file_format", ["PNG", "BMP"])
def test_an_image_of_the_model_s_size_is_taken_as_it_is(file_format: str) -> None:
    pixels = noise(SIZE, SIZE)
    assert np.array_equal(square(encoded(pixels, file_format), SIZE), pixels)


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "GIF", "JPEG"])
@pytest.mark.parametrize("size", [(SIZE, SIZE), (640, 480), (100, 50), (1, 1), (1000, 30)])
def test_squares_are_those_of_the_package_s_own_graph(of_tensorflow, file_format: str, size: tuple[int, int]) -> None:  # type: ignore[no-untyped-def]
    data = encoded(picture(size=(400, 400)).resize(size), file_format)
    ours, theirs = square(data, SIZE).astype(int), of_tensorflow(data).astype(int)
    if size == (SIZE, SIZE) and file_format != "JPEG":
        assert np.array_equal(ours, theirs)
    # What lies between two levels may be rounded to either, for the sums are added in another order.
    assert np.abs(ours - theirs).max() <= 1
    assert (ours != theirs).mean() < 0.001


def test_sharp_edges_are_squashed_as_tensorflow_does(of_tensorflow) -> None:  # type: ignore[no-untyped-def]
    data = encoded(noise(331, 457))
    difference = np.abs(square(data, SIZE).astype(int) - of_tensorflow(data).astype(int))
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.001


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
@pytest.mark.parametrize("size", [SIZE, 300])
def test_kinds_of_png_are_read_as_tensorflow_reads_them(of_tensorflow, mode: str, size: int) -> None:  # type: ignore[no-untyped-def]
    if mode == "I;16":
        image = Image.fromarray(np.random.default_rng(0).integers(0, 65536, (size, size), dtype=np.uint16))
    elif mode in {"LA", "RGBA"}:
        image = Image.fromarray(noise(size, size, len(mode)), mode)
    else:
        image = picture(size=(size, size)).convert(mode)
    data = encoded(image)
    difference = np.abs(square(data, SIZE).astype(int) - of_tensorflow(data).astype(int))
    assert difference.max() <= (0 if size == SIZE else 1)


def test_transparent_colours_of_a_palette_are_colours(of_tensorflow) -> None:  # type: ignore[no-untyped-def]
    image = picture(size=(SIZE, SIZE)).quantize(8)
    data = encoded(image, transparency=bytes([0, 128, 255]))
    assert np.array_equal(square(data, SIZE), of_tensorflow(data))


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_kinds_of_jpeg_are_read_as_tensorflow_reads_them(of_tensorflow, mode: str) -> None:  # type: ignore[no-untyped-def]
    data = encoded(picture(size=(300, 200)).convert(mode), "JPEG")
    assert np.abs(square(data, SIZE).astype(int) - of_tensorflow(data).astype(int)).max() <= 2


def test_the_orientation_in_a_file_is_ignored(of_tensorflow) -> None:  # type: ignore[no-untyped-def]
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(picture(size=(SIZE, SIZE)), "JPEG", exif=exif)
    assert np.array_equal(square(data, SIZE), square(encoded(picture(size=(SIZE, SIZE)), "JPEG"), SIZE))
    assert np.abs(square(data, SIZE).astype(int) - of_tensorflow(data).astype(int)).max() <= 1


def test_an_animation_is_its_first_frame(of_tensorflow) -> None:  # type: ignore[no-untyped-def]
    first, second = (Image.new("RGB", (SIZE, SIZE), colour) for colour in ("#b03030", "#2040a0"))
    data = encoded(first, "GIF", save_all=True, append_images=[second])
    assert np.array_equal(square(data, SIZE), of_tensorflow(data))


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "BMP"])
def test_a_truncated_file_is_refused_by_name(file_format: str) -> None:
    data = encoded(picture(size=(SIZE, SIZE)), file_format)
    refused = refusal(data[: len(data) // 2], "instances[3]")
    assert refused.status == 400
    assert refused.sentence.startswith("instances[3] cannot be decoded as JPEG, PNG, BMP or GIF: ")


@pytest.mark.parametrize("data", [b"", b"no image", b"\x89PNG\r\n\x1a\n", encoded(picture(), "WEBP")])
def test_other_formats_are_refused(data: bytes) -> None:
    refused = refusal(data)
    assert refused.status == 400
    assert refused.sentence.startswith("The image cannot be decoded as JPEG, PNG, BMP or GIF")
    assert "0x" not in refused.sentence


@given(st.integers(0, 400), st.binary(min_size=1, max_size=8))
def test_a_damaged_file_is_decoded_or_refused_and_nothing_else(at: int, damage: bytes) -> None:
    data = bytearray(encoded(Image.new("RGB", (24, 16), "#b03030"), "PNG"))
    data[at : at + len(damage)] = damage
    try:
        assert square(bytes(data), 8).shape == (8, 8, 3)
    except Refused as refused:
        assert refused.status in {400, 413}  # noqa: PT017


@pytest.mark.parametrize("pixels", [50_000_001, 100_000_000, 400_000_000])
@pytest.mark.parametrize("as_error", [True, False])
def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded(pixels: int, as_error: bool) -> None:
    bomb = bytearray(encoded(Image.new("1", (1, 1)), "BMP"))
    bomb[18:26] = np.array([pixels, 1], "<i4").tobytes()
    with warnings.catch_warnings():
        warnings.simplefilter("error" if as_error else "ignore", Image.DecompressionBombWarning)
        refused = refusal(bytes(bomb))
    assert refused.status == 413
    assert "at most 50,000,000 are decoded" in refused.sentence


def test_large_images_are_decoded_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "MANY_PIXELS", 1_000)
    data = encoded(noise(100, 100))
    done = threading.Event()

    def decode() -> None:
        square(data, 8)
        done.set()

    with decoding._one_at_a_time:
        thread = threading.Thread(target=decode)
        thread.start()
        assert square(encoded(noise(20, 20)), 8).shape == (8, 8, 3)  # a small one passes
        assert not done.wait(timeout=0.2)
    thread.join()
    assert done.is_set()
