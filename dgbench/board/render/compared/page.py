"""A comparison as one HTML file that needs no network, with the images on which algorithms part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dgbench.board.compare import Against, Comparison
from dgbench.board.flips import most_flipped
from dgbench.board.pictures import class_names, portraits
from dgbench.board.render import text
from dgbench.board.render.axes import Scale
from dgbench.board.render.compared import words
from dgbench.board.render.frame import ALONE
from dgbench.board.render.html import data_uri, environment
from dgbench.core.files import whole

_IMAGES = 18
"""Of each direction."""

Portraits = Mapping[str, Mapping[tuple[str, int], bytes]]
"""By dataset: a PNG by domain and row."""


def write(comparison: Comparison, path: Path) -> None:
    """Write the page: whole, or not at all. Images are drawn where their data is on this machine, else named.

    Raises:
        DiskError: it cannot be written.
    """
    wanted: dict[str, list[tuple[str, int]]] = {}
    for one in comparison.against:
        for images in most_flipped(one.images, _IMAGES):
            for dataset, domain, index in images.select("dataset", "domain", "index").iter_rows():
                wanted.setdefault(dataset, []).append((domain, index))
    drawn = {name: portraits(name, comparison.manifests[name], rows) for name, rows in wanted.items()}
    classes = {name: class_names(name) for name in comparison.manifests}
    with whole(path) as temporary:
        temporary.write_text(render(comparison, drawn, classes), encoding="utf-8")


def render(comparison: Comparison, drawn: Portraits, classes: Mapping[str, Sequence[str]]) -> str:
    """The page.

    Args:
        comparison: What is shown.
        drawn: Pictures of images; one that is not there is named.
        classes: Names of the classes of each dataset; numbers stand for those that are not there.
    """
    return environment().get_template("compared.html").render(
        frame=ALONE,
        compared=comparison,
        info=comparison.board.info,
        words=words,
        show=text.figures(comparison.board),
        scale=_scale(comparison),
        strips=[_strips(comparison, one, drawn, classes) for one in comparison.against],
    )  # fmt: skip


def summary(comparison: Comparison) -> str:
    """A small table of the differences, for notebooks."""
    return (
        environment()
        .get_template("compared_summary.html")
        .render(compared=comparison, words=words, show=text.figures(comparison.board))
    )


def _scale(comparison: Comparison) -> Scale:
    """One axis for all differences, with zero on it."""
    leads = [lead for one in comparison.against for lead in (one.lead.total, *one.lead.targets.values())]
    ends = [end for lead in leads for end in (lead.mean, lead.low, lead.high) if end is not None]
    # an interval of a target with few trials may be far wider than all the rest: its ends lie beyond the axis
    reach = 2.5 * max(abs(lead.mean) for lead in leads) or 0.01
    return Scale.spanning(max(min(*ends, 0.0), -reach), min(max(*ends, 0.0), reach))


def _strips(
    comparison: Comparison, one: Against, drawn: Portraits, classes: Mapping[str, Sequence[str]]
) -> list[tuple[str, list[dict[str, Any]]]]:
    """Those whom images favour, and the images."""
    lost, won = most_flipped(one.images, _IMAGES)
    strips = []
    for who, images in ((one.entry.title, won), (comparison.first.title, lost)):
        shown = []
        for row in images.iter_rows(named=True):
            png = drawn.get(row["dataset"], {}).get((row["domain"], row["index"]))
            named = words.image(row, classes.get(row["dataset"], ()))
            shown.append({**row, "said": named, "uri": data_uri(png) if png is not None else None})
        if shown:
            strips.append((who, shown))
    return strips
