"""Looking at a folder."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from dgbench.core.errors import DataError
from dgbench.data.look.columns import SPLITS
from dgbench.data.look.draft import Draft, draft_card, plain_name
from dgbench.data.suffixes import is_picture


def look_at_tree(root: Path, name: str | None, layout: str | None) -> Draft:
    """A draft of the card of a folder; raises DataError as :func:`dgbench.data.look.look`."""
    paths = [
        path.relative_to(root).parts
        for path in sorted(root.rglob("*"))
        if is_picture(path.name) and not any(part.startswith(".") for part in path.relative_to(root).parts)
    ]
    if not paths:
        raise DataError(f"{root}: no images in it (.png, .jpg, .webp, ...)")
    depths = Counter(len(parts) - 1 for parts in paths)
    depth = depths.most_common(1)[0][0]
    levels = _read_layout(layout) if layout else _guess(root, [p for p in paths if len(p) - 1 == depth], depth)
    fitting = [parts for parts in paths if len(parts) - 1 == len(levels)]
    if not fitting:
        raise DataError(
            f"{root}: no image lies {len(levels)} folders deep, as '{'/'.join(levels)}' says; most lie {depth} deep"
        )
    domains = Counter(parts[levels.index("{domain}")] for parts in fitting)
    classes = sorted({parts[levels.index("{class}")] for parts in fitting})
    said = [f"{len(paths)} images below {root}", f"folders are {'/'.join(levels)}"]
    if len(fitting) < len(paths):
        said.append(f"{len(paths) - len(fitting)} images do not lie {len(levels)} folders deep and are left out")
    reader: dict[str, Any] = {"kind": "tree", "layouts": ["/".join(levels)]}
    if "{split}" in levels:
        names = sorted({parts[levels.index("{split}")] for parts in fitting})
        strange = [split for split in names if split.lower() not in SPLITS]
        if strange:
            raise DataError(f"{root}: the split folder '{strange[0]}' is neither train, val nor test")
        reader["splits"] = {split: SPLITS[split.lower()] for split in names}
        said.append(f"official splits: {', '.join(names)}")
    return draft_card(name or plain_name(root.name), said, classes, dict(domains), path=str(root), reader=reader)


def _read_layout(layout: str) -> list[str]:
    levels = layout.strip("/").split("/")
    for needed in ("{domain}", "{class}"):
        if levels.count(needed) != 1:
            raise DataError(f"--layout '{layout}': expected {needed} once, as in '{{domain}}/{{class}}'")
    return levels


def _guess(root: Path, paths: list[tuple[str, ...]], depth: int) -> list[str]:
    """Which folder level is what: a level of split names is the split; of the others the first is the domain."""
    if depth < 2:
        raise DataError(
            f"{root}: images lie {'in it' if depth == 0 else 'one folder deep'}; expected domain/class/image. Put each "
            "domain's class folders below a folder of their own, or list the images in a CSV file with the columns "
            "image, label and domain"
        )
    names = [{parts[level] for parts in paths} for level in range(depth)]
    splits = [level for level, found in enumerate(names) if {n.lower() for n in found} <= set(SPLITS)]
    rest = [level for level in range(depth) if level not in splits[:1]]
    if len(rest) != 2:
        raise DataError(
            f"{root}: images lie {depth} folders deep and it is not clear what each level is; say it with --layout, as "
            f"in --layout '{{domain}}/{'*/' * (depth - 2)}{{class}}'"
        )
    levels = ["{split}"] * depth
    levels[rest[0]], levels[rest[1]] = "{domain}", "{class}"
    return levels
