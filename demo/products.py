"""A small, invented clothing shop: what it sells, before anything is drawn."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np

from demo.palette import PARTNERS, SHADES

BRANDS = (
    "Larkmoor",
    "Oda & Finch",
    "Nordvale",
    "Tidewell",
    "Colline Studio",
    "Ferrow",
    "Juniper Row",
    "Halden Works",
)
COLOURS = tuple(SHADES)
SOLD_OUT = 0.07  # share of products without stock


@dataclass(frozen=True)
class DemoProduct:
    sku: str
    title: str
    description: str
    category: tuple[str, ...]
    """From the root of the shop to the leaf."""
    brand: str
    price: Decimal
    currency: str
    stock: int
    attributes: dict[str, str]
    """What the drawing follows: kind, cut, pattern, texture, colour, second_colour, background."""

    def rng(self, purpose: str) -> np.random.Generator:
        """Random numbers that are the same for the same product and purpose, in every process."""
        digest = hashlib.sha256(f"{self.sku}/{purpose}".encode()).digest()
        return np.random.default_rng(int.from_bytes(digest[:8], "big"))


@dataclass(frozen=True)
class Kind:
    """One sort of garment: where it hangs, what it costs and in which ways it varies."""

    category: tuple[str, ...]
    noun: str
    """May name attributes: "{shape} skirt"."""
    cut: str
    """Tells the cut in one sentence; may name attributes."""
    price: tuple[int, int]
    textures: tuple[str, ...]
    patterns: tuple[str, ...]
    """Repeated as often as the shop buys them."""
    options: dict[str, tuple[str, ...]] = field(default_factory=dict)


KINDS: dict[str, Kind] = {
    "t-shirt": Kind(
        ("Tops", "T-shirts"),
        "T-shirt",
        "A {fit} T-shirt with a {neckline} neckline and short sleeves.",
        (15, 39),
        ("jersey", "jersey", "rib"),
        ("plain", "striped", "plain", "colour block", "striped", "polka dot"),
        {
            "fit": ("slim", "regular", "regular", "relaxed"),
            "neckline": ("crew", "v-neck", "crew", "scoop"),
            "sleeve": ("short",),
            "length": ("regular", "regular", "cropped"),
            "pocket": ("none", "none", "chest"),
            "trim": ("tonal", "tonal", "contrast"),
        },
    ),
    "knitwear": Kind(
        ("Tops", "Knitwear"),
        "{front}",
        "A {fit} {front} with long sleeves and ribbed edges.",
        (49, 129),
        ("knit", "wool", "knit", "rib"),
        ("plain", "plain", "striped", "plain", "colour block"),
        {
            "fit": ("regular", "relaxed", "slim"),
            "neckline": ("crew", "turtleneck", "v-neck"),
            "front": ("jumper", "jumper", "cardigan"),
            "sleeve": ("long",),
            "trim": ("tonal", "tonal", "tonal", "contrast"),
        },
    ),
    "shirt": Kind(
        ("Tops", "Shirts"),
        "shirt",
        "A {fit} shirt with a {collar} collar, {sleeve} sleeves and a curved hem.",
        (35, 89),
        ("linen", "smooth", "twill", "smooth", "denim"),
        ("plain", "pinstriped", "gingham", "tartan", "plain", "floral", "polka dot"),
        {
            "fit": ("slim", "regular", "relaxed"),
            "collar": ("classic", "classic", "band"),
            "sleeve": ("long", "long", "short"),
            "pocket": ("none", "chest"),
        },
    ),
    "hoodie": Kind(
        ("Tops", "Hoodies"),
        "{front} hoodie",
        "A {fit} {front} hoodie with a kangaroo pocket and ribbed cuffs.",
        (45, 95),
        ("jersey", "wool", "jersey"),
        ("plain", "plain", "plain", "colour block", "striped"),
        {
            "fit": ("regular", "relaxed"),
            "front": ("pullover", "zip"),
            "sleeve": ("long",),
            "trim": ("tonal", "tonal", "contrast"),
        },
    ),
    "coat": Kind(
        ("Outerwear", "Coats"),
        "{front} coat",
        "A {front} coat of {hem} length with notched lapels and flap pockets.",
        (119, 289),
        ("wool", "wool", "twill"),
        ("plain", "plain", "tartan", "plain", "gingham"),
        {
            "fit": ("regular", "relaxed"),
            "front": ("single-breasted", "double-breasted"),
            "hem": ("hip", "knee", "knee"),
            "sleeve": ("long",),
        },
    ),
    "dress": Kind(
        ("Dresses",),
        "{hem} dress",
        "A {shape} dress of {hem} length with a {neckline} neckline.",
        (49, 149),
        ("smooth", "smooth", "linen", "jersey"),
        ("floral", "plain", "polka dot", "plain", "striped", "gingham", "floral"),
        {
            "neckline": ("v-neck", "crew", "square", "scoop"),
            "sleeve": ("short", "none", "three-quarter", "straps", "long"),
            "shape": ("A-line", "fit and flare", "straight", "A-line", "pleated"),
            "hem": ("mini", "knee", "midi", "maxi"),
            "belt": ("none", "belt"),
        },
    ),
    "skirt": Kind(
        ("Bottoms", "Skirts"),
        "{shape} skirt",
        "A {shape} skirt of {hem} length with a flat waistband.",
        (35, 89),
        ("smooth", "wool", "denim", "linen", "twill"),
        ("plain", "floral", "tartan", "plain", "polka dot", "gingham"),
        {
            "shape": ("A-line", "pleated", "pencil", "wrap"),
            "hem": ("mini", "knee", "midi", "knee"),
        },
    ),
    "trousers": Kind(
        ("Bottoms", "Trousers"),
        "trousers",
        "{fit} trousers of {length} length with side pockets.",
        (45, 119),
        ("denim", "twill", "linen", "denim", "wool"),
        ("plain", "plain", "plain", "pinstriped", "plain", "tartan"),
        {
            "fit": ("straight", "slim", "wide", "tapered"),
            "length": ("full", "full", "cropped"),
            "waist": ("button", "button", "drawstring"),
        },
    ),
    "shorts": Kind(
        ("Bottoms", "Shorts"),
        "shorts",
        "{fit} shorts of {length} length with side pockets.",
        (25, 59),
        ("twill", "denim", "linen", "jersey"),
        ("plain", "plain", "gingham", "plain", "floral", "pinstriped"),
        {
            "fit": ("straight", "slim", "wide"),
            "length": ("short", "knee"),
            "waist": ("button", "drawstring"),
        },
    ),
    "hat": Kind(
        ("Accessories", "Hats"),
        "{shape}",
        "A {shape} for every season.",
        (19, 59),
        ("knit", "twill", "canvas", "wool"),
        ("plain", "plain", "plain", "gingham", "tartan"),
        {"shape": ("beanie", "baseball cap", "bucket hat", "wide-brim hat")},
    ),
    "bag": Kind(
        ("Accessories", "Bags"),
        "{shape}",
        "A {shape} with room for the day and a strap that lies well.",
        (39, 189),
        ("canvas", "leather"),
        ("plain", "plain", "striped", "plain", "gingham"),
        {"shape": ("tote", "handbag", "crossbody", "backpack")},
    ),
    "sneaker": Kind(
        ("Shoes", "Sneakers"),
        "{shape} sneakers",
        "{shape} sneakers on a light rubber sole.",
        (55, 129),
        ("canvas", "leather", "canvas"),
        ("plain", "plain", "plain", "gingham", "plain", "floral"),
        {"shape": ("low-top", "high-top", "slip-on"), "trim": ("tonal", "contrast toe")},
    ),
}

FABRICS = {
    "jersey": "cotton jersey",
    "knit": "soft knit",
    "rib": "fine rib",
    "denim": "washed denim",
    "twill": "cotton twill",
    "linen": "linen",
    "wool": "brushed wool",
    "leather": "leather",
    "canvas": "cotton canvas",
    "smooth": "viscose",
}
HAT_TEXTURES = {"beanie": "knit", "baseball cap": "twill", "bucket hat": "canvas", "wide-brim hat": "wool"}
HAT_TRIMS = {
    "beanie": ("turn-up", "pompom"),
    "baseball cap": ("tonal", "contrast visor"),
    "bucket hat": ("tonal", "ribbon"),
    "wide-brim hat": ("ribbon",),
}
BAG_TEXTURES = {"tote": "canvas", "handbag": "leather", "crossbody": "leather", "backpack": "canvas"}
DENIM_COLOURS = ("blue", "navy", "black", "grey", "white")
PRINTS = ("floral", "polka dot")
BACKGROUNDS = ("studio pearl", "plain white", "studio white", "plain pearl", "studio stone", "studio mist")
DARKER_BACKGROUNDS = ("studio stone", "plain stone", "studio mist", "plain mist", "studio sage")


def products(count: int = 240) -> Iterator[DemoProduct]:
    """The first `count` products of the shop, the kinds by turns, so that any number is a fair sample."""
    for number in range(count):
        yield _product(number)


def _product(number: int) -> DemoProduct:
    sku = f"DEMO-{number + 1:04d}"
    blank = DemoProduct(sku, "", "", (), "", Decimal(0), "EUR", 0, {})
    rng = blank.rng("product")
    names = tuple(KINDS)
    turn, place = divmod(number, len(names))
    kind = KINDS[names[place]]
    # Each kind walks through the colours with a stride of its own start, so that all of them are sold.
    colour = COLOURS[(turn * 5 + place * 3) % len(COLOURS)]
    attributes = {"kind": names[place], "colour": colour, "second_colour": str(rng.choice(PARTNERS[colour]))}
    attributes |= {name: str(rng.choice(values)) for name, values in kind.options.items()}
    attributes["pattern"] = kind.patterns[(turn + place) % len(kind.patterns)]
    attributes["texture"] = str(rng.choice(kind.textures))
    attributes["background"] = str(rng.choice(DARKER_BACKGROUNDS if colour in ("white", "beige") else BACKGROUNDS))
    _reconcile(attributes, rng)
    low, high = kind.price
    return DemoProduct(
        sku=sku,
        title=_title(kind, attributes),
        description=_description(kind, attributes),
        category=kind.category,
        brand=str(rng.choice(BRANDS)),
        price=Decimal(int(rng.integers(low, high + 1))) - Decimal("0.05"),
        currency="EUR",
        stock=0 if rng.random() < SOLD_OUT else int(rng.integers(1, 41)),
        attributes=attributes,
    )


def _reconcile(attributes: dict[str, str], rng: np.random.Generator) -> None:
    """Replaces what no buyer would order: leather in checks, orange denim, a knitted cap."""
    kind, shape = attributes["kind"], attributes.get("shape", "")
    if kind == "hat":
        attributes["texture"] = HAT_TEXTURES[shape]
        attributes["trim"] = str(rng.choice(HAT_TRIMS[shape]))
        if shape in ("beanie", "wide-brim hat"):
            attributes["pattern"] = "plain"
    elif kind == "bag":
        attributes["texture"] = BAG_TEXTURES[shape]
    elif kind in ("trousers", "shorts"):
        pressed = attributes["texture"] in ("wool", "linen") and attributes["waist"] == "button"
        attributes["crease"] = "pressed" if pressed else "none"
    if attributes["texture"] == "denim":
        if attributes["colour"] in DENIM_COLOURS:
            attributes |= {"pattern": "plain", "waist": "button"} if "waist" in attributes else {"pattern": "plain"}
        else:
            attributes["texture"] = "twill"
    if attributes["texture"] in ("leather", "rib"):
        attributes["pattern"] = "plain"
    if attributes["texture"] == "wool" and attributes["pattern"] in PRINTS:
        attributes["texture"] = "smooth"
    if attributes["pattern"] == "plain" and kind in ("shirt", "coat", "trousers", "shorts"):
        attributes["second_colour"] = attributes["colour"]


def _title(kind: Kind, attributes: dict[str, str]) -> str:
    pattern, texture = attributes["pattern"], attributes["texture"]
    noun = kind.noun.format(**attributes).replace("knee dress", "knee-length dress")
    if attributes["kind"] == "knitwear" and attributes["front"] == "jumper":
        noun = {"turtleneck": "roll-neck jumper", "v-neck": "V-neck jumper"}.get(attributes["neckline"], noun)
    if attributes["kind"] == "trousers" and texture == "denim":
        noun, texture = f"{attributes['fit']} jeans", ""
    if attributes["kind"] == "bag":
        noun = {"tote": "tote bag", "crossbody": "crossbody bag"}.get(noun, noun)
    cloth = {"knit": "knitted", "rib": "ribbed", "smooth": "", "jersey": ""}.get(texture, texture)
    if attributes["kind"] == "hat":
        cloth = {"knitted": "knitted", "wool": "wool"}.get(cloth, "")
    words = " ".join(word for word in ("" if pattern == "plain" else pattern, cloth, noun) if word)
    return f"{words[0].upper()}{words[1:]} in {attributes['colour']}"


def _description(kind: Kind, attributes: dict[str, str]) -> str:
    cut = kind.cut.format(**attributes).replace("A A-line", "An A-line")
    fabric = FABRICS[attributes["texture"]]
    colours = attributes["colour"]
    if attributes["pattern"] != "plain":
        colours = f"{attributes['colour']} and {attributes['second_colour']}, {attributes['pattern']}"
    elif attributes["kind"] in ("bag", "sneaker") or attributes.get("trim") in ("contrast", "pompom", "ribbon"):
        colours += f" with details in {attributes['second_colour']}"
    return f"{cut[0].upper()}{cut[1:]} Made of {fabric} in {colours}."
