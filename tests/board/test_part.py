"""A part of a board is what rules that name less would have given, and says that it is a part."""

from __future__ import annotations

import math
import pickle
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from board.synthetic import candidate, entries, tables

import dgbench
from dgbench.board.interactive import Leaderboard
from dgbench.board.part import part
from dgbench.core.cards import BoardCard, CaseRules
from dgbench.core.errors import CardError, RecipeError, StoreError, UnknownNameError
from dgbench.runs.collect import Failure, Records
from dgbench.runs.planning import make_plan
from dgbench.runs.store import Store
from drawn_stores import drawing
from small import small_board

SKILLS = {"erm": 0.50, "sam": 0.58, "sam + swad": 0.61, "irm": 0.40, "t3a": 0.60}


def reached(algorithm: str, target: str, trial: int) -> float:
    """What each algorithm is worth, with something of every cell."""
    return SKILLS[algorithm] + len(target) / 500 + math.sin(7 * trial + len(target) * SKILLS[algorithm]) / 40


def records(rules: BoardCard, but: frozenset[tuple[str, int]] = frozenset()) -> Records:
    """What a board would have measured, by its plan: skill, a little of the target, a little of the trial."""
    plan = make_plan(rules)
    pool = [
        candidate(
            entry.algorithm, entry.target, entry.trial,
            clean=dict.fromkeys(entry.sources, 0.9 - 0.01 * entry.trial),
            shifted={"blur": dict.fromkeys(entry.sources, 0.7 + SKILLS[entry.algorithm] / 10)},
            on_target=reached(entry.algorithm, entry.target, entry.trial),
            track=entry.track, backbone=entry.backbone, dataset=entry.dataset,
        )
        for entry in plan.entries
        if (entry.algorithm, entry.trial) not in but
    ]  # fmt: skip
    metrics, runs = tables(pool)
    sizes = {name: sum(case.dataset == name for case in plan.cases) for name in rules.dataset}
    return Records(
        rules, metrics, runs,
        names=tuple(dict.fromkeys(entry.algorithm for entry in plan.entries)),
        missing=len(plan.entries) - runs.height, failed=(), torch=("2",), dgbench=("0.1",),
        manifests={name: known.manifest or "" for name, known in plan.datasets.items()},
        cases=tuple(case.name for case in plan.cases),
        weights={case.name: 1 / sizes[case.dataset] for case in plan.cases},
    )  # fmt: skip


def rules(**changes: Any) -> BoardCard:
    card = small_board(*SKILLS, trials=3).model_copy(
        update={"tracks": {"inductive": "dgbench:vit-micro", "online": "dgbench:convnet-small"}}
    )
    return card.model_copy(update=changes)


drawn, store = drawing(rules(), examples=20)


@cache
def whole() -> Leaderboard:
    """What parts are taken of."""
    return Leaderboard.of(records(rules()))


def same(made: Leaderboard, expected: Leaderboard) -> None:
    """Everything but that it is a part, when it was made, and frames, which are compared as such."""
    assert replace(made.info, part="") == expected.info
    apart = {"info", "cells", "pictured", "provenance", "records", "tracks"}
    for each in fields(made):
        if each.name not in apart:
            assert getattr(made, each.name) == getattr(expected, each.name), each.name
    for one, other in zip(made.tracks, expected.tracks, strict=True):
        assert (one.name, one.entries, one.pairs, one.refusals) == (
            other.name, other.entries, other.pairs, other.refusals,
        )  # fmt: skip
    assert made.to_polars("criteria").equals(expected.to_polars("criteria"))
    assert made.cells.equals(expected.cells)
    assert made.pictures == expected.pictures
    assert made.records.missing == expected.records.missing


WAYS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"algorithms": ["sam", "erm", "sam+swad"]}, {"algorithms": ("erm", "sam", "sam + swad")}),
    ({"track": "online"}, {"algorithms": ("t3a",)}),
    ({"track": "inductive"}, {"algorithms": ("erm", "sam", "sam + swad", "irm")}),
    ({"backbone": "dgbench:convnet-small"}, {"algorithms": ("t3a",)}),
    ({"targets": ["print", "dot-matrix"]}, {"cases": {"digits": CaseRules(targets=("print", "dot-matrix"))}}),
    (
        {"targets": ["print"], "algorithms": ["erm"]},
        {"algorithms": ("erm",), "cases": {"digits": CaseRules(targets=("print",))}},
    ),
    ({"targets": ["handwritten", "print", "dot-matrix", "seven-segment"]}, {}),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "changes"), WAYS, ids=[str(asked) for asked, _ in WAYS])
def test_a_part_is_what_rules_that_name_less_would_give(asked: dict[str, Any], changes: dict[str, Any]) -> None:
    made = whole().filter(**asked)
    same(made, Leaderboard.of(records(rules(**changes))))
    assert bool(made.info.part) == bool(changes)


@pytest.mark.parametrize("kept", [("digits",), ("rotated-mnist",)])
def test_one_dataset_of_two_is_a_board_of_one(kept: tuple[str, ...]) -> None:
    """Its targets are no longer called after the dataset, and count alike."""
    both = rules(dataset=("digits", "rotated-mnist"), algorithms=("erm", "sam"))
    whole = Leaderboard.of(records(both))
    assert all("/" in domain for domain in whole.info.domains)
    alone = both.model_copy(update={"dataset": kept})
    named = {case: case.removeprefix(f"{kept[0]}/") for case in whole.info.domains}
    measured = records(both)
    expected = records(alone)  # by the same law, but for the names, which it depends on: so of the numbers nothing
    made = whole.filter(datasets=kept)
    assert made.info.domains == expected.cases
    assert replace(made.info, part="") == Leaderboard.of(expected).info
    assert made.records.weights == expected.weights
    for entry in whole.entries:
        found = entries(made)[entry.algorithm]
        theirs = {
            named[case]: value
            for case, value in entry.targets.items()
            if named[case] in made.info.domains and case.startswith(kept[0])
        }
        assert {case: value.mean for case, value in found.targets.items()} == pytest.approx(
            {case: value.mean for case, value in theirs.items()}
        )
    assert measured.metrics.height > made.records.metrics.height


def test_a_domain_stands_for_every_case_that_tests_it() -> None:
    alone = rules(protocol="single-source", algorithms=("erm", "sam"))
    whole = Leaderboard.of(records(alone))
    made = whole.filter(targets=["print"])
    assert made.info.domains == tuple(f"{name} > print" for name in ("handwritten", "dot-matrix", "seven-segment"))
    same(made, Leaderboard.of(records(alone.model_copy(update={"cases": {"digits": CaseRules(targets=("print",))}}))))
    assert whole.filter(targets=["print > handwritten"]).info.domains == ("print > handwritten",)


def test_a_part_is_corrected_for_its_own_pairs_and_the_board_says_that_it_is_a_part(tmp_path: Path) -> None:
    board = whole()
    pair = min(board.tracks[0].pairs, key=lambda each: each.p)
    assert pair.p == pytest.approx(6 * pair.difference.p), "Holm multiplies the smallest of six by six"
    (alone,) = board.filter(algorithms=[pair.first, pair.second]).tracks[0].pairs
    assert alone.difference.mean == pair.difference.mean
    assert alone.p == alone.difference.p, "and the only one by one"
    cells = [board.cells.filter(pl.col("algorithm") == name) for name in (pair.first, pair.second)]
    assert alone.difference == board.design.ahead(*cells, "accuracy"), "of two each is measured by its own trials"
    made = board.filter(algorithms=["erm", "sam"])
    assert made.info.part == "2 of 5 algorithms"
    made.write(tmp_path)
    for file in ("leaderboard.html", "leaderboard.md", "leaderboard.tex", "leaderboard.csv"):
        assert "2 of 5 algorithms" in (tmp_path / file).read_text(encoding="utf-8"), file
    for shown in (made._repr_html_(), repr(made)):
        assert "2 of 5 algorithms" in shown
    assert "A part of the board" not in board._repr_html_()
    again = made.filter(targets=["print"]).by("source")
    assert again.info.part == "2 of 5 algorithms, then 1 of 4 targets"
    assert again.criterion.name == "source"
    assert made.filter(targets=["print"]).filter(algorithms=["sam"]).entries[0].difference is None, "ERM is not there"


def test_by_is_the_board_by_another_criterion() -> None:
    found = records(rules())
    same(whole().by("source"), Leaderboard.of(found, "source"))
    with pytest.raises(RecipeError, match="reads target labels"):
        Leaderboard.of(found).by("ceiling")


def test_what_is_missing_and_what_failed_goes_with_its_algorithm() -> None:
    found = records(rules(), frozenset({("irm", 1)}))
    failure = Failure("irm", "IRM", "print", 1, 0, "the loss is not finite")
    board = Leaderboard.of(replace(found, failed=(failure,)))
    assert board.records.missing == 4
    assert board.filter(algorithms=["erm", "irm"]).failed == (failure,)
    assert board.filter(algorithms=["erm", "irm"], targets=["dot-matrix"]).failed == ()
    without = board.filter(algorithms=["erm", "sam"])
    assert (without.failed, without.records.missing) == ((), 0)


def test_a_submission_is_kept_by_its_name_and_the_rules_stay() -> None:
    found = records(rules())
    renamed = pl.col("algorithm").replace({"irm": "theirs@1"})
    named = replace(
        found, streams=found.metrics.with_columns(renamed), runs=found.runs.with_columns(renamed),
        board=rules(algorithms=("erm", "sam", "sam + swad", "t3a")),
        names=("erm", "sam", "sam + swad", "t3a", "theirs@1"), levels={"theirs@1": "recomputed"},
    )  # fmt: skip
    whole = Leaderboard.of(named)
    made = whole.filter(algorithms=["erm", "theirs@1"])
    assert entries(made)["theirs@1"].level == "recomputed"
    assert made.info.recompute == whole.info.recompute
    assert whole.filter(algorithms=["erm"]).info.levels == {}


@pytest.mark.parametrize(
    ("asked", "error", "said"),
    [
        ({"algorithms": ["smm"]}, UnknownNameError, "no algorithm on this board named 'smm'.*Did you mean 'sam'"),
        ({"algorithms": "sam"}, CardError, r"write \['sam'\]"),
        ({"targets": ["prnt"]}, UnknownNameError, "Did you mean 'print'"),
        ({"datasets": ["pacs"]}, UnknownNameError, "Known: digits"),
        ({"track": "offline"}, UnknownNameError, "Did you mean 'online'"),
        ({"backbone": "resnet50"}, UnknownNameError, "Known: dgbench:convnet-small"),
        ({"track": "online", "algorithms": ["erm"]}, StoreError, "nothing of the board 'small' is left"),
        ({"algorithms": []}, StoreError, "nothing"),
    ],
)
def test_what_cannot_be_kept_is_one_error(asked: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        part(records(rules(trials=1)), **asked)


def test_tables_are_frames_of_polars_and_of_pandas() -> None:
    board = whole()
    ranks = board.to_polars()
    assert ranks["algorithm"].to_list() == [entry.algorithm for entry in board.entries]
    assert board.to_polars("cells").equals(board.cells)
    assert board.to_polars("pairs").height == 4 * 3 // 2
    assert set(board.to_polars("criteria")["track"]) == {"inductive", "online"}
    pandas = board.to_pandas("cells")
    assert list(pandas.columns) == board.cells.columns
    assert pandas["accuracy"].to_list() == board.cells["accuracy"].to_list()
    with pytest.raises(UnknownNameError, match="Did you mean 'ranks'"):
        board.to_polars("rank")  # type: ignore[arg-type]


def test_the_public_leaderboard_is_this_one() -> None:
    assert dgbench.Leaderboard is Leaderboard


@pytest.mark.parametrize("judged", [False, True])
def test_a_leaderboard_can_be_sent_to_another_process(
    store: Store, judged: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which may work in another folder: what it has not read of its store yet, it reads all the same."""
    monkeypatch.chdir(store.root.parent)
    board = dgbench.leaderboard(rules(), store=store.root.name)
    if judged:
        board.to_polars("criteria")
    packed = pickle.dumps(board)
    same(board, board)  # which asks it for everything
    expected = {name: board.by(name) for name in ("source", "calibration")}
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    sent = pickle.loads(packed)
    same(sent, board)
    for name, other in expected.items():
        same(sent.by(name), other)
    assert sent.compare("sam", "erm") == board.compare("sam", "erm")
