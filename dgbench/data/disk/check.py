"""Is a dataset sound? What is looked for before anything is trained on it.

Every picture is read once, in threads: its SHA-256 finds copies, and a small fingerprint finds near-duplicates. All
pairs of fingerprints are compared, and those that are close again as thumbnails, which clears flat pictures of
suspicion.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dgbench.core.dataset_card import DatasetCard
from dgbench.core.decoding import Decoding
from dgbench.core.errors import DataError
from dgbench.core.judged_by import ValueCard
from dgbench.data.disk.findings import Finding
from dgbench.data.disk.picture_survey import Survey, picture_findings
from dgbench.data.listing import DomainListing, Listing
from dgbench.data.pixels.decode import Traits, as_rgb, traits

FAR = 6
"""Most bits in which the fingerprints of near-duplicates differ, of 128."""
PAIRS = 2**23
"""Pairs of fingerprints that are compared at once, so that memory is bounded."""
ALIKE = 6.0
"""Largest mean difference between the 16x16 thumbnails of near-duplicates, in grey levels of 255."""
SHOWN = 3
"""Examples named in a finding."""


@dataclass(frozen=True)
class _Look:
    """What is known of one picture."""

    domain: int
    row: int
    digest: bytes
    fingerprint: NDArray[np.uint64]
    thumbnail: NDArray[np.uint8]
    traits: Traits


def check(card: DatasetCard, listing: Listing, progress: Callable[[int, int], None] | None = None) -> list[Finding]:
    """Look through a dataset.

    Args:
        card: What it should be.
        listing: What its reader found.
        progress: Told how many pictures are done, and how many there are.
    """
    looks, unreadable = _look(listing, card.decoding, progress or (lambda done, of: None))
    near = _near(looks)
    return [
        _unreadable(unreadable, listing),
        *picture_findings(Survey.of([look.traits for look in looks]), card.decoding, listing.left_out),
        _counts(card, listing),
        *([_values(card.value, listing)] if card.value else _classes(card, listing)),
        _copies(looks, listing),
        _near_across(near, listing),
        _leakage(near, looks, listing),
    ]


def _look(listing: Listing, decoding: Decoding, progress: Callable[[int, int], None]) -> tuple[list[_Look], list[str]]:
    places = [(d, row) for d, domain in enumerate(listing.domains) for row in range(len(domain))]

    def look(place: tuple[int, int]) -> _Look | str:
        number, row = place
        pictures = listing.domains[number].pictures
        try:
            with pictures.open(row) as image:
                seen = _seen(image, decoding)
            return _Look(number, row, pictures.digest(row), *seen)
        except DataError as error:
            return str(error)

    looks, unreadable = [], []
    with ThreadPoolExecutor() as pool:
        for done, found in enumerate(pool.map(look, places), start=1):
            if isinstance(found, str):
                unreadable.append(found)
            else:
                looks.append(found)
            progress(done, len(places))
    return looks, unreadable


def _seen(image: Image.Image, decoding: Decoding) -> tuple[NDArray[np.uint64], NDArray[np.uint8], Traits]:
    """Fingerprint, thumbnail and traits. Nothing of the picture's size outlives this call."""
    known = traits(image)
    grey = as_rgb(image, decoding).convert("L")
    return _fingerprint(grey), np.asarray(grey.resize((16, 16), Image.Resampling.BOX)), known


def _fingerprint(grey: Image.Image) -> NDArray[np.uint64]:
    """128 bits, as two numbers: whether each of 8x8 places is darker than its right and than its lower neighbour."""
    small = np.asarray(grey.resize((9, 9), Image.Resampling.BOX), dtype=np.int16)
    bits = np.concatenate([(small[:8, :8] < small[:8, 1:]).ravel(), (small[:8, :8] < small[1:, :8]).ravel()])
    return np.packbits(bits).view(np.uint64)


def _near(looks: list[_Look]) -> list[tuple[_Look, _Look]]:
    """Pairs of near-duplicates, copies among them."""
    if not looks:
        return []
    fingerprints = np.stack([look.fingerprint for look in looks])
    pairs = []
    step = max(1, PAIRS // len(looks))
    for start in range(0, len(looks), step):
        block, rest = fingerprints[start : start + step], fingerprints[start:]
        halves = [np.bitwise_count(block[:, None, half] ^ rest[None, :, half]) for half in (0, 1)]
        for one, other in np.argwhere(halves[0] + halves[1] <= FAR) + start:
            if one < other and _apart(looks[one], looks[other]) <= ALIKE:
                pairs.append((looks[one], looks[other]))
    return pairs


def _apart(one: _Look, other: _Look) -> float:
    """Mean difference of two thumbnails, in grey levels."""
    return float(np.abs(one.thumbnail.astype(np.int16) - other.thumbnail).mean())


def _unreadable(errors: list[str], listing: Listing) -> Finding:
    total = sum(map(len, listing.domains))
    if errors:
        return Finding("unreadable", "problem", f"{len(errors)} of {total} pictures: {_some(errors)}")
    return Finding("unreadable", "ok", f"all {total} pictures can be read")


def _counts(card: DatasetCard, listing: Listing) -> Finding:
    expected = {domain.name: domain.count for domain in card.domains if domain.count is not None}
    found = {domain.name: len(domain) for domain in listing.domains}
    wrong = [f"{name} has {found[name]}, not {count}" for name, count in expected.items() if found[name] != count]
    if wrong:
        return Finding("counts", "problem", f"the card expects others: {'; '.join(wrong)}")
    return Finding("counts", "ok", ", ".join(f"{name} {count}" for name, count in found.items()))


def _values(value: ValueCard, listing: Listing) -> Finding:
    """Which values the domains have: a note where two of them share none."""
    said, spans = [], []
    for domain in listing.domains:
        least, most = float(domain.labels.min()), float(domain.labels.max())
        spans.append((least, most))
        middle, spread = float(domain.labels.mean()), float(domain.labels.std())
        said.append(f"{domain.name} {least:.4g} to {most:.4g}, mean {middle:.4g}, deviation {spread:.4g}")
    apart = max(least for least, _ in spans) > min(most for _, most in spans)
    unit = f" ({value.unit})" if value.unit else ""
    return Finding("values", "note" if apart else "ok", f"{value.what}{unit}: {'; '.join(said)}")


def _classes(card: DatasetCard, listing: Listing) -> list[Finding]:
    return [_missing_classes(card, listing), _balance(listing), _priors(listing)]


def _missing_classes(card: DatasetCard, listing: Listing) -> Finding:
    """Which domains lack which classes: a problem where the card does not say so."""
    of = len(listing.classes)
    notes, problems = [], []
    declares = {domain.name: domain.without for domain in card.domains}
    for domain in listing.domains:
        if domain.part_of:
            continue  # one camera sees few kinds of animals
        declared = declares[domain.name]
        missing = domain.without(listing.classes)
        if unsaid := [name for name in missing if name not in declared]:
            problems.append(
                f"{domain.name} has no {_some(unsaid)}; if that is how it is, its card says: without = {list(missing)}"
            )
        elif missing:
            known = of - len(missing)
            notes.append(f"accuracy on {domain.name} is over {known} of {of} classes: it has no {_some(missing)}")
        if there := [name for name in declared if name not in missing]:
            problems.append(f"the card says that {domain.name} is without {_some(there)}, but it is there")
    if problems or notes:
        return Finding("classes", "problem" if problems else "note", "; ".join([*problems, *notes]))
    return Finding("classes", "ok", f"each domain has all {of} classes")


def _balance(listing: Listing) -> Finding:
    texts, worst = [], 1.0
    for domain in listing.domains:
        counts = _class_counts(domain, len(listing.classes))
        least, most = int(counts.argmin()), int(counts.argmax())
        ratio = counts[most] / max(counts[least], 1)
        worst = max(worst, ratio)
        span = f"{counts[most]} {listing.classes[most]} to {counts[least]} {listing.classes[least]}"
        texts.append(f"{domain.name} {f'{counts[most]} each' if counts[most] == counts[least] else span}")
    return Finding("balance", "note" if worst > 10 else "ok", "largest and smallest class: " + "; ".join(texts))


def _priors(listing: Listing) -> Finding:
    """Total variation between the class frequencies of two domains: half the sum of absolute differences."""
    shares = []
    for domain in listing.domains:
        counts = _class_counts(domain, len(listing.classes))
        shares.append(counts / max(counts.sum(), 1))
    if len(shares) < 2:
        return Finding("class frequencies", "ok", "there is one domain")
    distances = {
        (one, other): float(np.abs(shares[one] - shares[other]).sum() / 2)
        for one, other in itertools.combinations(range(len(shares)), 2)
    }
    one, other = max(distances, key=lambda pair: distances[pair])
    text = (
        f"differ most between {listing.domains[one].name} and {listing.domains[other].name}: total variation "
        f"{distances[one, other]:.2f} of 1"
    )
    return Finding("class frequencies", "note" if distances[one, other] > 0.25 else "ok", text)


def _copies(looks: list[_Look], listing: Listing) -> Finding:
    same: dict[bytes, list[_Look]] = defaultdict(list)
    for look in looks:
        same[look.digest].append(look)
    sets = [group for group in same.values() if len(group) > 1]
    if not sets:
        return Finding("copies", "ok", "no picture occurs twice")
    contradicting = [g for g in sets if len({float(listing.domains[k.domain].labels[k.row]) for k in g}) > 1]
    text = f"{len(sets)} pictures occur more than once: {_some(_names(group, listing) for group in sets)}"
    if contradicting:
        text += f"; {len(contradicting)} of them with different labels: {_names(contradicting[0], listing)}"
    return Finding("copies", "problem" if contradicting else "note", text)


def _near_across(near: list[tuple[_Look, _Look]], listing: Listing) -> Finding:
    across = [pair for pair in near if pair[0].domain != pair[1].domain]
    if across:
        text = f"{len(across)} pairs: {_some(_names(pair, listing) for pair in across)}"
        return Finding("near-duplicates across domains", "problem", text)
    return Finding("near-duplicates across domains", "ok", "none")


def _leakage(near: list[tuple[_Look, _Look]], looks: list[_Look], listing: Listing) -> Finding:
    """Near-duplicates, or one group, in two official splits of a domain."""
    name = "leakage between splits"
    official = [domain.official for domain in listing.domains]
    if all(parts is None for parts in official):
        return Finding(name, "ok", "the dataset has no splits of its own; dgbench draws them by group")
    leaks = []
    for one, other in near:
        parts = official[one.domain]
        if one.domain == other.domain and parts is not None and parts[one.row] != parts[other.row]:
            leaks.append(_names((one, other), listing))
    divided = [
        f"group {group} of {domain.name}"
        for domain in listing.domains
        if domain.official is not None
        for group in np.unique(domain.groups)
        if len(np.unique(domain.official[domain.groups == group])) > 1
    ]
    if leaks or divided:
        return Finding(name, "problem", f"{len(leaks) + len(divided)}: {_some([*leaks, *divided])}")
    return Finding(name, "ok", "no near-duplicates and no group on two sides")


def _class_counts(domain: DomainListing, classes: int) -> NDArray[np.int64]:
    return np.bincount(domain.labels, minlength=classes)


def _names(looks: Iterable[_Look], listing: Listing) -> str:
    return " = ".join(listing.domains[look.domain].pictures.name(look.row) for look in looks)


def _some(texts: Iterable[str]) -> str:
    every = list(texts)
    more = f" and {len(every) - SHOWN} more" if len(every) > SHOWN else ""
    return "; ".join(every[:SHOWN]) + more
