"""Bounds the cost of decoding a picture by reading its container, without decoding a pixel.

`images` limits pixels, but a small file can still cause far more work than its pixels justify: repeated passes,
invisible layers, millions of empty blocks. Each function here walks one container in linear time, raises `Costly`
beyond a limit, and returns the bytes of memory that the decoder needs besides the picture itself. For a damaged file
it may raise ValueError, ArithmeticError, LookupError or struct.error. The decoder decides whether a file is valid.

The limits are far above what cameras and editors write. `python -m benchmarks.decoding` measures the worst cases
within them.
"""

from __future__ import annotations

import re
import struct
from contextlib import suppress
from dataclasses import dataclass

MAX_PASSES = 25
"""Samples of all scans of a JPEG, times `max_pixels`. Decoders take about 1 ns per sample, so about a second at 50
million pixels. A camera's JPEG has one scan of 1.5 to 3 samples per pixel; libjpeg's progressive ones have 14 in
colour and 24 in CMYK (`jpeg_simple_progression`)."""

MAX_SCANS = 500
"""Scans of one JPEG, however small: each has a header and tables too."""

MAX_SEGMENTS = 2_000
"""Segments of a JPEG. Each has at most 64 kB, so an ordinary 10 MB file has at most 150, besides its scans."""

MAX_FILLING = 64_000
"""Bytes between the first segments of a JPEG, which Pillow reads one by one."""

MAX_BYTES_PER_PIXEL = 4
"""Bytes of the unpacked rows of a PNG or TIFF, times `max_pixels`: 50 million pixels with transparency, or 25 million
with four channels of 16 bits."""

MAX_CHUNKS = 10_000
"""Chunks of a PNG. Encoders write chunks of at least 8 kB (libpng's default): 1,250 in 10 MB."""

MAX_PACKED = 64
"""Compressed chunks of a PNG besides its pixels: a profile and texts. Editors write fewer than ten. Pillow unpacks up
to 1 MB of each, in 3 ms, and does not count profiles or texts with a wrong checksum."""

MAX_BLOCKS = 50_000
"""Blocks of a GIF before its first frame, of up to 255 bytes each. Ordinary files have some tens."""

MAX_RUNS = 3_000_000
"""Pixels and bytes of a run-length encoded BMP, which Pillow decodes in Python at up to 180 ns each."""

MAX_VALUES = 50_000
"""Values of a TIFF's field, such as strips or tiles, except plain bytes."""

MAX_FIELDS = 2_000
"""Fields of a directory of TIFF or EXIF."""


class Costly(Exception):
    """Decoding would cost too much. The message is for the log; `size` is the picture's width and height according to
    its file, if known: it may exceed the limits anyway."""

    def __init__(self, message: str, size: tuple[int, int] | None = None) -> None:
        super().__init__(message)
        self.size = size


# JPEG (ITU-T T.81) ------------------------------------------------------------------------------------------

_SOI, _EOI, _SOS, _DHT, _JPG, _DAC = 0xD8, 0xD9, 0xDA, 0xC4, 0xC8, 0xCC
_FRAMES = range(0xC0, 0xD0)  # except DHT, JPG and DAC
_HUFFMAN = {0xC0, 0xC1, 0xC2}
"""Baseline, extended and progressive. Browsers do not support the others (arithmetic, lossless, hierarchical)."""

_PROGRESSIVE = 0xC2

# Excludes a stuffed 0xFF in the pixels' data, restart markers and fill bytes.
_MARKER = re.compile(rb"\xff([\xc0-\xcf\xd8-\xfe])")


@dataclass
class _Frame:
    size: tuple[int, int]
    components: dict[int, int]
    """The samples of each component in a unit of the frame, by name."""
    progressive: bool

    @classmethod
    def read(cls, marker: int, header: bytes) -> _Frame:
        _bits, height, width, count = struct.unpack_from(">BHHB", header)
        components = {header[at]: (header[at + 1] >> 4) * (header[at + 1] & 15) for at in range(6, 6 + 3 * count, 3)}
        return cls((width, height), components, marker == _PROGRESSIVE)

    def samples(self, names: bytes) -> int:
        """The samples of a scan of these components."""
        width, height = self.size
        unit = max(self.components.values(), default=1) or 1  # zero in a damaged header
        return sum(width * height * self.components.get(name, unit) // unit for name in names)


def check_jpeg(data: bytes, most_pixels: int) -> int:
    """Bound the scans of a JPEG and the segments before them. Returns the memory of the coefficients, if they are
    kept until the last scan."""
    return _check_scans(data, most_pixels)[1]


def _check_scans(data: bytes, most_pixels: int, samples: int = 0) -> tuple[int, int]:
    """The samples of all scans, added to those of other JPEGs, and the memory of the coefficients."""
    frame: _Frame | None = None
    scans = segments = filling = memory = 0
    at = 2
    while (found := _MARKER.search(data, at)) is not None:
        marker = found[1][0]
        if scans == 0:
            filling += found.start() - at
        segments += 1
        if segments > MAX_SEGMENTS or filling > MAX_FILLING:
            raise Costly(f"{segments} segments of a JPEG, {filling} bytes between them")
        at = found.end()
        if marker in {_SOI, _EOI}:
            if marker == _EOI and scans:
                break  # not part of the picture any more
            continue
        length = max(2, int.from_bytes(data[at : at + 2], "big"))
        header = data[at + 2 : at + length]
        at += length
        if marker in _FRAMES and marker not in {_DHT, _JPG, _DAC}:
            if scans:
                break  # decoders stop at a second frame
            if marker not in _HUFFMAN:
                raise Costly(f"a JPEG of the kind SOF{marker - 0xC0}")
            frame = _Frame.read(marker, header)
        elif marker == _SOS and frame is not None:
            scans += 1
            names = header[1 : 1 + 2 * header[0] : 2]
            samples += frame.samples(names)
            if scans > MAX_SCANS or samples > MAX_PASSES * most_pixels:
                raise Costly(f"{scans} scans of a JPEG over {samples} samples", frame.size)
            if frame.progressive or len(names) < len(frame.components):
                memory = 2 * frame.samples(bytes(frame.components))
    return samples, memory


# PNG (ISO 15948) --------------------------------------------------------------------------------------------

_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Channels of each colour type."""

_PACKED = {b"iCCP", b"iTXt", b"zTXt"}
"""Chunks that Pillow unpacks when it opens a file. (The text of iTXt may be uncompressed.)"""


def check_png(data: bytes, most_pixels: int) -> int:
    """Bound the chunks of a PNG, its compressed ones, and the bytes of its rows, interlaced or not. Only the first
    frame is read."""
    at, chunks, packed = 8, 0, 0
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        chunks += 1
        if chunks > MAX_CHUNKS:
            raise Costly(f"more than {MAX_CHUNKS} chunks of a PNG")
        packed += name in _PACKED
        if packed > MAX_PACKED:
            raise Costly(f"more than {MAX_PACKED} compressed chunks beside the pixels of a PNG")
        if name == b"IHDR":
            width, height, bits, colour = struct.unpack_from(">IIBB", data, at + 8)
            row = 1 + (width * bits * _SAMPLES[colour] + 7) // 8
            if row * height > MAX_BYTES_PER_PIXEL * most_pixels + height:
                raise Costly(f"rows of {row * height} bytes of a PNG", (width, height))
        at += 12 + length
    return 0


# GIF (89a) --------------------------------------------------------------------------------------------------

_EXTENSION, _FRAME, _TRAILER = b"!,;"


def check_gif(data: bytes, most_pixels: int) -> int:
    """Bound the blocks of a GIF before its first frame. Only that is read."""
    at = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
    blocks = 0
    while data[at] not in {_FRAME, _TRAILER}:
        if data[at] == _EXTENSION:
            at += 1
            while (length := data[at + 1]) and blocks <= MAX_BLOCKS:
                at += 1 + length
                blocks += 1
            at += 1
        at += 1
        blocks += 1
        if blocks > MAX_BLOCKS:
            raise Costly(f"more than {MAX_BLOCKS} blocks of a GIF")
    return 0


# BMP --------------------------------------------------------------------------------------------------------

_INFO_HEADER = 40
"""Bytes of the first BMP header that allows compression."""

_RLE = {1, 2}


def check_bmp(data: bytes, most_pixels: int) -> int:
    """Bound a BMP with run-length encoding."""
    size, width, height, _planes, _bits, compression = struct.unpack_from("<IiiHHI", data, 14)
    if size >= _INFO_HEADER and compression in _RLE and abs(width * height) + len(data) > MAX_RUNS:
        raise Costly(f"a run-length encoded BMP of {len(data)} bytes", (width, abs(height)))
    return 0


# TIFF 6.0, and EXIF in any format ---------------------------------------------------------------------------

_COMPRESSIONS = {1, 2, 3, 4, 5, 7, 8, 32_773, 32_946}
"""None, CCITT (2 to 4), LZW, JPEG, Deflate (two numbers) and PackBits, which editors and scanners write."""

_JPEG_COMPRESSION = 7

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _CHANNELS, _ROWS, _TILE_WIDTH, _TILE_HEIGHT = (
    256, 257, 258, 259, 277, 278, 322, 323,
)  # fmt: skip
_OFFSETS, _COUNTS = (324, 273), (325, 279)
"""Offsets and byte counts of tiles, or else of strips."""

_DIRECTORIES = (34_665, 34_853, 40_965)
"""EXIF, GPS and interoperability: fields that point to another directory."""

_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of a value, by type."""

_PLAIN = {1, 2, 6, 7}
"""Types that are read without conversion."""

_INTEGERS = {1: "B", 3: "H", 4: "I", 16: "Q"}


class _Directory:
    """A directory's fields, by tag. Raises Costly for too many fields, or too many values in one."""

    def __init__(self, data: bytes, at: int, order: str, *, big: bool) -> None:
        self._data, self._order = data, order
        self._fields: dict[int, tuple[int, int, int]] = {}
        entry, inline = ("HHQ", 8) if big else ("HHI", 4)
        start = at + struct.calcsize(order + ("Q" if big else "H"))
        (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, at)
        if count > MAX_FIELDS:
            raise Costly(f"{count} fields of a TIFF's directory")
        step = struct.calcsize(order + entry) + inline
        for place in range(start, start + step * count, step):
            tag, kind, values = struct.unpack_from(order + entry, data, place)
            if kind not in _PLAIN and values > MAX_VALUES:
                raise Costly(f"{values} values of a TIFF's field {tag}")
            value = place + step - inline
            if values * _BYTES.get(kind, 1) > inline:
                (value,) = struct.unpack_from(order + ("Q" if big else "I"), data, value)
            self._fields.setdefault(tag, (kind, values, value))

    def get(self, *tags: int) -> tuple[int, ...]:
        """The integers of the first of these fields that exists."""
        for tag in tags:
            if tag in self._fields:
                kind, count, at = self._fields[tag]
                count = min(count, MAX_VALUES)
                return struct.unpack_from(f"{self._order}{count}{_INTEGERS[kind]}", self._data, at)
        return ()

    def first(self, tag: int, default: int) -> int:
        return next(iter(self.get(tag)), default)


def check_directories(data: bytes) -> _Directory:
    """Bound the directories of the first picture of a TIFF or EXIF block; returns its main one."""
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in {b"+\0", b"\0+"}
    (at,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    first = _Directory(data, at, order, big=big)
    for tag in _DIRECTORIES:
        with suppress(struct.error, LookupError):  # damaged metadata is no reason to refuse a picture
            _Directory(data, first.get(tag)[0], order, big=big)
    return first


def check_tiff(data: bytes, most_pixels: int) -> int:
    """Bound a TIFF's directories, compression, strips or tiles and their bytes, and the scans in them. Returns the
    memory of one strip or tile. Only the first picture is read."""
    fields = check_directories(data)
    width, height = fields.first(_WIDTH, 0), fields.first(_HEIGHT, 0)
    compression = fields.first(_COMPRESSION, 1)
    if compression not in _COMPRESSIONS:
        raise Costly(f"the compression {compression} of a TIFF")
    bits = fields.get(_BITS) or (1,)
    depth = max(sum(bits), max(bits) * fields.first(_CHANNELS, 1))
    across, down = fields.first(_TILE_WIDTH, width), fields.first(_TILE_HEIGHT, 0)
    down = down or min(height, fields.first(_ROWS, height))
    part = (across * depth + 7) // 8 * down
    whole = part * -(-width // across) * -(-height // down)
    if whole > (MAX_BYTES_PER_PIXEL + 1) * most_pixels:  # tiles may cross the edges
        raise Costly(f"{whole} bytes in the strips or tiles of a TIFF", (width, height))
    if compression == _JPEG_COMPRESSION:
        _check_jpegs(data, fields, most_pixels)
    return part if compression != 1 else 0


def _check_jpegs(data: bytes, fields: _Directory, most_pixels: int) -> None:
    """Bound the scans of all strips or tiles together."""
    counts = fields.get(*_COUNTS)
    if sum(counts) > len(data):
        raise Costly("strips of a TIFF that share their bytes")
    samples = 0
    for offset, count in zip(fields.get(*_OFFSETS), counts, strict=True):
        samples, _memory = _check_scans(data[offset : offset + count], most_pixels, samples)
