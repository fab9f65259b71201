"""Bytes -> an upright RGB picture, checked. The only place that decodes pixels; also makes thumbnails.

Whatever a shopper or a supplier sends arrives here first: the file's name and its declared type are never
looked at, limits are checked before a pixel is decoded, and a refusal is a sentence for the person who sent
the file. Everything here is safe to call from several threads: no setting of Pillow's is changed.
"""

from __future__ import annotations

import io
import math
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Self

import numpy as np
from django.conf import settings
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    ExifTags,
    GifImagePlugin,
    Image,
    ImageCms,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

THUMBNAIL_WIDTH = 480
"""Pixels: a column of the grid on a desk, twice over for dense screens."""

LARGE_WIDTH = 2 * THUMBNAIL_WIDTH
"""Pixels: a product's page, and a column of the grid on a phone's dense screen."""

LEAST_GAIN = 1.25
"""How much wider than the thumbnail the large rendition has to be to be worth its file."""

THUMBNAIL_QUALITY = 82
"""JPEG quality, libjpeg's scale: no visible loss at the size of a result tile."""

LARGE_QUALITY = 75
"""JPEG quality of what is mostly shown at half its size, where the loss is not seen either."""

STORED_QUALITY = 90
"""JPEG quality of stored query pictures: they are embedded again when the model changes."""


class ImageRefused(ValueError):
    """A file is not taken as a picture. The message says why and what to do; `code` names the reason."""

    code = "refused"


class EmptyFile(ImageRefused):
    """There are no bytes."""

    code = "empty"


class TooManyBytes(ImageRefused):
    """The file is larger than `Limits.max_bytes`."""

    code = "too_many_bytes"


class UnsupportedFormat(ImageRefused):
    """Not a picture at all, or one in a format that is not decoded here."""

    code = "unsupported_format"


class TooManyPixels(ImageRefused):
    """The picture has more than `Limits.max_pixels` pixels."""

    code = "too_many_pixels"


class TooSmall(ImageRefused):
    """A side of the picture is shorter than `Limits.min_side`."""

    code = "too_small"


class BrokenImage(ImageRefused):
    """The file begins like a picture but cannot be decoded: cut off, corrupt, or its header lies."""

    code = "broken"


@dataclass(frozen=True)
class Limits:
    """What is accepted: bytes of the file, pixels of the whole picture, pixels of its shorter side."""

    max_bytes: int = 10_000_000
    max_pixels: int = 50_000_000
    min_side: int = 32

    @classmethod
    def from_settings(cls) -> Self:
        """The site's limits: IMAGE_MAX_BYTES, IMAGE_MAX_PIXELS and IMAGE_MIN_SIDE."""
        return cls(
            max_bytes=settings.IMAGE_MAX_BYTES,
            max_pixels=settings.IMAGE_MAX_PIXELS,
            min_side=settings.IMAGE_MIN_SIDE,
        )

    def check_bytes(self, count: int) -> None:
        """Raise EmptyFile or TooManyBytes when a file of `count` bytes is not accepted."""
        if count == 0:
            raise EmptyFile(_("This file is empty. Choose a picture and try again."))
        if count > self.max_bytes:
            raise TooManyBytes(
                _("This file is %(size)s MB; at most %(limit)s MB fit. Make it smaller and try again.")
                % {"size": _millions(count), "limit": _millions(self.max_bytes)}
            )

    def check_size(self, width: int, height: int) -> None:
        """Raise TooManyPixels or TooSmall when a picture of `width` x `height` pixels is not accepted."""
        if width * height > self.max_pixels:
            raise TooManyPixels(
                _(
                    "This picture is %(width)s x %(height)s pixels; at most %(limit)s million fit. "
                    "Make it smaller and try again."
                )
                % {"width": _count(width), "height": _count(height), "limit": _millions(self.max_pixels)}
            )
        if min(width, height) < self.min_side:
            raise TooSmall(
                _(
                    "This picture is %(width)s x %(height)s pixels; each side needs at least %(limit)s. "
                    "Choose a larger one."
                )
                % {"width": _count(width), "height": _count(height), "limit": _count(self.min_side)}
            )


@dataclass(frozen=True)
class _Format:
    name: str
    content_type: str
    extension: str
    plugin: type[ImageFile.ImageFile] | None

    def open(self, data: bytes) -> ImageFile.ImageFile:
        """Read the header.

        The format's own class is called rather than `Image.open`: no other decoder can be reached, the size
        is known however large it is (`Image.open` raises before it can be told), a multi-picture JPEG stays
        a JPEG, and HEIF's library is loaded only for HEIF.
        """
        if self.plugin is None:
            from pillow_heif import HeifImageFile

            return HeifImageFile(io.BytesIO(data))  # type: ignore[no-any-return]
        return self.plugin(io.BytesIO(data))


_JPEG = _Format("JPEG", "image/jpeg", ".jpg", JpegImagePlugin.JpegImageFile)
_PNG = _Format("PNG", "image/png", ".png", PngImagePlugin.PngImageFile)
_WEBP = _Format("WEBP", "image/webp", ".webp", WebPImagePlugin.WebPImageFile)
_GIF = _Format("GIF", "image/gif", ".gif", GifImagePlugin.GifImageFile)
_AVIF = _Format("AVIF", "image/avif", ".avif", AvifImagePlugin.AvifImageFile)
_HEIF = _Format("HEIF", "image/heic", ".heic", None)
_BMP = _Format("BMP", "image/bmp", ".bmp", BmpImagePlugin.BmpImageFile)
_TIFF = _Format("TIFF", "image/tiff", ".tif", TiffImagePlugin.TiffImageFile)

_SIGNATURES = (
    (b"\xff\xd8\xff", _JPEG),
    (b"\x89PNG\r\n\x1a\n", _PNG),
    (b"GIF87a", _GIF),
    (b"GIF89a", _GIF),
    (b"BM", _BMP),
    (b"II*\0", _TIFF),
    (b"MM\0*", _TIFF),
    (b"II+\0", _TIFF),  # BigTIFF
    (b"MM\0+", _TIFF),
)

# Brands of ISO 14496-12 file type boxes. `mif1` and `msf1` only say "a picture in this container",
# so for them the compatible brands decide.
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}

_ROTATIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> what turns the stored pixels upright (EXIF 2.32, tag 0x0112)."""

_SWAPPING = {5, 6, 7, 8}


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture.

    `image` is RGB, sRGB, upright and without metadata, perhaps decoded at a reduced scale; `width` and
    `height` are those of the upright original at full scale, in pixels. `format` is Pillow's name ("JPEG"),
    `orientation` what the original's metadata said of it (1 to 8, EXIF tag 0x0112), which is done.
    """

    image: Image.Image
    width: int
    height: int
    format: str
    content_type: str
    extension: str
    orientation: int = 1


def read(data: bytes, *, short_side: int | None = None, limits: Limits | None = None) -> Picture:
    """Decode a picture: JPEG, PNG, WebP, GIF, AVIF, HEIC, BMP or TIFF; of several frames, the first.

    `short_side` is the shorter side, in pixels, that the caller will resize to. A JPEG is then decoded at a
    reduced scale that leaves at least twice that (for a network's 224, the embeddings agree with those of
    full decoding to a cosine of .9998, in a seventh of the time). None decodes at full scale.

    Orientation is honoured, transparency is laid on white, and colours come out as sRGB whatever the file's
    mode or embedded profile. `limits` are the site's own unless given.

    Raises ImageRefused: EmptyFile, TooManyBytes, UnsupportedFormat, TooManyPixels, TooSmall or BrokenImage.
    """
    limits = limits or Limits.from_settings()
    limits.check_bytes(len(data))
    kind = _sniff(data)
    if kind is None:
        raise UnsupportedFormat(
            _(
                "This file is not a picture in a known format. "
                "Use JPEG, PNG, WebP, GIF, AVIF, HEIC, BMP or TIFF and try again."
            )
        )
    with _refusing_what_cannot_be_decoded(limits):
        source = kind.open(data)
        width, height = source.size
        limits.check_size(width, height)
        if kind is _JPEG and short_side is not None:
            source.draft(None, (2 * short_side, 2 * short_side))
        with _one_at_a_time if math.prod(source.size) > _LARGE else nullcontext():
            source.load()
            if kind is _HEIF:  # its header need not agree with what is decoded
                width, height = source.size
                limits.check_size(width, height)
            orientation = _orientation(source)
            image = _srgb(_reduced(source, short_side))
    if orientation in _ROTATIONS:
        image = image.transpose(_ROTATIONS[orientation])
    if orientation in _SWAPPING:
        width, height = height, width
    return Picture(image, width, height, kind.name, kind.content_type, kind.extension, orientation)


_LARGE = 8_000_000
"""Pixels above which pictures are decoded one at a time: each holds several copies of itself while it is."""

_one_at_a_time = threading.Lock()


def _reduced(image: Image.Image, short_side: int | None) -> Image.Image:
    """A large picture of plain samples at a whole fraction of its size that leaves at least twice the short side."""
    if short_side is None or image.mode not in {"L", "RGB", "RGBA", "CMYK"}:
        return image
    factor = min(image.size) // (2 * short_side)
    if factor < 2 or math.prod(image.size) <= _LARGE:  # noqa: PLR2004
        return image
    reduced = image.reduce(factor)
    reduced.info = image.info  # the profile and what else converting asks for
    return reduced


@dataclass(frozen=True)
class Renditions:
    """A picture as pages show it: JPEGs without metadata, aspect kept, never enlarged."""

    thumbnail: bytes
    large: bytes | None
    """None where the picture has hardly more pixels than the thumbnail."""


def read_for_renditions(data: bytes) -> Picture:
    """Decode a picture no larger than its renditions need. Raises ImageRefused, as `read` does."""
    return read(data, short_side=LARGE_WIDTH // 2)


def renditions(picture: Picture) -> Renditions:
    """A picture's renditions, of the sizes that `rendition_size` gives for `THUMBNAIL_WIDTH` and `LARGE_WIDTH`.

    The smaller is made from the larger, which takes less time than from the picture and looks the same.
    """
    small = rendition_size(picture.width, picture.height, THUMBNAIL_WIDTH)
    large = rendition_size(picture.width, picture.height, LARGE_WIDTH)
    if not has_large(picture.width, picture.height):
        return Renditions(_jpeg(_resized(picture.image, small), THUMBNAIL_QUALITY, optimize=True), None)
    image = _resized(picture.image, large)
    return Renditions(
        thumbnail=_jpeg(_resized(image, small), THUMBNAIL_QUALITY, optimize=True),
        large=_jpeg(image, LARGE_QUALITY, optimize=True),
    )


def has_large(width: int, height: int) -> bool:
    """Whether an original of this size has so many pixels that a large rendition is made."""
    small, large = (rendition_size(width, height, limit)[0] for limit in (THUMBNAIL_WIDTH, LARGE_WIDTH))
    return large >= LEAST_GAIN * small


def rendition_size(width: int, height: int, limit: int) -> tuple[int, int]:
    """Width and height of the rendition that is `limit` pixels wide, of an original of this size.

    An original that is narrower keeps its size. Only one that would be more than four times as tall as wide is made
    narrower, to stay within that height.
    """
    scale = min(1.0, limit / width, 4 * limit / height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def encode(image: Image.Image, max_side: int) -> bytes:
    """An RGB image as a JPEG whose longer side is at most `max_side` pixels, without any metadata."""
    scale = min(1.0, max_side / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return _jpeg(_resized(image, size), STORED_QUALITY)


def _sniff(data: bytes) -> _Format | None:
    for signature, kind in _SIGNATURES:
        if data.startswith(signature):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _WEBP
    if data[4:8] == b"ftyp":
        end = min(int.from_bytes(data[:4], "big"), 256)
        brands = {data[8:12]} | {data[at : at + 4] for at in range(16, end, 4)}
        if data[8:12] in _AVIF_BRANDS or (data[8:12] in {b"mif1", b"msf1"} and brands & _AVIF_BRANDS):
            return _AVIF
        if data[8:12] in _HEIF_BRANDS:
            return _HEIF
    return None


_UNDECODABLE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    RuntimeError,
    struct.error,
    zlib.error,
    # Of headers whose values are of another kind or number than Pillow's plugins take for granted.
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
)
"""What Pillow and libheif raise on bad files."""


@contextmanager
def _refusing_what_cannot_be_decoded(limits: Limits) -> Iterator[None]:
    """Turn what Pillow and libheif raise on bad files into a refusal. For decoding only, to hide no bug."""
    try:
        yield
    except ImageRefused:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        # Pillow's own guard, for what is larger inside than the header says (GIF frames, TIFF tiles).
        raise TooManyPixels(
            _("This picture has more than %(limit)s million pixels. Make it smaller and try again.")
            % {"limit": _millions(limits.max_pixels)}
        ) from error
    except _UNDECODABLE as error:
        raise BrokenImage(
            _(
                "This picture is damaged or incomplete and cannot be opened. "
                "Save or export it again, or choose another."
            )
        ) from error


def _orientation(image: Image.Image) -> int:
    """How a loaded image has to be turned, 1 to 8. Pillow and libheif have turned TIFF and HEIF themselves by now."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        return int(orientation) if orientation in _ROTATIONS else 1
    except (OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, struct.error):
        return 1  # damaged EXIF is no reason to refuse a picture that can be seen


def _srgb(image: Image.Image) -> Image.Image:
    """Any mode that the decoders give -> RGB in sRGB, on white where transparent, without metadata."""
    profile = image.info.get("icc_profile")
    if image.mode in {"I", "F"} or image.mode.startswith("I;16"):
        image = _eight_bit(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        canvas = Image.new("RGB", image.size, "white")
        canvas.paste(image, mask=image.getchannel("A"))
        image = canvas
    elif image.mode not in {"RGB", "CMYK", "LAB"}:
        image = image.convert("RGB")
    image = _colour_managed(image, profile)
    image.info = {}
    return image


def _eight_bit(image: Image.Image) -> Image.Image:
    """16-bit, 32-bit and float grey -> L.

    16 bits have their white at 65,535. The others have no agreed white: it is the first of 1, 255 and 65,535
    that is not below the brightest pixel, or else that pixel.
    """
    values = np.asarray(image)
    if image.mode.startswith("I;16"):
        return Image.fromarray((values >> 8).astype(np.uint8))
    values = np.nan_to_num(values.astype(np.float32), nan=0, posinf=0, neginf=0).clip(min=0)
    brightest = float(values.max())
    white = next((white for white in (1, 255, 65_535) if brightest <= white), brightest)
    return Image.fromarray((values * np.float32(255 / white) + np.float32(0.5)).astype(np.uint8))


def _colour_managed(image: Image.Image, profile: bytes | None) -> Image.Image:
    """RGB, CMYK or LAB -> sRGB, by the embedded ICC profile where there is a usable one that is not sRGB."""
    if image.mode != "LAB" and not profile:
        return image.convert("RGB")
    try:
        if image.mode == "LAB":
            source = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        else:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile or b""))
            described = source.profile.profile_description or ""
            if source.profile.xcolor_space.strip() != image.mode or "sRGB" in described:
                return image.convert("RGB")
        transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), image.mode, "RGB")
    except (ImageCms.PyCMSError, OSError):
        return image.convert("RGB")  # a damaged profile costs some fidelity of colour, not the picture
    return transform.apply(image)


def _resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    resized = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    resized.info = {}
    return resized


def _jpeg(image: Image.Image, quality: int, *, optimize: bool = False) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, optimize=optimize)
    return buffer.getvalue()


def _count(value: int) -> str:
    return number_format(value, force_grouping=True)


def _millions(value: int) -> str:
    """In millions, with a tenth where there is one: 10, 12.3."""
    tenths = -(-value // 100_000)  # rounded up: one byte over the limit must not read as the limit itself
    return number_format(tenths / 10, decimal_pos=1 if tenths % 10 else 0, force_grouping=True)
