"""How hats and sneakers are cut."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from demo.curves import (
    Points,
    band,
    disc,
    ellipse,
    join,
    line,
    offset,
    rungs,
    spline,
    symmetric,
)
from demo.pieces import Crease, Folds, Garment, Piece, Stroke

Attributes = Mapping[str, str]


# Hats


def hat(attributes: Attributes, pose: int) -> Garment:
    return HATS[attributes["shape"]](attributes, pose)


def _beanie(attributes: Attributes, pose: int) -> Garment:
    dome = join(
        spline([(0, -176), (84, -158), (146, -84), (164, 30), (166, 84)]), spline([(166, 84), (90, 92), (0, 94)])
    )
    ribs = tuple(
        Stroke(spline([(s * 26, -172), (s * 128, -70), (s * 162, 84)]), 1.6, 0.16)
        for s in np.linspace(-0.92, 0.92, 19)
    )
    top, bottom = _arc(174, 62, 14), _arc(170, 164, 18)
    turn_up = tuple(Stroke(r, 1.8, 0.2) for r in rungs(top, bottom, 11))
    pieces = [
        Piece((symmetric(dome),), whole=60, puff=34, rim=1.5, folds=Folds(5, 60, 160), strokes=ribs),
        Piece((join(top, bottom[::-1]),), whole=52, puff=26, rim=3.0, lift=5, strokes=turn_up),
    ]
    if attributes["trim"] == "pompom":
        angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
        radius = 50 + 3.5 * np.sin(angle * 11 + pose) + 2.5 * np.sin(angle * 17)
        ball = np.stack([radius * np.cos(angle), radius * np.sin(angle) - 208], axis=1)
        pieces.append(Piece((ball,), "second", puff=44, rim=2, lift=5, origin=(0.0, -208.0), folds=Folds(4, 10, 11)))
    return Garment(tuple(pieces))


def _cap(attributes: Attributes, pose: int) -> Garment:
    """A baseball cap from the front and a little from the side."""
    crown = join(
        spline([(-158, 66), (-166, -20), (-128, -122), (-20, -166), (84, -140), (146, -50), (156, 62)]),
        spline([(156, 62), (90, 92), (0, 98), (-100, 88), (-158, 66)]),
    )
    crown = crown[:-1]
    seams = [
        Stroke(spline([(-24, -164), (-14, -60), (-8, 98)]), 1.4, 0.3),
        Stroke(spline([(-24, -164), (94, -96), (128, 74)]), 1.4, 0.3),
        Stroke(spline([(-24, -164), (-122, -96), (-136, 74)]), 1.4, 0.3),
    ]
    seams += [Stroke(offset(seam.points, d), 0.9, 0.2, 3) for seam in seams[:1] for d in (-5, 5)]
    eyelets = tuple(Stroke(disc(c, 3.6), 2.0, 0.4) for c in ((-64, -96), (56, -94)))
    visor = join(
        spline([(-148, 60), (-96, 76), (0, 84), (96, 78), (148, 56)]),
        spline(
            [(148, 56), (160, 92), (140, 138), (84, 172), (-4, 186), (-90, 176), (-140, 142), (-156, 96), (-148, 60)]
        ),
    )[:-1]
    rows = tuple(
        Stroke(spline([(-148 + d * 0.5, 82 + d), (0, 98 + d * 1.5), (146 - d * 0.5, 78 + d)]), 0.9, 0.26, 3)
        for d in (2, 14, 26, 38, 50)
    )
    top = spline([(-40, -166), (-22, -176), (-4, -167), (-22, -160)])
    visor_cloth = "second" if attributes["trim"] == "contrast visor" else "main"
    return Garment(
        (
            Piece((crown,), whole=56, puff=40, rim=1.5, folds=Folds(4, 90, 130), strokes=(*seams, *eyelets)),
            Piece((top,), visor_cloth, puff=8, rim=2.5, lift=2),
            Piece((visor,), visor_cloth, whole=8, puff=9, rim=3.0, lift=6, strokes=rows),
        )
    )


def _bucket(attributes: Attributes, pose: int) -> Garment:
    crown = join(
        spline([(0, -126), (70, -122), (106, -108)]),
        spline([(106, -108), (122, -40), (136, 50)]),
        spline([(136, 50), (70, 66), (0, 70)]),
    )
    brim = join(
        spline([(0, 48), (90, 44), (136, 26)]),
        spline([(136, 26), (182, 84), (206, 132)]),
        spline([(206, 132), (110, 170), (0, 178)]),
    )
    rows = tuple(
        Stroke(spline([(-138 - s, 42 + s * 0.9), (0, 72 + s), (138 + s, 42 + s * 0.9)]), 0.9, 0.22, 3)
        for s in range(14, 78, 10)
    )
    lid = Stroke(spline([(-104, -106), (0, -94), (104, -106)]), 1.4, 0.34)
    pieces = [
        Piece((symmetric(crown),), whole=44, puff=30, rim=1.4, folds=Folds(7, 80, 110, 0.3), strokes=(lid,)),
        Piece((symmetric(brim),), whole=30, puff=16, rim=2.4, lift=3, folds=Folds(8, 90, 200), strokes=rows),
    ]
    if attributes["trim"] == "ribbon":
        pieces.insert(1, Piece((band(_arc(133, 26, 16), 20),), "second", whole=40, rim=1.8, lift=1.5))
    return Garment(tuple(pieces))


def _brimmed(attributes: Attributes, pose: int) -> Garment:
    crown = join(
        spline([(0, -112), (26, -128), (76, -132), (102, -96)]),
        spline([(102, -96), (118, -20), (124, 58)]),
        spline([(124, 58), (70, 78), (0, 84)]),
    )
    brim = ellipse((0, 66), (268, 64 + 6 * pose), 64)
    dent = (Crease((-20, -126), (-56, -10), 20, -10), Crease((24, -126), (62, -10), 20, -10))
    return Garment(
        (
            Piece((brim,), whole=20, puff=22, rim=3.5, folds=Folds(6, 200, 60, 0.1)),
            Piece((symmetric(crown),), whole=50, puff=34, rim=1.4, lift=9, creases=dent),
            Piece((band(_arc(122, 22, 22), 30),), "second", whole=50, puff=8, rim=2, lift=2),
        )
    )


HATS: dict[str, Callable[[Attributes, int], Garment]] = {
    "beanie": _beanie,
    "baseball cap": _cap,
    "bucket hat": _bucket,
    "wide-brim hat": _brimmed,
}


def sneaker(attributes: Attributes, pose: int) -> Garment:
    """One shoe from the side; the second photo shows the pair."""
    near = _shoe(attributes)
    if not pose:
        return Garment(tuple(near), grounded=True, outline_wobble=1.0)
    far = [_moved(replace(piece, tone=piece.tone * 0.93), (46.0, -64.0)) for piece in near]
    near = [_moved(piece, (-34.0, 20.0)) for piece in near]
    near[0] = replace(near[0], lift=16)
    return Garment((*far, *near), grounded=True, outline_wobble=1.0)


def _shoe(attributes: Attributes) -> list[Piece]:
    collar = {"low-top": 0.0, "high-top": -92.0, "slip-on": 6.0}[attributes["shape"]]
    laced = attributes["shape"] != "slip-on"
    ankle = -178 + collar * 0.1
    back = spline([(-206, 62), (-212, 6), (-200, -40), (ankle, -86 + collar)])
    rim = spline([(ankle, -86 + collar), (-140, -70 + collar), (-90, -62 + collar), (-40, -92 + collar * 0.9)])
    front = spline([(-40, -92 + collar * 0.9), (6, -78 + collar * 0.3), (70, -26), (136, 0), (194, 22), (222, 62)])
    upper = join(back, rim, front, line((222, 70), (-206, 70)))
    sole = join(
        spline([(-212, 60), (-120, 64), (60, 64), (170, 57), (222, 46)]),
        spline([(222, 46), (232, 62), (216, 84), (176, 97)]),
        spline([(176, 97), (0, 102), (-186, 100)]),
        spline([(-186, 100), (-210, 94), (-216, 78), (-212, 60)]),
    )
    tread = join(
        spline([(-208, 92), (0, 95), (180, 91), (210, 84)]), spline([(210, 84), (176, 100), (0, 105), (-192, 103)])
    )
    toe = join(
        spline([(126, -4), (160, 6), (196, 22), (224, 64)]),
        line((224, 70), (112, 70)),
        spline([(112, 70), (108, 32), (126, -4)]),
    )
    heel = join(
        spline([(-210, 66), (-214, 6), (-202, -40)]), spline([(-202, -40), (-168, -16), (-150, 30), (-146, 68)])
    )
    side = spline([(-146, 20), (-60, 8), (20, 26), (112, 54)])
    seams = (Stroke(side, 1.0, 0.22, 3), Stroke(offset(side, 5), 1.0, 0.22, 3), Stroke(offset(rim, 9), 1.0, 0.22, 3))
    inner = join(
        rim, spline([(-40, -92 + collar * 0.9), (-84, -92 + collar), (-136, -92 + collar), (ankle, -86 + collar)])
    )
    tongue = join(
        spline([(-56, -76 + collar), (-66, -124 + collar), (-36, -138 + collar), (-12, -108 + collar * 0.9)]),
        spline([(-12, -108 + collar * 0.9), (14, -74 + collar * 0.3), (76, -22), (40, 0), (-40, -50)]),
    )
    pieces = [Piece((inner,), "lining", tone=0.55, rim=-1.5)]
    if laced:
        pieces.append(Piece((tongue,), "main", tone=0.92, puff=14, rim=2.4))
    pieces += [
        Piece((upper,), whole=26, puff=34, rim=2.2, folds=Folds(3, 80, 90, 0.6), strokes=seams,
              creases=(Crease((40, -34), (84, 40), 12, -4), Crease((66, -20), (106, 40), 10, -3))),
        Piece((heel,), "second", whole=20, puff=16, rim=2, lift=1.5),
        Piece((toe,), "second" if attributes["trim"] == "contrast toe" else "main", puff=24, rim=2.2, lift=1.5),
    ]  # fmt: skip
    if laced:
        pieces += _lacing(collar)
    lines = (Stroke(spline([(-212, 72), (0, 77), (172, 70), (226, 58)]), 1.2, 0.2),)
    pieces += [
        Piece((sole,), "sole", puff=14, rim=3, lift=2, strokes=lines),
        Piece((tread,), "tread", puff=4, rim=2),
    ]
    return pieces


def _lacing(collar: float) -> list[Piece]:
    """The eyelet facing along the throat, and laces across it."""
    throat = spline([(-38, -84 + collar * 0.9), (8, -70 + collar * 0.3), (72, -18)])
    facing = join(throat, (throat + np.array([-14.0, 40.0]))[::-1])
    at = np.linspace(6, len(throat) - 4, 5 - round(collar / 46)).astype(int)
    bow = line((9, -11), (-2, 8), (-10, 24))
    laces = [band(spline(p + bow), 9) for p in throat[at]]
    holes = tuple(Stroke(disc((float(p[0]) - 12, float(p[1]) + 26), 2.2), 2.0, 0.5) for p in throat[at])
    return [
        Piece((facing,), "main", puff=6, rim=2, lift=2, strokes=holes),
        Piece(tuple(laces), "cord", puff=4, rim=2.6, lift=2.5),
    ]


# Parts


def _arc(half: float, y: float, drop: float) -> Points:
    """A hem as seen a little from above: ends at y, the middle lower by `drop`."""
    return spline(
        [(-half, y), (-half * 0.6, y + drop * 0.72), (0, y + drop), (half * 0.6, y + drop * 0.72), (half, y)]
    )


def _moved(piece: Piece, by: tuple[float, float]) -> Piece:
    x, y = by
    return replace(
        piece,
        outlines=tuple(outline + by for outline in piece.outlines),
        origin=(piece.origin[0] + x, piece.origin[1] + y),
        strokes=tuple(replace(stroke, points=stroke.points + by) for stroke in piece.strokes),
        creases=tuple(
            replace(c, start=(c.start[0] + x, c.start[1] + y), end=(c.end[0] + x, c.end[1] + y))
            for c in piece.creases
        ),
    )
