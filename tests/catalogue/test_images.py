"""Decoding: accepted pictures become upright sRGB, others are refused with a sentence."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms, PngImagePlugin

from catalogue import images

WIDTH, HEIGHT = 120, 80
QUADRANTS = ((220, 30, 30), (30, 160, 60), (40, 60, 200), (230, 200, 40))
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "HEIF", "BMP", "TIFF")


def drawn(width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """Four quadrants of four colours, which differ in every orientation."""
    image = Image.new("RGB", (width, height))
    for at, colour in enumerate(QUADRANTS):
        x, y = at % 2 * width // 2, at // 2 * height // 2
        image.paste(colour, (x, y, x + (width + 1) // 2, y + (height + 1) // 2))
    return image


def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    if kind == "HEIF":
        import pillow_heif

        pillow_heif.from_pillow(image).save(buffer, **options)
    else:
        image.save(buffer, kind, **options)
    return buffer.getvalue()


def corners(image: Image.Image) -> list[tuple[int, ...]]:
    """The colours in the middle of the four quadrants."""
    spots = [(x, y) for y in (0.25, 0.75) for x in (0.25, 0.75)]
    pixels = np.asarray(image)
    return [tuple(int(v) for v in pixels[int(y * image.height), int(x * image.width)]) for x, y in spots]


def difference(image: Image.Image, colours: Any) -> int:
    """The largest difference, in any channel, between the quadrants and the expected colours."""
    return int(np.abs(np.array(corners(image)) - np.array(colours)).max())


def noise(width: int = 256, height: int = 256) -> Image.Image:
    """A picture that does not compress, so that cutting its file cuts its pixels."""
    return Image.fromarray(np.random.default_rng(7).integers(0, 256, (height, width, 3), dtype=np.uint8))


def png_header(width: int, height: int) -> bytes:
    """The beginning of a PNG that claims a size, without a pixel behind it."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"")
    chunks = [
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in (header, data)
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def with_stated_size(jpeg: bytes, width: int, height: int) -> bytes:
    """The same JPEG, whose frame header states another size."""
    at = jpeg.index(b"\xff\xc0")
    return jpeg[: at + 5] + struct.pack(">HH", height, width) + jpeg[at + 9 :]


# Accepted pictures


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_read_whatever_its_name(kind: str) -> None:
    picture = images.read(encoded(drawn(), kind))
    assert picture.format == kind
    assert picture.image.mode == "RGB"
    assert picture.image.size == (picture.width, picture.height) == (WIDTH, HEIGHT)
    assert difference(picture.image, QUADRANTS) <= 12


def test_content_type_and_extension_come_from_the_bytes() -> None:
    picture = images.read(encoded(drawn(), "WEBP"))
    assert (picture.content_type, picture.extension) == ("image/webp", ".webp")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_comes_out_upright(orientation: int, kind: str) -> None:
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = drawn().transpose(undo[orientation]) if orientation in undo else drawn()
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    picture = images.read(encoded(stored, kind, exif=exif.tobytes()))
    assert (picture.width, picture.height) == picture.image.size == (WIDTH, HEIGHT)
    assert difference(picture.image, QUADRANTS) <= 12


def test_a_rotated_photo_at_reduced_scale_keeps_its_upright_size() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    data = encoded(drawn(1600, 1200).transpose(Image.Transpose.ROTATE_90), exif=exif.tobytes())
    picture = images.read(data, short_side=100)
    assert (picture.width, picture.height) == (1600, 1200)
    assert picture.image.size == (400, 300)
    assert difference(picture.image, QUADRANTS) <= 12


@given(short_side=st.integers(1, 400), width=st.integers(40, 900), height=st.integers(40, 900))
def test_a_reduced_scale_is_at_least_twice_the_short_side(short_side: int, width: int, height: int) -> None:
    picture = images.read(encoded(Image.new("RGB", (width, height))), short_side=short_side)
    assert min(picture.image.size) >= min(2 * short_side, width, height)
    assert (picture.width, picture.height) == (width, height)


def test_transparency_is_laid_on_white() -> None:
    image = drawn().convert("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, WIDTH // 2, HEIGHT // 2))
    image.paste((0, 0, 0, 128), (WIDTH // 2, 0, WIDTH, HEIGHT // 2))
    read = images.read(encoded(image, "PNG")).image
    assert difference(read, ((255, 255, 255), (127, 127, 127), *QUADRANTS[2:])) <= 1


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_transparent_colour_of_a_palette_is_laid_on_white(kind: str) -> None:
    image = drawn().quantize(8)
    transparent = image.getpixel((1, 1))
    read = images.read(encoded(image, kind, transparency=transparent)).image
    assert difference(read, ((255, 255, 255), *QUADRANTS[1:])) <= 4


def test_a_palette_with_an_alpha_for_each_colour_is_laid_on_white() -> None:
    image = drawn().quantize(4)
    index = int(np.asarray(image)[1, 1])
    alphas = bytes(0 if at == index else 255 for at in range(4))
    read = images.read(encoded(image, "PNG", transparency=alphas)).image
    assert difference(read, ((255, 255, 255), *QUADRANTS[1:])) <= 4


@pytest.mark.parametrize(("mode", "black", "white"), [("LA", (0, 255), (0, 0)), ("1", 0, 1)])
def test_grey_with_alpha_and_one_bit_are_read(mode: str, black: Any, white: Any) -> None:
    image = Image.new(mode, (64, 64), black)
    image.paste(white, (0, 0, 32, 32))
    assert difference(images.read(encoded(image, "PNG")).image, [(255,) * 3] + [(0,) * 3] * 3) == 0


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_keeps_its_shades(kind: str) -> None:
    shades = np.repeat(np.arange(256, dtype=np.uint16)[None] * 257, 64, axis=0)
    read = images.read(encoded(Image.fromarray(shades), kind)).image
    assert np.array_equal(np.asarray(read)[0, :, 0], np.arange(256))


@pytest.mark.parametrize("white", [1.0, 255.0, 65_535.0, 1e6])
def test_float_grey_keeps_its_shades_whatever_its_white(white: float) -> None:
    shades = np.repeat(np.linspace(0, white, 256, dtype=np.float32)[None], 64, axis=0)
    read = images.read(encoded(Image.fromarray(shades), "TIFF")).image
    assert np.abs(np.asarray(read)[0, :, 1].astype(int) - np.arange(256)).max() <= 1


def test_float_pictures_with_nothing_finite_are_black() -> None:
    shades = np.full((40, 40), np.nan, dtype=np.float32)
    assert not np.asarray(images.read(encoded(Image.fromarray(shades), "TIFF")).image).any()


def test_cmyk_without_a_profile_is_read() -> None:
    read = images.read(encoded(drawn().convert("CMYK"), "JPEG", quality=95)).image
    assert difference(read, QUADRANTS) <= 12


def profile(red: tuple[float, float], green: tuple[float, float], gamma: float = 2.2) -> bytes:
    """An ICC v2 matrix profile with sRGB's blue and white and the given xy of red and green.

    Columns of XYZ are adapted to D50 with the Bradford matrix, as ICC.1 asks for.
    """

    def xyz(x: float, y: float) -> npt.NDArray[np.float64]:
        return np.array([x / y, 1, (1 - x - y) / y])

    white = xyz(0.3127, 0.3290)
    columns = np.stack([xyz(*red), xyz(*green), xyz(0.15, 0.06)], axis=1)
    columns = columns * np.linalg.solve(columns, white)
    bradford = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    d50 = np.array([0.9642, 1, 0.8249])
    gain = np.diag((bradford @ d50) / (bradford @ white))
    adapted = np.linalg.solve(bradford, gain @ bradford) @ columns

    def fixed(values: Any) -> bytes:
        return b"".join(struct.pack(">i", round(value * 65_536)) for value in values)

    description = b"Wide gamut\0"
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(description)) + description + bytes(78),
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": b"XYZ \0\0\0\0" + fixed(d50),
        b"rXYZ": b"XYZ \0\0\0\0" + fixed(adapted[:, 0]),
        b"gXYZ": b"XYZ \0\0\0\0" + fixed(adapted[:, 1]),
        b"bXYZ": b"XYZ \0\0\0\0" + fixed(adapted[:, 2]),
    } | {
        name: b"curv\0\0\0\0" + struct.pack(">IHH", 1, round(gamma * 256), 0) for name in (b"rTRC", b"gTRC", b"bTRC")
    }
    table, body, start = b"", b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    header = struct.pack(">I4sI4s4s4s", start + len(body), b"\0" * 4, 0x02100000, b"mntr", b"RGB ", b"XYZ ")
    header += bytes(12) + b"acsp" + bytes(28) + fixed(d50)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def test_a_wide_gamut_profile_is_converted_to_srgb() -> None:
    display_p3 = profile(red=(0.680, 0.320), green=(0.265, 0.690))
    image = Image.new("RGB", (64, 64), (180, 100, 60))
    read = np.asarray(images.read(encoded(image, "PNG", icc_profile=display_p3)).image)[0, 0]
    # Display P3 is wider, so the same colour has more of red and less of green in sRGB.
    assert read[0] > 184
    assert read[1] < 99


def test_an_srgb_profile_changes_nothing() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    read = images.read(encoded(drawn(), "PNG", icc_profile=srgb)).image
    assert np.array_equal(np.asarray(read), np.asarray(drawn()))


@pytest.mark.parametrize("mode", ["RGB", "CMYK"])
def test_a_damaged_or_foreign_profile_is_ignored(mode: str) -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    plain = images.read(encoded(drawn().convert(mode), "JPEG")).image
    for wrong in (b"not a profile" * 20, lab, lab[:200]):
        read = images.read(encoded(drawn().convert(mode), "JPEG", icc_profile=wrong)).image
        assert np.array_equal(np.asarray(read), np.asarray(plain))


def test_a_lab_picture_is_read() -> None:
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    read = images.read(encoded(to_lab.apply(drawn()), "TIFF")).image
    assert difference(read, QUADRANTS) <= 12


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "AVIF", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame_is_read(kind: str) -> None:
    frames = [Image.new("RGB", (64, 64), colour) for colour in ("blue", "red", "red")]
    read = images.read(encoded(frames[0], kind, save_all=True, append_images=frames[1:])).image
    assert np.abs(np.asarray(read)[32, 32].astype(int) - (0, 0, 255)).max() <= 12


def test_a_multi_picture_jpeg_is_its_first_picture() -> None:
    data = encoded(drawn(), "MPO", save_all=True, append_images=[Image.new("RGB", (64, 64))])
    picture = images.read(data)
    assert (picture.format, picture.extension) == ("JPEG", ".jpg")
    assert difference(picture.image, QUADRANTS) <= 12


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "garbage",
    [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x01" * 50],
)
def test_damaged_exif_does_not_cost_the_picture(garbage: bytes) -> None:
    assert difference(images.read(encoded(drawn(), exif=garbage)).image, QUADRANTS) <= 12


def test_no_metadata_stays_with_a_picture() -> None:
    picture = images.read(encoded(drawn(), "PNG", dpi=(72, 72), icc_profile=profile((0.68, 0.32), (0.265, 0.69))))
    assert picture.image.info == {}
    assert not picture.image.getexif()


# Refused pictures


def refused(data: bytes, **options: Any) -> images.ImageRefused:
    with pytest.raises(images.ImageRefused) as caught:
        images.read(data, **options)
    message = str(caught.value)
    assert message.endswith(".")
    assert "%" not in message
    return caught.value


def test_an_empty_file_is_refused() -> None:
    assert refused(b"").code == "empty"


def test_a_file_above_the_limit_is_refused_with_both_sizes(settings: Any) -> None:
    settings.IMAGE_MAX_BYTES = 10_000_000
    error = refused(b"\xff\xd8\xff" + bytes(12_299_997))
    assert isinstance(error, images.TooManyBytes)
    assert str(error) == "This file is 12.3 MB; at most 10 MB fit. Make it smaller and try again."


def test_one_byte_too_many_does_not_read_as_the_limit_itself() -> None:
    error = refused(bytes(1_000_001), limits=images.Limits(max_bytes=1_000_000))
    assert "1.1 MB" in str(error)


@pytest.mark.parametrize(
    "data",
    [
        b"Dear customer, the pictures are in the other folder.\n" * 50,
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\nshowpage\n",
        b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
        b"8BPS\0\x01" + bytes(200),
        b"\0\0\0\x18ftypisom\0\0\0\0isommp42" + bytes(200),
        b"RIFF\0\0\0\0WAVEfmt " + bytes(200),
        encoded(Image.new("RGB", (64, 64)), "ICO"),
        encoded(Image.new("RGB", (64, 64)), "PPM"),
        b"\xff",
        b"\0",
    ],
)
def test_unsupported_formats_are_refused(data: bytes) -> None:
    error = refused(data)
    assert isinstance(error, images.UnsupportedFormat)
    assert "JPEG" in str(error)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("short_side", [None, 30])
def test_a_file_cut_off_is_refused(kind: str, part: float, short_side: int | None) -> None:
    data = encoded(noise(), kind)
    error = refused(data[: int(len(data) * part)], short_side=short_side)
    assert isinstance(error, images.BrokenImage)
    assert error.__cause__ is not None


def test_a_progressive_jpeg_cut_off_is_refused() -> None:
    data = encoded(noise(), progressive=True)
    for short_side in (None, 30):
        assert refused(data[: len(data) // 2], short_side=short_side).code == "broken"


def test_a_header_whose_values_are_of_another_kind_is_refused() -> None:
    strips = struct.pack("<HH", 273, 4)  # StripOffsets, of type LONG
    data = encoded(drawn(), "TIFF")
    assert strips in data
    assert refused(data.replace(strips, struct.pack("<HH", 273, 7))).code == "broken"


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize(
    "signature",
    [
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a",
        b"BM",
        b"II*\0",
        b"RIFF\xff\0\0\0WEBPVP8 ",
        b"\0\0\0\x18ftypavif",
        b"\0\0\0\x18ftypheic",
        b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif",
    ],
)
def test_a_signature_with_garbage_behind_it_is_refused(signature: bytes) -> None:
    assert refused(signature + b"garbage " * 20).code == "broken"


def test_a_huge_picture_is_refused_by_its_header(settings: Any) -> None:
    settings.IMAGE_MAX_PIXELS = 50_000_000
    error = refused(png_header(30_000, 30_000))
    assert isinstance(error, images.TooManyPixels)
    assert str(error) == (
        "This picture is 30,000 x 30,000 pixels; at most 50 million fit. Make it smaller and try again."
    )


def test_a_jpeg_that_states_a_huge_size_is_refused_before_it_is_decoded() -> None:
    error = refused(with_stated_size(encoded(drawn()), 60_000, 60_000), short_side=224)
    assert isinstance(error, images.TooManyPixels)
    assert "60,000 x 60,000" in str(error)


def test_a_webp_that_states_a_huge_size_is_refused_before_it_is_decoded() -> None:
    canvas = struct.pack("<I", 16_382)[:3] * 2
    extended = b"VP8X" + struct.pack("<I", 10) + bytes(4) + canvas
    still = encoded(drawn(), "WEBP")[12:]
    data = b"RIFF" + struct.pack("<I", 4 + len(extended) + len(still)) + b"WEBP" + extended + still
    assert refused(data).code == "too_many_pixels"


def test_a_gif_with_a_frame_larger_than_its_screen_is_refused() -> None:
    data = bytearray(encoded(drawn(), "GIF"))
    at = data.index(b"\x2c\0\0\0\0")
    data[at + 5 : at + 9] = struct.pack("<HH", 60_000, 60_000)
    assert refused(bytes(data)).code == "too_many_pixels"


def test_a_png_whose_header_was_tampered_with_is_refused() -> None:
    data = encoded(drawn(), "PNG")
    header = struct.pack(">II", WIDTH, HEIGHT)
    assert refused(data.replace(header, struct.pack(">II", WIDTH, 10 * HEIGHT))).code == "broken"


@pytest.mark.parametrize("short_side", [None, 20])
def test_rows_that_a_jpeg_states_but_lacks_are_padded_by_its_decoder(short_side: int | None) -> None:
    data = with_stated_size(encoded(drawn()), WIDTH, 20 * HEIGHT)
    picture = images.read(data, short_side=short_side)
    assert (picture.width, picture.height) == (WIDTH, 20 * HEIGHT)
    top = picture.image.crop((0, 0, picture.image.width, picture.image.height // 20))
    assert difference(top, QUADRANTS) <= 12


@pytest.mark.parametrize("size", [(1, 1), (31, 400), (400, 31)])
def test_a_side_below_the_limit_is_refused_with_the_sizes(size: tuple[int, int], settings: Any) -> None:
    settings.IMAGE_MIN_SIDE = 32
    error = refused(encoded(Image.new("RGB", size), "PNG"))
    assert isinstance(error, images.TooSmall)
    assert f"{size[0]} x {size[1]}" in str(error)
    assert "32" in str(error)


def test_limits_are_inclusive() -> None:
    data = encoded(drawn(), "PNG")
    exact = images.Limits(max_bytes=len(data), max_pixels=WIDTH * HEIGHT, min_side=HEIGHT)
    assert images.read(data, limits=exact).image.size == (WIDTH, HEIGHT)


def test_a_refusal_formats_numbers_in_the_readers_language() -> None:
    with translation.override("de"):
        assert "30.000 x 30.000" in str(refused(png_header(30_000, 30_000)))


def test_codes_are_distinct() -> None:
    kinds = [kind for kind in images.ImageRefused.__subclasses__() if kind.__module__ == images.__name__]
    assert len({kind.code for kind in kinds}) == len(kinds) == 8


SAMPLES = {kind: encoded(drawn(), kind) for kind in FORMATS}


@pytest.mark.filterwarnings("ignore")  # Pillow warns of damaged metadata
@given(data=st.data(), kind=st.sampled_from(FORMATS))
def test_a_damaged_file_is_read_or_refused_and_nothing_else(data: st.DataObject, kind: str) -> None:
    damaged = bytearray(SAMPLES[kind])
    for at in data.draw(st.lists(st.integers(0, len(damaged) - 1), min_size=1, max_size=8)):
        damaged[at] = data.draw(st.integers(0, 255))
    try:
        picture = images.read(bytes(damaged), short_side=data.draw(st.sampled_from([None, 20])))
    except images.ImageRefused:
        return
    assert picture.image.mode == "RGB"


def test_libheif_is_loaded_for_heif_only() -> None:
    code = """
import io, sys
from PIL import Image
from django.conf import settings
settings.configure(IMAGE_MAX_BYTES=10**7, IMAGE_MAX_PIXELS=10**7, IMAGE_MIN_SIDE=1)
from catalogue import images
buffer = io.BytesIO()
Image.new("RGB", (40, 40)).save(buffer, "AVIF")
images.read(buffer.getvalue())
assert "pillow_heif" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603 - the code is above


def test_threads_read_the_same_pixels() -> None:
    samples = [SAMPLES[kind] for kind in FORMATS] * 4
    alone = [images.read(data).image.tobytes() for data in samples]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda data: images.read(data).image.tobytes(), samples))
    assert together == alone


# Written pictures


def renditions(data: bytes) -> list[Image.Image]:
    """The thumbnail, and the large rendition where there is one."""
    made = images.renditions(images.read(data, short_side=images.RENDITION_SIDE))
    return [Image.open(io.BytesIO(jpeg)) for jpeg in (made.thumbnail, made.large) if jpeg is not None]


def test_there_are_two_renditions_and_the_aspect_is_kept() -> None:
    thumbnail, large = renditions(encoded(drawn(1500, 1000)))
    assert (thumbnail.format, large.format) == ("JPEG", "JPEG")
    assert (thumbnail.size, large.size) == ((480, 320), (960, 640))
    assert difference(thumbnail, QUADRANTS) <= 12
    assert difference(large, QUADRANTS) <= 12


@pytest.mark.parametrize(
    ("size", "sizes"),
    [
        ((WIDTH, HEIGHT), [(WIDTH, HEIGHT)]),
        ((480, 700), [(480, 700)]),
        ((599, 799), [(480, 640)]),
        ((600, 800), [(480, 640), (600, 800)]),
        ((959, 300), [(480, 150), (959, 300)]),
        ((2000, 3000), [(480, 720), (960, 1440)]),
        ((480, 2400), [(384, 1920), (480, 2400)]),
        ((40, 2000), [(38, 1920)]),
    ],
)
def test_no_rendition_is_enlarged_and_none_is_made_twice(size: tuple[int, int], sizes: list[tuple[int, int]]) -> None:
    assert [rendition.size for rendition in renditions(encoded(drawn(*size)))] == sizes


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_very_tall_picture_stays_within_four_times_the_width(kind: str) -> None:
    thumbnail, large = renditions(encoded(drawn(100, 40_000), kind))
    assert thumbnail.size == (5, 1920)
    assert large.size == (10, 3840)


@pytest.mark.parametrize("size", [(3001, 4003), (4003, 3001), (1921, 2777), (1093, 9001), (6011, 1931), (333, 5001)])
def test_a_rendition_has_the_size_that_its_original_says(size: tuple[int, int]) -> None:
    """Also where a JPEG is decoded at a reduced scale, of which pages know nothing."""
    wanted = [images.rendition_size(*size, width) for width in (480, 960)]
    assert [rendition.size for rendition in renditions(encoded(Image.new("RGB", size)))] == wanted


@pytest.mark.parametrize(("width", "height"), [(3840, 5120), (5120, 3840), (960, 9000), (1919, 1919), (961, 1300)])
def test_enough_is_decoded_for_the_large_rendition(width: int, height: int) -> None:
    decoded = images.read(encoded(Image.new("RGB", (width, height))), short_side=images.RENDITION_SIDE).image
    assert decoded.width >= min(width, images.LARGE_WIDTH)
    assert decoded.height >= images.rendition_size(width, height, images.LARGE_WIDTH)[1]


def test_a_large_photo_is_not_decoded_whole_for_its_renditions() -> None:
    assert images.read(encoded(Image.new("RGB", (3840, 5120))), short_side=images.RENDITION_SIDE).image.size == (
        960,
        1280,
    )


def test_fine_detail_survives_in_both_renditions() -> None:
    checks = (np.indices((1280, 960)) // 4).sum(axis=0) % 2 * 255
    thumbnail, large = (np.asarray(made.convert("L")) for made in renditions(encoded(
        Image.fromarray(checks.astype(np.uint8)).convert("RGB"), "PNG")))  # fmt: skip
    assert large.std() > 100
    assert thumbnail.std() > 100


def test_a_turned_photo_has_upright_renditions() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    sizes = [rendition.size for rendition in renditions(encoded(drawn(1600, 1200), exif=exif.tobytes()))]
    assert sizes == [(480, 640), (960, 1280)]


@pytest.mark.parametrize(("max_side", "size"), [(60, (60, 40)), (1000, (WIDTH, HEIGHT))])
def test_encoding_keeps_to_the_longer_side(max_side: int, size: tuple[int, int]) -> None:
    assert Image.open(io.BytesIO(images.encode(drawn(), max_side))).size == size


def test_nothing_of_the_senders_metadata_is_written() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "Secret artist"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (48.0, 8.0, 14.0)
    data = encoded(drawn(), exif=exif.tobytes(), comment=b"Secret comment", xmp=b"Secret xmp", dpi=(301, 301))
    assert b"Secret artist" in data
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "Secret text")
    unclean = Image.open(io.BytesIO(encoded(drawn(), "PNG", pnginfo=text)))
    unclean.info["comment"] = b"Secret comment"
    picture = images.read(data)
    for written in (images.encode(picture.image, 60), images.encode(picture.image, 1000),
                    images.renditions(picture).thumbnail, images.encode(unclean, 1000)):  # fmt: skip
        assert b"Secret" not in written
        assert not {"exif", "comment", "xmp", "icc_profile", "dpi"} & set(Image.open(io.BytesIO(written)).info)
