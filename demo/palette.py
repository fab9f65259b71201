"""The shop's colours: for every colour name a few shades that hang well side by side."""

from typing import TypeAlias

RGB: TypeAlias = tuple[int, int, int]

SHADES: dict[str, tuple[RGB, ...]] = {
    "black": ((36, 36, 39), (30, 30, 33), (42, 41, 43)),
    "white": ((246, 245, 242), (243, 241, 236), (248, 248, 248)),
    "grey": ((150, 151, 154), (118, 120, 124), (172, 172, 173)),
    "beige": ((214, 194, 162), (203, 181, 148), (222, 206, 178)),
    "brown": ((116, 78, 52), (134, 92, 60), (96, 66, 48)),
    "red": ((170, 46, 48), (148, 36, 46), (186, 62, 56)),
    "orange": ((208, 116, 58), (218, 136, 76), (194, 98, 50)),
    "yellow": ((226, 186, 84), (234, 204, 112), (212, 168, 62)),
    "green": ((62, 110, 74), (86, 124, 86), (44, 86, 64)),
    "turquoise": ((62, 146, 146), (88, 164, 160), (48, 126, 132)),
    "blue": ((74, 110, 164), (104, 142, 186), (60, 94, 150)),
    "navy": ((32, 42, 78), (38, 50, 90), (28, 36, 66)),
    "purple": ((104, 78, 130), (128, 102, 152), (88, 62, 110)),
    "pink": ((220, 152, 164), (228, 174, 178), (202, 118, 140)),
}

PARTNERS: dict[str, tuple[str, ...]] = {
    "black": ("white", "grey", "beige", "red"),
    "white": ("navy", "black", "blue", "red", "green"),
    "grey": ("white", "navy", "black", "yellow"),
    "beige": ("brown", "white", "black", "navy"),
    "brown": ("beige", "white", "orange"),
    "red": ("white", "navy", "beige"),
    "orange": ("white", "navy", "beige"),
    "yellow": ("white", "navy", "grey"),
    "green": ("white", "beige", "yellow", "navy"),
    "turquoise": ("white", "navy", "beige"),
    "blue": ("white", "navy", "beige", "yellow"),
    "navy": ("white", "red", "beige", "turquoise"),
    "purple": ("white", "pink", "beige"),
    "pink": ("white", "red", "navy", "beige"),
}
"""Second colours that go with the first."""


def mix(a: RGB, b: RGB, share: float) -> RGB:
    """The colour at `share` of the way from `a` to `b`."""
    red, green, blue = (round(p + (q - p) * share) for p, q in zip(a, b, strict=True))
    return red, green, blue


def luminance(colour: RGB) -> float:
    """Rec. 709 luma, 0 to 255."""
    return 0.2126 * colour[0] + 0.7152 * colour[1] + 0.0722 * colour[2]
