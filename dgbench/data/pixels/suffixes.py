"""Which files are images, by their names: what is read, and what is an image too, but is not read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import numpy as np
from PIL import features

from dgbench.core.errors import DataError
from dgbench.data.pixels.npy import header

_READ = frozenset(
    ("jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp", "gif", "ppm", "pgm", "pbm", "pnm", "tif", "tiff", "npy")
)
_OTHERS = frozenset(
    (
        *("svg", "svgz", "ai", "eps", "ps", "wmf", "emf", "cdr"),  # drawings
        *("heic", "heif", "hif", "avif", "jxl", "jp2", "j2k", "jpx", "j2c", "jxr", "mpo", "apng", "qoi"),
        *("psd", "psb", "xcf", "tga", "pcx", "ico", "icns", "dds", "xbm", "xpm", "ras", "sgi", "dib"),
        *("raw", "dng", "cr2", "cr3", "nef", "nrw", "arw", "srf", "orf", "rw2", "raf", "pef"),  # cameras
        *("exr", "hdr", "pfm", "fits", "fit", "npz"),  # floats, archives
        *("dcm", "dicom", "nii", "nii.gz", "mha", "mhd", "nrrd", "mrc"),  # medicine
        *("svs", "ndpi", "czi", "scn", "mrxs", "vsi"),  # slides
    )
)
Kinds = Mapping[str, int]
"""How many files there are of each kind: ``{".heic": 3}``."""


@cache
def read_suffixes() -> frozenset[str]:
    """How the names of files end that are read as images, in lower case, without the dot."""
    return _READ | ({"avif"} if features.check("avif") else set())


def is_picture(file: Path | str) -> bool:
    """Whether a file of this name is read as an image; hidden files are not."""
    return _suffix(file) in read_suffixes()


def divide(folder: Path, names: Iterable[str]) -> tuple[list[str], Counter[str]]:
    """The files of a folder that are read as images, and how many others of each kind would be images as well.

    Arrays (``.npy``) hold images or anything else: their headers tell.

    Args:
        folder: Where the files lie.
        names: Of its files.

    Returns:
        The names of images, in the order given; and kinds that are left out.
    """
    images: list[str] = []
    others: list[str] = []
    arrays = 0
    for name in names:
        if not is_picture(name):
            others.append(name)
        elif _suffix(name) == "npy" and not _holds_image(folder / name):
            arrays += 1
        else:
            images.append(name)
    return images, left_out(others) + Counter({".npy": arrays})


def left_out(names: Iterable[str]) -> Counter[str]:
    """How many files are images by their name, but are not read: ``{".heic": 3, ".svg": 1}``."""
    unread = _OTHERS - read_suffixes()
    return Counter(f".{kind}" for name in names if (kind := _suffix(name)) in unread)


def say_left_out(kinds: Kinds) -> str:
    """One sentence about what is left out, with the remedy."""
    order = sorted(kinds.items(), key=lambda item: (-item[1], item[0]))
    are = "is" if sum(kinds.values()) == 1 else "are"
    text = f"{', '.join(f'{count} {kind}' for kind, count in order)} {are} not read and {are} left out"
    remedies = []
    if ".avif" in kinds:
        remedies.append("this Pillow cannot read AVIF (pip install --upgrade pillow)")
    if ".npy" in kinds:
        remedies.append("an image in .npy is uint8 [h, w], [h, w, 3] or [h, w, 4], or uint16 [h, w]")
    if set(kinds) - {".avif", ".npy"}:
        remedies.append("save as PNG or JPEG what you want to use")
    return f"{text}: {'; '.join(remedies)}"


def is_image_array(shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> bool:
    """Whether an array is an image: uint8 ``[h, w]``, ``[h, w, 3]`` or ``[h, w, 4]``, or uint16 ``[h, w]``."""
    if 0 in shape:
        return False
    return (len(shape) == 2 and dtype in (np.uint8, np.uint16)) or (
        len(shape) == 3 and shape[2] in (3, 4) and dtype == np.uint8
    )


def _suffix(file: Path | str) -> str:
    """The end of a name in lower case; nothing for hidden files, and for names that are all suffix."""
    name = (file if isinstance(file, str) else file.name).rpartition("/")[2].lower()
    stem, _, suffix = name.rpartition(".")
    if not stem or name.startswith("."):
        return ""
    return "nii.gz" if name.endswith(".nii.gz") else suffix


def _holds_image(path: Path) -> bool:
    """Whether the header of a ``.npy`` file tells of an image. One that cannot be read is taken for one, and named
    when it is decoded."""
    try:
        return is_image_array(*header(path))
    except DataError:
        return True
