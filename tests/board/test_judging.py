"""Criteria are judged trial by trial: one that a single trial refuses is refused, and all others have every trial."""

from dataclasses import replace

import polars as pl
import pytest
from board.synthetic import candidate, info, tables

from dgbench.board.build import build
from dgbench.board.judging import Judging
from dgbench.selection.criteria import get
from dgbench.selection.design import Design
from dgbench.selection.records import by_trial, none_at_hand

TRACKS = {"erm": "inductive", "sam": "inductive", "t3a": "online", "adanpc": "online"}
VIEWS = ("blur", "color")


def reached(algorithm: str, trial: int) -> float:
    return 0.5 + len(algorithm) / 20 + trial / 10


@pytest.mark.parametrize("refusing", [0, 1])
def test_what_one_trial_refuses_of_one_track_is_refused_there_alone(refusing: int) -> None:
    pool = [
        candidate(
            name, target, trial, track=track, clean={"c": reached(name, trial)}, on_target=reached(name, trial) / 2,
            shifted={view: {"c": 0.5} for view in VIEWS if (name, trial, view) != ("sam", refusing, VIEWS[1])},
        )
        for name, track in TRACKS.items() for target in "ab" for trial in range(2)
    ]  # fmt: skip
    metrics, runs = tables(pool)
    rules = info()
    parts = by_trial(metrics)
    judging = Judging(
        rules.headline, rules.trials, Design.of(runs), lambda: parts, lambda part: (part, runs, none_at_hand)
    )
    augmented = get("augmented")
    for track in ("inductive", "online"):
        judged, refusals = judging.of(track)
        found = {one.criterion.name: one for one in judged}
        assert ("augmented" in found, augmented.title in refusals) == (track == "online", track == "inductive")
        members = [name for name, own in TRACKS.items() if own == track]
        expected = [
            (name, target, trial, 0, 100, pytest.approx(reached(name, trial)), reached(name, trial) / 2)
            for name in sorted(members)
            for target in "ab"
            for trial in range(2)
        ]
        assert found["source"].points.rows() == expected
    assert judging.of("unlabelled") == ((), {})


def test_criteria_are_judged_once_somebody_asks_and_only_once() -> None:
    pool = [
        candidate(name, target, trial, clean={"s": 0.5}, shifted={"blur": {"s": 0.5}})
        for name in ("erm", "sam")
        for target in "ab"
        for trial in range(2)
    ]
    metrics, runs = tables(pool)
    read = []

    def indicators() -> pl.DataFrame:
        read.append(True)
        return none_at_hand()

    rules = info(domains=("a", "b"), trials=2)
    made = build(metrics, runs, rules, indicators=indicators)
    again = build(metrics, runs, replace(rules, criterion="augmented_all"), known=made, indicators=indicators)
    assert made.entries
    assert read == []
    assert made.tracks[0].qualities
    assert read
    read.clear()
    assert again.tracks[0].qualities == made.tracks[0].qualities
    assert read == []
