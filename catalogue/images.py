"""Bytes -> a validated, upright RGB picture. The only module that decodes pixels; it also makes thumbnails.

A file's name and declared type are ignored. Limits are checked before a pixel is decoded, and a refusal is a
sentence for the person who sent the file. `containers` and `isobmff` bound the cost of decoding by reading the
container, and a budget bounds the memory of all large pictures that are decoded at once. Everything here is
thread-safe: no setting of Pillow is changed.
"""

from __future__ import annotations

import functools
import io
import logging
import math
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
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

from catalogue import containers, isobmff
from catalogue.containers import Costly
from catalogue.memory import Budget, Exhausted

logger = logging.getLogger(__name__)

THUMBNAIL_WIDTH = 480
"""Pixels: twice a column of the grid on a desktop, for dense screens."""

LARGE_WIDTH = 2 * THUMBNAIL_WIDTH
"""Pixels: for a product's page, and the grid on a phone's dense screen."""

MIN_GAIN = 1.25
"""A large rendition is made if it is at least this many times as wide as the thumbnail."""

THUMBNAIL_QUALITY = 82
"""JPEG quality on libjpeg's scale: no visible loss at the size of a result tile."""

LARGE_QUALITY = 75
"""JPEG quality: no visible loss either, as it is mostly shown at half its size."""

STORED_QUALITY = 90
"""JPEG quality of stored query pictures: they are embedded again when the model changes."""


class ImageRefused(ValueError):
    """A file is refused as a picture. The message says why and what to do; `code` names the reason."""

    code = "refused"


class EmptyFile(ImageRefused):
    """The file is empty."""

    code = "empty"


class TooManyBytes(ImageRefused):
    """The file is larger than `Limits.max_bytes`."""

    code = "too_many_bytes"


class UnsupportedFormat(ImageRefused):
    """Not a picture, or in an unsupported format."""

    code = "unsupported_format"


class TooManyPixels(ImageRefused):
    """The picture has more than `Limits.max_pixels` pixels."""

    code = "too_many_pixels"


class TooSmall(ImageRefused):
    """A side of the picture is shorter than `Limits.min_side`."""

    code = "too_small"


class BrokenImage(ImageRefused):
    """The file starts like a picture but cannot be decoded: truncated, corrupt, or with a wrong header."""

    code = "broken"


class TooComplex(ImageRefused):
    """Decoding costs far more than the pixels justify: hundreds of scans or frames, or a rare variant."""

    code = "too_complex"


class DecoderBusy(ImageRefused):
    """Memory is full of large pictures that are being decoded. Trying again may help."""

    code = "busy"


@dataclass(frozen=True)
class Limits:
    """Limits of a picture: bytes of the file, pixels of the whole picture, pixels of its shorter side."""

    max_bytes: int = 10_000_000
    max_pixels: int = 50_000_000
    min_side: int = 32

    @classmethod
    def from_settings(cls) -> Self:
        """The site's limits: IMAGE_MAX_BYTES, IMAGE_MAX_PIXELS and IMAGE_MIN_SIDE."""
        return cls(
            max_bytes=settings.IMAGE_MAX_BYTES, max_pixels=settings.IMAGE_MAX_PIXELS, min_side=settings.IMAGE_MIN_SIDE
        )

    def check_bytes(self, count: int) -> None:
        """Raise EmptyFile or TooManyBytes if a file of `count` bytes is not accepted."""
        if count == 0:
            raise EmptyFile(_("This file is empty. Choose a picture and try again."))
        if count > self.max_bytes:
            raise TooManyBytes(
                _("This file is %(size)s MB; at most %(limit)s MB fit. Make it smaller and try again.")
                % {"size": _millions(count), "limit": _millions(self.max_bytes)}
            )

    def check_size(self, width: int, height: int) -> None:
        """Raise TooManyPixels or TooSmall if a picture of `width` x `height` pixels is not accepted."""
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
    check: Callable[[bytes, int], int] = lambda _data, _most_pixels: 0
    """Bounds the cost of decoding, and returns the bytes that it needs besides the picture itself."""

    def open(self, data: bytes) -> ImageFile.ImageFile:
        """Read the header with the format's own class instead of `Image.open`.

        So no other decoder can be reached, the size is known even if it is too large (`Image.open` raises first), a
        multi-picture JPEG stays a JPEG, and HEIF's library is loaded only for HEIF.
        """
        if self.plugin is None:
            from pillow_heif import HeifImageFile

            return HeifImageFile(io.BytesIO(data))  # type: ignore[no-any-return]
        return self.plugin(io.BytesIO(data))


class _WebPFile(WebPImagePlugin.WebPImageFile):
    """The first frame of a WebP. The others are never decoded."""

    def load_prepare(self) -> None:
        self._decoder = None  # frees two pictures; the frame has been copied
        super().load_prepare()


class _AvifFile(AvifImagePlugin.AvifImageFile):
    """The picture of an AVIF; of a sequence its still picture, which does not depend on other frames."""

    def _open(self) -> None:
        assert self.fp is not None  # noqa: S101 - for the type
        data = self.fp.read()
        self.fp = io.BytesIO(data[:8] + b"avif" + data[12:] if data[8:12] == b"avis" else data)
        super()._open()

    def load_prepare(self) -> None:
        self._decoder = None
        super().load_prepare()


_JPEG = _Format("JPEG", "image/jpeg", ".jpg", JpegImagePlugin.JpegImageFile, containers.check_jpeg)
_PNG = _Format("PNG", "image/png", ".png", PngImagePlugin.PngImageFile, containers.check_png)
_WEBP = _Format("WEBP", "image/webp", ".webp", _WebPFile)
_GIF = _Format("GIF", "image/gif", ".gif", GifImagePlugin.GifImageFile, containers.check_gif)
_AVIF = _Format("AVIF", "image/avif", ".avif", _AvifFile, isobmff.check)
_HEIF = _Format("HEIF", "image/heic", ".heic", None, isobmff.check)
_BMP = _Format("BMP", "image/bmp", ".bmp", BmpImagePlugin.BmpImageFile, containers.check_bmp)
_TIFF = _Format("TIFF", "image/tiff", ".tif", TiffImagePlugin.TiffImageFile, containers.check_tiff)

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
"""EXIF orientation (EXIF 2.32, tag 0x0112) -> the transposition that turns the pixels upright."""

_SWAPPING = {5, 6, 7, 8}


@dataclass(frozen=True, eq=False)
class Picture:
    """A decoded picture.

    `image` is sRGB, upright and without metadata, perhaps at a reduced scale. `width` and `height` are those of the
    upright original at full scale, in pixels. `format` is Pillow's name ("JPEG"), `orientation` that of the original
    (1 to 8, EXIF tag 0x0112), already applied.
    """

    image: Image.Image
    width: int
    height: int
    format: str
    content_type: str
    extension: str
    orientation: int = 1


REQUEST_WAIT = 1.0
"""Seconds that a request waits for memory to decode a large picture."""

STAFF_WAIT = 5.0
"""The same for staff, who may upload many pictures at once."""


def read(
    data: bytes, *, short_side: int | None = None, limits: Limits | None = None, wait: float | None = None
) -> Picture:
    """Decode a picture as `reading` does; its memory is counted only until it is returned."""
    with reading(data, short_side=short_side, limits=limits, wait=wait) as picture:
        return picture


@contextmanager
def reading(
    data: bytes, *, short_side: int | None = None, limits: Limits | None = None, wait: float | None = None
) -> Iterator[Picture]:
    """Decode a picture: JPEG, PNG, WebP, GIF, AVIF, HEIC, BMP or TIFF; of several frames, the first.

    Its memory is counted until the block ends: release the picture then, and do nothing slow in the block.

    `short_side` is the shorter side, in pixels, that the caller will resize to. A JPEG is then decoded at a reduced
    scale of at least twice that (for a network's 224, embeddings agree with those of full decoding to a cosine of
    .9998, in a seventh of the time). None decodes at full scale.

    `wait` is the maximum of seconds to wait while other large pictures are decoded; None waits without limit.

    Orientation is applied, transparency becomes white, and colours are converted to sRGB from any mode or embedded
    profile. `limits` are the site's own by default.

    Raises ImageRefused: EmptyFile, TooManyBytes, UnsupportedFormat, TooManyPixels, TooSmall, TooComplex, BrokenImage,
    or DecoderBusy after `wait` seconds.
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
    with ExitStack() as memory:
        with _refusing_undecodable(limits):
            beside = kind.check(data, limits.max_pixels)
            source = kind.open(data)
            size = source.size
            limits.check_size(*size)
            if kind is _JPEG and short_side is not None:
                source.draft(None, (2 * short_side, 2 * short_side))
            memory.enter_context(_reserve(_memory(kind, source, beside, short_side), wait))
            source.load()
            if kind is _HEIF:  # its header may differ from the decoded size
                size = source.size
                limits.check_size(*size)
            orientation = _orientation(source)
            image = _srgb(source, _reduction(source, short_side))
            del source
            if orientation in _ROTATIONS:
                image = image.transpose(_ROTATIONS[orientation])
        width, height = reversed(size) if orientation in _SWAPPING else size
        picture = Picture(image, width, height, kind.name, kind.content_type, kind.extension, orientation)
        del image
        yield picture


# Memory -----------------------------------------------------------------------------------------------------

MEMORY = 500_000_000
"""Bytes of all large pictures that one process decodes at a time."""

_SMALL = 100_000_000
"""Bytes of a picture that is not counted: 12 million pixels at full scale. JPEGs are decoded at a reduced scale, so
those of cameras never wait."""

_budget = Budget(MEMORY)

_SAMPLE_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}
"""Pillow's bytes per pixel, by mode; 4 in all others."""

_BESIDE = {"WEBP": 8, "AVIF": 4, "HEIF": 4}
"""Bytes per pixel that these decoders need at their peak besides the picture and its samples, for canvases and a
copy. Measured."""


def _memory(kind: _Format, source: ImageFile.ImageFile, beside: int, short_side: int | None) -> int:
    """About how many bytes decoding takes, up to the upright picture."""
    pixels = math.prod(source.size)
    stored = _SAMPLE_BYTES.get(source.mode, 4) + _BESIDE.get(kind.name, 0)
    return pixels * stored + beside + 4 * pixels // _reduction(source, short_side) ** 2


def _reserve(amount: int, wait: float | None) -> AbstractContextManager[None]:
    """Take memory for a large picture: at least half of the budget, so that at most two are decoded at once."""
    return nullcontext() if amount <= _SMALL else _budget.taking(max(amount, MEMORY // 2), wait)


def _reduction(image: Image.Image, short_side: int | None) -> int:
    """The factor that reduces a large picture to at least twice the short side; 1 for others."""
    if short_side is None or math.prod(image.size) <= _LARGE:
        return 1
    return max(1, min(image.size) // (2 * short_side))


_LARGE = 8_000_000
"""Pixels above which pictures are reduced right after decoding."""


@dataclass(frozen=True)
class Renditions:
    """A picture for pages: JPEGs without metadata, with the same aspect ratio, never enlarged."""

    thumbnail: bytes
    large: bytes | None
    """None if the picture is hardly larger than the thumbnail."""


RENDITION_SIDE = LARGE_WIDTH // 2
"""The `short_side` that is enough for the renditions."""


def renditions(picture: Picture) -> Renditions:
    """A picture's renditions at `THUMBNAIL_WIDTH` and `LARGE_WIDTH` (see `rendition_size`).

    The thumbnail is made from the large rendition, which is faster and looks the same.
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
    """Whether an original of this size gets a large rendition."""
    small, large = (rendition_size(width, height, limit)[0] for limit in (THUMBNAIL_WIDTH, LARGE_WIDTH))
    return large >= MIN_GAIN * small


def rendition_size(width: int, height: int, limit: int) -> tuple[int, int]:
    """Width and height of the rendition of an original of this size, at most `limit` pixels wide.

    Narrower originals keep their size. A rendition is at most 4 * `limit` pixels tall.
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
    # From headers with values of unexpected types or counts.
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
)
"""Errors of Pillow and libheif for bad files."""


@contextmanager
def _refusing_undecodable(limits: Limits) -> Iterator[None]:
    """Turn errors of Pillow and libheif into a refusal. Use it around decoding only, to hide no bug."""
    try:
        yield
    except ImageRefused:
        raise
    except (Exhausted, MemoryError) as error:
        raise DecoderBusy(
            _("The shop is processing many large pictures right now. Try again in a moment.")
        ) from error
    except Costly as error:
        if error.size is not None:
            limits.check_size(*error.size)
        logger.info("A picture was refused for what it would cost: %s", error)
        raise TooComplex(
            _(
                "This picture is stored in a way that takes too long to open. "
                "Save it again as an ordinary JPEG or PNG and try again."
            )
        ) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        # Pillow's own guard, for content that is larger than the header says (GIF frames, TIFF tiles).
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
    """The orientation of a loaded image, 1 to 8. Pillow and libheif have already turned TIFF and HEIF."""
    exif = image.info.get("exif") or b""
    try:
        with suppress(struct.error, LookupError):  # Pillow reads truncated EXIF as far as it can
            containers.check_directories(exif.removeprefix(b"Exif\0\0"))
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        return int(orientation) if orientation in _ROTATIONS else 1
    except (Costly, OSError, SyntaxError, ValueError, TypeError, LookupError, EOFError, struct.error):
        return 1  # damaged EXIF is no reason to refuse a picture


_BAND = 1_000_000
"""Pixels converted at once, so that a large picture is never in memory twice."""

_PLAIN = {"L", "RGB", "RGBA", "CMYK"}
"""Modes whose samples may be averaged directly."""


def _srgb(image: Image.Image, factor: int) -> Image.Image:
    """Any decoded mode -> sRGB on white, without metadata, reduced by the factor (sizes are rounded up)."""
    profile: bytes | None = image.info.get("icc_profile")
    transform = functools.cache(lambda mode: _transform(mode, profile))
    white = _white(image)
    converted = Image.new("RGB", (-(-image.width // factor), -(-image.height // factor)))
    for top, stored in _bands(image, factor):
        band = _eight_bit(stored, white)
        # Reduce first if the samples allow it: fewer pixels remain to be converted.
        early = factor if band.mode in _PLAIN else 1
        band = _opaque(_reduced(band, early))
        if (managed := transform(band.mode)) is not None:
            band = managed.apply(band)
        converted.paste(_reduced(band.convert("RGB"), factor // early), (0, top // factor))
    return converted


def _bands(image: Image.Image, factor: int = 1) -> Iterator[tuple[int, Image.Image]]:
    """Bands of a picture, in multiples of `factor` rows, each with its top row."""
    rows = max(1, _BAND // (image.width * factor)) * factor
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _reduced(image: Image.Image, factor: int) -> Image.Image:
    if factor == 1:
        return image
    reduced = image.reduce(factor)
    reduced.info = image.info  # has the transparent colour
    return reduced


def _white(image: Image.Image) -> float:
    """The white value of grey with more than eight bits.

    It is 65,535 for 16 bits. Other modes have no standard: the first of 1, 255 and 65,535 that is not below the
    brightest pixel, or else that pixel.
    """
    if image.mode not in {"I", "F"}:
        return 65_535
    brightest = image.getextrema()[1]
    if not (isinstance(brightest, (int, float)) and math.isfinite(brightest)):
        brightest = max(float(_finite(band).max()) for _top, band in _bands(image))
    return next((white for white in (1, 255, 65_535) if brightest <= white), brightest)


def _eight_bit(band: Image.Image, white: float) -> Image.Image:
    """16-bit, 32-bit and float grey -> L; other modes unchanged."""
    if band.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(band) >> 8).astype(np.uint8))
    if band.mode not in {"I", "F"}:
        return band
    values = _finite(band)
    values *= np.float32(255 / white)
    values += np.float32(0.5)
    return Image.fromarray(values.astype(np.uint8))


def _finite(band: Image.Image) -> npt.NDArray[np.float32]:
    """Values (h, w), float32, with 0 for negative, NaN and infinite ones."""
    values = np.asarray(band).astype(np.float32)
    np.fmax(values, np.float32(0), out=values)  # NaN becomes 0
    values[np.isposinf(values)] = 0
    return values


def _opaque(band: Image.Image) -> Image.Image:
    """RGB, CMYK or LAB, with transparency replaced by white."""
    if band.has_transparency_data:
        band = band.convert("RGBA")
        canvas = Image.new("RGB", band.size, "white")
        canvas.paste(band, mask=band.getchannel("A"))
        return canvas
    return band if band.mode in {"RGB", "CMYK", "LAB"} else band.convert("RGB")


_ELEMENTS = b"mpet"
"""Marks a profile with processing elements (ICC.1:2022, 10.16). It may have a million, and Little CMS runs each for
36,000 colours to make its table: 8 kB take five seconds. Such profiles are rare and ignored."""


def _transform(mode: str, profile: bytes | None) -> ImageCms.ImageCmsTransform | None:
    """The transform of RGB, CMYK or LAB to sRGB by the ICC profile; None without a usable one, or if it is sRGB."""
    if mode != "LAB" and (not profile or _ELEMENTS in profile):
        return None
    try:
        if mode == "LAB":
            source = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        else:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile or b""))
            described = source.profile.profile_description or ""
            if source.profile.xcolor_space.strip() != mode or "sRGB" in described:
                return None
        return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError):
        return None  # with a damaged profile, colours are less exact


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
    """In millions, with at most one decimal: 10, 12.3."""
    tenths = -(-value // 100_000)  # rounded up: one byte more must not look like the limit itself
    return number_format(tenths / 10, decimal_pos=1 if tenths % 10 else 0, force_grouping=True)
