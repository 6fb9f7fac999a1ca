"""Do the claims hold? Some of them files alone cannot settle: these are marked, never refused."""

from __future__ import annotations

import re
from collections.abc import Iterator

import polars as pl

from dgbench.core.backbone_name import UNTOLD
from dgbench.core.dataset_card import dataset_card
from dgbench.core.recipe import compose, resolve
from dgbench.core.registry import Slot
from dgbench.selection.records import CANDIDATE
from dgbench.submissions.evidence import Evidence
from dgbench.submissions.verdicts import Check, Finding, mark, refuse

_ENOUGH = 20
"""Candidates of others on a target that say what is usual there."""
_MUCH = 0.05
"""How much better than on held-out source images is too good where nobody knows what is usual."""


def in_its_track(seen: Evidence) -> Iterator[Finding]:
    """E10: a method that adapts to the stream it is shown, or learns from its target's images, is no inductive one."""
    claims, recipe = seen.submission.claims, seen.submission.method.recipe
    if recipe is not None:
        resolved = resolve(compose(recipe), seen.asked.board)
        track = resolved.track
        if track != claims.track:
            slot: Slot = "objective" if "unlabelled" in (track, claims.track) else "predictor"
            part = resolved.specs[slot]["part"]
            yield refuse(f"it claims to be {claims.track}, and its {slot} '{part}' is {track}")
    if claims.track != "inductive":
        return
    for row in seen.ok:
        other, shown = seen.reordered.get(row.run, (0, 0))
        if other:
            yield refuse(
                f"{row.where}: {other} of {shown} predictions are others where the target came in another order"
            )
    if recipe is None and not all(seen.reordered.get(row.run, (0, 0))[1] for row in seen.ok):
        yield mark("that each prediction depends on its own image alone cannot be seen in one order")


def unseen_before(seen: Evidence) -> Iterator[Finding]:
    """W11: what the backbone or the method had learnt from is none of the board's data."""
    claims = seen.submission.claims
    for extra in claims.extra_data:
        yield mark(f"it learnt from data beside the source domains: {extra}")
    if claims.pretrained_on == UNTOLD:
        yield mark("nobody told what its backbone was pretrained on")
    words = " ".join((claims.pretrained_on, *claims.extra_data)).lower()
    for dataset in seen.asked.outlines:
        card = dataset_card(dataset)
        names = [card.title, dataset, *(d.name for d in card.domains), *(source.what for source in card.sources)]
        for name in sorted({name.lower() for name in names}):
            if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", words):
                yield mark(f"it was pretrained on what '{name}' of '{dataset}' is named after: {claims.pretrained_on}")


def too_good(seen: Evidence) -> Iterator[Finding]:
    """W12: better on the target than on held-out source images, by more than is usual on this board."""
    metrics, _ = seen.records
    own = _excess(metrics)
    usual = _excess(seen.others.metrics)
    for target, part in sorted(own.group_by("target"), key=lambda found: str(found[0])):
        others = usual.filter(pl.col("target") == target[0])["excess"]
        enough = len(others) >= _ENOUGH
        limit = max(float(others.quantile(0.99) or 0.0), 0.0) if enough else _MUCH
        above = part.filter(pl.col("excess") > limit)
        if above.height:
            most = 100 * float(above.select(pl.col("excess").max()).item())
            why = f"99 % of the others stay below {100 * limit:.1f}" if enough else "few others tell what is usual"
            yield mark(f"{target[0]}: {most:.1f} points better than on held-out source images; {why}")


def _excess(metrics: pl.DataFrame) -> pl.DataFrame:
    """For every candidate, accuracy on the target minus the mean accuracy on clean source images."""
    clean = metrics.filter(pl.col("view") == "clean")
    target = clean.filter(pl.col("split") == "target").select(*CANDIDATE, "accuracy")
    source = clean.filter(pl.col("split") == "validation").group_by(CANDIDATE).agg(pl.col("accuracy").mean())
    return target.join(source, on=CANDIDATE).select("target", excess=pl.col("accuracy") - pl.col("accuracy_right"))


def known_environment(seen: Evidence) -> Iterator[Finding]:
    """W13: a clean revision of known code made it; else the level stays self-reported."""
    made = seen.submission.provenance.dgbench
    if not made:
        yield mark("another code base made the predictions")
    for version in made:
        if "dirty" in version or "unknown" in version:
            yield mark(f"it was made by '{version}', which nobody else has")


CHECKS = (
    Check(
        "E10",
        "the claimed track is the method's own",
        "Claim the track that is named, or take a predictor that looks at one image at a time",
        in_its_track,
    ),
    Check(
        "W11",
        "neither the backbone nor the method had learnt from the board's data before",
        "Say so where the result is shown; compare it with methods of the same pretraining",
        unseen_before,
    ),
    Check(
        "W12",
        "it is not better on the target than on its own sources, as far as is usual",
        "Look at it: labels that leaked look so. 'dgbench verify' trains it again",
        too_good,
    ),
    Check(
        "W13",
        "a clean revision of dgbench made it",
        "Commit the changes and run again. Until then the level stays self-reported",
        known_environment,
    ),
)
