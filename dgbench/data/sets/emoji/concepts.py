"""Which emoji are taken, what class each is, and by which names a pack may know it.

Classes are unions of Unicode's subgroups. One concept is one emoji without its variants: other skin tones, men and
women of what also exists as a person, and people who face the other way are left out, as they are the same picture
again.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from dgbench.data.sets.emoji.packs import read

SUBGROUPS = {
    "face": (
        *("face-smiling", "face-affection", "face-tongue", "face-hand", "face-neutral-skeptical", "face-sleepy"),
        *("face-unwell", "face-hat", "face-glasses", "face-concerned", "face-negative"),
    ),
    "person": (
        *("person", "person-gesture", "person-role", "person-fantasy", "person-activity", "person-sport"),
        "person-resting",
    ),
    "hand": (
        *("hand-fingers-open", "hand-fingers-partial", "hand-single-finger", "hand-fingers-closed", "hands"),
        *("hand-prop", "body-parts"),
    ),
    "animal": (*("animal-mammal", "animal-bird", "animal-amphibian", "animal-reptile", "animal-marine", "animal-bug"),),
    "plant": ("plant-flower", "plant-other", "food-fruit", "food-vegetable"),
    "food": ("food-prepared", "food-asian", "food-sweet", "drink", "dishware"),
    "vehicle": ("transport-ground", "transport-water", "transport-air"),
    "place": ("place-map", "place-geographic", "place-building", "place-religious", "place-other"),
    "clothing": ("clothing",),
    "object": (
        *("sound", "musical-instrument", "phone", "computer", "light-video", "book-paper", "money", "mail"),
        *("writing", "office", "lock", "tool", "science", "medical", "household"),
    ),
    "sign": (
        *("transport-sign", "warning", "arrow", "religion", "zodiac", "av-symbol", "math", "other-symbol"),
        *("alphanum", "geometric"),
    ),
}
"""The subgroups of Unicode that make up each class. Others (flags, clocks, hearts, sports) are left out."""
CLASSES = tuple(SUBGROUPS)

_PRESENTATION = "fe0f"
_GENDERED = frozenset({"1f468", "1f469", "2640", "2642"})
"""Man, woman, and the signs that make a person one of them."""
_FACING = "27a1"
_SHORTCODES = ("emojibase", "emojibase-legacy", "iamcal", "joypixels")


@dataclass(frozen=True)
class Concept:
    """One emoji.

    Attributes:
        points: Its code points, as ``points`` writes them.
        label: Number of its class.
        names: What it is called, as ``spelling`` writes it; the name in Unicode's CLDR first.
    """

    points: str
    label: int
    names: tuple[str, ...]


def points(code: str) -> str:
    """Code points in lower-case hexadecimal with hyphens; FE0F, which only asks for a coloured picture, is dropped."""
    return "-".join(point for point in code.lower().split("-") if point != _PRESENTATION)


def spelling(name: str) -> str:
    """A name as packs agree on it: its letters and digits. Packs that keep an exclamation mark spell it out."""
    return "".join(c for c in name.lower().replace("!", "exclamation") if c.isascii() and c.isalnum())


def concepts(unicode: Path) -> tuple[Concept, ...]:
    """All concepts, by code points.

    Args:
        unicode: The pack ``emojibase-data``.
    """
    entries = read(unicode, "en/data.json")
    subgroups = read(unicode, "meta/groups.json")["subgroups"]
    labels = {subgroup: label for label, name in enumerate(CLASSES) for subgroup in SUBGROUPS[name]}
    first_names = {points(entry["hexcode"]): spelling(entry["label"]) for entry in entries}
    others = _other_names(unicode, set(first_names.values()))
    found = []
    for entry in entries:
        subgroup = subgroups.get(str(entry.get("subgroup")))
        code = points(entry["hexcode"])
        if subgroup in labels and not _variant(code):
            found.append(Concept(code, labels[subgroup], (first_names[code], *others[code])))
    return tuple(sorted(found, key=lambda concept: concept.points))


def _variant(code: str) -> bool:
    """Whether a sequence is another emoji with a gender or a direction."""
    first, *rest = code.split("-")
    return bool(rest) and (not _GENDERED.isdisjoint((first, *rest)) or _FACING in rest)


def _other_names(unicode: Path, taken: set[str]) -> defaultdict[str, list[str]]:
    """Unicode names and short names by code points, sorted; without any that another emoji has too."""
    owners = defaultdict(set)
    for code, name in read(unicode, "meta/unicode-names.json").items():
        owners[spelling(name)].add(points(code))
    for shortcodes in _SHORTCODES:
        for code, short in read(unicode, f"en/shortcodes/{shortcodes}.json").items():
            for name in [short] if isinstance(short, str) else short:
                owners[spelling(name)].add(points(code))
    names = defaultdict(list)
    for name in sorted(owners.keys() - taken):
        if len(owners[name]) == 1:
            names[next(iter(owners[name]))].append(name)
    return names
