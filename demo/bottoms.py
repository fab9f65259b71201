"""How dresses, skirts, trousers and shorts are cut."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from demo.curves import Points, band, disc, join, line, mirror, offset, spline
from demo.pieces import Crease, Folds, Garment, Piece, Stroke
from demo.tops import arm, torso
from demo.torso import sleeves

Attributes = Mapping[str, str]

SKIRT_LENGTHS = {"mini": 190.0, "knee": 270.0, "midi": 360.0, "maxi": 450.0}
FLARES = {"pencil": -0.03, "straight": 0.06, "A-line": 0.24, "pleated": 0.26, "wrap": 0.14, "fit and flare": 0.34}
"""Pixels by which each side widens per pixel of length."""


def dress(attributes: Attributes, pose: int) -> Garment:
    sleeve = attributes["sleeve"]
    shape = torso({**attributes, "fit": "slim"}, ease=-10, depth=None)
    shape = replace(shape, armpit=(116, -98), waist=(98, 10), hem=(96, 46), hem_drop=3, shoulder=(116, -206))
    if sleeve in ("none", "straps"):
        wide = {"none": 92, "straps": 74}[sleeve]
        narrow = {"none": shape.neck[0], "straps": 58}[sleeve]
        shape = replace(shape, shoulder=(wide, -220), neck=(narrow, -232))
    bodice = replace(
        shape.body(folds=0.8),
        creases=(
            Crease((-96, -60), (-34, -18), 12, 3.5),
            Crease((96, -60), (34, -18), 12, 3.5),
            Crease((-94, 30), (-50, -50), 12, 3.0),
            Crease((94, 30), (50, -50), 12, 3.0),
        ),
    )
    skirt_piece = _skirt(
        (94, 40), SKIRT_LENGTHS[attributes["hem"]] * 0.85 + 30, attributes["shape"], pose=pose, top_drop=3
    )
    pieces = [shape.inside()]
    if sleeve not in ("none", "straps"):
        pieces += sleeves(shape, arm(attributes, pose, cuff=54, width=84))
    trim = Stroke(offset(shape.front_neck(), 5), 0.9, 0.2, 3)
    pieces += [skirt_piece, replace(bodice, strokes=(trim,))]
    if attributes["belt"] == "belt":
        top = spline([(-97, 32), (0, 37), (97, 32)])
        pieces.append(Piece((band(top, 19),), "second", whole=30, puff=8, rim=2.2, lift=3))
        buckle = line((-13, 31), (13, 31), (13, 60), (-13, 60))
        hole = line((-8, 37), (8, 37), (8, 54), (-8, 54))
        pieces += [
            Piece((buckle,), "metal", rim=2.4, lift=2, gloss=0.6),
            Piece((hole,), "second", rim=-1.5, tone=0.9),
        ]
    else:
        pieces.append(Piece((band(spline([(-96, 40), (0, 45), (96, 40)]), 3),), rim=1.5, tone=0.9, whole=30))
    return Garment(tuple(pieces))


def skirt(attributes: Attributes, pose: int) -> Garment:
    length = SKIRT_LENGTHS[attributes["hem"]]
    top = -length / 2 - 20
    style = attributes["shape"]
    pieces = [Piece((join(_waist(104, top - 9, -7), _waist(104, top - 6, 12)[::-1]),), "main", tone=0.55, rim=0.5)]
    pieces.append(_skirt((108, top + 18), length, style, pose=pose, top_drop=8, hip=style != "pleated"))
    belt = join(_waist(104, top - 8, 8), _waist(110, top + 22, 9)[::-1])
    pieces.append(
        Piece((belt,), whole=30, puff=6, rim=2, lift=2, strokes=(Stroke(_waist(108, top + 18, 9), 0.9, 0.2, 3),))
    )
    if style == "wrap":
        edge = spline([(44, top + 26), (30, top + length * 0.5), (-20, top + length + 18)])
        seam = (Stroke(edge, 1.6, 0.5), Stroke(offset(edge, -7), 0.9, 0.2, 3))
        pieces[1] = replace(pieces[1], strokes=(*pieces[1].strokes, *seam))
        pieces.append(Piece((disc((44, top + 12), 8),), "button", puff=3, rim=2.6, lift=2, gloss=0.5))
    return Garment(tuple(pieces))


def trousers(attributes: Attributes, pose: int) -> Garment:
    knee, cuff = {"slim": (76, 58), "straight": (94, 86), "wide": (122, 140), "tapered": (92, 62)}[attributes["fit"]]
    length = {"full": 590.0, "cropped": 500.0}[attributes["length"]]
    return _legs(attributes, pose, _Legs(length, knee, cuff))


def shorts(attributes: Attributes, pose: int) -> Garment:
    length = {"short": 250.0, "knee": 330.0}[attributes["length"]]
    width = {"slim": 112, "straight": 122, "wide": 138}[attributes["fit"]]
    return _legs(attributes, pose, _Legs(length, width, width, short=True))


# Parts


def _waist(half: float, y: float, drop: float) -> Points:
    return spline([(-half, y), (-half * 0.5, y + drop * 0.8), (0, y + drop), (half * 0.5, y + drop * 0.8), (half, y)])


def _skirt(
    waist: tuple[float, float], length: float, style: str, *, pose: int, top_drop: float, hip: bool = False
) -> Piece:
    half, top = waist
    flare, bottom = FLARES[style], top + length
    curvy = hip or style == "pencil"
    wide = half + flare * length + (26 if curvy else 8)
    belly = half + min(length * 0.3, 70) * flare + (22 if curvy else 4)
    side = spline([(half, top), (belly, top + min(length * 0.28, 84)), (wide * 0.96, bottom - 40), (wide, bottom)])
    x = np.linspace(wide, -wide, 73)
    sag = 14 * (1 - (x / wide) ** 2)
    if style == "pleated":
        sag += 2.0 * np.sign(np.sin(np.arange(73) * np.pi / 2 + 0.5))
    else:
        waves = {"fit and flare": 7.0, "A-line": 5.0, "wrap": 4.0}.get(style, 1.0)
        sag += waves * np.sin(x / wide * 8.0 + pose) * (1 - (x / wide) ** 4)
    hem = np.stack([x, bottom + sag], axis=1)
    cloth = Piece(
        (join(side, hem, mirror(side), _waist(half, top, top_drop)),),
        origin=(0.0, top),
        flare=flare / half * 60,
        whole=34,
        rim=1.4,
        strokes=(Stroke(hem[5:-5] - np.array([0, 11.0]), 0.9, 0.16, 3),),
    )
    if style == "pleated":
        return _pleated(cloth, (half, top), (wide, bottom))
    if style in ("pencil", "straight"):
        pulls = (
            Crease((-half, top + 70), (half * 0.3, top + 100), 12, 3),
            Crease((half, top + 60), (-half * 0.1, top + 104), 12, 3),
        )
        return replace(cloth, folds=Folds(height=6, across=110, along=240, angle=0.2), creases=pulls)
    drapes = tuple(
        Crease((s * half * 0.8, top - 10), (s * wide * 0.94, bottom + length * 0.35), 15, 10)
        for s in np.linspace(-0.86, 0.8, 5 if style == "A-line" else 7) + 0.05 * pose
    )
    return replace(cloth, folds=Folds(height=16, across=84, along=900, fall=0.95), creases=drapes)


def _pleated(cloth: Piece, upper: tuple[float, float], lower: tuple[float, float]) -> Piece:
    """Seventeen pressed pleats, each a ridge beside a dark edge."""
    (half, top), (wide, bottom) = upper, lower
    edges, ridges = [], []
    for s in np.linspace(-0.94, 0.94, 17).tolist():
        middle = (s * (half + wide) * 0.52, (top + bottom) / 2)
        edges.append(Stroke(line((s * half, top + 6), middle, (s * wide, bottom + 8)), 1.5, 0.34))
        ridges.append(Crease(((s + 0.045) * half, top - 60), ((s + 0.045) * wide, bottom + 70), 5.0, 2.4))
    folds = Folds(height=4, across=60, along=500, fall=0.5)
    return replace(cloth, folds=folds, creases=tuple(ridges), strokes=tuple(edges))


@dataclass(frozen=True)
class _Legs:
    """Lengths and widths in pixels."""

    length: float
    knee: float
    cuff: float
    short: bool = False


def _legs(attributes: Attributes, pose: int, legs: _Legs) -> Garment:
    length, knee, cuff, short = legs.length, legs.knee, legs.cuff, legs.short
    top, hem = -length / 2, 22 if short else 16
    crotch = top + (150 if short else 168)
    bottom = top + length
    stance = 12 + 9 * pose + (0 if short else (cuff - 60) * 0.12)
    pieces = [Piece((join(_waist(92, top - 8, -6), _waist(92, top - 4, 14)[::-1]),), "lining", tone=0.6, rim=0.5)]
    for side in (-1, 1):
        knee_y = crotch + (bottom - crotch) * 0.45
        low = stance + cuff
        thigh = (124 + low) / 2 + 6 if short else max(116.0, stance + knee)
        outer = spline([(98, top + 6), (122, top + 100), (thigh, knee_y), (low, bottom)])
        inner = spline([(stance, bottom), (stance * 0.8 + 2, knee_y), (3, crotch + 10), (0, crotch)])
        end = spline([(low, bottom), ((low + stance) / 2, bottom + 5), (stance, bottom)])
        outline = join(outer, end, inner, line((0, crotch), (-9, crotch - 26), (-9, top + 6)))
        strokes = [
            Stroke(end - np.array([0, hem]), 1.0, 0.25, 3),
            *_hip_seams(attributes, top, crotch, right=side > 0),
        ]
        if attributes["texture"] == "denim":
            strokes.append(Stroke(offset(outer, 5)[9:], 1.0, 0.2, 3.5))
        if attributes["crease"] == "pressed":
            middle = (stance + low) / 2
            strokes.append(
                Stroke(spline([(middle - 18, top + 80), (middle - 4, knee_y), (middle, bottom)]), 1.5, 0.2)
            )
        flip = np.array([side, 1.0])
        pieces.append(
            Piece(
                (outline * flip,),
                grain=-side * 0.03,
                whole=14,
                puff=30,
                rim=0.9,
                folds=Folds(height=6.5, across=62, along=210, angle=0.25 * side),
                creases=_leg_creases(side, crotch, bottom, stance, low, knees=not short),
                strokes=tuple(replace(stroke, points=stroke.points * flip) for stroke in strokes),
            )
        )
    return Garment((*pieces, *_waistband(attributes, top)))


def _hip_seams(attributes: Attributes, top: float, crotch: float, *, right: bool) -> list[Stroke]:
    """Pocket and fly of the right half, seen from the front; the fly lies on one side only."""
    pocket = spline([(52, top + 26), (72, top + 66), (118, top + 84)])
    seams = [Stroke(pocket, 1.5, 0.42), Stroke(pocket + np.array([0, 5.0]), 0.9, 0.2, 3)]
    if right:
        seams.append(Stroke(line((-1, top + 24), (0, crotch - 2)), 1.5, 0.4))
        if attributes["waist"] != "drawstring":
            seams.append(Stroke(spline([(24, top + 24), (22, top + 92), (2, crotch - 34)]), 1.0, 0.24, 3))
    return seams


def _leg_creases(
    side: int, crotch: float, bottom: float, inner: float, outer: float, *, knees: bool
) -> tuple[Crease, ...]:
    creases = [
        Crease((side * 4.0, crotch + 6), (side * 112.0, crotch - 46), 9, 4.0),
        Crease((side * 4.0, crotch + 16), (side * 116.0, crotch + 4), 10, 4.5),
        Crease((side * 6.0, crotch + 30), (side * 106.0, crotch + 58), 11, 3.5),
    ]
    if knees:
        knee = crotch + (bottom - crotch) * 0.45
        for dy, height in ((-26, 2.6), (4, 3.4), (34, 2.6), (120, 2.2)):
            creases.append(
                Crease((side * (inner + 2), knee + dy + 18), (side * (outer + 6), knee + dy - 14), 12, height)
            )
        creases.append(Crease((side * (inner + 4), bottom - 30), (side * (outer - 4), bottom - 46), 8, 4.0))
    return tuple(creases)


def _waistband(attributes: Attributes, top: float) -> list[Piece]:
    drawn = attributes["waist"] == "drawstring"
    upper, lower = _waist(96, top - 8, 9), _waist(101, top + 22, 10)
    edge = (Stroke(lower - np.array([0, 4.0]), 0.9, 0.2, 3), Stroke(upper + np.array([0, 4.0]), 0.9, 0.2, 3))
    gathers = tuple(Stroke(line((x, top - 4), (x, top + 28)), 1.4, 0.16) for x in np.arange(-92.0, 93.0, 7.0))
    belt = Piece((join(upper, lower[::-1]),), whole=26, puff=6, rim=2, lift=2, strokes=gathers if drawn else edge)
    if drawn:
        cords = tuple(
            band(spline([(s * 7, top + 16), (s * 17, top + 50), (s * 12, top + 92 + 8 * s)]), 5.0) for s in (-1, 1)
        )
        return [belt, Piece(cords, "cord", rim=2.2, lift=2.5)]
    loops = tuple(line((x - 4, top - 6), (x + 4, top - 6), (x + 4, top + 32), (x - 4, top + 32)) for x in (-62, 62))
    fastening = "metal" if attributes["texture"] == "denim" else "button"
    button = Piece((disc((4, top + 15), 7),), fastening, puff=3, rim=2.6, lift=2, gloss=0.4)
    return [belt, Piece(loops, whole=20, rim=2, lift=2), button]
