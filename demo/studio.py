"""The photographer: lights a garment and takes its picture.

Every piece is cut out at twice the resolution, covered with its cloth, and shaded from a height map
(roundness, thickness at the edge, folds) under one soft light from the upper left; what lies above casts
a shadow on what lies beneath. Soft things are computed at a half or a quarter of the resolution.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from demo.backdrops import Backdrop
from demo.curves import Points
from demo.fabrics import Cloth
from demo.pieces import Folds, Garment, Piece

WIDTH, HEIGHT = 600, 800
LIGHT = (-0.40, -0.60, 0.69)  # a unit vector towards the light; y is down, z towards the camera
AMBIENT = 0.34
MESH = 48  # pixels between the points where the cloth is pinned to the picture
FOLD_GRID = 96

Floats: TypeAlias = NDArray[np.float32]
Box: TypeAlias = tuple[int, int, int, int]
Relief: TypeAlias = tuple[Image.Image, Image.Image]
"""Slopes of a height to the right and downwards, mode F, at a quarter of the resolution."""


@dataclass(frozen=True)
class View:
    """Where the camera stands: a similarity from the garment's pixels to the picture's."""

    scale: float = 1.0
    angle: float = 0.0
    """Clockwise, in radians."""
    shift: tuple[float, float] = (0.0, 0.0)

    @property
    def matrix(self) -> NDArray[np.float64]:
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return self.scale * np.array([[cos, -sin], [sin, cos]])

    @property
    def centre(self) -> NDArray[np.float64]:
        return np.array([WIDTH / 2, HEIGHT / 2]) + self.shift

    def to_picture(self, points: Points) -> Points:
        picture: Points = points @ self.matrix.T + self.centre
        return picture

    def to_garment(self, points: Points) -> Points:
        garment: Points = (points - self.centre) @ np.linalg.inv(self.matrix).T
        return garment


def shoot(
    garment: Garment,
    cloths: Mapping[str, Cloth],
    backdrop: Backdrop,
    view: View,
    rng: np.random.Generator,
) -> Image.Image:
    """A 600 x 800 RGB picture of the garment, its pieces covered with the cloths they name."""
    wobble = _Wobble(rng, garment.outline_wobble)
    cuts = [
        _Cut(piece, [view.to_picture(wobble(o)) for o in piece.outlines], view, wobble) for piece in garment.pieces
    ]
    silhouette = Image.new("L", (WIDTH, HEIGHT))
    for cut in cuts:
        silhouette.paste(255, cut.box[:2], cut.mask)
    photo = backdrop.photograph(silhouette, grounded=garment.grounded)
    relief = _roundness(silhouette)
    grid = Image.fromarray(rng.standard_normal((FOLD_GRID, FOLD_GRID), dtype=np.float32))
    for cut in cuts:
        cut.paint(photo, cloths[cut.piece.material], relief, grid, rng)
    return photo


class _Wobble:
    """Moves points a little and smoothly, so that no two sides of a garment are quite the same."""

    def __init__(self, rng: np.random.Generator, size: float) -> None:
        self.waves = rng.uniform(-1.0, 1.0, (4, 2)) * np.array([[0.012], [0.018], [0.03], [0.045]])
        self.phases = rng.uniform(0, 2 * np.pi, (4, 2))
        self.sizes = size * np.array([1.0, 0.7, 0.4, 0.25])

    def __call__(self, points: Points) -> Points:
        phase = points @ self.waves.T
        moved: Points = points + np.stack(
            [np.sin(phase + self.phases[:, axis]) @ self.sizes for axis in (0, 1)], axis=1
        )
        return moved


class _Cut:
    """One piece on the picture: its mask, and how it is painted."""

    def __init__(self, piece: Piece, outlines: list[Points], view: View, wobble: _Wobble) -> None:
        self.piece, self.view, self.wobble = piece, view, wobble
        every = np.concatenate(outlines)
        frame = np.array([WIDTH, HEIGHT])
        low = np.clip(np.floor(every.min(axis=0) / 4 - 1) * 4, 0, frame - 8).astype(int)
        high = np.clip(np.ceil(every.max(axis=0) / 4 + 1) * 4, low + 8, frame).astype(int)
        self.box: Box = (int(low[0]), int(low[1]), int(high[0]), int(high[1]))
        self.size = (self.box[2] - self.box[0], self.box[3] - self.box[1])
        self.mask = self._draw_mask(outlines)

    def _draw_mask(self, outlines: list[Points]) -> Image.Image:
        canvas = Image.new("L", (self.size[0] * 2, self.size[1] * 2))
        draw = ImageDraw.Draw(canvas)
        for outline in outlines:
            draw.polygon(((outline - self.box[:2]) * 2).ravel().tolist(), fill=255)
        return canvas.reduce(2)

    def paint(
        self,
        photo: Image.Image,
        cloth: Cloth,
        relief: Relief,
        grid: Image.Image,
        rng: np.random.Generator,
    ) -> None:
        piece = self.piece
        if piece.lift:
            self._cast_shadow(photo)
        slope, cavity = self._slope(relief, grid, rng)
        albedo = np.array(cloth.dye(self._lay(cloth.swatch, slope)), dtype=np.float32)
        edge_x, edge_y, inside = self._rim()
        light = _lambert(slope[0] + edge_x, slope[1] + edge_y)
        light *= (1.0 + cavity) * (0.86 + 0.14 * inside) * piece.tone
        shade = self._enlarge(light) * self._ink()
        # A sheen that dark cloth needs for its folds to show at all; little on pale cloth.
        sheen = np.maximum(shade - 0.72, 0.0) * (26.0 + 190.0 * piece.gloss)
        albedo *= (shade - sheen / 255.0)[..., None]
        albedo += sheen[..., None]
        patch = Image.fromarray(np.clip(albedo, 0, 255, out=albedo).astype(np.uint8))
        photo.paste(patch, self.box[:2], self.mask)

    def _cast_shadow(self, photo: Image.Image) -> None:
        lift = self.piece.lift
        reach = int(np.ceil(lift * 3 / 4)) * 4 + 4
        left, top = max(self.box[0] - reach, 0), max(self.box[1] - reach, 0)
        box = (left, top, min(self.box[2] + reach, WIDTH), min(self.box[3] + reach, HEIGHT))
        shadow = Image.new("L", (box[2] - box[0], box[3] - box[1]))
        at = (self.box[0] - left + round(lift * 0.5), self.box[1] - top + round(lift * 0.8))
        shadow.paste(150, at, self.mask)
        shadow = (
            shadow.reduce(2).filter(ImageFilter.GaussianBlur(lift / 2)).resize(shadow.size, Image.Resampling.BILINEAR)
        )
        under = photo.crop(box)
        dark = ImageChops.multiply(under, Image.new("RGB", under.size, (92, 90, 98)))
        photo.paste(Image.composite(dark, under, shadow), box[:2])

    def _slope(
        self, relief: Relief, grid: Image.Image, rng: np.random.Generator
    ) -> tuple[tuple[Floats, Floats], Floats]:
        """The soft slopes of the piece at half the resolution, and how deep each pixel lies in a fold."""
        piece, half = self.piece, (self.size[0] // 2, self.size[1] // 2)
        x = np.zeros((half[1], half[0]), dtype=np.float32)
        y = np.zeros_like(x)
        quarter = (self.box[0] / 4, self.box[1] / 4, self.box[2] / 4, self.box[3] / 4)
        if piece.whole:
            x += piece.whole * _crop(relief[0], half, quarter)
            y += piece.whole * _crop(relief[1], half, quarter)
        if piece.puff:
            margin = 16
            frame = Image.new("L", (self.size[0] + 2 * margin, self.size[1] + 2 * margin))
            frame.paste(self.mask, (margin, margin))
            inner = (margin / 4, margin / 4, (margin + self.size[0]) / 4, (margin + self.size[1]) / 4)
            reach = float(min(min(self.size) / 5, 26))
            own = _roundness(frame, (reach * 0.4, reach))
            x += piece.puff * _crop(own[0], half, inner)
            y += piece.puff * _crop(own[1], half, inner)
        height = np.zeros_like(x)
        if piece.folds:
            height += self._folds(piece.folds, grid, rng)
        if piece.creases:
            height += self._creases()
        if piece.folds or piece.creases:
            y_fold, x_fold = np.gradient(height, 2.0)
            x += x_fold
            y += y_fold
        return (x, y), np.clip(height * 0.011, -0.16, 0.08)

    def _folds(self, folds: Folds, grid: Image.Image, rng: np.random.Generator) -> Floats:
        half = (self.size[0] // 2, self.size[1] // 2)
        origin, step = self._cloth_axes(self.piece.grain + folds.angle)
        total = np.zeros((half[1], half[0]), dtype=np.float32)
        for octave, share in ((1.0, 0.72), (2.3, 0.28)):
            rate = 2.0 * octave / np.array([folds.across, folds.along])
            start = origin * rate + FOLD_GRID / 2 + rng.uniform(-14, 14, 2)
            (ax, ay), (bx, by) = (step * 2 * rate).T
            data = (ax, bx, start[0], ay, by, start[1])
            noise = np.asarray(
                grid.transform(half, Image.Transform.AFFINE, data, Image.Resampling.BICUBIC), dtype=np.float32
            )
            # The ridged part makes folds narrow on top and wide between.
            total += share * (0.6 * noise - 0.55 * np.sqrt(noise * noise + 0.06))
        total *= folds.height * self.view.scale
        if folds.fall:
            t = np.linspace(0.0, 1.0, half[1], dtype=np.float32)[:, None]
            t = t if folds.fall > 0 else 1.0 - t
            total *= 1.0 - abs(folds.fall) * (1.0 - t) ** 1.3
        return total

    def _creases(self) -> Floats:
        half, quarter = (self.size[0] // 2, self.size[1] // 2), (self.size[0] // 4, self.size[1] // 4)
        px = (np.arange(quarter[0], dtype=np.float32) * 4 + self.box[0] + 2)[None, :]
        py = (np.arange(quarter[1], dtype=np.float32) * 4 + self.box[1] + 2)[:, None]
        total = np.zeros((quarter[1], quarter[0]), dtype=np.float32)
        for crease in self.piece.creases:
            ends = self.view.to_picture(np.array([crease.start, crease.end]))
            along = ends[1] - ends[0]
            length = float(np.hypot(*along)) or 1.0
            ux, uy = (along / length).tolist()
            t = ((px - float(ends[0, 0])) * ux + (py - float(ends[0, 1])) * uy) / length
            taper = np.maximum(1.0 - (2.0 * t - 1.0) ** 2, 0.0)
            bow = 0.08 * length * taper
            across = (py - float(ends[0, 1])) * ux - (px - float(ends[0, 0])) * uy - bow
            across /= crease.width * self.view.scale
            total += (crease.height * self.view.scale) * taper * np.exp(-across * across)
        return np.asarray(Image.fromarray(total).resize(half, Image.Resampling.BICUBIC))

    def _cloth_axes(self, grain: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Cloth coordinates (u, v) of the box's corner, and their change per pixel to the right and down."""
        cos, sin = np.cos(grain), np.sin(grain)
        turn = np.array([[cos, sin], [-sin, cos]])
        corners = np.array(
            [self.box[:2], (self.box[0] + 1, self.box[1]), (self.box[0], self.box[1] + 1)], dtype=np.float64
        )
        uv = (self.view.to_garment(corners) - self.piece.origin) @ turn.T
        return uv[0], uv[1:] - uv[0]

    def _lay(self, cloth: Image.Image, slope: tuple[Floats, Floats]) -> Image.Image:
        """The cloth on the piece: along its grain, flared, and pulled into the folds."""
        origin, step = self._cloth_axes(self.piece.grain)
        columns, rows = -(-self.size[0] // MESH), -(-self.size[1] // MESH)
        grid_x, grid_y = np.meshgrid(np.arange(columns + 1) * MESH, np.arange(rows + 1) * MESH)
        at = np.stack([grid_x, grid_y], axis=-1)
        uv = origin + at @ step
        if self.piece.flare:
            uv[..., 0] /= np.maximum(1.0 + self.piece.flare * uv[..., 1] / 100.0, 0.3)
        pull = [
            part[np.minimum(grid_y // 2, part.shape[0] - 1), np.minimum(grid_x // 2, part.shape[1] - 1)]
            for part in slope
        ]
        uv += 7.0 * np.clip(np.stack(pull, axis=-1), -0.8, 0.8)
        uv += np.array(cloth.size) / 2
        uv = np.clip(uv, 1, np.array(cloth.size) - 2)
        mesh = []
        for row in range(rows):
            for column in range(columns):
                box = (column * MESH, row * MESH, (column + 1) * MESH, (row + 1) * MESH)
                quad = (uv[row, column], uv[row + 1, column], uv[row + 1, column + 1], uv[row, column + 1])
                mesh.append((box, tuple(np.concatenate(quad).tolist())))
        size = (columns * MESH, rows * MESH)
        laid = cloth.transform(size, Image.Transform.MESH, mesh, Image.Resampling.BILINEAR)
        return laid.crop((0, 0, *self.size))

    def _rim(self) -> tuple[Floats, Floats, Floats]:
        """The slope of the cloth's own edge, and a soft inside-ness from 0 to 1, at half the resolution."""
        pad = 8
        frame = Image.new("L", (self.size[0] // 2 + 2 * pad, self.size[1] // 2 + 2 * pad))
        frame.paste(self.mask.reduce(2), (pad, pad))
        soft = np.asarray(frame.filter(ImageFilter.GaussianBlur(1.8)), dtype=np.float32) / 255.0
        y, x = np.gradient(soft, 2.0)
        inside = np.clip(soft * 2.0 - 1.0, 0.0, 1.0)
        core = (slice(pad, -pad), slice(pad, -pad))
        rim = self.piece.rim
        return rim * x[core], rim * y[core], inside[core]

    def _ink(self) -> Floats:
        """Seams and stitches as a share of the light, full resolution: a groove with a light lip."""
        if not self.piece.strokes:
            return np.ones((self.size[1], self.size[0]), dtype=np.float32)
        canvas = Image.new("L", (self.size[0] * 2, self.size[1] * 2))
        draw = ImageDraw.Draw(canvas)
        for stroke in self.piece.strokes:
            points = (self.view.to_picture(self.wobble(stroke.points)) - self.box[:2]) * 2
            width, fill = max(round(stroke.width * 2 * self.view.scale), 1), round(255 * stroke.depth)
            for run in _dashes(points, stroke.dash * 2):
                draw.line(run.ravel().tolist(), fill=fill, width=width, joint="curve")
        ink = np.asarray(canvas.reduce(2), dtype=np.float32) / 255.0
        shade = 1.0 - ink
        shade[1:, 1:] += 0.35 * ink[:-1, :-1]
        return shade

    def _enlarge(self, light: Floats) -> Floats:
        return np.asarray(Image.fromarray(light).resize(self.size, Image.Resampling.BILINEAR))


def _crop(part: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float]) -> Floats:
    return np.asarray(part.resize(size, Image.Resampling.BILINEAR, box=box))


def _dashes(points: Points, dash: float) -> list[Points]:
    if not dash:
        return [points]
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    starts = np.arange(0.0, length[-1], dash * 1.6)
    ends = np.minimum(starts + dash, length[-1])
    sides = [np.stack([np.interp(at, length, points[:, a]) for a in (0, 1)], axis=1) for at in (starts, ends)]
    return list(np.stack(sides, axis=1))


def _lambert(x: Floats, y: Floats) -> Floats:
    """Light on a surface with these slopes, 1 where it is flat."""
    facing = (LIGHT[2] - x * LIGHT[0] - y * LIGHT[1]) / np.sqrt(1.0 + x * x + y * y)
    light = AMBIENT + (1.0 - AMBIENT) * np.maximum(facing, 0.0) / LIGHT[2]
    return light.astype(np.float32, copy=False)


def _roundness(mask: Image.Image, reaches: tuple[float, ...] = (14.0, 42.0)) -> Relief:
    """Slopes of the blurred mask at a quarter of its resolution, for a height of one pixel.

    Blurring and differentiating are one product in the frequency domain: eight bits would show steps.
    """
    small = np.asarray(mask.reduce(4), dtype=np.float32) / 255.0
    spectrum = np.fft.rfft2(small)
    to_right, down = (
        Image.fromarray(np.fft.irfft2(spectrum * f, small.shape).astype(np.float32))
        for f in _filters(small.shape, reaches)
    )
    return to_right, down


@lru_cache(maxsize=128)
def _filters(shape: tuple[int, int], reaches: tuple[float, ...]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Blur and slope in the frequency domain, complex, for a picture of that shape."""
    ky = 2 * np.pi * np.fft.fftfreq(shape[0], d=4.0)[:, None]
    kx = 2 * np.pi * np.fft.rfftfreq(shape[1], d=4.0)[None, :]
    square = kx * kx + ky * ky
    blur = sum(np.exp(-0.5 * square * reach**2) for reach in reaches) / len(reaches)
    return 1j * kx * blur, 1j * ky * blur
