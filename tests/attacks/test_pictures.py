"""Pictures made to be costly: refused by a look at their containers, or decoded within a budget of memory."""

from __future__ import annotations

import functools
import struct
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from benchmarks import hostile
from benchmarks.hostile import Item, encoded, heif, ispe
from catalogue import containers, files, images, isobmff
from catalogue.admin.forms import PhotosField
from catalogue.containers import Costly
from catalogue.memory import Budget, Exhausted
from tests.waiting import PATIENCE, until

SIDE = 1_000
"""Of what is drawn here: everything is smaller than in production, in the same proportion."""

LIMITS = images.Limits(max_pixels=SIDE * SIDE)

COSTLY: dict[str, Callable[[], bytes]] = {
    "scans": lambda: hostile.jpeg_scans(SIDE),
    "scans in colour": lambda: hostile.jpeg_scans(SIDE, 60, "RGB"),
    "empty scans": lambda: hostile.jpeg_empty_scans(SIDE),
    "many scans of few pixels": lambda: hostile.jpeg_scans(64, 10_000),
    "arithmetic coding": lambda: hostile.jpeg_arithmetic(SIDE),
    "comments": hostile.jpeg_of_segments,
    "filling": lambda: hostile.jpeg_of_segments(b"\xff", 1_000_000),
    "PNG of 16 bits": lambda: hostile.png_flat(SIDE, 16, 6),
    "empty chunks": hostile.png_of_chunks,
    "chunks after the pixels": lambda: hostile.png_of_chunks(b"abCd", after=True),
    "broken texts of a megabyte": hostile.png_broken_text_bombs,
    "profiles of a megabyte": hostile.png_profile_bombs,
    "GIF blocks": hostile.gif_of_blocks,
    "GIF extensions": hostile.gif_of_extensions,
    "empty rows": hostile.bmp_rle_idle,
    "TIFF of 16 bits": lambda: hostile.tiff_flat(SIDE, bits=(16,) * 4, sample_format=1, photometric=2),
    "strips": hostile.tiff_of_strips,
    "a tile larger than its picture": lambda: hostile.tiff_tile(20_000),
    "scans in a strip": lambda: hostile.tiff_jpeg(SIDE),
    "fractions": hostile.tiff_rationals,
    "tiles that share their bytes": lambda: hostile.heif_grid(tile=100, across=10, size=SIDE),
    "tiles beyond the grid": lambda: hostile.heif_grid(tile=1_000, across=4, size=SIDE, shared=False, noise=0),
    "overlays": lambda: hostile.heif_overlay(side=500, count=20),
    "grids of grids": lambda: hostile.heif_nested(most=SIDE),
    "HEIC pictures in one": lambda: hostile.heif_frames(side=SIDE, count=3),
    "HEIC with large transparency": lambda: hostile.heif_alpha(side=1_200),
    "metadata that shares its bytes": hostile.heif_metadata,
    "extents that share their bytes": hostile.heif_extents,
    "AVIF tiles that share their bytes": lambda: hostile.heif_grid("AVIF", tile=100, across=10, size=SIDE),
    "AVIF that states a smaller size": lambda: hostile.heif_lying("AVIF", 2_000),
    "AVIF pictures in one": lambda: hostile.heif_frames("AVIF", SIDE, 3),
    "AVIF with large transparency": lambda: hostile.heif_alpha("AVIF", 1_200),
}


@pytest.mark.parametrize("name", COSTLY)
def test_what_costs_too_much_is_refused_before_it_is_decoded(name: str) -> None:
    data = COSTLY[name]()
    start = time.process_time()

    with pytest.raises(images.TooComplex, match=r"Save it again as an ordinary JPEG or PNG and try again\.$"):
        images.read(data, short_side=224, limits=LIMITS)

    assert time.process_time() - start < 0.5


def test_a_large_run_length_encoded_bmp_is_refused() -> None:
    with pytest.raises(images.TooComplex):
        images.read(hostile.bmp_rle_runs(2_000))


def test_a_progressive_bomb_takes_no_time_eight_at_once() -> None:
    data = hostile.jpeg_scans()
    start = time.process_time()

    for _request in range(8):
        with pytest.raises(images.TooComplex):
            images.read(data, short_side=224, limits=images.Limits())

    assert time.process_time() - start < 1


def test_a_picture_that_is_too_large_is_refused_before_decoding() -> None:
    for data in (hostile.jpeg_scans(1_200), hostile.heif_alpha(side=1_500, stated=1_200)):
        with pytest.raises(images.TooManyPixels, match="1,200 x 1,200"):
            images.read(data, limits=LIMITS)


def test_a_profile_of_a_million_steps_is_not_run() -> None:
    profile = hostile.profile_of_elements()
    data = encoded(Image.new("RGB", (64, 64), "red"), "WEBP", icc_profile=profile, lossless=True)
    start = time.process_time()

    assert images.read(data).image.getpixel((1, 1)) == (255, 0, 0)
    assert time.process_time() - start < 1


def test_exif_of_half_a_million_fields_is_not_read() -> None:
    field = struct.pack("<HHQQ", 1_000, 3, 1, 1)
    exif = b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 480_000) + field * 480_000
    data = encoded(Image.new("RGB", (64, 64)), "WEBP", exif=exif)
    start = time.process_time()

    assert images.read(data).image.size == (64, 64)
    assert time.process_time() - start < 1


# What is ordinary -------------------------------------------------------------------------------------------

PHONE = images.Limits()


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_ordinary_progressive_jpegs_are_accepted_at_the_pixel_limit(mode: str) -> None:
    data = encoded(Image.new(mode, (SIDE, SIDE)), "JPEG", progressive=True, subsampling=0)

    assert images.read(data, limits=LIMITS).width == SIDE


@pytest.mark.parametrize(("bits", "colour"), [(8, 2), (8, 6), (16, 0), (8, 3), (1, 0)])
@pytest.mark.parametrize("interlace", [0, 1])
def test_ordinary_pngs_are_taken_at_the_limit_of_pixels(bits: int, colour: int, interlace: int) -> None:
    assert images.read(hostile.png_flat(SIDE, bits, colour, interlace), limits=LIMITS).width == SIDE


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_deflate", "packbits", "jpeg", "group4"])
def test_ordinary_tiffs_are_taken_at_the_limit_of_pixels(compression: str) -> None:
    image = Image.new("1" if compression == "group4" else "RGB", (SIDE, SIDE))

    assert images.read(encoded(image, "TIFF", compression=compression), limits=LIMITS).width == SIDE


@pytest.mark.parametrize(("brand", "kind", "config"), [(b"heic", b"hvc1", b"hvcC"), (b"avif", b"av01", b"av1C")])
def test_a_phones_grid_of_49_million_pixels_is_taken(brand: bytes, kind: bytes, config: bytes) -> None:
    size, columns, rows = (8_064, 6_048), 16, 12
    tile = [hostile.box(config, bytes(30)), ispe(512, 512)]
    parts = range(2, 2 + columns * rows)
    grid = Item(b"grid", bytes(8), [ispe(*size)], [(b"dimg", parts)])
    tiles = [Item(kind, struct.pack(">IHxx", 4, 0x2601) + bytes([at]), tile) for at in range(len(parts))]
    gain_map = [tile[0], ispe(4_032, 3_024), hostile.box(b"auxC", bytes(4), b"urn:com:apple:hdrgainmap\0")]
    gain = Item(kind, bytes(8), gain_map, [(b"auxl", [1])])

    memory = isobmff.check(heif([grid, *tiles, gain], brand), PHONE.max_pixels)

    assert memory == 2 * 512 * 512 * len(parts)


def test_of_an_animation_only_the_first_frame_is_decoded() -> None:
    data = hostile.webp_frames(64, 64, 2_000_000)
    start = time.process_time()

    assert images.read(data).image.size == (64, 64)
    assert time.process_time() - start < 1


# Memory -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def large() -> bytes:
    """A small file of a picture that takes more than 100 MB."""
    return hostile.tiff_flat(4_000)


def test_two_large_pictures_are_decoded_at_once_and_a_third_is_refused(large: bytes) -> None:
    with images.reading(large, short_side=224), images.reading(large, short_side=224):
        with pytest.raises(images.DecoderBusy, match=r"Try again in a moment\.$") as caught:
            images.read(large, short_side=224, wait=0)
        assert caught.value.code == "busy"

    assert images.read(large, short_side=224, wait=0).width == 4_000


def test_what_takes_little_memory_never_waits(large: bytes) -> None:
    photo = encoded(Image.new("RGB", (4_000, 3_000)), "JPEG")
    with images.reading(large, short_side=224), images.reading(large, short_side=224):
        assert images.read(photo, short_side=640, wait=0).width == 4_000


@pytest.mark.parametrize(
    "read",
    [lambda data: images.read(data, short_side=224, wait=PATIENCE), files.prepare],
    ids=["a request", "work that nobody waits for"],
)
def test_who_waits_is_served_once_others_are_done(large: bytes, read: Callable[[bytes], Any]) -> None:
    done: list[Any] = []
    work = threading.Thread(target=lambda: done.append(read(large)))
    with images.reading(large, short_side=224), images.reading(large, short_side=224):
        work.start()
        until(lambda: images._budget.waiting == 1)
        with pytest.raises(images.DecoderBusy):
            images.read(large, short_side=224, wait=0.05)
        assert not done
    work.join(PATIENCE)

    assert done[0].width == 4_000


def test_a_busy_decoder_refuses_only_large_photos_of_staff(large: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "STAFF_WAIT", 0.01)
    small = encoded(Image.new("RGB", (64, 64)), "JPEG")
    uploads = [SimpleUploadedFile("large.tif", large), SimpleUploadedFile("small.jpg", small)]
    with images.reading(large, short_side=224), images.reading(large, short_side=224):
        photos = PhotosField().clean(uploads)

    assert [name for name, _photo in photos.accepted] == ["small.jpg"]
    ((name, reason),) = photos.refused
    assert name == "large.tif"
    assert reason.endswith("Try again in a moment.")


def test_a_picture_that_cannot_be_decoded_gives_its_memory_back(large: bytes) -> None:
    damaged = hostile.png_flat(5_500, colour=6)[:-2_000]
    for _try in range(4):
        with pytest.raises(images.BrokenImage):
            images.read(damaged, short_side=224, wait=0)

    assert images.read(large, short_side=224, wait=0).width == 4_000


def test_a_budget_is_shared_out_and_given_back() -> None:
    budget = Budget(10)
    with budget.taking(4), budget.taking(6, 0), pytest.raises(Exhausted), budget.taking(1, 0):
        pytest.fail("more than there is")
    with budget.taking(100, 0):  # all of it
        pass


def test_who_needs_much_of_a_budget_is_not_passed_over() -> None:
    budget, order = Budget(10), list[str]()

    def take(name: str, amount: int) -> None:
        with budget.taking(amount):
            order.append(name)

    threads = [threading.Thread(target=take, args=one) for one in (("all", 10), ("half", 5), ("other half", 5))]
    with budget.taking(5):
        for number, thread in enumerate(threads, 1):
            thread.start()
            until(lambda number=number: budget.waiting == number)  # type: ignore[misc]
        with pytest.raises(Exhausted), budget.taking(5, 0):
            pytest.fail("others were first")
    for thread in threads:
        thread.join(PATIENCE)

    assert order[0] == "all"
    assert len(order) == 3
    assert budget.waiting == 0


def test_who_gives_up_makes_way_for_those_behind() -> None:
    budget, taken = Budget(10), threading.Event()

    def give_up() -> None:
        with suppress(Exhausted), budget.taking(10, 0.1):
            pytest.fail("more than there is")

    def take() -> None:
        with budget.taking(5):
            taken.set()

    first, second = threading.Thread(target=give_up), threading.Thread(target=take)
    with budget.taking(5):
        first.start()
        until(lambda: budget.waiting or not first.is_alive())
        second.start()
        assert taken.wait(PATIENCE)
    first.join(PATIENCE)
    second.join(PATIENCE)


def test_lack_of_memory_is_not_blamed_on_the_picture() -> None:
    with pytest.raises(images.DecoderBusy), images._refusing_undecodable(LIMITS):
        bytearray(1 << 62)


# Damage -----------------------------------------------------------------------------------------------------

CHECKS: dict[str, tuple[Callable[[bytes, int], int], bytes]] = {
    "JPEG": (containers.check_jpeg, hostile.jpeg_scans(64, 3)),
    "PNG": (containers.check_png, hostile.png_of_chunks(b"tEXt", b"some\0text", 400)),
    "GIF": (containers.check_gif, hostile.gif_of_blocks(100)),
    "BMP": (containers.check_bmp, hostile.bmp_rle_idle(100)),
    "TIFF": (containers.check_tiff, hostile.tiff_jpeg(64, 2)),
    "HEIC": (isobmff.check, hostile.heif_grid(tile=64, across=2, size=128, noise=0)),
    "AVIF": (isobmff.check, hostile.heif_alpha("AVIF", 64)),
}


@dataclass(frozen=True)
class Repeated:
    """A file that holds one thing many times over."""

    check: Callable[[bytes, int], int]
    data: bytes
    asked: int
    """Bytes that a decoder copies or unpacks beside the pixels."""


@functools.cache
def _picture() -> Item:
    return hostile.coded("HEIF", 64, 64)


@functools.cache
def _packed(name: bytes, size: int, *, whole: bool) -> bytes:
    stream = zlib.compress(bytes(size), 9)
    keyword = {b"iTXt": b"Comment\0\1\0\0\0", b"tEXt": b"Comment\0"}.get(name, b"Comment\0\0")
    return keyword + (stream if whole else stream[:-4] + bytes(4))


@st.composite
def repeated_items(draw: st.DrawFn) -> Repeated:
    """HEIC: items beside the picture, or its own data, by number, size, extents and whether they share bytes."""
    picture, kind = _picture(), draw(st.sampled_from([b"mime", b"Exif", b"uri ", b"hvc1"]))
    count = draw(st.sampled_from([1, 30, 600, 1_900]))
    size = draw(st.sampled_from([10, 1_000, 100_000, 1_000_000]))
    extents = draw(st.sampled_from([1, 30, 1_000]))
    shared = draw(st.booleans()) or count * size > 2_000_000
    count = min(count, 40_000 // extents)
    if kind == b"hvc1":
        items, count = [Item(kind, picture.data + bytes(size), picture.properties, extents=extents)], 1
    else:
        item = Item(kind, bytes(size), references=[(b"cdsc", [1])], extents=extents)
        items = [picture, *[item] * count]
    return Repeated(isobmff.check, heif(items, shared=shared), count * size * extents)


@st.composite
def repeated_chunks(draw: st.DrawFn) -> Repeated:
    """PNG: chunks before the pixels, by number, unpacked size and whether their checksums are right."""
    name = draw(st.sampled_from([b"iCCP", b"zTXt", b"iTXt", b"tEXt", b"abCd"]))
    count = draw(st.sampled_from([1, 60, 1_000, 9_000]))
    size = draw(st.sampled_from([0, 1_000, 1_000_000]))
    chunk = _packed(name, size, whole=draw(st.booleans()))
    data = hostile.png_of_chunks(name, chunk, count * (len(chunk) + 12))
    return Repeated(containers.check_png, data, count * (size if name in {b"iCCP", b"zTXt", b"iTXt"} else len(chunk)))


MOST_UNPACKED = 64_000_000
"""Bytes, beside those of the file itself: what Pillow unpacks of all texts of a PNG."""


@given(repeated=st.one_of(repeated_items(), repeated_chunks()))
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_whatever_a_container_repeats_is_bounded_before_it_is_copied(repeated: Repeated) -> None:
    begun = time.thread_time()
    with suppress(Costly):
        repeated.check(repeated.data, 1_000_000)
        assert repeated.asked <= len(repeated.data) + MOST_UNPACKED
    assert time.thread_time() - begun < 2

    tracemalloc.start()  # which takes several times as long
    try:
        with suppress(Costly):
            repeated.check(repeated.data, 1_000_000)
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * len(repeated.data) + 20_000_000


@given(data=st.data(), kind=st.sampled_from(sorted(CHECKS)))
def test_whatever_a_container_holds_it_is_judged_quickly(data: st.DataObject, kind: str) -> None:
    check, sample = CHECKS[kind]
    damaged = bytearray(sample)
    for at in data.draw(st.lists(st.integers(0, len(damaged) - 1), max_size=12)):
        damaged[at] = data.draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]) | st.integers(0, 255))
    start, end = sorted(data.draw(st.tuples(st.integers(0, len(damaged)), st.integers(0, len(damaged)))))
    damaged[start:end] = damaged[start:end] * data.draw(st.sampled_from([0, 1, 2, 40]))
    begun = time.thread_time()

    try:
        memory = check(bytes(damaged), 1_000_000)
    except (Costly, ValueError, ArithmeticError, LookupError, struct.error):
        memory = 0

    assert memory >= 0
    assert time.thread_time() - begun < 1
