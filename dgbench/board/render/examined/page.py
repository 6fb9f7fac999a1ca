"""An examination as one HTML file that needs no network, with its numbers in a JSON file beside it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

from dgbench.board.render.axes import Scale
from dgbench.board.render.examined import words
from dgbench.board.render.frame import ALONE
from dgbench.board.render.html import environment
from dgbench.board.render.scatter import Axis, Mark, Plot, plotted
from dgbench.core.errors import DataError
from dgbench.core.files import whole
from dgbench.diagnostics.examined import Examined


def write(found: Examined, path: Path) -> Path:
    """Write the page, and its numbers at :func:`beside`; where these are. Each is whole, or not there.

    Raises:
        DataError: as :func:`beside`.
        DiskError: one cannot be written.
    """
    numbers = beside(path)
    texts = {path: render(found), numbers: json.dumps(found.as_data(), indent=1, allow_nan=False) + "\n"}
    for at, text in texts.items():
        with whole(at) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return numbers


def beside(path: Path) -> Path:
    """Where the numbers of a page go: under its name with ``.json``.

    Raises:
        DataError: the page has that name itself.
    """
    if path.suffix.lower() == ".json":
        raise DataError(
            f"--out {path}: names the page, whose numbers go beside it with .json; expected a name such as "
            f"{path.with_suffix('.html').name}"
        )
    return path.with_suffix(".json")


def render(found: Examined) -> str:
    """The page."""
    tables = [
        ("way", "The way to the model", [words.WAY], ways(found), words.CURVE, words.curve(found)),
        ("halfway", "Halfway", [words.FLIPS], [], words.MIXED, words.mixed(found)),
        ("sharpness", "Sharpness", [words.SHARP], [], words.SHARPNESS, words.sharpness(found)),
        ("layers", "Layers", [words.LAYERS], [stragglers(found)], words.BY_LAYER, words.layers(found)),
    ]
    return environment().get_template("examined.html").render(
        frame=ALONE, found=found, words=words, tables=tables, sure=reliability(found)
    )  # fmt: skip


def ways(found: Examined) -> list[Plot]:
    """Accuracy along the way, and calibration error: a dot for each place and set of images."""
    plots = []
    for name, of in (("accuracy, %", "accuracy"), ("calibration error", "ece")):
        factor = 100.0 if of == "accuracy" else 1.0
        marks = [
            Mark(
                words.images(p),
                words.images(p) if p.alpha == 1 else "",
                p.alpha,
                factor * getattr(p, of),
                f"{words.images(p)}, a = {p.alpha:g}: {factor * getattr(p, of):.3g}",
                online=p.split == "target",
            )
            for p in found.curve
        ]
        plots.append(_plot(marks, Scale(0, 1, 0.2), ("a: from the initial weights to the model", name)))
    return plots


def reliability(found: Examined) -> Plot:
    """The share that is right against confidence, a dot for each bin."""
    marks = [
        Mark(
            one.domain,
            "",
            one.confidence,
            one.right,
            f"{one.domain}: {one.n} images, {one.confidence:.2f} sure, {one.right:.2f} right",
            online=one.split == "target",
        )
        for one in found.bins
    ]
    return _plot(marks, Scale(0, 1, 0.2), ("mean confidence", "share that is right"))


def stragglers(found: Examined) -> Plot:
    """Straggler score against worst sharpness, a dot for each layer."""
    marks = [
        Mark(one.name, one.name, one.straggler, one.worst, f"{one.name}: {one.straggler:.3g}, {one.worst:.3g}")
        for one in found.layers
    ]
    across = Scale.spanning(0, max([1e-3, *(mark.x for mark in _finite(marks))]))
    return _plot(marks, across, ("straggler score, nats", "worst sharpness, nats"))


def _plot(marks: Sequence[Mark], across: Scale, axes: tuple[str, str]) -> Plot:
    shown = _finite(marks)
    up = Scale.spanning(0, max([1e-3, *(mark.y for mark in shown)]))
    return plotted(shown, _axis(across), _axis(up), axes)


def _finite(marks: Sequence[Mark]) -> list[Mark]:
    return [mark for mark in marks if math.isfinite(mark.x) and math.isfinite(mark.y)]


def _axis(scale: Scale) -> Axis:
    room = 0.04 * (scale.high - scale.low)
    return Axis(scale.low - room, scale.high + room, tuple((tick, f"{tick:g}") for tick in scale.ticks))
