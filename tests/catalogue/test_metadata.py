"""Stripping keeps pixels, profile and orientation, and nothing else."""

from __future__ import annotations

import io
import random
import struct
import time
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms, JpegImagePlugin

from catalogue import files, images, metadata
from tests.drawing import encoded, picture

SECRET = b"49.0511N 8.4037E Erika Mustermann"
TEXT = SECRET.decode()
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = (
    f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><dc:creator>{TEXT}</dc:creator>'
    '<rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
).encode()

DRAWN = picture(size=(120, 90))


def exif(orientation: int | None = None) -> Image.Exif:
    """What a camera writes: who, where, its own notes, and a preview."""
    made = Image.Exif()
    made[ExifTags.Base.Artist] = TEXT
    made[ExifTags.Base.ImageDescription] = TEXT
    made.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSAreaInformation] = SECRET
    made.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.MakerNote] = SECRET
    if orientation is not None:
        made[ExifTags.Base.Orientation] = orientation
    return made


def segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def riff(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


IPTC = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0" + struct.pack(">I", len(SECRET)) + SECRET
SEGMENTS = {
    "exif": segment(0xE1, b"Exif\0\0" + exif().tobytes()),
    "xmp": segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + f"<a>{TEXT}</a>".encode()),
    "iptc": segment(0xED, IPTC),
    "comment": segment(0xFE, SECRET),
    "more of JFIF": segment(0xE0, b"JFXX\0\x10" + SECRET),
    "second pictures": segment(0xE2, b"MPF\0" + SECRET),
    "something unknown": segment(0xEB, SECRET),
    "more of Adobe": segment(0xEE, b"Adobe\0\x64" + b"SECR" + b"\x01" + SECRET),
}
CHUNKS = {
    "text": chunk(b"tEXt", b"Author\0" + SECRET),
    "packed text": chunk(b"zTXt", b"Author\0\0" + zlib.compress(SECRET)),
    "Unicode text": chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + SECRET),
    "exif": chunk(b"eXIf", exif().tobytes()),
    "time": chunk(b"tIME", b"\x07\xe9\x01\x01\0\0\0"),
    "something unknown": chunk(b"seCr", SECRET),
}
EXTENSIONS = {
    "comment": b"\x21\xfe" + bytes([len(SECRET)]) + SECRET + b"\0",
    "xmp": b"\x21\xff\x0bXMP DataXMP" + bytes([len(SECRET)]) + SECRET + b"\0",
    "plain text": b"\x21\x01\x0c" + SECRET[:12] + bytes([len(SECRET)]) + SECRET + b"\0",
    "more of a loop": b"\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0" + bytes([len(SECRET)]) + SECRET + b"\0",
}


def with_segments(jpeg: bytes, *more: bytes) -> bytes:
    return jpeg[:2] + b"".join(more) + jpeg[2:]


def with_chunks(png: bytes, *more: bytes, at: int = 33) -> bytes:
    return png[:at] + b"".join(more) + png[at:]


def with_extensions(gif: bytes, *more: bytes) -> bytes:
    at = 13 + (3 << (gif[10] & 7) + 1 if gif[10] & 0x80 else 0)
    return gif[:at] + b"".join(more) + gif[at:]


def frames(count: int = 3) -> list[Image.Image]:
    return [picture(seed=seed, size=(120, 90)) for seed in range(count)]


def animated(format: str, **options: Any) -> bytes:  # noqa: A002
    first, *others = frames()
    return encoded(first, format, save_all=True, append_images=others, duration=80, loop=3, **options)


def _clean() -> dict[str, bytes]:
    """Pictures of every kind, without metadata."""
    rgb, alpha = DRAWN, DRAWN.copy()
    alpha.putalpha(Image.linear_gradient("L").resize(alpha.size))
    grey16 = Image.fromarray((np.arange(90 * 120, dtype=np.uint16) * 6).reshape(90, 120))
    return {
        "JPEG": encoded(rgb, quality=85),
        "progressive JPEG": encoded(rgb, progressive=True, quality=85),
        "JPEG with restarts": encoded(rgb, restart_marker_blocks=3),
        "grey JPEG": encoded(rgb.convert("L")),
        "CMYK JPEG": encoded(rgb.convert("CMYK")),
        "JPEG with a profile": encoded(rgb, icc_profile=PROFILE),
        "JPEG of RGB": encoded(rgb, keep_rgb=True),
        "PNG": encoded(rgb, "PNG"),
        "PNG with a profile": encoded(rgb, "PNG", icc_profile=PROFILE),
        "PNG of a palette": encoded(rgb.quantize(32), "PNG", transparency=3),
        "PNG with transparency": encoded(alpha, "PNG"),
        "PNG of 16 bits": encoded(grey16, "PNG"),
        "animated PNG": animated("PNG"),
        "WebP": encoded(rgb, "WEBP"),
        "lossless WebP": encoded(rgb, "WEBP", lossless=True),
        "WebP with a profile": encoded(rgb, "WEBP", icc_profile=PROFILE),
        "WebP with transparency": encoded(alpha, "WEBP"),
        "animated WebP": animated("WEBP"),
        "GIF": encoded(rgb.quantize(32), "GIF"),
        "GIF with transparency": encoded(rgb.quantize(32), "GIF", transparency=3),
        "animated GIF": animated("GIF"),
    }


CLEAN = _clean()


def dirty(data: bytes, orientation: int | None) -> bytes:
    """A picture with metadata at every place that its format has for them, and behind its end."""
    told = exif(orientation).tobytes()
    match images.read(data).format:
        case "JPEG":
            data = with_segments(data, segment(0xE1, b"Exif\0\0" + told), *SEGMENTS.values())
        case "PNG":
            data = with_chunks(data, chunk(b"eXIf", told), *(CHUNKS[name] for name in CHUNKS if name != "exif"))
        case "WEBP":
            data = with_riff(data, riff(b"EXIF", told), riff(b"XMP ", SECRET), riff(b"seCr", SECRET))
        case "GIF":
            data = with_extensions(data, *EXTENSIONS.values())
    return data + SECRET


def with_riff(webp: bytes, *more: bytes) -> bytes:
    """A WebP of the extended form, which says that it has EXIF and XMP, with more chunks at its end."""
    body = webp[12:]
    if not body.startswith(b"VP8X"):
        with Image.open(io.BytesIO(webp)) as opened:
            width, height = ((side - 1).to_bytes(3, "little") for side in opened.size)
        body = riff(b"VP8X", b"\0\0\0\0" + width + height) + body
    flags = bytes([body[8] | 0x0C])
    return riff(b"RIFF", b"WEBP" + body[:8] + flags + body[9:] + b"".join(more))


def stripped(data: bytes) -> bytes | None:
    picture_ = images.read(data)
    return metadata.without_metadata(data, picture_.format, picture_.orientation)


def opening(data: bytes) -> Image.Image:
    # Pillow's own opener would look at a JPEG's second pictures.
    return (
        JpegImagePlugin.JpegImageFile(io.BytesIO(data)) if data[:2] == b"\xff\xd8" else Image.open(io.BytesIO(data))
    )


def all_frames(data: bytes) -> list[Any]:
    """The pixels, modes, durations and profile as they are decoded."""
    with opening(data) as opened:
        seen: list[Any] = [opened.info.get("icc_profile"), opened.info.get("loop"), opened.info.get("transparency")]
        for number in range(getattr(opened, "n_frames", 1)):
            opened.seek(number)
            opened.load()
            seen.append((opened.mode, opened.size, opened.info.get("duration"), opened.tobytes()))
        return seen


def upright(data: bytes) -> Any:
    return np.asarray(images.read(data).image)


# Kept -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", [None, 1, 3, 6, 8])
@pytest.mark.parametrize("name", CLEAN)
def test_only_pixels_profile_and_orientation_stay(name: str, orientation: int | None) -> None:
    data = dirty(CLEAN[name], orientation)
    assert SECRET in data
    if "GIF" in name:
        orientation = None
    public = stripped(data)
    assert public is not None
    assert all_frames(public) == all_frames(data)
    assert np.array_equal(upright(public), upright(data))
    for word in (SECRET, b"Mustermann", b"tEXt", b"zTXt", b"iTXt", b"XMP ", b"Photoshop", b"MPF"):
        assert word not in public
    with Image.open(io.BytesIO(public)) as opened:
        opened.load()
        left = dict(opened.getexif())
    assert left == ({ExifTags.Base.Orientation: orientation} if orientation not in {None, 1} else {})
    assert len(public) <= len(data)


@pytest.mark.parametrize("name", CLEAN)
def test_a_clean_picture_stays_the_same(name: str) -> None:
    assert stripped(CLEAN[name]) == CLEAN[name]
    once = stripped(dirty(CLEAN[name], 6))
    assert once is not None
    assert stripped(once) == once


def test_an_orientation_in_xmp_stays_without_the_xmp() -> None:
    data = with_segments(encoded(DRAWN), segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP))
    public = stripped(data)
    assert public is not None
    assert SECRET not in public
    assert upright(public).shape == (120, 90, 3)
    assert np.array_equal(upright(public), upright(data))


def test_a_preview_in_a_jpeg_is_removed() -> None:
    preview = b"JFIF\0\x01\x02\0\0\x01\0\x01\x05\x05" + (SECRET * 3)[:75]
    data = encoded(DRAWN)
    at = data.index(b"\xff\xdb")
    public = stripped(data[:2] + segment(0xE0, preview) + data[at:])
    assert public is not None
    assert SECRET not in public
    assert np.array_equal(upright(public), upright(data))


def test_pictures_and_videos_after_the_first_are_removed() -> None:
    data = encoded(DRAWN)
    public = stripped(data + encoded(picture("hat")) + b"\0\0\0\x18ftypmp42" + SECRET)
    assert public == data


# Each kind of metadata ---------------------------------------------------------------------------------


@pytest.mark.parametrize("place", SEGMENTS)
@pytest.mark.parametrize("progressive", [False, True])
def test_removes_from_jpeg(place: str, progressive: bool) -> None:
    data = encoded(DRAWN, progressive=progressive)
    frame = data.index(b"\xff\xc2" if progressive else b"\xff\xc0")
    for at in (2, frame, data.rindex(b"\xff\xda"), len(data) - 2):
        dirty = data[:at] + SEGMENTS[place] + data[at:]
        public = stripped(dirty)
        assert public is not None
        assert SECRET not in public
        assert b"SECR" not in public
        assert np.array_equal(upright(public), upright(dirty))


@pytest.mark.parametrize("place", CHUNKS)
def test_removes_from_png(place: str) -> None:
    data = encoded(DRAWN, "PNG")
    for at in (33, data.index(b"IEND") - 4):
        assert stripped(with_chunks(data, CHUNKS[place], at=at)) == data


@pytest.mark.parametrize("place", EXTENSIONS)
def test_removes_from_gif(place: str) -> None:
    data = animated("GIF")
    public = stripped(with_extensions(data, EXTENSIONS[place]))
    assert public is not None
    assert SECRET not in public
    assert all_frames(public)[3:] == all_frames(data)[3:]


@pytest.mark.parametrize("kind", [b"EXIF", b"XMP ", b"seCr"])
def test_removes_from_webp(kind: bytes) -> None:
    data = encoded(DRAWN, "WEBP", icc_profile=PROFILE)
    body = data[8:] + riff(kind, exif().tobytes() if kind == b"EXIF" else SECRET)
    body = body[:12] + bytes([body[12] | 0x0C]) + body[13:]
    assert stripped(riff(b"RIFF", body) + SECRET) == data


def test_removes_unknown_chunks_from_the_frames_of_an_animated_webp() -> None:
    data = animated("WEBP")
    at = data.index(b"ANMF")
    length = struct.unpack("<I", data[at + 4 : at + 8])[0]
    frame = data[at + 8 : at + 8 + length]
    dirty = data[8:at] + riff(b"ANMF", frame + riff(b"seCr", SECRET)) + data[at + 8 + length + length % 2 :]
    assert stripped(riff(b"RIFF", dirty)) == data


# Not stripped ---------------------------------------------------------------------------------


@pytest.mark.parametrize("format_", ["TIFF", "BMP", "AVIF", "HEIF"])
def test_other_formats_are_left_alone(format_: str) -> None:
    if format_ == "HEIF":
        from pillow_heif import register_heif_opener

        register_heif_opener()
    assert stripped(encoded(DRAWN, format_)) is None


@pytest.mark.parametrize(
    "data",
    [
        encoded(DRAWN)[:-2] + SECRET,  # the end of the scan is missing
        encoded(DRAWN)[:2] + SECRET + encoded(DRAWN)[2:],  # libjpeg skips what stands between segments
        encoded(DRAWN)[:2] + b"\xff\x01" + encoded(DRAWN)[2:],
        with_chunks(encoded(DRAWN, "PNG"), chunk(b"SECR", SECRET)),
        with_chunks(encoded(DRAWN, "PNG"), chunk(b"gAMA", SECRET)),
        encoded(DRAWN.quantize(32), "GIF")[:-1] + SECRET,
    ],
)
def test_malformed_files_are_not_stripped(data: bytes) -> None:
    for format_ in ("JPEG", "PNG", "WEBP", "GIF"):
        assert metadata.without_metadata(data, format_) is None


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of EXIF that is damaged
@given(st.data())
@settings(max_examples=300)
def test_damaged_files_leak_no_secret(data: st.DataObject) -> None:
    """Bytes are changed, taken out and put in, wherever it may be."""
    name = data.draw(st.sampled_from(sorted(SOURCES)))
    whole = bytearray(SOURCES[name])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(whole) - 1))
        match data.draw(st.sampled_from(["change", "cut", "insert"])):
            case "change":
                whole[at] = data.draw(st.integers(0, 255))
            case "cut":
                del whole[at : at + data.draw(st.integers(1, 40))]
            case "insert":
                whole[at:at] = data.draw(st.binary(min_size=1, max_size=8))
    try:
        prepared = files.prepare(bytes(whole))
    except images.ImageRefused:
        return
    public = {column: content for column, _name, content in prepared.files if prepared.stripped or column != "file"}
    if "file" in public:
        assert SECRET not in public["file"].replace(b"\0", b"")
        assert np.array_equal(upright(public["file"]), upright(bytes(whole)))
    for content in public.values():
        assert b"Mustermann" not in content


def _sources() -> dict[str, bytes]:
    """Small pictures with secrets, of each format."""
    small = picture(size=(40, 34))
    return {
        "JPEG": dirty(encoded(small), 6),
        "progressive": dirty(encoded(small, progressive=True, icc_profile=PROFILE), None),
        "PNG": dirty(encoded(small, "PNG"), 6),
        "WEBP": dirty(encoded(small, "WEBP", icc_profile=PROFILE), 6),
        "GIF": dirty(encoded(small.quantize(16), "GIF"), None),
    }


SOURCES = _sources()


# Cost ----------------------------------------------------------------------------------------------


def _costly() -> dict[str, tuple[str, bytes, bytes, bytes]]:
    """The slowest files for their size, as format, head, repeated part and end."""
    jpeg, png = encoded(DRAWN), encoded(DRAWN, "PNG")
    gif = encoded(DRAWN.quantize(32), "GIF")
    webp = encoded(DRAWN, "WEBP", icc_profile=PROFILE)
    scan = jpeg.rindex(b"\xff\xda")
    return {
        "markers": ("JPEG", jpeg[:2], b"\xff\xfe\x00\x02", jpeg[2:]),
        "fill bytes": ("JPEG", jpeg[:2], b"\xff" * 64, jpeg[2:]),
        "a scan of stuffing": ("JPEG", jpeg[:-2], b"\xff\x00", jpeg[-2:]),
        "scans": ("JPEG", jpeg[:scan], jpeg[scan : scan + 14], jpeg[scan:]),
        "chunks": ("PNG", png[:33], chunk(b"seCr", b""), png[33:]),
        "blocks": ("GIF", gif[:-1], b"\x21\xfe\x01a\x00", gif[-1:]),
        "short blocks": ("GIF", gif[:-1] + b"\x21\xfe", b"\x01a", b"\x00" + gif[-1:]),
        "riff": ("WEBP", webp, riff(b"seCr", b""), b""),
    }


@pytest.mark.parametrize("name", _costly())
def test_the_cost_is_linear_in_the_bytes(name: str) -> None:
    format_, head, part, end = _costly()[name]

    def seconds(size: int) -> float:
        data = head + part * ((size - len(head) - len(end)) // len(part)) + end
        if format_ == "WEBP":
            data = data[:4] + struct.pack("<I", len(data) - 8) + data[8:]
        best = float("inf")
        for _ in range(3):
            start = time.process_time()
            assert metadata.without_metadata(data, format_) is not None
            best = min(best, time.process_time() - start)
        return best

    small, large = seconds(100_000), seconds(800_000)
    assert large < 4 * 8 * max(small, 0.001), "eight times the bytes took far more than eight times as long"
    assert large < 2, "0.8 MB took far more than 0.2 seconds"


def test_stripping_is_cheap_compared_to_decoding() -> None:
    noise = Image.frombytes("RGB", (2_000, 2_000), random.Random(1).randbytes(12_000_000))
    data = encoded(noise, quality=90, exif=exif(6).tobytes())
    start = time.process_time()
    images.read(data)
    decoding = time.process_time() - start
    start = time.process_time()
    assert metadata.without_metadata(data, "JPEG", 6) is not None
    assert time.process_time() - start < decoding / 2
