"""Looking at a folder."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dgbench.core.errors import DataError
from dgbench.core.names import readable
from dgbench.core.reader_cards import Tree
from dgbench.core.toml import validated
from dgbench.data.disk.folders import Links, walk
from dgbench.data.disk.look.columns import LIKELY_SPLITS, OFFICIAL
from dgbench.data.disk.look.draft import Draft, draft_card, plain_name
from dgbench.data.disk.naming import plain, some
from dgbench.data.disk.readers.finds import Finds, search
from dgbench.data.disk.readers.layouts import Layout
from dgbench.data.pixels.suffixes import divide, say_left_out

DEEPEST = 12
"""Folders below each other that are looked into."""

Parts = tuple[str, ...]
"""Names of folders from the root down."""


@dataclass
class Census:
    """How many images there are in which folder, whatever it means.

    Attributes:
        images: By folder, where there are any.
        unread: Images of kinds that are not read, by kind.
        links: Those that are not followed.
    """

    images: Counter[Parts] = field(default_factory=Counter)
    unread: Counter[str] = field(default_factory=Counter)
    links: Links = field(default_factory=Links)

    @property
    def depth(self) -> int:
        """How deep most images lie."""
        depths: Counter[int] = Counter()
        for parts, count in self.images.items():
            depths[len(parts)] += count
        return depths.most_common(1)[0][0]


def look_at_tree(root: Path, name: str | None, layout: str | None) -> Draft:
    """A draft of the card of a folder; raises DataError as :func:`dgbench.data.disk.look.look`."""
    try:
        str(root).encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{readable(str(root))}: this path holds bytes that are no UTF-8, and no card can name it; rename the "
            "folder, or make a link to it (ln -s) and name that"
        ) from error
    census = take_census(root)
    if not census.images:
        broken = f"; {len(census.links.broken)} links in it lead nowhere" if census.links.broken else ""
        unread = f"; {say_left_out(census.unread)}" if census.unread else ""
        raise DataError(f"{root}: no images in it (.png, .jpg, .webp, ...){broken}{unread}")
    reader: dict[str, Any] = {"kind": "tree", "layouts": [layout or _guess(root, census)]}
    text = validated(reader, Tree, f"--layout '{layout}'").layouts[0]
    pattern = Layout.parse(text)
    if not pattern.names_domain:
        raise DataError(f"--layout '{text}': nothing in it names the domain; put '{{domain}}' where it stands")
    found = search(pattern, root, {plain(split): meaning for split, meaning in LIKELY_SPLITS.items()})
    cells = [cell for cell in found.cells if cell.images]
    if not cells:
        raise DataError(
            f"{root}: no image lies {len(pattern.folders)} folders deep, as '{text}' says; most lie {census.depth} deep"
            + _strange_splits(found)
        )
    said = [f"{sum(census.images.values())} images below {root}", f"folders are {text}"]
    if splits := sorted({cell.split for cell in cells if cell.split is not None}):
        reader["splits"] = {split: LIKELY_SPLITS[plain(split)] for split in splits}
        said.append(f"official splits: {', '.join(splits)}; {OFFICIAL}")
    domains = sorted({str(cell.domain) for cell in cells})
    classes = sorted({cell.label for cell in cells})
    said += _left_out(found, census, root)
    there = {(cell.domain, cell.label) for cell in cells}
    without = {domain: [label for label in classes if (domain, label) not in there] for domain in domains}
    place = {"path": str(root), "reader": reader}
    try:
        return draft_card(name or plain_name(root.name), said, classes, domains, without, **place)
    except DataError as error:
        notes = [line for line in said if line.startswith("note: ")]
        raise DataError("\n".join([f"{root}: {error}", *notes])) from error


def take_census(root: Path) -> Census:
    """Count the images in each folder, as readers see them."""
    census = Census()

    def enter(parts: Parts, name: str) -> Parts | None:
        return (*parts, name) if len(parts) < DEEPEST else None

    start: Parts = ()
    for folder, parts, found in walk(root, start, enter, census.links):
        images, unread = divide(root / folder, found.files)
        census.unread += unread
        if images:
            census.images[parts] = len(images)
    return census


def _guess(root: Path, census: Census) -> str:
    """Which folder level is what: a level of split names is the split; of the others the first is the domain."""
    depth = census.depth
    if depth < 2:
        raise DataError(
            f"{root}: images lie {'in it' if depth == 0 else 'one folder deep'}; expected domain/class/image. Put each "
            "domain's class folders below a folder of their own, or list the images in a CSV file with the columns "
            "image, label and domain"
        )
    names = [
        {plain(readable(parts[level])) for parts in census.images if len(parts) == depth} for level in range(depth)
    ]
    splits = [level for level, found in enumerate(names) if found <= {plain(split) for split in LIKELY_SPLITS}]
    rest = [level for level in range(depth) if level not in splits[:1]]
    if len(rest) != 2:
        raise DataError(
            f"{root}: images lie {depth} folders deep and it is not clear what each level is; say it with --layout, as "
            f"in --layout '{{domain}}/{'*/' * (depth - 2)}{{class}}'"
        )
    levels = ["{split}"] * depth
    levels[rest[0]], levels[rest[1]] = "{domain}", "{class}"
    return "/".join(levels)


def _left_out(found: Finds, census: Census, root: Path) -> list[str]:
    """What is not in the card, and why; names in two forms of Unicode."""
    said = []
    read = Counter(image.rpartition("/")[0] for cell in found.cells for image in cell.images)
    others = {
        parts: count - there for parts, count in census.images.items() if (there := read["/".join(parts)]) < count
    }
    if others:
        deep = len(found.layout.folders)
        where = some((readable("/".join(parts)) or "." for parts in sorted(others)), 4)
        said.append(f"{sum(others.values())} images do not lie {deep} folders deep and are left out, in {where}")
        said += _deeper(found, others)
    if census.unread:
        said.append(say_left_out(census.unread))
    filled = {domain for domain in found.filled if domain is not None}
    reached = {readable(part) for parts in others for part in parts}
    if empty := sorted(found.entered - filled - reached):
        said.append(f"note: there is no image in {some(empty)}, and nothing is taken for a domain of that name")
    if found.unknown_splits and found.filled:
        said.append(f"note:{_strange_splits(found)}, and left out")
    if found.composed:
        said.append(
            f"note: {some(found.composed)} {'is' if len(found.composed) == 1 else 'are'} written in two ways (accents "
            "composed, and as characters of their own) and taken as one"
        )
    for links, why in ((found.links.broken, "lead nowhere"), (found.links.circular, "lead back to a folder above")):
        if links:
            said.append(f"note: {len(links)} links {why} and are left out: {some(map(readable, sorted(links)), 4)}")
    return said


def _deeper(found: Finds, others: dict[Parts, int]) -> list[str]:
    """A line for domains of which every image lies one level deeper than in the rest."""
    if not found.layout.text.startswith("{domain}/"):
        return []
    depth = len(found.layout.folders)
    by_domain: dict[str, list[Parts]] = {}
    for parts in others:
        by_domain.setdefault(parts[0] if parts else "", []).append(parts)
    said = []
    for domain, places in sorted(by_domain.items()):
        inner = {parts[1] for parts in places if len(parts) == depth + 1}
        if (
            readable(domain) not in found.filled
            and all(len(parts) == depth + 1 for parts in places)
            and len(inner) == 1
        ):
            path = readable(f"{domain}/{inner.pop()}")
            count = sum(others[parts] for parts in places)
            said.append(
                f"note: the domain '{readable(domain)}' lies one folder deeper than the rest, in {path}: its {count} "
                f"images are left out. Move what is in {path} up by one folder, and look again"
            )
    return said


def _strange_splits(found: Finds) -> str:
    names = sorted(found.unknown_splits)
    if not names:
        return ""
    return f" folders {some(names)} lie where the layout has a split, and are neither train, val nor test"
