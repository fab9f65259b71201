"""What a garment is made of: pieces of cloth, laid one over another."""

from dataclasses import dataclass

from demo.curves import Points


@dataclass(frozen=True)
class Stroke:
    """A seam, a stitch line or a groove: drawn dark, with a light lip below it."""

    points: Points
    width: float = 1.2
    depth: float = 0.3
    """Share of the light that is lost on the line."""
    dash: float = 0.0
    """Length of a stitch in pixels; 0 for an unbroken line."""


@dataclass(frozen=True)
class Crease:
    """One fold with a place of its own: a soft ridge from one point to another."""

    start: tuple[float, float]
    end: tuple[float, float]
    width: float = 12.0
    height: float = 5.0


@dataclass(frozen=True)
class Folds:
    """How the cloth falls: noise stretched along the fold lines."""

    height: float = 5.0
    across: float = 70.0
    """Distance between folds in pixels."""
    along: float = 260.0
    """Length of a fold in pixels."""
    angle: float = 0.0
    """Lean of the fold lines from the piece's own vertical, in radians."""
    fall: float = 0.0
    """1: none at the top, full at the bottom; -1 the reverse; 0 everywhere alike."""


@dataclass(frozen=True)
class Piece:
    outlines: tuple[Points, ...]
    material: str = "main"
    grain: float = 0.0
    """Angle of the cloth's own vertical, in radians, clockwise."""
    origin: tuple[float, float] = (0.0, 0.0)
    """Where on the garment the cloth's own origin lies."""
    flare: float = 0.0
    """Share by which the cloth widens over 100 pixels of its length."""
    whole: float = 0.0
    """How much the piece takes part in the roundness of the whole garment, in pixels of height."""
    puff: float = 0.0
    """Roundness of its own, in pixels of height."""
    rim: float = 1.6
    """Thickness of the cloth at its own edge, in pixels of height."""
    lift: float = 0.0
    """Distance from what lies beneath, in pixels: how far its shadow falls."""
    tone: float = 1.0
    """Share of the light that reaches it: less for insides."""
    gloss: float = 0.0
    folds: Folds | None = None
    creases: tuple[Crease, ...] = ()
    strokes: tuple[Stroke, ...] = ()


@dataclass(frozen=True)
class Garment:
    pieces: tuple[Piece, ...]
    grounded: bool = False
    """Stands on the floor (a shoe, a bag) instead of lying flat or hanging."""
    outline_wobble: float = 2.0
    """How far real cloth strays from the pattern, in pixels."""
