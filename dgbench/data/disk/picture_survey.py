"""What loaders disagree on, in all pictures of a dataset: how much of it there is, and what to do with it.

``data new`` looks at headers, decodes those pictures of which headers do not tell enough, and chooses; ``data check``
has decoded everything, counts, and says what the card does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from dgbench.core.decoding import Alpha, Decoding
from dgbench.core.errors import DataError
from dgbench.core.processes import cores
from dgbench.data.disk.findings import Finding, Verdict
from dgbench.data.listing import Pictures
from dgbench.data.pixels.decode import Traits, header_traits, needs_pixels, traits
from dgbench.data.pixels.suffixes import Kinds, say_left_out

DECODED = 2000
"""Most pictures that a survey decodes in each domain."""
_RANGES = (8, 10, 12, 14, 16)
"""Bits that sensors have."""
_DARK = 32
"""A grey level of 255; where no picture is brighter, the card's ``bits`` are wrong."""


@dataclass(frozen=True)
class Survey:
    """How many pictures have which traits.

    Attributes:
        total: Pictures.
        transparent: Those that are not opaque everywhere.
        bright: Those of them that are nearly white where they are visible.
        rotated: Those that carry a mark of how to turn them.
        deep: Those that are grey with sixteen bits.
        peak: The largest value in them.
        undecodable: Those that cannot be read.
        unlooked: Those that may be transparent or deep, and were not decoded since there are too many.
    """

    total: int
    transparent: int = 0
    bright: int = 0
    rotated: int = 0
    deep: int = 0
    peak: int = 0
    undecodable: int = 0
    unlooked: int = 0

    @staticmethod
    def of(found: Sequence[Traits | None], unlooked: int = 0) -> Survey:
        """The sum over pictures; None is one that cannot be read."""
        known = [look for look in found if look is not None]
        peaks = [look.peak for look in known if look.peak is not None]
        return Survey(
            total=len(found),
            transparent=sum(look.transparent for look in known),
            bright=sum(look.bright for look in known),
            rotated=sum(look.rotated for look in known),
            deep=len(peaks),
            peak=max(peaks, default=0),
            undecodable=len(found) - len(known),
            unlooked=unlooked,
        )

    @property
    def bits(self) -> int:
        """The fewest bits of a sensor that hold the largest value; 16 where no picture has more than eight."""
        return next(bits for bits in _RANGES if self.peak < 2**bits) if self.deep else 16

    def choice(self) -> Decoding:
        """The decoding that keeps what the pictures show."""
        ground: Alpha = "black" if 2 * self.bright > self.transparent else "white"
        return Decoding(ground if self.transparent or self.unlooked else "drop", self.rotated > 0, self.bits)


def survey(pictures: Sequence[Pictures], progress: Callable[[int, int], None] = lambda done, of: None) -> Survey:
    """Look at every picture's header, and at the pixels of those that may be transparent or have sixteen bits.

    Args:
        pictures: Of each domain.
        progress: Is told how many pictures have been looked at, and how many there are.
    """
    places = [(domain, row) for domain in range(len(pictures)) for row in range(len(pictures[domain]))]
    found: dict[tuple[int, int], Traits | None] = {}
    unclear: dict[int, list[int]] = {domain: [] for domain in range(len(pictures))}
    with ThreadPoolExecutor(2 * cores()) as pool:
        heads = pool.map(lambda place: _head(pictures[place[0]], place[1]), places)
        for done, (place, (known, needed)) in enumerate(zip(places, heads, strict=True), start=1):
            found[place] = known
            if needed:
                unclear[place[0]].append(place[1])
            progress(done, len(places))
        chosen = [(domain, row) for domain, rows in unclear.items() for row in rows[:: -(-len(rows) // DECODED) or 1]]
        for place, known in zip(
            chosen, pool.map(lambda place: _whole(pictures[place[0]], place[1]), chosen), strict=True
        ):
            found[place] = known
    return Survey.of(list(found.values()), sum(map(len, unclear.values())) - len(chosen))


def _head(pictures: Pictures, row: int) -> tuple[Traits | None, bool]:
    """What the header tells, and whether the pixels have to tell more."""
    try:
        with pictures.open(row) as image:
            return header_traits(image), needs_pixels(image)
    except DataError:
        return None, False  # counted as undecodable; 'data check' names it


def _whole(pictures: Pictures, row: int) -> Traits | None:
    try:
        with pictures.open(row) as image:
            return traits(image)
    except DataError:
        return None


def say(found: Survey, choice: Decoding) -> list[str]:
    """What a survey found and what is done with it, a line each; nothing where no loaders would disagree."""
    lines = []
    if found.transparent:
        lines.append(f"{_of(found.transparent, found)} transparent in places: {_ground(choice)}")
    if found.rotated:
        lines.append(f"{_of(found.rotated, found)} marked as rotated by the camera: {_upright(choice)}")
    if found.deep:
        lines.append(
            f"{_of(found.deep, found)} grey with 16 bits, values up to {found.peak:,}: {2**choice.bits - 1:,} is white "
            f"(bits = {choice.bits})"
        )
    if found.unlooked:
        lines.append(f"{found.unlooked} more may be transparent or use more bits; not all were looked at")
    if found.undecodable:
        lines.append(f"{_of(found.undecodable, found)} no images, or damaged: 'dgbench data check' names them")
    return lines


def picture_findings(found: Survey, decoding: Decoding, left_out: Kinds) -> list[Finding]:
    """What a check says about a dataset whose card decodes in some way.

    Args:
        found: Of all its pictures.
        decoding: What its card says.
        left_out: Images among them that are not read, by kind.
    """
    return [
        _transparency(found, decoding),
        _rotation(found, decoding),
        _depth(found, decoding),
        Finding("left out", "note", say_left_out(left_out))
        if left_out
        else Finding("left out", "ok", "no image of a kind that is not read"),
    ]


def _transparency(found: Survey, decoding: Decoding) -> Finding:
    name = "transparency"
    if not found.transparent:
        return Finding(name, "ok", "no picture is transparent")
    text = f"{_of(found.transparent, found)} transparent in places: {_ground(decoding)}"
    if decoding.alpha == "drop":
        wanted = found.choice().alpha
        return Finding(name, "note", f'{text}. alpha = "{wanted}" on the card lays them over {wanted}')
    return Finding(name, "ok", text)


def _rotation(found: Survey, decoding: Decoding) -> Finding:
    name = "rotation"
    if not found.rotated:
        return Finding(name, "ok", "no picture is marked as rotated")
    text = f"{_of(found.rotated, found)} marked as rotated by the camera (EXIF): {_upright(decoding)}"
    if decoding.exif:
        return Finding(name, "ok", text)
    return Finding(name, "note", f"{text}. exif = true on the card turns them upright")


def _depth(found: Survey, decoding: Decoding) -> Finding:
    """Values far below the range come out dark, those above it white: both lose what the pictures show."""
    name = "16 bits"
    if not found.deep:
        return Finding(name, "ok", "no picture is grey with 16 bits")
    top = 2**decoding.bits - 1
    text = f"{_of(found.deep, found)} grey with 16 bits, values up to {found.peak:,}; the card's bits = {decoding.bits}"
    if found.bits == decoding.bits:
        return Finding(name, "ok", f"{text}, so {top:,} is white")
    remedy = f"bits = {found.bits} on the card is the range of these values"
    if found.peak > top:
        return Finding(name, "problem", f"{text} makes all above {top:,} white. {remedy}")
    brightest = found.peak >> (decoding.bits - 8)
    verdict: Verdict = "problem" if brightest < _DARK else "note"
    return Finding(name, verdict, f"{text} makes the brightest of them {brightest} of 255. {remedy}")


def _ground(decoding: Decoding) -> str:
    if decoding.alpha == "drop":
        return 'alpha is dropped, so that colours show which nobody was to see (alpha = "drop")'
    return f'they are laid over {decoding.alpha} (alpha = "{decoding.alpha}")'


def _upright(decoding: Decoding) -> str:
    return "they are turned upright (exif = true)" if decoding.exif else "the marks are ignored (exif = false)"


def _of(count: int, found: Survey) -> str:
    return f"{count:,} of {found.total:,} pictures {'is' if count == 1 else 'are'}"
