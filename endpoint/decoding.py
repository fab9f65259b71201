"""Encoded images -> the squares that the model sees, pixel for pixel as the package's own graph decodes them.

JPEG, PNG, BMP and GIF (its first frame), as TensorFlow reads them: orientation, colour profile and
transparency are ignored. An image of the model's size is taken as it is, another one is squashed.
Safe to call from several threads; no setting of Pillow's is changed.
"""

from __future__ import annotations

import io
import threading
from contextlib import AbstractContextManager, nullcontext

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from modelarchive.inference import Refused

FORMATS = ("JPEG", "PNG", "BMP", "GIF")
"""Formats that TensorFlow in every container decodes; newer versions also read WebP, which not all containers do."""

PIXELS = 50_000_000
"""The most pixels of an image; each takes up to 9 bytes while it is decoded and squashed, so 450 MB."""

MANY_PIXELS = 4_000_000
"""Images with more are decoded one at a time, so that memory is bounded by one of PIXELS, not by one per thread."""

_one_at_a_time = threading.Lock()


def square(data: bytes, size: int, name: str = "The image") -> NDArray[np.uint8]:
    """Decode an image to uint8 (size, size, 3), RGB.

    Raises Refused (400, or 413 for too many pixels), with `name` as the subject of its sentence.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture, _turn(name, *picture.size):
            return _squashed(_rgb(picture), size)
    except (Refused, MemoryError):
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_many(name, "more pixels") from error
    except Exception as error:  # decoders of broken files raise nearly anything
        formats = f"{', '.join(FORMATS[:-1])} or {FORMATS[-1]}"
        # Pillow's own message of an unknown format shows the address of an object.
        reason = "" if isinstance(error, UnidentifiedImageError) else f": {error}"
        raise Refused(400, f"{name} cannot be decoded as {formats}{reason or '.'}") from error


def _turn(name: str, width: int, height: int) -> AbstractContextManager[object]:
    if width * height > PIXELS:
        raise _too_many(name, f"{width} x {height} pixels")
    return _one_at_a_time if width * height > MANY_PIXELS else nullcontext()


def _too_many(name: str, what: str) -> Refused:
    return Refused(413, f"{name} has {what}; at most {PIXELS:,} are decoded. Make it smaller.")


def _rgb(picture: Image.Image) -> Image.Image:
    picture.load()
    if picture.mode.startswith("I"):  # grey of 16 bits, of which the upper ones are the picture
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8)).convert("RGB")
    picture.info.pop("transparency", None)  # Pillow would warn that it is dropped
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def _squashed(picture: Image.Image, size: int) -> NDArray[np.uint8]:
    if picture.size == (size, size):
        return np.asarray(picture)
    # Channel by channel in floats, and rounded once: of bytes, Pillow rounds between the two directions as well.
    channels = [
        np.asarray(picture.getchannel(channel).convert("F").resize((size, size), Image.Resampling.BICUBIC))
        for channel in range(3)
    ]
    square: NDArray[np.uint8] = np.clip(np.rint(np.stack(channels, axis=-1)), 0, 255).astype(np.uint8)
    return square
