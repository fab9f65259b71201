"""Bounds the cost of decoding a HEIF or AVIF file, by the pictures that its first one is made of.

In these containers (ISO 14496-12 and 23008-12) a picture may be a grid of others, with transparency in another one.
Each may be coded in another size than the file says, or several times. As in `containers`, only the boxes are read.
Files that are not understood here are refused.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from catalogue.containers import Costly

MAX_CODED = 1.25
"""Coded pixels of all pictures decoded for one, times `max_pixels`: tiles may cross the edge of a grid. Transparency
is a picture of its own, so a picture with it may have 5/8 of the pixels."""

MAX_ITEMS = 2_000
"""Items of a file. A phone's picture of 50 million pixels is a grid of about 200 tiles and some metadata."""

MAX_BOXES = 10_000
"""Boxes of a file."""

MAX_STEPS = 50_000
"""Items, properties, extents and coded units (NAL or OBU) of a file, in all."""

MAX_DEPTH = 3
"""Levels of pictures made of others: a grid may be turned (`iden`), rarely more."""

MAX_EXIF = 1_000_000
"""Bytes of EXIF, which decoders read when they open a file."""

_CODED = {b"hvc1", b"av01"}
_DERIVED = {b"grid", b"iden"}
_ALPHA = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1", b"urn:mpeg:avc:2015:auxid:1")


def check(data: bytes, most_pixels: int) -> int:
    """Bound the pictures that are decoded for the first one: their coded pixels, number and bytes.

    Returns the memory of their samples, 1.5 to 3 bytes per pixel. Raises `Costly`.
    """
    return _Meta(data, most_pixels).check()


@dataclass
class _Item:
    kind: bytes = b""
    extents: list[memoryview] = field(default_factory=list)
    properties: list[tuple[bytes, bytes]] = field(default_factory=list)
    parts: list[int] = field(default_factory=list)
    of: list[int] = field(default_factory=list)
    """The items that this one is an auxiliary picture of, such as their transparency."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in the file. Raises ValueError if they are missing or repeated."""
        (size,) = [struct.unpack_from(">II", content, 4) for name, content in self.properties if name == b"ispe"]
        return size

    @property
    def transparency(self) -> bool:
        return any(name == b"auxC" and content[4:].startswith(_ALPHA) for name, content in self.properties)


class _Meta:
    """The items of a file."""

    def __init__(self, data: bytes, most_pixels: int) -> None:
        self._data, self._most_pixels = data, most_pixels
        self._boxes = self._steps = self._pixels = self._bytes = self._listed = 0
        self._items: defaultdict[int, _Item] = defaultdict(_Item)
        meta = self._only(self._children(data), b"meta")
        boxes = list(self._children(meta, 4))
        self._idat = next((content for name, content in boxes if name == b"idat"), b"")
        self._primary = self._read_primary(self._only(boxes, b"pitm"))
        self._read_kinds(self._only(boxes, b"iinf"))
        self._read_extents(self._only(boxes, b"iloc"))
        self._read_properties(self._only(boxes, b"iprp"))
        for name, content in boxes:
            if name == b"iref":
                self._read_references(content)
        self._transparency: defaultdict[int, list[int]] = defaultdict(list)
        for number, item in self._items.items():
            if item.transparency:
                for other in item.of:
                    self._transparency[other].append(number)

    def _children(self, data: bytes, at: int = 0) -> Iterator[tuple[bytes, bytes]]:
        while at + 8 <= len(data):
            size, name = struct.unpack_from(">I4s", data, at)
            start = at + 8
            if size == 1:
                (size,) = struct.unpack_from(">Q", data, start)
                start += 8
            end = len(data) if size == 0 else at + size
            if end < start:
                raise ValueError("a box that is shorter than its header")
            self._boxes += 1
            if self._boxes > MAX_BOXES:
                raise Costly(f"more than {MAX_BOXES} boxes")
            yield name, data[start:end]
            at = end

    def _only(self, boxes: Iterator[tuple[bytes, bytes]] | list[tuple[bytes, bytes]], name: bytes) -> bytes:
        """The only box with a name: decoders may disagree about which of two counts."""
        (content,) = [content for found, content in boxes if found == name]
        return content

    @staticmethod
    def _read_primary(box: bytes) -> int:
        return int(struct.unpack_from(">I" if box[0] else ">H", box, 4)[0])

    def _read_kinds(self, box: bytes) -> None:
        for name, content in self._children(box, 6 if box[0] == 0 else 8):
            version = content[0]
            if name == b"infe" and version >= 2:  # noqa: PLR2004 - older entries have no kind
                number, _protection, kind = struct.unpack_from(">HH4s" if version == 2 else ">IH4s", content, 4)  # noqa: PLR2004
                self._item(number).kind = kind

    def _item(self, number: int) -> _Item:
        self._step()
        item = self._items[number]
        if len(self._items) > MAX_ITEMS:
            raise Costly(f"more than {MAX_ITEMS} items")
        return item

    def _read_extents(self, box: bytes) -> None:
        version, sizes = box[0], box[4:6]
        offset_size, length_size, base_size, index_size = sizes[0] >> 4, sizes[0] & 15, sizes[1] >> 4, sizes[1] & 15
        reader = _Reader(box, 6)
        wide = 4 if version == 2 else 2  # noqa: PLR2004
        sources = {0: memoryview(self._data), 1: memoryview(self._idat)}
        for _item in range(reader.number(wide)):
            item = self._item(reader.number(wide))
            method = reader.number(2) & 15 if version else 0
            reader.number(2)
            base = reader.number(base_size)
            for _extent in range(reader.number(2)):
                if version:
                    reader.number(index_size)
                start = base + reader.number(offset_size)
                length = reader.number(length_size) or len(self._data) - start
                if method not in sources:
                    raise Costly(f"the construction {method} of an item")
                piece = sources[method][start : start + length]
                self._listed += len(piece)
                if self._listed > len(self._data):  # libheif copies all metadata as it opens a file
                    raise Costly("items that share their bytes")
                item.extents.append(piece)
                self._step()

    def _read_properties(self, box: bytes) -> None:
        boxes = list(self._children(box))
        properties = list(self._children(self._only(boxes, b"ipco")))
        for content in (content for name, content in boxes if name == b"ipma"):
            version, long = content[0], content[3] & 1
            reader = _Reader(content, 4)
            for _item in range(reader.number(4)):
                item = self._item(reader.number(4 if version else 2))
                for _property in range(reader.number(1)):
                    index = reader.number(2) & 0x7FFF if long else reader.number(1) & 0x7F
                    self._step()
                    if index:
                        item.properties.append(properties[index - 1])

    def _read_references(self, box: bytes) -> None:
        number = "I" if box[0] else "H"
        for name, content in self._children(box, 4):
            source, count = struct.unpack_from(f">{number}H", content)
            others = struct.unpack_from(f">{count}{number}", content, struct.calcsize(f">{number}H"))
            if name == b"dimg":
                self._item(source).parts += others
            elif name == b"auxl":
                self._item(source).of += others

    def check(self) -> int:
        exif = [item for item in self._items.values() if item.kind == b"Exif"]
        if sum(len(piece) for item in exif for piece in item.extents) > MAX_EXIF:
            raise Costly(f"more than {MAX_EXIF} bytes of EXIF")
        try:
            self._add(self._primary, 0)
        except Costly as costly:
            costly.size = self._items[self._primary].size
            raise
        return 2 * self._pixels

    def _add(self, number: int, depth: int) -> None:
        """Count an item and everything that is decoded for it, as often as it is decoded."""
        self._step()
        if depth > MAX_DEPTH:
            raise Costly("pictures made of pictures made of pictures")
        if number not in self._items:
            raise ValueError("a picture that is not there")
        item = self._items[number]
        if item.kind in _CODED:
            self._count(item)
        elif item.kind not in _DERIVED:
            raise Costly(f"a picture of the kind {item.kind!r}")
        for part in item.parts:
            self._add(part, depth + 1)
        for other in self._transparency[number]:
            self._add(other, depth + 1)

    def _count(self, item: _Item) -> None:
        coded = b"".join(item.extents)
        self._bytes += len(coded)
        pictures, pixels = (self._av1 if item.kind == b"av01" else self._hevc)(item, coded)
        width, height = item.size
        self._pixels += max(pictures, 1) * max(pixels, width * height)
        if self._pixels > MAX_CODED * self._most_pixels:
            raise Costly(f"{self._pixels} coded pixels")
        if self._bytes > len(self._data):
            raise Costly("pictures that share their bytes")

    def _hevc(self, item: _Item, data: bytes) -> tuple[int, int]:
        """The pictures in HEVC units with length prefixes (ISO 14496-15). libheif checks their size itself."""
        (configuration,) = [content for name, content in item.properties if name == b"hvcC"]
        wide, at, pictures = (configuration[21] & 3) + 1, 0, 0
        while at + wide + 3 <= len(data):
            start = at + wide
            if (data[start] >> 1 & 0x3F) < _SLICES:
                pictures += data[start + 2] >> 7  # the first slice of a picture
            at = start + int.from_bytes(data[at:start], "big")
            self._step()
        return pictures, 0

    def _av1(self, item: _Item, data: bytes) -> tuple[int, int]:
        """The frames in AV1 units, and the pixels of the largest one according to their headers."""
        (configuration,) = [content for name, content in item.properties if name == b"av1C"]
        frames = pixels = 0
        for kind, unit in [*self._obus(configuration[4:]), *self._obus(data)]:
            if kind == _SEQUENCE:
                pixels = max(pixels, _sequence_pixels(unit))
            elif kind in _FRAMES:
                frames += 1
        return frames, pixels

    def _obus(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """The type and content of each unit (AV1 specification, 5.3)."""
        at = 0
        while at < len(data):
            header = data[at]
            at += 2 if header & 4 else 1
            size = len(data) - at
            if header & 2:
                size = 0
                for place in range(8):
                    byte = data[at]
                    at += 1
                    size |= (byte & 0x7F) << 7 * place
                    if byte < 0x80:  # noqa: PLR2004
                        break
            self._step()
            yield header >> 3 & 15, data[at : at + size]
            at += size

    def _step(self) -> None:
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise Costly(f"more than {MAX_STEPS} items, properties, pieces and units")


@dataclass
class _Reader:
    """Reads big-endian numbers."""

    data: bytes
    at: int

    def number(self, size: int) -> int:
        self.at += size
        if self.at > len(self.data):
            raise ValueError("a box that ends early")
        return int.from_bytes(self.data[self.at - size : self.at], "big")


_SLICES = 32
"""HEVC units of lower kinds are slices (ITU-T H.265, table 7-1)."""

_SEQUENCE = 1
_FRAMES = {3, 6}
"""Frame headers, without or with data. A redundant header (7) adds no frame."""


def _sequence_pixels(header: bytes) -> int:
    """The maximum of pixels of a frame (AV1 specification, 5.5.1).

    Unless the header is reduced, frames may override their size, in as many bits as the header states. If that is
    more bits than the header's own size needs, the largest size that fits into them counts.
    """
    bits = _Bits(header)
    bits.take(4)  # profile, still picture
    if reduced := bits.take(1):
        bits.take(5)
    else:
        _skip_operating_points(bits)
    wide, high = bits.take(4) + 1, bits.take(4) + 1
    width, height = bits.take(wide) + 1, bits.take(high) + 1
    if not reduced and (1 << wide >= 2 * width or 1 << high >= 2 * height):
        return 1 << (wide + high)
    return width * height


def _skip_operating_points(bits: _Bits) -> None:
    model = delay = 0
    if bits.take(1):  # timing
        bits.take(64)
        if bits.take(1):  # equal picture intervals: a number of variable length
            zeros = 0
            while not bits.take(1):
                zeros += 1
            bits.take(zeros)
        if model := bits.take(1):
            delay = bits.take(5) + 1
            bits.take(42)
    initial = bits.take(1)
    for _point in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > 7:  # noqa: PLR2004 - levels above have a tier
            bits.take(1)
        if model and bits.take(1):
            bits.take(2 * delay + 1)
        if initial and bits.take(1):
            bits.take(4)


class _Bits:
    """Reads numbers of some bits, highest bit first."""

    def __init__(self, data: bytes) -> None:
        self._left = 8 * min(len(data), 128)
        self._value = int.from_bytes(data[:128], "big")

    def take(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise ValueError("a header that ends early")
        return self._value >> self._left & (1 << count) - 1
