"""``emoji``: the same concepts drawn by different houses, from packs that npm brings; no picture comes with dgbench."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dgbench.data.domain import Dataset, Domain
from dgbench.data.manifest import assemble
from dgbench.data.sets.emoji.concepts import CLASSES, Concept, concepts
from dgbench.data.sets.emoji.icons import Icons, icons
from dgbench.data.sets.emoji.packs import Pack, locate
from dgbench.data.sets.emoji.raster import Renderer, renderer

log = logging.getLogger(__name__)

UNICODE = Pack("emojibase-data", "17.0.0", "d01d0e2ca4e22cb402679532155342c71e2e871f25c32223c013b8b166ebdf5a")
"""Subgroups and names of all emoji."""


@dataclass(frozen=True)
class House:
    """Who draws.

    Attributes:
        pack: Its icons.
        misleading: Icons that are not what their names say; found by looking at every picture that is matched by name.
    """

    pack: Pack
    misleading: frozenset[str] = frozenset()


def _house(name: str, version: str, sha256: str, *misleading: str) -> House:
    return House(Pack(f"@iconify-json/{name}", version, sha256), frozenset(misleading))


HOUSES = {
    "noto": _house("noto", "1.2.9", "3e918d88fc945c0bb3d468dbace6f88caef67f01c9f0e7bcae0915a042e8f1ad"),
    "blobs": _house(
        *("noto-v1", "1.2.5", "2bf62c26c2c2884aa99e90aec942cdaee17a5921f05690694f4978ad4b017c37"),
        "cricket",  # the game
    ),
    "fluent": _house("fluent-emoji", "1.2.7", "8044210dbf11e016d4de85f15d01a243423bd832457e7e2491df1b751c0e272b"),
    "fluent-flat": _house(
        *("fluent-emoji-flat", "1.2.6", "7d064769dee690815f823bc5bcc511d957198caf9f5edd8dd9c1aa48a6aeb175"),
    ),
    "line-art": _house(
        *("fluent-emoji-high-contrast", "1.2.6", "0b92d48c90d2200bd499e3cdd09a127ca6a8c8ddefd34c35eb5a1e4994012ae0"),
    ),
    "twemoji": _house("twemoji", "1.2.5", "19046dff7d8707ce96212ec86468b36ac5f8e60409629dd13f809265c6d0ebb7"),
    "openmoji": _house("openmoji", "1.2.29", "03181e2c156cab35cf4a62f1f7886bd971d59212e75ac3f189d5a4cae3930fc5"),
    "emojione": _house(
        *("emojione", "1.2.3", "26a14f44284407e8bcde91799388dca2bfd91dbcd55a97f425524a1c5b73610e"),
        "cricket",
    ),
    "emojione-line": _house(
        *("emojione-monotone", "1.2.1", "40b90004bafb406b59266155ef9b7e1dd67bf2947fc8db8d07388776f4d0d04e"),
        "cricket",
    ),
    "fxemoji": _house(
        *("fxemoji", "1.2.2", "f3e72b3c59d05e1db03b7e308d55c0d05bd7ba3f625a90da1b79313c12858eef"),
        # A pointing hand, two faces that have each other's names, a face with sunglasses, water; a black square.
        *("down", "pout", "pouting", "sunglasses", "wave", "tramcar"),
    ),
}
"""The domains, and who draws each."""


def build() -> Dataset:
    """All domains; the same bytes at every call.

    Raises:
        DataError: resvg-py is missing, or a pack is not to be had or not the one that is pinned.
    """
    return draw(HOUSES, UNICODE)


def draw(houses: Mapping[str, House], unicode: Pack) -> Dataset:
    """What some houses draw of the concepts of Unicode; a group is a concept, and has one number in all domains.

    Raises:
        DataError: as ``build``.
    """
    render = renderer()
    archives = locate((unicode, *(house.pack for house in houses.values())))
    known = concepts(archives[unicode])
    domains = []
    for name, house in houses.items():
        log.info("drawing %s from %s", name, house.pack.spec)
        domains.append(_domain(name, icons(archives[house.pack], house.misleading), known, render))
    return replace(assemble("emoji", CLASSES, domains), shared_groups=True)


def _domain(name: str, drawn: Icons, known: Sequence[Concept], render: Renderer) -> Domain:
    names = {number: icon for number, concept in enumerate(known) if (icon := drawn.find(concept)) is not None}
    inputs = np.stack([render(drawn.svg(icon)) for icon in names.values()])
    groups = np.array(list(names), np.int64)
    labels = np.array([known[number].label for number in names], np.int64)
    return Domain(name, inputs, labels, groups)
