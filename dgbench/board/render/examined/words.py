"""The words and numbers of an examination, shared by the terminal and the page."""

from __future__ import annotations

import math

from dgbench.diagnostics.examined import Examined, Layer, Mixed, Point, Sharp

WAY = (
    "The way from the weights before the first step (a = 0) to the model (a = 1), in a straight line. Halfway is "
    "WiSE-FT with alpha .5. Calibration error: how far confidence lies from the share that is right, over fifteen bins."
)
RANDOM = "The weights before the first step have a random head and classify nothing: the way is no WiSE-FT."
FLIPS = (
    "Rescued: both ends are wrong, and halfway is right. Spoilt: both ends are right, and halfway is wrong. The others "
    "are right at one end alone."
)
SHARP = (
    "Sharpness: by how many nats the loss on held-out source images rises near the weights, on average over normal "
    "draws and at worst in the ball. Draws are about r times the root of the number of weights long, outside the "
    "ball of radius r, so the average may be above the worst. Adaptive: each weight moves in proportion to its size. "
    "It describes a model, and does not tell how well it generalises. Where the loss is not finite, a dash stands."
)
LAYERS = (
    "Straggler: how many nats the loss rises above a straight line where this layer alone goes from its initial "
    "weights to those of the model. Sharpness of a layer is adaptive, and moves that layer alone."
)
CURVE = ("Images", "n", "Accuracy, a=0", "a=.5", "a=1", "Calibration error, a=0", "a=.5", "a=1")
MIXED = ("Images", "n", "Rescued", "Spoilt", "Right before alone", "Right after alone")
SHARPNESS = ("Weights", "Average", "Worst")
BY_LAYER = ("Layer", "Straggler", "Sharpness, average", "Sharpness, worst")


def title(found: Examined) -> str:
    """Which model it is."""
    return (
        f"{found.algorithm} on {found.board}, target {found.target}, trial {found.trial}: draw {found.draw}, step "
        f"{found.step}"
    )


def curve(found: Examined) -> list[list[str]]:
    """A row for each set of images: its accuracy and calibration error at both ends and halfway."""
    rows = []
    for one in found.mixed:
        on = {p.alpha: p for p in found.curve if (p.split, p.domain) == (one.split, one.domain)}
        three = [on[alpha] for alpha in (0.0, 0.5, 1.0)]
        numbers = [f"{100 * p.accuracy:.1f}" for p in three] + [_said(p.ece, ".3f") for p in three]
        rows.append([images(one), f"{one.n:,}", *numbers])
    return rows


def images(of: Mixed | Point) -> str:
    """What a set of images is called."""
    return f"{of.domain} (target)" if of.split == "target" else f"{of.domain} (held out)"


def mixed(found: Examined) -> list[list[str]]:
    """A row for each set of images: what halfway changes."""
    return [
        [images(one), *(f"{n:,}" for n in (one.n, one.rescued, one.spoilt, one.only_before, one.only_after))]
        for one in found.mixed
    ]


def sharpness(found: Examined) -> list[list[str]]:
    """A row for each way to measure it."""
    return [[_kind(one), _nats(one.average), _nats(one.worst)] for one in found.sharpness]


def layers(found: Examined) -> list[list[str]]:
    """A row for each layer, from the input to the output."""
    return [[one.name, *map(_nats, _of(one))] for one in found.layers]


def notes(found: Examined) -> list[str]:
    """How to read it."""
    looked = (
        f"Sharpness and stragglers are those on {found.images:,} held-out images of each source domain at most, with "
        f"radius {found.radius:g}."
    )
    return [WAY, *([] if found.classified else [RANDOM]), FLIPS, SHARP, LAYERS, looked]


def _kind(one: Sharp) -> str:
    return "adaptive" if one.adaptive else "as they are"


def _of(one: Layer) -> tuple[float, float, float]:
    return one.straggler, one.average, one.worst


def _nats(value: float) -> str:
    return _said(value, ".3g")


def _said(value: float, form: str) -> str:
    return format(value, form) if math.isfinite(value) else "–"
