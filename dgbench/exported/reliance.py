"""What a model relies on: how its answers change where the foreground of pictures is gone, or their background.

K. Xiao, L. Engstrom, A. Ilyas, A. Madry, "Noise or Signal: The Role of Image Backgrounds in Object Recognition", ICLR
2021, show a network foreground and background alone, and foregrounds on backgrounds of other pictures. With x a picture
as the network sees it, m its mask, 1 in the foreground and 0 in the background, c the mean colour of its background,
and x', m', c' another picture::

    foreground alone        m x + (1 - m) c
    background alone        (1 - m) x + m c
    exchanged background    m x + (1 - m) (m' c' + (1 - m') x')

The last is the randomised block of H. Shah et al., "The Pitfalls of Simplicity Bias in Neural Networks", NeurIPS 2020:
a block of the input is another example's. Each picture lends its background to one other, in an order of a seed.

Masks come from the user. They go the way of the pictures: to the network's square, where at least half is foreground.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dgbench.core.errors import DataError
from dgbench.core.seeds import generator
from dgbench.core.visible import visible
from dgbench.data.pixels.square import square
from dgbench.exported.card import Preprocessing
from dgbench.exported.model import Model
from dgbench.exported.pictures import rgb_of
from dgbench.exported.predict import pictures_of, predictions

Square = NDArray[np.uint8]
"""``[size, size, 3]``."""
Mask = NDArray[np.bool_]
"""``[size, size]``: where the foreground is."""
_WHITE = 128
"""Grey level from which a mask is white."""


@dataclass(frozen=True)
class Shown:
    """What a model says of pictures that are shown to it in one way.

    Attributes:
        same: The share whose predicted class is that of the whole picture, in [0, 1]; None where nothing is shown.
        right: The share that is classified correctly, where classes are known.
    """

    same: float | None
    right: float | None


@dataclass(frozen=True)
class Reliance:
    """What a model relies on.

    Attributes:
        pictures: How many have a foreground and a background.
        left_out: How many do not: their masks are all black or all white.
        whole, foreground, background, exchanged: Pictures as they are; their foreground alone, their background alone,
            their foreground on the background of another one. Classes are those of the picture, in the last those of
            the foreground's.
        mixed: How many of the last have a background whose own picture is given another class as a whole.
        with_foreground, with_background: The shares of these that are given the class of the one, and of the other;
            None where there is none.
    """

    pictures: int
    left_out: int
    whole: Shown
    foreground: Shown
    background: Shown
    exchanged: Shown
    mixed: int
    with_foreground: float | None
    with_background: float | None


def reliance(model: Model, folder: Path, masks: Path) -> Reliance:
    """Ask a model about pictures and their parts; each way of showing them is a stream of its own.

    Args:
        model: Which.
        folder: Of pictures; all below it are looked at, in the order of their paths. They are held in memory as the
            network sees them.
        masks: Holds a PNG for each, under the same path.

    Raises:
        DGBenchError: the folder is not there, or without a picture.
        DataError: a picture or a mask cannot be read, a mask is missing or has another size than its picture, or no
            picture has both foreground and background.
    """
    if not folder.is_dir():
        raise DataError(f"{visible(str(folder))} is no folder; pictures lie in one, and masks in another")
    if masks.resolve().is_relative_to(folder.resolve()):
        raise DataError(f"{visible(str(masks))}: masks lie among the pictures; keep them in a folder of their own")
    paths = [Path(str(path)) for path in pictures_of([folder])[0]]
    squares, places, kept = [], [], []
    for path in paths:
        picture, place = _masked(path, masks / path.relative_to(folder).with_suffix(".png"), model.card.preprocessing)
        if 0 < place.sum() < place.size:
            squares.append(picture)
            places.append(place)
            kept.append(path)
    if not kept:
        raise DataError(
            f"{visible(str(masks))}: every mask is all black or all white; white pixels say where the foreground is"
        )
    parts = [divided(picture, place) for picture, place in zip(squares, places, strict=True)]
    other = lenders(len(kept))
    whole = _classes(model, squares)
    alone = [_classes(model, [part[number] for part in parts]) for number in (0, 1)]
    lent = [composed(squares[i], places[i], parts[j][1]) for i, j in enumerate(other)]
    mixed = _classes(model, lent)
    true = [path.parent.name for path in kept]
    known = true if set(true) <= set(model.classes) else None
    both = [(got, whole[i], whole[j]) for i, (got, j) in enumerate(zip(mixed, other, strict=True))]
    differ = [one for one in both if one[1] != one[2]]
    return Reliance(
        pictures=len(kept),
        left_out=len(paths) - len(kept),
        whole=_shown(whole, whole, known),
        foreground=_shown(alone[0], whole, known),
        background=_shown(alone[1], whole, known),
        exchanged=_shown(mixed, whole, known),
        mixed=len(differ),
        with_foreground=_share(got == own for got, own, _ in differ),
        with_background=_share(got == lender for got, _, lender in differ),
    )


def divided(picture: Square, place: Mask) -> tuple[Square, Square]:
    """The foreground and the background of a picture alone, the rest in the mean colour of the background."""
    colour = np.rint(picture[~place].mean(0)).astype(np.uint8)
    plain = np.broadcast_to(colour, picture.shape)
    return composed(picture, place, plain), composed(picture, ~place, plain)


def composed(picture: Square, place: Mask, ground: Square) -> Square:
    """A part of a picture on another ground."""
    return np.where(place[..., None], picture, ground)


def lenders(count: int) -> list[int]:
    """For each picture the one whose background it gets, never itself; nothing where there is no other."""
    if count < 2:
        return []
    order = generator("reliance", count).permutation(count)
    found = np.empty(count, np.int64)
    found[order] = np.roll(order, 1)
    return [int(number) for number in found]


def _masked(path: Path, mask: Path, wanted: Preprocessing) -> tuple[Square, Mask]:
    """A picture and its mask, as the network sees them."""
    if not mask.is_file():
        raise DataError(
            f"{visible(str(path))}: there is no mask {visible(str(mask))}; each picture has a PNG of its size, "
            "white where the foreground is"
        )
    with rgb_of(path, wanted) as picture:
        size, seen = picture.size, np.array(square(picture, wanted.size, wanted.resize))
    with rgb_of(mask, wanted) as picture:
        if picture.size != size:
            raise DataError(
                f"{visible(str(mask))} has {picture.size[0]}x{picture.size[1]} pixels, and its picture "
                f"{visible(str(path))} {size[0]}x{size[1]}; a mask has the size of its picture"
            )
        return seen, np.array(square(picture, wanted.size, wanted.resize))[..., 0] >= _WHITE


def _classes(model: Model, pictures: Sequence[Square]) -> list[str | None]:
    return [one.label for one in predictions(model, pictures)]


def _shown(found: Sequence[str | None], whole: Sequence[str | None], true: Sequence[str] | None) -> Shown:
    same = _share(one == other for one, other in zip(found, whole, strict=False))
    return Shown(same, None if true is None else _share(one == own for one, own in zip(found, true, strict=False)))


def _share(hits: Iterable[bool]) -> float | None:
    each = list(hits)
    return sum(each) / len(each) if each else None
