"""Pictures drawn to cost their reader much and their sender little: at most 10 MB and 50 million pixels each.

Built byte by byte where no encoder would write them. `python -m benchmarks.decoding` measures them, and the tests of
decoding use them too.
"""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, repeat
from typing import Any

from PIL import Image

SIDE = 7_000
"""Pixels: 49 million in a square, just below the limit of pixels."""

BYTES = 9_900_000
"""Just below the limit of bytes."""


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    """A picture's bytes in one of Pillow's formats, or in HEIF."""
    buffer = io.BytesIO()
    if kind == "HEIF":
        import pillow_heif

        pillow_heif.from_pillow(image).save(buffer, **options)
    else:
        image.save(buffer, kind, **options)
    return buffer.getvalue()


def deflated(size: int, row: bytes = bytes(1_000_000)) -> bytes:
    """A zlib stream of `size` bytes, `row` again and again."""
    packer = zlib.compressobj(1)
    parts = [packer.compress(row) for _ in range(size // len(row))]
    return b"".join([*parts, packer.compress(row[: size % len(row)]), packer.flush()])


# JPEG (ITU-T T.81) ------------------------------------------------------------------------------------------


def jpeg_scans(side: int = SIDE, scans: int = 200, mode: str = "L") -> bytes:
    """A progressive JPEG whose last scan, which refines nothing, comes again and again: some 70 bytes each."""
    data = encoded(Image.new(mode, (side, side), 128), "JPEG", progressive=True)
    last = data[data.rindex(b"\xff\xc4") : -2]  # its Huffman table too
    return data[:-2] + last * scans + data[-2:]


def jpeg_empty_scans(side: int = SIDE, scans: int = 200) -> bytes:
    """A JPEG whose scans have a header and no data: decoders fill in what is missing, block by block."""
    data = encoded(Image.new("L", (side, side), 128), "JPEG", progressive=True)
    start = data.rindex(b"\xff\xda")
    return data[:-2] + data[start : start + 10] * scans + data[-2:]


def jpeg_arithmetic(side: int = SIDE, data: bytes = b"") -> bytes:
    """An arithmetic-coded JPEG (SOF9), which needs next to no data for all of its blocks."""
    return b"".join(
        [
            b"\xff\xd8\xff\xdb\0\x43\0" + b"\1" * 64,
            b"\xff\xc9" + struct.pack(">HBHHB", 17, 8, side, side, 3),
            b"\1\x11\0\2\x11\0\3\x11\0\xff\xda\0\x0c\3\1\0\2\0\3\0\0\x3f\0",
            data.replace(b"\xff", b"\xfe"),
            b"\xff\xd9",
        ]
    )


def jpeg_of_segments(segment: bytes = b"\xff\xfe\0\2", size: int = BYTES) -> bytes:
    """A small JPEG behind as many comments as fit."""
    data = encoded(Image.new("L", (64, 64)), "JPEG")
    return data[:2] + segment * (size // len(segment)) + data[2:]


def with_size(jpeg: bytes, width: int, height: int) -> bytes:
    """The same JPEG, whose frame header states another size."""
    at = max(jpeg.find(b"\xff\xc0"), jpeg.find(b"\xff\xc2"))
    return jpeg[: at + 5] + struct.pack(">HH", height, width) + jpeg[at + 9 :]


# PNG (ISO 15948) --------------------------------------------------------------------------------------------


def png(header: tuple[int, int, int, int, int], chunks: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A PNG: width, height, bits, colour type and interlacing, and the chunks after the header."""
    width, height, bits, colour, interlace = header
    ihdr = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlace)
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*one) for one in ((b"IHDR", ihdr), *chunks, (b"IEND", b"")))


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_flat(side: int = SIDE, bits: int = 8, colour: int = 2, interlace: int = 0, filter_type: int = 4) -> bytes:
    """A PNG of one colour, whose rows all use one filter (4, Paeth, takes longest)."""
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    passes = ADAM7 if interlace else [(0, 0, 1, 1)]
    packer, data = zlib.compressobj(1), []
    for x, y, dx, dy in passes:
        width, height = -(-(side - x) // dx), -(-(side - y) // dy)
        row = bytes([filter_type]) + bytes((width * samples * bits + 7) // 8)
        data += [packer.compress(row) for _ in range(height)]
    palette = [(b"PLTE", bytes(range(256)) * 3)] if colour == 3 else []
    return png((side, side, bits, colour, interlace), [*palette, (b"IDAT", b"".join([*data, packer.flush()]))])


ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
"""Offsets and steps of the passes of an interlaced PNG."""


def png_overflowing(size: int = BYTES) -> bytes:
    """A small PNG whose data goes on for gigabytes after its last row."""
    return png((64, 64, 8, 0, 0), [(b"IDAT", deflated(1_000 * size))])


def png_of_chunks(name: bytes = b"IDAT", data: bytes = b"", size: int = BYTES, *, after: bool = False) -> bytes:
    """A small PNG with as many chunks as fit, before or after its pixels."""
    pixels = (b"IDAT", zlib.compress(bytes(65 * 64)))
    many = list(repeat((name, data), size // (len(data) + 12)))
    return png((64, 64, 8, 0, 0), [pixels, *many] if after else [*many, pixels])


def png_text_bombs(size: int = BYTES) -> bytes:
    """A small PNG with compressed texts of a megabyte each."""
    text = b"Comment\0\0" + zlib.compress(bytes(1_000_000), 9)
    return png_of_chunks(b"zTXt", text, size)


def png_broken_text_bombs(size: int = BYTES) -> bytes:
    """The same with wrong checksums: Pillow unpacks the texts, drops them and does not count them."""
    text = b"Comment\0\0" + zlib.compress(bytes(1_000_000), 9)[:-4] + bytes(4)
    return png_of_chunks(b"zTXt", text, size)


def png_profile_bombs(size: int = BYTES) -> bytes:
    """A small PNG with a colour profile of a megabyte, again and again."""
    return png_of_chunks(b"iCCP", b"wide\0\0" + zlib.compress(bytes(1_000_000), 9), size)


# GIF (89a) --------------------------------------------------------------------------------------------------


def gif(width: int, height: int, blocks: bytes = b"") -> bytes:
    """A GIF of one frame of one colour, behind other blocks."""
    flat = encoded(Image.new("P", (width, height)), "GIF")
    at = flat.index(b"\x2c\0\0\0\0")
    return flat[:at] + blocks + flat[at:]


def gif_of_blocks(size: int = BYTES) -> bytes:
    """A small GIF behind a comment in blocks of a byte."""
    return gif(64, 64, b"!\xfe" + b"\1x" * (size // 2) + b"\0")


def gif_of_extensions(size: int = BYTES) -> bytes:
    """A small GIF behind as many extensions as fit."""
    return gif(64, 64, b"!\xfa\0" * (size // 3))


# BMP --------------------------------------------------------------------------------------------------------


def bmp_rle(width: int, height: int, rows: bytes, compression: int = 1) -> bytes:
    """A BMP with run-length encoding: 1 of eight bits, 2 of four."""
    bits = 8 if compression == 1 else 4
    palette = bytes(range(1 << bits)) * 4
    start = 14 + 40 + len(palette)
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(rows), 0, 0, 1 << bits, 0)
    return b"BM" + struct.pack("<IHHI", start + len(rows), 0, 0, start) + header + palette + rows


def bmp_rle_runs(side: int = SIDE, compression: int = 2) -> bytes:
    """A BMP of runs of four bits, which are decoded pixel by pixel."""
    row = b"\xff\x11" * (side // 255) + bytes([side % 255, 0x11, 0, 0])
    return bmp_rle(side, side, row * side, compression)


def bmp_rle_idle(size: int = BYTES) -> bytes:
    """A small BMP whose encoded rows end again and again without a pixel."""
    return bmp_rle(64, 64, b"\0\0" * (size // 2))


# TIFF 6.0 ---------------------------------------------------------------------------------------------------

_TIFF_TYPES = {"H": 3, "I": 4, "Q": 5, "B": 1}


def tiff(entries: dict[int, Sequence[int]], data: bytes = b"", *, types: dict[int, str] | None = None) -> bytes:
    """A TIFF of one directory. `data` begins at byte 8; values are LONG unless `types` says otherwise."""
    table, extra = b"", b""
    after = 8 + len(data)
    at = after + 2 + 12 * len(entries) + 4
    for tag, values in sorted(entries.items()):
        kind = (types or {}).get(tag, "I")
        packed = struct.pack(f"<{len(values)}{kind}", *values)
        count = len(values)
        field = packed.ljust(4, b"\0") if len(packed) <= 4 else struct.pack("<I", at + len(extra))
        if len(packed) > 4:
            extra += packed
        table += struct.pack("<HHI", tag, _TIFF_TYPES[kind], count) + field
    directory = struct.pack("<H", len(entries)) + table + bytes(4)
    return b"II*\0" + struct.pack("<I", after) + data + directory + extra


def tiff_flat(
    side: int = SIDE,
    *,
    bits: Sequence[int] = (32,),
    sample_format: int = 3,
    predictor: int = 1,
    photometric: int = 1,
    strips: int = 1,
) -> bytes:
    """A deflated TIFF of zeros, in whole strips."""
    rows = side // strips
    strip = deflated(rows * side * sum(bits) // 8)
    return tiff(
        {
            256: [side],
            257: [rows * strips],
            258: bits,
            259: [8],
            262: [photometric],
            273: [8] * strips,
            277: [len(bits)],
            278: [rows],
            279: [len(strip)] * strips,
            317: [predictor],
            339: [sample_format] * len(bits),
        }
        | ({338: [2]} if len(bits) in {2, 4} and photometric != 5 else {}),
        strip,
        types={258: "H", 339: "H", 317: "H"},
    )


def tiff_of_strips(count: int = BYTES // 4) -> bytes:
    """A small uncompressed TIFF that names as many strips as fit, all at one place."""
    return tiff({256: [64], 257: [64], 258: [8], 259: [1], 262: [1], 273: [8] * count, 278: [1]}, bytes(64))


def tiff_tile(side: int = 45_000) -> bytes:
    """A small TIFF in one tile that is far larger than its picture."""
    data = deflated(side * side)
    return tiff(
        {256: [64], 257: [64], 258: [8], 259: [8], 262: [1], 322: [side], 323: [side], 324: [8], 325: [len(data)]},
        data,
    )


def tiff_jpeg(side: int = SIDE, scans: int = 90) -> bytes:
    """A TIFF of one strip, which is a progressive JPEG of many scans."""
    data = jpeg_scans(side, scans)
    return tiff(
        {256: [side], 257: [side], 258: [8], 259: [7], 262: [1], 273: [8], 278: [side], 279: [len(data)]}, data
    )


def tiff_rationals(count: int = BYTES // 8) -> bytes:
    """A small TIFF whose resolution is a long list of fractions."""
    small: dict[int, Sequence[int]] = {256: [64], 257: [64], 258: [8], 259: [1], 262: [1], 273: [8], 278: [64]}
    data = bytes(64 * 64)
    return tiff(small | {282: [1] * count}, data, types={282: "Q"})


# WebP -------------------------------------------------------------------------------------------------------


def webp_frames(width: int = SIDE, height: int = SIDE, size: int = BYTES) -> bytes:
    """An animation of as many small frames as fit, on a large canvas."""
    first = encoded(Image.new("RGB", (16, 16)), "WEBP")[12:]
    frame = bytes(6) + struct.pack("<I", 15)[:3] * 2 + bytes(4) + first
    frame = b"ANMF" + struct.pack("<I", len(frame)) + frame
    canvas = b"\2\0\0\0" + struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    body = b"VP8X" + struct.pack("<I", 10) + canvas + b"ANIM" + struct.pack("<I", 6) + bytes(6)
    body += frame * (size // len(frame))
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


# HEIF and AVIF (ISO 14496-12, 23008-12) ----------------------------------------------------------------------


@dataclass(frozen=True)
class Item:
    """An item of a HEIF file: its type, its bytes, its properties (whole boxes), and the items it is made of. Its
    bytes may be listed several times over, as so many extents."""

    kind: bytes
    data: bytes
    properties: Sequence[bytes] = ()
    references: Sequence[tuple[bytes, Sequence[int]]] = ()
    extents: int = 1


def box(name: bytes, *parts: bytes) -> bytes:
    """A box: its length, its name and what is in it."""
    content = b"".join(parts)
    return struct.pack(">I", 8 + len(content)) + name + content


def ispe(width: int, height: int) -> bytes:
    """The property that states an item's size."""
    return box(b"ispe", struct.pack(">III", 0, width, height))


def heif(items: Sequence[Item], brand: bytes = b"heic", *, shared: bool = True) -> bytes:
    """A file of items, numbered from 1, of which the first is the picture. Items with the same data share its bytes,
    or have them once each."""
    ftyp = box(b"ftyp", brand, bytes(4), brand, b"mif1", b"miaf")
    properties = list(dict.fromkeys(one for item in items for one in item.properties))
    infe = [
        box(
            b"infe",
            struct.pack(">IHH4s", 2 << 24, at, 0, item.kind),
            b"\0application/rdf+xml\0" if item.kind == b"mime" else b"\0",
        )
        for at, item in enumerate(items, 1)
    ]
    ipma = struct.pack(">II", 0, len(items))
    for at, item in enumerate(items, 1):
        ipma += struct.pack(">HB", at, len(item.properties))
        ipma += bytes(0x80 | properties.index(one) + 1 for one in item.properties)
    iref = [
        box(name, struct.pack(f">HH{len(ids)}H", at, len(ids), *ids))
        for at, item in enumerate(items, 1)
        for name, ids in item.references
    ]

    stored = [item.data for item in items]
    if shared:
        stored = list(dict.fromkeys(stored))
    starts = list(accumulate((len(data) for data in stored), initial=0))
    if shared:
        places = dict(zip(stored, starts, strict=False))
        starts = [places[item.data] for item in items]

    def meta(start: int) -> bytes:
        locations = b"".join(
            struct.pack(">HHH", at, 0, item.extents)
            + struct.pack(">II", start + starts[at - 1], len(item.data)) * item.extents
            for at, item in enumerate(items, 1)
        )
        return box(
            b"meta",
            bytes(4),
            box(b"hdlr", bytes(8), b"pict", bytes(13)),
            box(b"pitm", struct.pack(">IH", 0, 1)),
            box(b"iloc", struct.pack(">IBBH", 0, 0x44, 0, len(items)), locations),
            box(b"iinf", struct.pack(">IH", 0, len(items)), *infe),
            box(b"iprp", box(b"ipco", *properties), box(b"ipma", ipma)),
            *([box(b"iref", bytes(4), *iref)] if iref else []),
        )

    start = len(ftyp) + len(meta(0)) + 8
    return ftyp + meta(start) + box(b"mdat", *stored)


def coded(kind: str, width: int, height: int, *, noise: int = 0, **options: Any) -> Item:
    """A picture, flat or of noise of some strength, as an item of a HEIF or AVIF file."""
    image = Image.new("RGB", (width, height), (90, 120, 60))
    if noise:
        image = Image.effect_noise((width, height), noise).convert("RGB")
    data = encoded(image, kind, **({"speed": 10} if kind == "AVIF" else {}) | options)
    name, config = (b"av01", b"av1C") if kind == "AVIF" else (b"hvc1", b"hvcC")
    at = data.index(config) - 4
    configuration = data[at : at + int.from_bytes(data[at : at + 4], "big")]
    pixels = data[data.index(b"mdat") + 4 :]
    return Item(name, pixels, [configuration, ispe(width, height)])


def heif_grid(
    kind: str = "HEIF",
    tile: int = 1_000,
    across: int = 7,
    size: int = SIDE,
    *,
    noise: int = 200,
    shared: bool = True,
    **options: Any,
) -> bytes:
    """A square grid of tiles that are all the same, and share their data or not."""
    one = coded(kind, tile, tile, noise=noise, **options)
    data = struct.pack(">BBBBII", 0, 1, across - 1, across - 1, size, size)
    tiles = range(2, 2 + across**2)
    grid = Item(b"grid", data, [ispe(size, size)], [(b"dimg", tiles)])
    return heif([grid, *[one] * len(tiles)], b"avif" if kind == "AVIF" else b"heic", shared=shared)


def heif_overlay(kind: str = "HEIF", side: int = SIDE, count: int = 100, canvas: int = 64) -> bytes:
    """A small canvas on which a large picture is laid again and again."""
    one = coded(kind, side, side)
    data = struct.pack(">BB4HII", 0, 1, 0, 0, 0, 65_535, canvas, canvas) + bytes(8 * count)
    overlay = Item(b"iovl", data, [ispe(canvas, canvas)], [(b"dimg", range(2, 2 + count))])
    return heif([overlay, *[one] * count], b"avif" if kind == "AVIF" else b"heic")


def heif_nested(depth: int = 6, across: int = 10, most: int = 4_000) -> bytes:
    """Grids of grids of one small tile."""
    tile = 64
    items = []
    for level in range(depth):
        size = tile * across ** (depth - level)
        stated = min(size, most)
        data = struct.pack(">BBBBII", 0, 1, across - 1, across - 1, stated, stated)
        items.append(Item(b"grid", data, [ispe(stated, stated)], [(b"dimg", [level + 2] * across**2)]))
    return heif([*items, coded("HEIF", tile, tile)])


def heif_lying(kind: str = "HEIF", side: int = 16_384, stated: int = 64) -> bytes:
    """A picture that states a small size and is coded in a large one."""
    item = coded(kind, side, side)
    return heif(
        [Item(item.kind, item.data, [item.properties[0], ispe(stated, stated)])],
        b"avif" if kind == "AVIF" else b"heic",
    )


def heif_frames(kind: str = "HEIF", side: int = SIDE, count: int = 20) -> bytes:
    """One picture whose data is coded several times over."""
    item = coded(kind, side, side)
    return heif([Item(item.kind, item.data * count, item.properties)], b"avif" if kind == "AVIF" else b"heic")


def heif_alpha(kind: str = "HEIF", side: int = 8_192, stated: int = 64) -> bytes:
    """A small picture whose transparency is large."""
    small, large = coded(kind, stated, stated), coded(kind, side, side)
    aux = box(b"auxC", bytes(4), b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0")
    return heif(
        [small, Item(large.kind, large.data, [*large.properties, aux], [(b"auxl", [1])])],
        b"avif" if kind == "AVIF" else b"heic",
    )


def heif_metadata(size: int = BYTES - 100_000, count: int = 600, kind: bytes = b"mime") -> bytes:
    """A small picture with XMP again and again, all of it in one place."""
    xmp = Item(kind, bytes(size), references=[(b"cdsc", [1])])
    return heif([coded("HEIF", 64, 64), *[xmp] * count])


def heif_extents(size: int = 1_000_000, count: int = 1_000) -> bytes:
    """A small picture whose data is one long stretch of the file, again and again."""
    one = coded("HEIF", 64, 64)
    return heif([Item(one.kind, one.data + bytes(size), one.properties, extents=count)])


# Colour profiles (ICC.1) ------------------------------------------------------------------------------------


def profile_of_elements(count: int = 1_000) -> bytes:
    """A profile that processes colours in as many steps, which share their description."""
    parameters = b"parf" + bytes(8) + struct.pack(">4f", 1.1, 1, 0, 0)
    curve = b"curf" + bytes(4) + struct.pack(">HH", 1, 0) + parameters
    element = b"cvst" + bytes(4) + struct.pack(">HH", 3, 3) + struct.pack(">II", 36, len(curve)) * 3 + curve
    steps = struct.pack(">HHI", 3, 3, count) + struct.pack(">II", 16 + 8 * count, len(element)) * count
    name = struct.pack(">II4sII", 1, 12, b"enUS", 8, 28) + "wide".encode("utf-16be")
    white = struct.pack(">3i", 63_190, 65_536, 54_061)
    tags = {b"D2B0": b"mpet" + bytes(4) + steps + element, b"desc": b"mluc" + bytes(4) + name}
    return profile(tags | {b"wtpt": b"XYZ " + bytes(4) + white})


def profile_of_table(grid: int = 33) -> bytes:
    """A profile of one table with as many steps for each channel, which does not bring colours into any order."""
    ramp = b"".join(struct.pack(">H", at * 65_535 // 4_095) for at in range(4_096))
    table = b"mft2" + bytes(4) + bytes([3, 3, grid, 0]) + struct.pack(">9i", 65_536, 0, 0, 0, 65_536, 0, 0, 0, 65_536)
    table += struct.pack(">HH", 4_096, 4_096) + ramp * 3 + random.Random(1).randbytes(6 * grid**3) + ramp * 3
    name = struct.pack(">I", 5) + b"wide\0" + bytes(78)
    white = struct.pack(">3i", 63_190, 65_536, 54_061)
    tags = {b"A2B0": table, b"desc": b"desc" + bytes(4) + name, b"wtpt": b"XYZ " + bytes(4) + white}
    return profile(tags, version=0x02100000, space=b"Lab ")


def profile(tags: dict[bytes, bytes], version: int = 0x04400000, space: bytes = b"XYZ ") -> bytes:
    """A profile of RGB with these tags."""
    table, body, start = b"", b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    header = struct.pack(">I4sI4s4s4s", start + len(body), bytes(4), version, b"scnr", b"RGB ", space)
    header += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63_190, 65_536, 54_061)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


# All of them ------------------------------------------------------------------------------------------------


def _flat(mode: str, kind: str, width: int = SIDE, height: int = SIDE, **options: Any) -> bytes:
    return encoded(Image.new(mode, (width, height)), kind, **options)


HOSTILE: dict[str, Callable[[], bytes]] = {
    "JPEG, 200 scans": jpeg_scans,
    "JPEG, 9 scans in colour and 11 more": lambda: jpeg_scans(scans=11, mode="RGB"),
    "JPEG, 200 empty scans": jpeg_empty_scans,
    "JPEG, small, 100,000 scans": lambda: jpeg_scans(64, 100_000),
    "JPEG, arithmetic": jpeg_arithmetic,
    "JPEG, two million comments": jpeg_of_segments,
    "JPEG, ten million bytes of filling": lambda: jpeg_of_segments(b"\xff"),
    "JPEG, narrow, with a profile": lambda: _flat("RGB", "JPEG", 1_919, 26_000, icc_profile=profile_of_table()),
    "PNG, RGB": png_flat,
    "PNG, RGBA": lambda: png_flat(colour=6),
    "PNG, RGB, interlaced": lambda: png_flat(interlace=1),
    "PNG, RGBA of 16 bits": lambda: png_flat(bits=16, colour=6),
    "PNG, grey of 16 bits": lambda: png_flat(bits=16, colour=0),
    "PNG, grey with transparency": lambda: png_flat(colour=4),
    "PNG, palette": lambda: png_flat(colour=3),
    "PNG, narrow, with a profile": lambda: _flat("RGB", "PNG", 1_919, 26_000, icc_profile=profile_of_table()),
    "PNG, gigabytes after the last row": lambda: png_overflowing(2_000_000),
    "PNG, 800,000 empty chunks": png_of_chunks,
    "PNG, 800,000 chunks after the pixels": lambda: png_of_chunks(b"abCd", after=True),
    "PNG, texts of a megabyte": png_text_bombs,
    "PNG, broken texts of a megabyte": png_broken_text_bombs,
    "PNG, profiles of a megabyte": png_profile_bombs,
    "GIF, palette": lambda: gif(SIDE, SIDE),
    "GIF, five million blocks": gif_of_blocks,
    "GIF, three million extensions": gif_of_extensions,
    "BMP, runs of 4 bits": bmp_rle_runs,
    "BMP, rows of one pixel": lambda: bmp_rle(SIDE, SIDE, b"\1\1\0\0" * SIDE),
    "BMP, five million empty rows": bmp_rle_idle,
    "TIFF, float": tiff_flat,
    "TIFF, float, with a predictor": lambda: tiff_flat(predictor=3),
    "TIFF, float, in 70 strips": lambda: tiff_flat(strips=70),
    "TIFF, RGBA of 16 bits": lambda: tiff_flat(bits=(16,) * 4, sample_format=1, photometric=2),
    "TIFF, RGBA": lambda: tiff_flat(bits=(8,) * 4, sample_format=1, photometric=2, predictor=2),
    "TIFF, two million strips": tiff_of_strips,
    "TIFF, a tile of 2 GB": tiff_tile,
    "TIFF, JPEG of 90 scans": tiff_jpeg,
    "TIFF, a million fractions": tiff_rationals,
    "WebP, lossless": lambda: _flat("RGBA", "WEBP", lossless=True, quality=0, method=0),
    "WebP, 90,000 frames": webp_frames,
    "WebP, small, profile of 10,000 elements": lambda: _flat(
        "RGB", "WEBP", 64, 64, icc_profile=profile_of_elements(10_000)
    ),
    "HEIC": lambda: _flat("RGB", "HEIF"),
    "HEIC, a grid of one tile of noise": heif_grid,
    "HEIC, tiles beyond the grid": lambda: heif_grid(tile=2_000, across=10, size=4_000, noise=0),
    "HEIC, 30 overlaid": lambda: heif_overlay(side=4_000, count=30),
    "HEIC, grids of grids": heif_nested,
    "HEIC, larger than it says": lambda: heif_lying(side=6_000),
    "HEIC, coded ten times": lambda: heif_frames(side=4_000, count=10),
    "HEIC, small, with large transparency": heif_alpha,
    "HEIC, 600 metadata items of 9.8 MB in one place": heif_metadata,
    "HEIC, 1,000 extents of 1 MB in one place": heif_extents,
    "AVIF": lambda: _flat("RGB", "AVIF", speed=10),
    "AVIF, a grid of one tile of noise": lambda: heif_grid("AVIF"),
    "AVIF, larger than it says": lambda: heif_lying("AVIF", 16_000),
    "AVIF, coded ten times": lambda: heif_frames("AVIF", 4_000, 10),
    "AVIF, small, with large transparency": lambda: heif_alpha("AVIF"),
}
"""What each is, and what draws it. Some are costly for their pixels alone, and within the limits."""
