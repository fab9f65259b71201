"""Bodices and sleeves: what T-shirts, shirts, coats and dresses have in common."""

from dataclasses import dataclass, replace

import numpy as np

from demo.curves import Points, band, join, line, mirror, offset, rungs, spline, symmetric
from demo.pieces import Crease, Folds, Piece, Stroke

Point = tuple[float, float]

FITS = {"slim": -14.0, "regular": 0.0, "relaxed": 16.0}
"""Pixels added to each half of the chest."""


@dataclass(frozen=True)
class Torso:
    """The right half of a bodice by its landmarks."""

    neck: Point = (54.0, -232.0)
    shoulder: Point = (142.0, -202.0)
    armpit: Point = (146.0, -86.0)
    waist: Point = (140.0, 50.0)
    hem: Point = (146.0, 214.0)
    hem_drop: float = 8.0
    neckline: str = "crew"
    depth: float = 40.0

    def front_neck(self) -> Points:
        """The neckline from the wearer's right to left, as seen from left to right."""
        x, y = self.neck
        if self.neckline == "v-neck":
            half = spline([(0, y + self.depth), (x * 0.55, y + self.depth * 0.52), (x, y)])
        elif self.neckline == "square":
            half = join(spline([(0, y + self.depth), (x * 0.86, y + self.depth)]), line((x, y)))
        else:
            d = self.depth
            return spline([(-x, y), (-x * 0.84, y + d * 0.56), (0, y + d), (x * 0.84, y + d * 0.56), (x, y)])
        return join(mirror(half), half[1:])

    def back_neck(self) -> Points:
        x, y = self.neck
        return spline([(-x, y), (-x * 0.6, y + 9), (0, y + 12), (x * 0.6, y + 9), (x, y)])

    def side(self) -> Points:
        """Neck, shoulder, armhole, side seam and hem of the right half."""
        (nx, ny), (sx, sy), (ax, ay), (hx, hy) = self.neck, self.shoulder, self.armpit, self.hem
        return join(
            spline([(nx, ny), ((nx + sx) / 2, (ny + sy) / 2 - 2), (sx, sy)]),
            spline([(sx, sy), (min(sx, ax) - 9, (sy + ay) / 2 + 8), (ax, ay)]),
            spline([(ax, ay), self.waist, (hx, hy)]),
            spline([(hx, hy), (hx * 0.55, hy + self.hem_drop * 0.9), (0, hy + self.hem_drop)]),
        )

    def outline(self) -> Points:
        front = self.front_neck()
        return symmetric(front[len(front) // 2 :], self.side())

    def hem_line(self, inset: float) -> Points:
        (hx, hy), drop = self.hem, self.hem_drop
        return spline(
            [
                (-hx + 1, hy - inset),
                (-hx * 0.55, hy + drop * 0.9 - inset),
                (0, hy + drop - inset),
                (hx * 0.55, hy + drop * 0.9 - inset),
                (hx - 1, hy - inset),
            ]
        )

    def inside(self, material: str = "main") -> Piece:
        """The back of the garment, seen through the neck opening."""
        hole = join(offset(self.back_neck(), -6), offset(self.front_neck(), 6)[::-1])
        seam = Stroke(offset(self.back_neck(), 9), 1.2, 0.25)
        return Piece((hole,), material, tone=0.58, rim=0.5, strokes=(seam,))

    def neckband(self, width: float, material: str = "rib") -> tuple[Piece, Piece]:
        """Ribbing around the neck: its back, then its front."""
        back, front = self.back_neck(), self.front_neck()
        outer = offset(front, width)
        ribs = tuple(Stroke(r, 1.0, 0.14) for r in rungs(front, outer, 4.5))
        edge = Stroke(offset(front, width + 3), 1.0, 0.16)
        return (
            Piece((band(back, width * 0.8),), material, tone=0.72, rim=1.0),
            Piece((band(front, width),), material, rim=2.0, lift=1.2, strokes=(*ribs, edge)),
        )

    def body(self, folds: float = 1.0, strokes: tuple[Stroke, ...] = (), material: str = "main") -> Piece:
        (sx, sy), (ax, ay), (hx, hy) = self.shoulder, self.armpit, self.hem
        creases = []
        for side in (-1, 1):
            creases += [
                Crease((side * (ax - 4), ay + 4), (side * ax * 0.35, ay + 74), 11, 3.4 * folds),
                Crease((side * (ax - 2), ay + 26), (side * ax * 0.5, ay + 120), 13, 2.6 * folds),
                Crease((side * (hx - 8), hy - 110), (side * hx * 0.2, hy - 44), 15, 3.0 * folds),
                Crease((side * (sx - 8), sy + 12), (side * (ax - 22), ay - 12), 9, 2.0 * folds),
            ]
        return Piece(
            (self.outline(),),
            material,
            whole=36,
            rim=1.2,
            folds=Folds(height=8.0 * folds, across=96, along=300, angle=0.12, fall=0.55),
            creases=tuple(creases),
            strokes=strokes,
        )


@dataclass(frozen=True)
class Arm:
    """How a sleeve hangs: lengths in pixels, angles from the vertical, outwards, in radians."""

    upper: float = 105.0
    fore: float = 0.0
    spread: float = 0.5
    bend: float = 0.0
    cuff: float = 84.0

    def sleeve(self, torso: Torso, side: int, material: str = "main") -> tuple[Piece, Points, Points]:
        """The sleeve with the outer and the inner end of its opening as a curve and the curve above it."""
        outer, inner = self._sides(torso)
        (sx, sy), (ax, ay) = torso.shoulder, torso.armpit
        closing = line((ax - 26, ay - 4), (sx - 34, sy + 8))
        flip = np.array([side, 1.0])
        opening = spline(np.array([outer[-1], (outer[-1] + inner[-1]) / 2 + self._down() * 4, inner[-1]]))
        outline = join(outer, opening, inner[::-1], closing) * flip
        direction = np.array([np.sin(self._lean()), np.cos(self._lean())])
        anchor = (np.array(torso.shoulder) - direction * sy) * flip
        creases = [_crease(np.array([ax, ay + 4]) * flip, self._at(outer, 0.5) * flip, 11, 5)]
        if self.fore:
            for at, height in ((0.42, 4.5), (0.5, 5.5), (0.58, 4.0), (0.84, 3.0)):
                a, b = self._at(inner, at), self._at(outer, at - 0.06)
                creases.append(_crease(a * flip, b * flip, 9, height))
        piece = Piece(
            (outline,),
            material,
            grain=-side * self._lean(),
            origin=(float(anchor[0]), float(anchor[1])),
            whole=14,
            puff=26,
            rim=1.2,
            folds=Folds(height=5.5, across=58, along=170, angle=side * 0.35),
            creases=tuple(creases),
        )
        hem = opening * flip
        return piece, hem, hem - self._down() * flip * 13

    def _lean(self) -> float:
        return self.spread + self.bend * self.fore / max(self.upper + self.fore, 1) * 0.5

    def _down(self) -> Points:
        angle = self.spread + (self.bend if self.fore else 0.0)
        return np.array([np.sin(angle), np.cos(angle)], dtype=np.float64)

    def _at(self, curve: Points, share: float) -> Points:
        point: Points = curve[int(share * (len(curve) - 1))]
        return point

    def _sides(self, torso: Torso) -> tuple[Points, Points]:
        """Outer side from the shoulder and inner side from the armpit, down to the cuff."""
        shoulder, armpit = np.array(torso.shoulder), np.array(torso.armpit)
        first = np.array([np.sin(self.spread), np.cos(self.spread)])
        last = self._down()
        elbow = shoulder + first * self.upper
        wrist = elbow + last * self.fore
        inward = np.array([-last[1], last[0]])
        bulge = np.array([first[1], -first[0]]) * 7
        outer = [shoulder, shoulder + first * self.upper * 0.35 + bulge]
        outer += [elbow + bulge * 0.5, (elbow + wrist) / 2 + bulge * 0.3, wrist] if self.fore else [elbow]
        cuff = outer[-1] + inward * self.cuff
        width = np.linalg.norm(shoulder - armpit)
        inner = [armpit]
        if self.fore:
            half = 0.5 * (width + self.cuff) * 0.86
            turn = np.array([-(first + last)[1], (first + last)[0]]) / np.linalg.norm(first + last)
            inner += [elbow + turn * half, (elbow + wrist) / 2 + inward * (0.35 * half + 0.65 * self.cuff)]
        inner.append(cuff)
        return spline(np.array(outer), 12), spline(np.array(inner), 12)


def sleeves(torso: Torso, arm: Arm, cuff: float = 0.0, cuff_material: str = "rib") -> list[Piece]:
    """Both sleeves, with a ribbed or buttoned cuff of that length; with a stitched hem if it is 0."""
    pieces: list[Piece] = []
    for side in (-1, 1):
        sleeve, hem, above = arm.sleeve(torso, side)
        down = (hem - above) / 13
        if cuff:
            centre = hem.mean(axis=0)
            top = (hem - down * 5 - centre) * 0.97 + centre
            bottom = (hem + down * cuff - centre - down * cuff) * 0.9 + centre + down * cuff
            ribs = tuple(Stroke(r, 1.0, 0.16) for r in rungs(top, bottom, 4.5)) if cuff_material == "rib" else ()
            ends = Stroke(bottom - down * 4, 0.9, 0.2, 3) if cuff_material != "rib" else None
            strokes = (*ribs, ends) if ends else ribs
            outline = join(top, bottom[::-1])
            pieces += [
                sleeve,
                Piece((outline,), cuff_material, grain=sleeve.grain, puff=20, rim=2.0, lift=1.5, strokes=strokes),
            ]
        else:
            stitches = tuple(Stroke(above + (hem - above) * s, 0.9, 0.2, 3) for s in (0.0, 0.25))
            pieces.append(replace(sleeve, strokes=stitches))
    return pieces


def _crease(start: Points, end: Points, width: float, height: float) -> Crease:
    return Crease((float(start[0]), float(start[1])), (float(end[0]), float(end[1])), width, height)
