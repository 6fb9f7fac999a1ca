"""What a house draws: SVG icons by name, some with the code points that they stand for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dgbench.data.sets.emoji.concepts import Concept, points, spelling
from dgbench.data.sets.emoji.packs import read


@dataclass(frozen=True)
class Icons:
    """The icons of one pack.

    Attributes:
        content: Of ``icons.json``: bodies of SVG under ``icons``, further names under ``aliases``, default sizes.
        by_points: Names by code points; empty where the pack does not tell.
        by_spelling: Names, aliases too, by ``spelling``.
    """

    content: Mapping[str, Any]
    by_points: Mapping[str, str]
    by_spelling: Mapping[str, str]

    def find(self, concept: Concept) -> str | None:
        """The icon of a concept: by code points where the pack has them, else by the first name that it knows."""
        if self.by_points:
            return self.by_points.get(concept.points)
        return next((self.by_spelling[name] for name in concept.names if name in self.by_spelling), None)

    def svg(self, name: str) -> str:
        """The icon as a file; its view box is its own size, black is the current colour.

        An alias shows its parent, perhaps mirrored: of all that the format allows an alias to change, the pinned packs
        use only that.
        """
        alias = self.content.get("aliases", {}).get(name, {})
        icon = self.content["icons"][alias.get("parent", name)]
        left, top, width, height = (
            icon.get(side, self.content.get(side, usual))
            for side, usual in (("left", 0), ("top", 0), ("width", 16), ("height", 16))
        )
        mirror = f' transform="translate({2 * left + width} 0) scale(-1 1)"' if alias.get("hFlip") else ""
        return (
            '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="64" height="64" '
            f'viewBox="{left} {top} {width} {height}"><g{mirror}>{icon["body"]}</g></svg>'
        )


def icons(pack: Path, misleading: Collection[str] = ()) -> Icons:
    """The icons of a pack.

    Args:
        pack: The archive.
        misleading: Names by which no icon is to be found.
    """
    content = read(pack, "icons.json")
    by_points: dict[str, str] = {}
    for code, name in read(pack, "chars.json").items():
        by_points.setdefault(points(code), name)
    by_spelling: dict[str, str] = {}
    for name in (*content["icons"], *content.get("aliases", {})):
        if name not in misleading:
            by_spelling.setdefault(spelling(name), name)
    return Icons(content, by_points, by_spelling)
