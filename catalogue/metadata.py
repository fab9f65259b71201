"""Removes metadata from a picture's bytes without decoding: pixels, colour profile and orientation stay.

Cameras and programs write places, names, texts, previews and whole second pictures into files. Only what a decoder
needs is copied; everything else is dropped, known or not. For a file that violates its specification
`without_metadata` returns None, and the original must not be served.

The cost is linear in the bytes, and nothing is decompressed.

Sources: ITU T.81 (JPEG), JFIF 1.02, Adobe TN 5116 (APP14), ICC.1 annex B; PNG 3 with APNG; the WebP container (RFC
9649); GIF89a; EXIF 2.32.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator

EXTENSIONS = (".jpg", ".png", ".webp", ".gif")
"""Of the supported formats. HEIC, AVIF, TIFF and BMP are not supported."""

UPRIGHT = 1
"""The orientation (EXIF tag 0x0112, 1 to 8) of a picture whose pixels are stored upright."""


class _Malformed(ValueError):
    """A file violates the specification of its format."""


def without_metadata(data: bytes, format: str, orientation: int = UPRIGHT) -> bytes | None:  # noqa: A002
    """The same picture without metadata, or None if that is not possible.

    `format` is Pillow's name ("JPEG", "PNG", "WEBP" or "GIF"; None is returned for any other). An `orientation` that
    is not upright is kept as the only field of a new EXIF block.
    """
    parts = _FORMATS.get(format)
    if parts is None:
        return None
    try:
        return b"".join(parts(data, orientation))
    except (_Malformed, IndexError):
        return None


def _exif(orientation: int) -> bytes:
    """A TIFF structure with one field, the orientation (a SHORT)."""
    field = b"\x01\x12" + b"\x00\x03" + b"\x00\x00\x00\x01" + orientation.to_bytes(2) + b"\x00\x00"
    return b"MM\x00*" + b"\x00\x00\x00\x08" + b"\x00\x01" + field + b"\x00\x00\x00\x00"


def _slice(data: bytes, start: int, end: int) -> bytes:
    """A slice of the bytes. Raises _Malformed if the file is too short."""
    if end > len(data):
        raise _Malformed
    return data[start:end]


# JPEG -------------------------------------------------------------------------------------------------------

_APP0, _APP1, _APP2, _APP14 = 0xE0, 0xE1, 0xE2, 0xEE
_SOI, _EOI, _SOS, _COMMENT = 0xD8, 0xD9, 0xDA, 0xFE
# Frames of all kinds, Huffman and arithmetic tables, quantization, restart intervals, the number of lines.
_NEEDED = {*range(0xC0, 0xD0), 0xDB, 0xDC, 0xDD} - {0xC8}
_AFTER_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)
"""A marker. In a scan's data, 0xFF is followed by 0, by another 0xFF or by a restart's number."""


def _jpeg(data: bytes, orientation: int) -> Iterator[bytes]:
    """The segments up to the end of the picture: phones append other pictures and videos."""
    exif = b"Exif\x00\x00" + _exif(orientation)
    waiting = orientation != UPRIGHT
    yield _slice(data, 0, 2)
    position = 2
    while True:
        if data[position] != 0xFF:  # noqa: PLR2004
            raise _Malformed
        while data[position] == 0xFF:  # noqa: PLR2004 - a marker may be preceded by any number of them
            position += 1
        marker = data[position]
        if waiting and marker != _APP0:
            yield _segment(_APP1, exif)
            waiting = False
        if marker == _EOI:
            yield b"\xff\xd9"
            return
        start = position + 1
        length = int.from_bytes(_slice(data, start, start + 2))
        if length < 2:  # noqa: PLR2004 - it counts itself
            raise _Malformed
        position = start + length
        content = _slice(data, start + 2, position)
        if marker == _SOS:
            end = _AFTER_SCAN.search(data, position)
            if end is None:
                raise _Malformed
            position = end.start()
            yield b"\xff\xda" + data[start:position]
        elif marker in _NEEDED:
            yield _segment(marker, content)
        elif _APP0 <= marker <= _APP0 + 15:
            yield _application(marker, content)
        elif marker != _COMMENT:
            raise _Malformed


def _segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + (len(content) + 2).to_bytes(2) + content


def _application(marker: int, content: bytes) -> bytes:
    """The segments that define colours: JFIF without its preview, Adobe's transformation, the profile."""
    if marker == _APP0 and content[:5] == b"JFIF\x00":
        return _segment(marker, _slice(content, 0, 12) + b"\x00\x00")
    if marker == _APP14 and content[:5] == b"Adobe":
        return _segment(marker, _slice(content, 0, 7) + b"\x00\x00\x00\x00" + _slice(content, 11, 12))
    if marker == _APP2 and content[:12] == b"ICC_PROFILE\x00":
        return _segment(marker, content)
    return b""


# PNG --------------------------------------------------------------------------------------------------------

_ANY = 1 << 31
_CHUNKS = {
    b"IHDR": 13,
    b"PLTE": 768,
    b"IDAT": _ANY,
    b"IEND": 0,
    b"tRNS": 256,
    # colours
    b"cHRM": 32,
    b"cICP": 4,
    b"cLLI": 8,
    b"gAMA": 4,
    b"iCCP": _ANY,
    b"mDCV": 24,
    b"sBIT": 4,
    b"sRGB": 1,
    # animation
    b"acTL": 8,
    b"fcTL": 26,
    b"fdAT": _ANY,
}
"""The chunks that are kept, with the maximum length of each."""


def _png(data: bytes, orientation: int) -> Iterator[bytes]:
    yield _slice(data, 0, 8)
    position = 8
    while True:
        start = position
        length = int.from_bytes(_slice(data, start, start + 4))
        kind = _slice(data, start + 4, start + 8)
        position = start + 12 + length
        whole = _slice(data, start, position)
        if kind in _CHUNKS:
            if length > _CHUNKS[kind]:
                raise _Malformed
            yield whole
        elif kind[:1].isupper():  # a critical chunk
            raise _Malformed
        if kind == b"IHDR" and orientation != UPRIGHT:
            yield _chunk(b"eXIf", _exif(orientation))
        if kind == b"IEND":
            return


def _chunk(kind: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4) + kind + content + zlib.crc32(kind + content).to_bytes(4)


# WebP -------------------------------------------------------------------------------------------------------

_STILL = (b"ALPH", b"VP8 ", b"VP8L")
_WEBP_EXIF = 0x08
_WEBP_KEPT = 0x20 | 0x10 | 0x02
"""Flags of an extended file that are kept: profile, transparency, animation."""


def _webp(data: bytes, orientation: int) -> Iterator[bytes]:
    end = 8 + int.from_bytes(_slice(data, 4, 8), "little")
    _slice(data, end, end)
    chunks = _webp_chunks(data, 12, end)
    kind, content = next(chunks, (b"", b""))
    kept: list[bytes] = []
    if kind == b"VP8X":
        flags = content[0] & _WEBP_KEPT | (_WEBP_EXIF if orientation != UPRIGHT else 0)
        kept.append(_riff(kind, bytes((flags, 0, 0, 0)) + _slice(content, 4, 10)))
        for kind, content in chunks:
            if kind in {*_STILL, b"ICCP"}:
                kept.append(_riff(kind, content))
            elif kind == b"ANIM":
                kept.append(_riff(kind, _slice(content, 0, 6)))
            elif kind == b"ANMF":
                frame = (_riff(*chunk) for chunk in _webp_chunks(content, 16, len(content)) if chunk[0] in _STILL)
                kept.append(_riff(kind, _slice(content, 0, 16) + b"".join(frame)))
        if orientation != UPRIGHT:
            kept.append(_riff(b"EXIF", _exif(orientation)))
    elif kind in _STILL and orientation == UPRIGHT:  # the simple format has one chunk
        kept.append(_riff(kind, content))
    else:
        raise _Malformed
    yield _riff(b"RIFF", b"WEBP" + b"".join(kept))


def _webp_chunks(data: bytes, position: int, end: int) -> Iterator[tuple[bytes, bytes]]:
    while position < end:
        length = int.from_bytes(_slice(data, position + 4, position + 8), "little")
        start, stop = position + 8, position + 8 + length
        if stop > end:
            raise _Malformed
        yield data[position : position + 4], data[start:stop]
        position = stop + length % 2


def _riff(kind: bytes, content: bytes) -> bytes:
    return kind + len(content).to_bytes(4, "little") + content + b"\x00" * (len(content) % 2)


# GIF --------------------------------------------------------------------------------------------------------

_IMAGE, _EXTENSION, _TRAILER = 0x2C, 0x21, 0x3B
_CONTROL, _APPLICATION = 0xF9, 0xFF
_LOOPS = (b"\x0bNETSCAPE2.0\x03\x01", b"\x0bANIMEXTS1.0\x03\x01")
"""Applications whose block gives the number of loops, in two bytes."""


def _gif(data: bytes, orientation: int) -> Iterator[bytes]:
    if orientation != UPRIGHT:  # GIF has no orientation
        raise _Malformed
    position = 13 + _table(data[10])
    yield _slice(data, 0, position)
    while position < len(data):  # many files lack the trailer
        start = position
        kind = data[start]
        if kind == _TRAILER:
            yield data[start : start + 1]
            return
        if kind == _IMAGE:
            position = _blocks_end(data, start + 11 + _table(data[start + 9]))
            yield data[start:position]
        elif kind == _EXTENSION:
            position = _blocks_end(data, start + 2)
            if data[start + 1] == _CONTROL:
                if data[start + 2] != 4:  # noqa: PLR2004
                    raise _Malformed
                yield data[start : start + 7] + b"\x00"
            elif data[start + 1] == _APPLICATION and data[start + 2 : start + 16] in _LOOPS:
                yield data[start : start + 18] + b"\x00"
        elif kind == 0:  # some programs write a zero between blocks
            position += 1
        else:
            raise _Malformed


def _table(flags: int) -> int:
    """The length of a colour table in bytes."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _blocks_end(data: bytes, position: int) -> int:
    """The end of a sequence of length-prefixed blocks, the last of which is empty. Raises IndexError."""
    while length := data[position]:
        position += length + 1
    return position + 1


_FORMATS: dict[str, Callable[[bytes, int], Iterator[bytes]]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "WEBP": _webp,
    "GIF": _gif,
}
