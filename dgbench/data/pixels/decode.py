"""From an encoded image to RGB: what Pillow opens, laid over a ground, turned upright, brought to eight bits."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image, ImageFile

from dgbench.core.decoding import Decoding
from dgbench.core.errors import DataError
from dgbench.data.pixels.in_flight import in_flight
from dgbench.data.pixels.npy import mapped
from dgbench.data.pixels.suffixes import is_image_array

_UNDECODABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error)
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM", "AVIF", "JPEG2000", "ICO", "TGA")
"""What a file may hold, whatever its name says. Others are not for Pillow to open: PostScript is a program."""
_BAND = 2**20
"""Pixels that are converted at a time, so that a picture is never in memory three times."""
_HEAVY = {"JPEG2000": 4, "WEBP": 3, "AVIF": 2}
"""Formats of which Pillow keeps copies while it decodes."""
_WIDE = ("RGBA", "RGBa", "RGBX", "LA", "La", "PA", "CMYK", "YCbCr", "LAB", "HSV", "I", "F")
"""Modes of four bytes that are converted to another four."""
_DEEP = ("I;16", "I;16B", "I;16L", "I;16N")
_BRIGHT = 224
"""Grey level from which a picture on white is hard to see."""
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# How much is decoded at a time is bounded here (in_flight), so Pillow need not warn of pictures from 89 megapixels on.
warnings.simplefilter("ignore", Image.DecompressionBombWarning)
# Pillow's blocks of 16 MB are small enough for malloc to keep when they are freed, for each thread; these are not.
Image.core.set_block_size(64 * 2**20)  # type: ignore[attr-defined]


@cache
def _formats() -> tuple[str, ...]:
    """Those of them that this Pillow knows."""
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


@contextmanager
def opened(encoded: IO[bytes] | Path, name: str) -> Iterator[Image.Image]:
    """An encoded image as it is, of any mode, of which only the header has been read; there is room for its pixels.

    Args:
        encoded: A file, or its path; one that ends with ``.npy`` holds an array.
        name: What errors call it.

    Raises:
        DataError: it is no image, too large, or, inside the block, its pixels cannot be decoded.
    """
    if isinstance(encoded, Path) and encoded.suffix.lower() == ".npy":
        with _opened_array(encoded, name) as image:
            yield image
        return
    try:
        with Image.open(encoded, formats=_formats()) as image, in_flight(*image.size, name, _weight(image)):
            try:
                yield _deep_pgm(image) or image
            finally:
                image.close()  # its pixels go before the room for them is given to another
    except Image.DecompressionBombError as error:
        raise DataError(f"{name} is too large ({error}); make it smaller, or take it out of the dataset") from error
    except MemoryError as error:
        raise DataError(f"{name} is larger than the memory that is free; make it smaller, or take it out") from error
    except _UNDECODABLE as error:
        raise DataError(f"{name} cannot be decoded ({error}); fetch it again, or take it out of the dataset") from error


def _deep_pgm(image: Image.Image) -> Image.Image | None:
    """The image of a binary PGM file whose white is neither 255 nor 65,535, with white at 65,535; None for others.

    It is what Pillow makes of it, but Pillow does that in Python, at 2 microseconds a pixel.
    """
    if not isinstance(image, ImageFile.ImageFile) or image.format != "PPM" or image.mode != "I":
        return None
    decoder, _, offset, options = image.tile[0]
    if decoder != "ppm" or not isinstance(options, tuple):
        return None
    assert image.fp is not None
    image.fp.seek(offset)
    values = np.frombuffer(image.fp.read(2 * image.width * image.height), ">u2").reshape(image.height, image.width)
    scaled = np.minimum(np.round(np.arange(2**16) / int(options[1]) * 65535), 65535).astype(np.uint16)
    return Image.fromarray(scaled[values])


def _weight(image: Image.Image) -> int:
    """How often a pixel counts that is about to be decoded: once for 5.3 bytes, as measured with Pillow 13."""
    if image.format in _HEAVY:
        return _HEAVY[image.format]
    return 2 if "progressive" in image.info or image.mode in _WIDE else 1


@contextmanager
def _opened_array(path: Path, name: str) -> Iterator[Image.Image]:
    array = mapped(path)
    if not is_image_array(array.shape, array.dtype):
        raise DataError(
            f"{name} holds {array.dtype} {list(array.shape)}; an image is uint8 [h, w], [h, w, 3] or [h, w, 4], or "
            "uint16 [h, w]: save it so, or take it out of the dataset"
        )
    with in_flight(array.shape[1], array.shape[0], name, 2):
        yield Image.fromarray(np.ascontiguousarray(array))


def as_rgb(image: Image.Image, decoding: Decoding) -> Image.Image:
    """An opened image in mode ``RGB``; what it was opened from may be used up.

    An animation is its first picture. Of 16 bits for each *colour* Pillow keeps the upper eight.

    Raises:
        ValueError: it has 32 bits for a channel. (Inside ``opened`` this is a DataError that names the picture.)
    """
    image.load()
    turn = _turn(image) if decoding.exif else None
    rgb = image
    if image.mode != "RGB" or _is_laid(image, decoding):
        convert = _conversion(image, decoding)
        rgb = Image.new("RGB", image.size)
        for top, band in _bands(image):
            rgb.paste(convert(band), (0, top))
        image.close()
    return rgb if turn is None else rgb.transpose(turn)


def _bands(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """An image in pieces of its whole width, each with the row at which it starts."""
    step = max(1, _BAND // image.width)
    for top in range(0, image.height, step):
        yield top, image.crop((0, top, image.width, min(top + step, image.height)))


def _conversion(image: Image.Image, decoding: Decoding) -> Callable[[Image.Image], Image.Image]:
    if is_deep(image):
        return lambda band: _shallow(band, image.info.get("transparency"), decoding)
    if image.mode in ("I", "F"):
        raise ValueError("images of 32 bits have no agreed range; save it with 8 bits for each channel")
    if _is_laid(image, decoding):
        return lambda band: _laid(band.convert("RGBA"), decoding)
    return _plain


def _plain(band: Image.Image) -> Image.Image:
    band.info.pop("transparency", None)  # Pillow warns that it is dropped
    return band.convert("RGB")


def _is_laid(image: Image.Image, decoding: Decoding) -> bool:
    return decoding.alpha != "drop" and image.has_transparency_data


def _laid(rgba: Image.Image, decoding: Decoding) -> Image.Image:
    """A picture over a ground: ``alpha * colour + (1 - alpha) * ground``, rounded."""
    ground = Image.new("RGB", rgba.size, decoding.alpha)
    ground.paste(rgba, mask=rgba)
    return ground


def _shallow(grey: Image.Image, key: Any, decoding: Decoding) -> Image.Image:
    """Sixteen bits of grey as eight of RGB: the upper eight of those that are used; ``convert`` would clip at 255."""
    deep = np.asarray(grey)
    values = np.minimum(deep >> (decoding.bits - 8), 255).astype(np.uint8)
    if decoding.alpha != "drop" and isinstance(key, int):  # PNG can name one value that is transparent
        values[deep == key] = 255 if decoding.alpha == "white" else 0
    return Image.fromarray(values).convert("RGB")


def is_deep(image: Image.Image) -> bool:
    """Whether an image is grey with sixteen bits. Those of the PGM family come out of Pillow in a mode of 32."""
    return image.mode in _DEEP or (image.mode == "I" and image.format == "PPM")


def _turn(image: Image.Image) -> Image.Transpose | None:
    """How an image has to be turned to stand upright; not at all where its EXIF cannot be read."""
    try:
        return _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except (*_UNDECODABLE, KeyError, TypeError):
        return None


@dataclass(frozen=True)
class Traits:
    """What loaders disagree on, in one image.

    Attributes:
        transparent: Whether some of its pixels are not opaque.
        bright: Whether its visible parts are nearly white, and would be lost on a white ground.
        rotated: Whether a mark says that it has to be turned.
        peak: The largest value, where it is grey with sixteen bits.
    """

    transparent: bool = False
    bright: bool = False
    rotated: bool = False
    peak: int | None = None


def needs_pixels(image: Image.Image) -> bool:
    """Whether an image's pixels have to be decoded to know its traits; of others the header tells."""
    return is_deep(image) or image.has_transparency_data


def header_traits(image: Image.Image) -> Traits:
    """What the header of an opened image tells of its traits, without decoding it."""
    # Pillow turns TIFF by itself, and looks for EXIF behind the pixels of a PNG where there is none before them.
    told = image.format not in ("TIFF", "PNG") or (image.format == "PNG" and "exif" in image.info)
    return Traits(rotated=told and _turn(image) is not None)


def traits(image: Image.Image) -> Traits:
    """The traits of an opened image, which is decoded for that."""
    image.load()
    rotated = _turn(image) is not None
    if is_deep(image):
        return Traits(rotated=rotated, peak=max(int(np.asarray(band).max()) for _, band in _bands(image)))
    if not image.has_transparency_data:
        return Traits(rotated=rotated)
    transparent, ink, seen = False, 0.0, 0.0
    for _, band in _bands(image):
        rgba = band.convert("RGBA")
        alpha = np.asarray(rgba.getchannel("A"), np.float32)
        transparent |= bool(alpha.min() < 255)
        seen += float(alpha.sum(dtype=np.float64))
        ink += float((np.asarray(rgba.convert("RGB").convert("L"), np.float32) * alpha).sum(dtype=np.float64))
    return Traits(transparent, transparent and ink > _BRIGHT * seen, rotated)
