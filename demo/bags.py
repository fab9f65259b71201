"""Bags: totes, handbags, crossbody bags and backpacks, each drawn as pieces."""

from collections.abc import Callable, Mapping

import numpy as np

from demo.curves import (
    band,
    ellipse,
    inset,
    join,
    limb,
    line,
    spline,
    symmetric,
)
from demo.pieces import Crease, Folds, Garment, Piece, Stroke

Attributes = Mapping[str, str]


def bag(attributes: Attributes, pose: int) -> Garment:
    return BAGS[attributes["shape"]](attributes, pose)


def _tote(attributes: Attributes, pose: int) -> Garment:
    body = symmetric(
        join(
            line((0, -84), (168, -90)),
            spline([(168, -90), (172, 60), (160, 214)]),
            spline([(160, 214), (148, 226), (80, 230), (0, 231)]),
        )
    )
    strap = spline([(-76, -80), (-80, -190), (-58, -276), (0, -306), (58, -276), (80, -190), (76, -80)])
    patches = tuple(line((x - 15, -92), (x + 15, -92), (x + 15, -26), (x - 15, -26)) for x in (-84, 84))
    hem = (Stroke(line((-165, -64), (165, -64)), 0.9, 0.22, 3), Stroke(line((-166, -58), (166, -58)), 0.9, 0.22, 3))
    back = join(line((-76, -40)), strap, line((76, -40))) + np.array([16.0 - 24 * pose, -16.0])
    folds = (
        Crease((-150, 190), (-20, 60), 22, 6),
        Crease((150, 200), (40, 40), 22, 6),
        Crease((-60, -60), (-30, 120), 20, 4),
    )
    cross = tuple(
        Stroke(line((x - 11, a), (x + 11, b)), 0.9, 0.25, 3) for x in (-84, 84) for a, b in ((-56, -32), (-32, -56))
    )
    return Garment(
        (
            Piece((band(back, 19),), "second", tone=0.72, rim=2),
            Piece((body,), whole=34, puff=10, rim=1.6, folds=Folds(9, 110, 260, 0.2), creases=folds, strokes=hem),
            Piece((band(strap, 20),), "second", rim=2.4, lift=4),
            Piece(patches, "second", rim=2.2, lift=2, strokes=cross),
        ),
        grounded=True,
    )


def _handbag(attributes: Attributes, pose: int) -> Garment:
    body = symmetric(
        join(
            spline([(0, -84), (150, -88)]),
            spline([(150, -88), (186, -40), (196, 80), (188, 150), (160, 164)]),
            spline([(160, 164), (60, 168), (0, 168)]),
        )
    )
    flap = symmetric(
        join(
            spline([(0, -98), (120, -98), (160, -88)]),
            spline([(160, -88), (176, -30), (160, 30), (96, 56), (0, 66)]),
        )
    )
    handle = spline([(-86, -92), (-92, -150), (-70, -206), (0, -228), (70, -206), (92, -150), (86, -92)])
    clasp = line((-18, 46), (18, 46), (18, 80), (-18, 80))
    edge = (Stroke(inset(flap, 8), 1.0, 0.26, 4),)
    seam = (Stroke(inset(body, 9), 1.0, 0.26, 4),)
    rings = tuple(ellipse((x, -92), (13, 15), 24) for x in (-88, 88))
    return Garment(
        (
            Piece((band(handle, 15),), "second", puff=12, rim=3, lift=0, gloss=0.3),
            Piece((body,), whole=40, puff=22, rim=3, gloss=0.22, strokes=seam),
            Piece(rings, "metal", rim=2.5, puff=3, lift=2, gloss=0.7),
            Piece((flap,), whole=30, puff=16, rim=3, lift=7, gloss=0.25, strokes=edge),
            Piece((clasp,), "metal", puff=5, rim=3, lift=3, gloss=0.7),
        ),
        grounded=True,
    )


def _crossbody(attributes: Attributes, pose: int) -> Garment:
    body = symmetric(
        join(
            spline([(0, 10), (118, 8)]),
            spline([(118, 8), (140, 60), (138, 150), (96, 206), (0, 214)]),
        )
    )
    strap = spline(
        [(-122, 30), (-150, -90), (-110, -220), (-10, -282), (96, -240), (148, -110), (122, 30)]
        if not pose
        else [(-122, 30), (-160, -70), (-150, -190), (-40, -270), (80, -262), (154, -130), (122, 30)]
    )
    pocket = symmetric(join(spline([(0, 84), (96, 80)]), spline([(96, 80), (108, 130), (76, 178), (0, 184)])))
    zip_line = line((-100, 36), (100, 34))
    teeth = (Stroke(zip_line, 5, 0.45), Stroke(zip_line, 2.2, 0.5, 2))
    pull = line((82, 30), (92, 30), (94, 62), (82, 62))
    return Garment(
        (
            Piece((band(strap, 14),), "second", rim=2.6, puff=5, lift=0),
            Piece((body,), whole=34, puff=26, rim=2.6, gloss=0.15, strokes=teeth, folds=Folds(3, 120, 120)),
            Piece(
                (pocket,),
                whole=20,
                puff=16,
                rim=2.4,
                lift=4,
                gloss=0.15,
                strokes=(Stroke(inset(pocket, 7), 1, 0.25, 4),),
            ),
            Piece((pull,), "metal", rim=2.5, lift=2, gloss=0.6),
        ),
        grounded=True,
    )


def _backpack(attributes: Attributes, pose: int) -> Garment:
    body = symmetric(
        join(
            spline([(0, -196), (84, -186), (140, -120), (156, 20), (160, 170), (136, 212)]),
            spline([(136, 212), (60, 220), (0, 220)]),
        )
    )
    pocket = symmetric(
        join(spline([(0, 34), (112, 32)]), spline([(112, 32), (122, 60), (124, 160), (104, 188), (0, 192)]))
    )
    handle = spline([(-34, -188), (-30, -230), (0, -244), (30, -230), (34, -188)])
    straps = tuple(
        join(
            *(
                part if i == 0 else part[::-1]
                for i, part in enumerate(
                    limb([(s * 70, -170), (s * 168, -40), (s * 172, 110), (s * 130, 190)], [26, 36, 30, 22])
                )
            )
        )
        for s in (-1, 1)
    )
    arch = spline([(-128, 6), (-118, -96), (-70, -150), (0, -160), (70, -150), (118, -96), (128, 6)])
    mouth = spline([(-104, 56), (0, 52), (104, 56)])
    zips = tuple(s for curve in (arch,) for s in (Stroke(curve, 5, 0.45), Stroke(curve, 2.2, 0.5, 2)))
    lines = (Stroke(mouth, 5, 0.45), Stroke(mouth, 2.2, 0.5, 2), Stroke(inset(pocket, 7), 1, 0.25, 4))
    patch = line((-26, -30), (26, -30), (26, -4), (-26, -4))
    return Garment(
        (
            Piece(straps, "second", tone=0.8, puff=14, rim=2.6),
            Piece((band(handle, 13),), "second", rim=2.6),
            Piece((body,), whole=48, puff=30, rim=2.2, folds=Folds(4, 150, 260, 0.2), strokes=zips),
            Piece((pocket,), whole=26, puff=22, rim=2.4, lift=6, folds=Folds(4, 90, 120), strokes=lines),
            Piece((patch,), "second", rim=2, lift=1.5),
        ),
        grounded=True,
    )


BAGS: dict[str, Callable[[Attributes, int], Garment]] = {
    "tote": _tote,
    "handbag": _handbag,
    "crossbody": _crossbody,
    "backpack": _backpack,
}


# Shoes
