"""How tops are cut: T-shirts, knitwear, shirts, hoodies and coats.

Each function turns a product's attributes into a garment; `pose` 0 is the first photo, 1 the second.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from demo.curves import Points, band, disc, inset, join, line, mirror, offset, rungs, spline
from demo.pieces import Garment, Piece, Stroke
from demo.torso import FITS, Arm, Torso, sleeves

Attributes = Mapping[str, str]

NECK_DEPTHS = {"crew": 42.0, "v-neck": 96.0, "scoop": 82.0, "round": 30.0, "square": 76.0, "turtleneck": 26.0}


def torso(attributes: Attributes, ease: float = 0.0, length: float = 0.0, depth: float | None = None) -> Torso:
    """A bodice of that fit; ease and length are pixels added to its half width and to its hem."""
    wide = FITS[attributes.get("fit", "regular")] + ease
    length += {"cropped": -72.0, "long": 40.0}.get(attributes.get("length", ""), 0.0)
    neckline = attributes.get("neckline", "crew")
    waist = 0.6 if attributes.get("fit") == "slim" else 1.0
    scoop = 8 if neckline in ("scoop", "square") else 0
    return Torso(
        neck=(54 + scoop, -232),
        shoulder=(142 + wide * 0.7, -202 + wide * 0.15),
        armpit=(146 + wide, -86 + wide * 0.5),
        waist=(140 + wide - (1 - waist) * 22, 50),
        hem=(146 + wide, 214 + length),
        neckline=neckline,
        depth=NECK_DEPTHS.get(neckline, 42.0) if depth is None else depth,
    )


def arm(attributes: Attributes, pose: int, cuff: float = 56.0, width: float = 92.0) -> Arm:
    sleeve = attributes.get("sleeve", "long")
    if sleeve == "short":
        return Arm(upper=112, spread=0.62 - 0.14 * pose, cuff=width)
    if sleeve == "three-quarter":
        return Arm(upper=150, fore=90, spread=0.36 - 0.08 * pose, bend=-0.1, cuff=cuff + 14)
    return Arm(upper=180, fore=225, spread=0.34 - 0.09 * pose, bend=-0.16 + 0.06 * pose, cuff=cuff)


def hem_stitches(shape: Torso) -> tuple[Stroke, ...]:
    return tuple(Stroke(shape.hem_line(inset), 0.9, 0.2, 3) for inset in (13, 16))


def t_shirt(attributes: Attributes, pose: int) -> Garment:
    shape = torso(attributes)
    strokes = hem_stitches(shape)
    if attributes["pocket"] == "chest":
        strokes = (*strokes, *_patch_pocket(62, -96, 66, 72))
    back, front = shape.neckband(10 if attributes["neckline"] != "scoop" else 8)
    body = shape.body(strokes=strokes)
    return Garment((shape.inside(), back, *sleeves(shape, arm(attributes, pose)), body, front))


def knitwear(attributes: Attributes, pose: int) -> Garment:
    shape = replace(torso(attributes, ease=4, length=-14), hem_drop=5)
    cardigan = attributes["front"] == "cardigan"
    if cardigan:
        shape = replace(shape, neckline="v-neck", depth=150)
    pieces = [shape.inside()]
    body = shape.body(folds=0.8)
    collar: list[Piece] = []
    if attributes["neckline"] == "turtleneck" and not cardigan:
        collar = [_roll_neck(shape)]
    else:
        back, front = shape.neckband(15)
        pieces.append(back)
        collar = [front]
    pieces += [*sleeves(shape, arm(attributes, pose, cuff=58), cuff=30), body, _welt(shape, 30)]
    if cardigan:
        top, bottom = shape.neck[1] + shape.depth, shape.hem[1] + shape.hem_drop + 24
        placket = line((-8, top - 6), (-8, bottom), (8, bottom), (8, top - 6))
        edges = (Stroke(line((-8, top + 6), (-8, bottom)), 1.4, 0.35),)
        pieces.append(Piece((placket,), "rib", rim=2, lift=2, strokes=edges))
        pieces += collar
        pieces.append(_buttons(0, top + 22, bottom - 16, 5, 6.5))
    else:
        pieces += collar
    return Garment(tuple(pieces))


def shirt(attributes: Attributes, pose: int) -> Garment:
    shape = replace(torso({**attributes, "neckline": "crew"}, length=26, depth=34), hem_drop=20, neck=(50, -232))
    top, bottom = shape.neck[1] + shape.depth, shape.hem[1] + shape.hem_drop
    seams = [
        Stroke(line((-13, top), (-13, bottom)), 1.3, 0.34),
        Stroke(line((13, top), (13, bottom)), 0.9, 0.2, 3),
        Stroke(shape.hem_line(8), 0.9, 0.2, 3),
        *_yoke(shape),
    ]
    body = replace(shape.body(folds=1.15), strokes=tuple(seams))
    long = attributes["sleeve"] == "long"
    pieces = [shape.inside()]
    pieces += sleeves(shape, arm(attributes, pose, cuff=62), cuff=34 if long else 0, cuff_material="main")
    pieces.append(body)
    if attributes["pocket"] == "chest":
        pocket = _pocket_outline(66, -92, 70, 80)
        rim = Stroke(inset(pocket, 4), 0.9, 0.2, 3)
        flat = line((32, -78), (100, -78))
        pieces.append(Piece((pocket,), whole=20, rim=1.2, lift=1.5, strokes=(rim, Stroke(flat, 0.9, 0.2, 3))))
    pieces.append(_buttons(0, top + 28, bottom - 44, 6, 4.6))
    pieces += _band_collar(shape) if attributes["collar"] == "band" else _shirt_collar(shape)
    return Garment(tuple(pieces))


def hoodie(attributes: Attributes, pose: int) -> Garment:
    shape = replace(torso({**attributes, "neckline": "crew"}, ease=8, length=-20, depth=52), hem_drop=4)
    zipped = attributes["front"] == "zip"
    bottom = shape.hem[1] + shape.hem_drop
    y = shape.neck[1]
    hood = join(
        spline(
            [
                (-72, y + 12),
                (-96, y - 40),
                (-78, y - 96),
                (0, y - 116),
                (78, y - 96),
                (96, y - 40),
                (72, y + 12),
            ]
        ),
        spline([(72, y + 12), (40, y + 60), (0, y + 76), (-40, y + 60), (-72, y + 12)]),
    )
    face = spline(
        [(-44, y + 26), (-62, y - 30), (-46, y - 74), (0, y - 90), (46, y - 74), (62, y - 30), (44, y + 26)]
    )
    opening = join(face, spline([(44, y + 26), (22, y + 50), (0, y + 58), (-22, y + 50), (-44, y + 26)]))
    seam = (Stroke(inset(opening, -9), 1.0, 0.22, 3.5),)
    pieces = [
        *sleeves(shape, arm(attributes, pose, cuff=66), cuff=32),
        shape.body(folds=1.1),
        _welt(shape, 32),
    ]
    pocket = join(
        line((-62, bottom - 118), (62, bottom - 118)),
        spline([(62, bottom - 118), (84, bottom - 84), (100, bottom - 44)]),
        line((100, bottom - 8), (-100, bottom - 8)),
        spline([(-100, bottom - 44), (-84, bottom - 84), (-62, bottom - 118)]),
    )
    edge = Stroke(inset(pocket, 5), 0.9, 0.2, 3)
    pieces.append(Piece((pocket,), whole=22, puff=10, rim=2.0, lift=3, strokes=(edge,)))
    if zipped:
        pieces += _zip(0, y + 58, bottom + 30)
    pieces.append(Piece((hood,), whole=18, puff=34, rim=2, lift=4, strokes=seam, origin=(0, y)))
    pieces.append(Piece((opening,), "lining", tone=0.5, rim=-2.5, puff=-22))
    cords = tuple(_cord(side, y + 52, 96 + 9 * side) for side in (-1, 1))
    pieces.append(Piece(cords, "cord", rim=2.2, lift=3))
    return Garment(tuple(pieces))


def coat(attributes: Attributes, pose: int) -> Garment:
    knee, double = attributes["hem"] == "knee", attributes["front"] == "double-breasted"
    long = 150.0 if knee else 10.0
    shape = replace(
        torso({**attributes, "neckline": "v-neck"}, ease=10, length=long, depth=150 if knee else 134),
        hem_drop=4,
    )
    shape = replace(shape, hem=(shape.hem[0] + long * 0.12, shape.hem[1]), neck=(56, -230))
    y, bottom = shape.neck[1], shape.hem[1] + shape.hem_drop
    button_y = y + shape.depth + 6
    overlap = 34 if double else 13
    edge = spline([(overlap * 0.7, button_y - 4), (overlap, button_y + 40), (overlap, bottom - 2)])
    seams = [
        Stroke(edge, 1.6, 0.5),
        Stroke(offset(edge, 7), 0.9, 0.14, 3.5),
        Stroke(shape.hem_line(10), 0.9, 0.12, 4),
    ]
    body = replace(shape.body(folds=1.0), strokes=tuple(seams))
    pieces = [shape.inside("lining"), *sleeves(shape, arm(attributes, pose, cuff=76)), body]
    pocket_y = 118.0 if knee else 96.0
    flaps = []
    for side in (-1, 1):
        x = side * (shape.waist[0] * 0.58)
        flaps.append(
            line((x - 40, pocket_y), (x + 40, pocket_y - 3), (x + 41, pocket_y + 22), (x - 40, pocket_y + 25))
        )
    pieces.append(Piece(tuple(flaps), whole=26, rim=2.0, lift=2.5))
    last = pocket_y + (80 if knee else 40)
    pieces.append(_buttons(20 if double else 0, button_y + 14, last, 3, 8.5))
    if double:
        pieces.append(_buttons(-46, button_y + 14, last, 3, 8.5))
    pieces += _lapels(shape, overlap, button_y)
    return Garment(tuple(pieces))


# Parts


def _buttons(x: float, top: float, bottom: float, count: int, radius: float) -> Piece:
    centres = [(x, float(y)) for y in np.linspace(top, bottom, count)]
    holes = tuple(
        Stroke(line((cx + dx, cy - 0.9), (cx + dx, cy + 0.9)), 1.3, 0.6) for cx, cy in centres for dx in (-1.3, 1.3)
    )
    return Piece(tuple(disc(c, radius) for c in centres), "button", puff=3, rim=2.6, lift=2, gloss=0.5, strokes=holes)


def _pocket_outline(x: float, y: float, width: float, height: float) -> Points:
    half = width / 2
    low = y + height
    return line((x - half, y), (x + half, y), (x + half, low - 12), (x, low), (x - half, low - 12))


def _patch_pocket(x: float, y: float, width: float, height: float) -> tuple[Stroke, ...]:
    outline = _pocket_outline(x, y, width, height)
    closed = np.concatenate([outline, outline[:1]])
    mouth = line((x - width / 2, y + 12), (x + width / 2, y + 12))
    return Stroke(closed, 1.3, 0.28), Stroke(mouth, 0.9, 0.2, 3)


def _yoke(shape: Torso) -> tuple[Stroke, ...]:
    (nx, ny), (sx, sy) = shape.neck, shape.shoulder
    return tuple(Stroke(line((side * (nx + 2), ny + 28), (side * (sx - 6), sy + 26)), 1.1, 0.22) for side in (-1, 1))


def _welt(shape: Torso, height: float) -> Piece:
    """The ribbed band at the hem of knitwear, drawn in a little."""
    top = shape.hem_line(2)
    bottom = top * np.array([0.93, 1.0]) + np.array([0.0, height])
    ribs = tuple(Stroke(r, 1.0, 0.16) for r in rungs(top, bottom, 5))
    return Piece((join(top, bottom[::-1]),), "rib", whole=30, rim=2.0, lift=1.5, strokes=ribs)


def _roll_neck(shape: Torso) -> Piece:
    (x, y), d = shape.neck, shape.depth
    top = spline([(-x + 4, y - 40), (-x * 0.5, y - 46), (0, y - 44), (x * 0.5, y - 46), (x - 4, y - 40)])
    bottom = spline(
        [(-x - 4, y + 4), (-x * 0.7, y + d * 0.9), (0, y + d + 8), (x * 0.7, y + d * 0.9), (x + 4, y + 4)]
    )
    ribs = tuple(Stroke(r, 1.0, 0.16) for r in rungs(top, bottom, 5))
    return Piece((join(top, bottom[::-1]),), "rib", puff=26, rim=2.4, lift=3, strokes=ribs)


def _band_collar(shape: Torso) -> list[Piece]:
    back, front = shape.neckband(16, "main")
    split = Stroke(line((0, shape.neck[1] + shape.depth - 4), (0, shape.neck[1] + shape.depth + 18)), 1.4, 0.4)
    edge = Stroke(offset(shape.front_neck(), 12), 0.9, 0.2, 3)
    return [back, replace(front, strokes=(split, edge))]


def _shirt_collar(shape: Torso) -> list[Piece]:
    (x, y), d = shape.neck, shape.depth
    stand = join(
        spline([(-x + 3, y - 10), (0, y - 18), (x - 3, y - 10)]),
        spline([(x, y + 8), (0, y + 16), (-x, y + 8)]),
    )
    leaf = join(
        spline([(x - 4, y - 14), (x * 0.62, y + d * 0.45), (3, y + d + 2)]),
        line((3, y + d + 2), (26, y + d + 42)),
        spline([(26, y + d + 42), (x + 8, y + d + 8), (x + 16, y + 2)]),
        spline([(x + 16, y + 2), (x + 10, y - 10), (x - 4, y - 14)]),
    )
    pieces = [Piece((stand,), tone=0.74, rim=1.5)]
    for side in (-1, 1):
        outline = leaf if side > 0 else mirror(leaf)
        grain = -0.5 * side
        stitch = Stroke(inset(outline, 5), 0.9, 0.2, 3)
        pieces.append(Piece((outline,), grain=grain, puff=8, rim=2.2, lift=4, strokes=(stitch,)))
    return pieces


def _lapels(shape: Torso, overlap: float, button_y: float) -> list[Piece]:
    (x, y) = shape.neck
    stand = join(
        spline([(-x, y - 6), (0, y - 24), (x, y - 6)]), spline([(x + 2, y + 8), (0, y + 14), (-x - 2, y + 8)])
    )
    collar = join(
        spline([(x - 6, y - 14), (x + 12, y - 2), (x + 22, y + 16)]),
        line((x + 22, y + 16), (x + 34, y + 50), (x + 6, y + 62)),
        spline([(x + 6, y + 62), (x - 6, y + 30), (x - 6, y - 14)]),
    )
    lapel = join(
        spline([(x - 2, y + 8), (x * 0.62, y + 60), (overlap * 0.6, button_y)]),
        spline([(overlap * 0.6, button_y), (x + 2, button_y - 26), (x + 46, y + 72)]),
        line((x + 46, y + 72), (x + 4, y + 60)),
    )
    pieces = [Piece((stand,), tone=0.8, rim=1.5)]
    for side in (-1, 1):
        for outline, grain in ((lapel, 0.25), (collar, 0.5)):
            drawn = outline if side > 0 else mirror(outline)
            pieces.append(Piece((drawn,), grain=grain * -side, puff=7, rim=2.4, lift=5))
    return pieces


def _zip(x: float, top: float, bottom: float) -> list[Piece]:
    tape = line((x - 7, top), (x + 7, top), (x + 7, bottom), (x - 7, bottom))
    teeth = tuple(Stroke(line((x - 2.6, y), (x + 2.6, y)), 1.6, 0.5) for y in np.arange(top + 2, bottom, 4.0))
    seams = tuple(Stroke(line((x + dx, top), (x + dx, bottom)), 1.0, 0.3) for dx in (-6.0, 6.0))
    pull = line((x - 3, top + 10), (x + 3, top + 10), (x + 4, top + 30), (x - 4, top + 30))
    return [
        Piece((tape,), "second", rim=1, lift=1, tone=0.85, strokes=(*teeth, *seams)),
        Piece((pull,), "metal", rim=2, lift=2, gloss=0.6),
    ]


def _cord(side: int, top: float, length: float) -> Points:
    x = 20.0 * side
    return band(spline([(x, top), (x + 5 * side, top + length * 0.4), (x + 1 * side, top + length)]), 5.0)
