"""What ``select`` says is what the leaderboard's cells are made of, and what loops over the records find."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import polars as pl
import pytest
from board.synthetic import candidate, info, tables
from rich.console import Console

from dgbench.api.boards import rules
from dgbench.board.build import build
from dgbench.board.leaderboard import Leaderboard
from dgbench.board.render import selected as render
from dgbench.board.render import terminal
from dgbench.board.selected import Selection, selected
from dgbench.core.cards import BoardCard
from dgbench.core.errors import CardError, RecipeError, StoreError, UnknownNameError
from dgbench.runs.collect import Failure, Records
from dgbench.selection.criteria import CRITERIA, get
from dgbench.selection.records import CANDIDATE, INDICATED
from small import small_board

FAMILIES = ("blur", "edges", "weather")
STRICT = ("augmented", "augmented_worst", "augmented_logit", "augmented_no_edges")
ASKED = [name for name, criterion in CRITERIA.items() if not criterion.judges]
HONEST = [name for name in ASKED if not CRITERIA[name].uses_target]
Place = tuple[str, str, int]
Model = tuple[int, int, str]
"""Draw, step, run."""


def card(**changes: Any) -> BoardCard:
    return rules(small_board("erm", "sam", "t3a", trials=2), draws=2).model_copy(update=changes)


DIGITS = ("handwritten", "print", "dot-matrix")
ROTATED = ("0", "15", "30")
LEFT_OUT = {name: tuple(other for other in DIGITS if other != name) for name in DIGITS}
BOARDS: dict[str, tuple[BoardCard, dict[str, tuple[str, ...]]]] = {
    "one domain left out": (card(), LEFT_OUT),
    "each domain alone": (
        card(protocol="single-source"),
        {f"{one} > {other}": (one,) for one in DIGITS for other in DIGITS if one != other},
    ),
    "fixed sources": (card(protocol="fixed"), {"print": ("handwritten",), "dot-matrix": ("handwritten",)}),
    "two datasets": (
        card(dataset=("digits", "rotated-mnist")),
        {f"digits/{name}": sources for name, sources in LEFT_OUT.items()}
        | {f"rotated-mnist/{name}": tuple(other for other in ROTATED if other != name) for name in ROTATED[:2]},
    ),
    "incomplete": (card(), LEFT_OUT),
}
"""Their rules, and the domains that each case learns from."""


@cache
def records(name: str) -> Records:
    """What a board might have measured: coarse numbers, so that many candidates tie; some are no numbers."""
    (board, cases), random = BOARDS[name], np.random.default_rng(len(name))

    def drawn(places: Iterable[str], lost: bool) -> dict[str, float]:
        return {place: math.nan if lost else random.integers(0, 4) / 4 for place in places}

    asked = list(product(board.algorithms, cases, range(2), range(2)))
    # one algorithm has a single run, and in one cell of another there is no number at all
    lone, blind = (asked.index(("sam", "print", 0, 1)), ("erm", "print", 0)) if name == "incomplete" else (0, None)
    done = [one for at, one in enumerate(asked) if name != "incomplete" or one[0] != "sam" or at == lone]
    pool = [
        candidate(
            *one, step,
            clean=drawn(cases[one[1]], lost := random.random() < 0.1 or one[:3] == blind),
            shifted={family: drawn(cases[one[1]], lost) for family in FAMILIES},
            on_target=random.integers(0, 4) / 4, track="online" if one[0] == "t3a" else "inductive",
            dataset=one[1].partition("/")[0] if "/" in one[1] else "digits",
            trained=["blur"] if one[0] == "sam" and one[3] else [],
        )
        for one in done
        for step in (50, 100)
    ]  # fmt: skip
    metrics, runs = tables(pool)
    columns = {one: [random.integers(0, 4) / 4 for _ in range(len(pool))] for one in INDICATED}
    whose = metrics.select(CANDIDATE).unique(maintain_order=True)
    return Records(
        board, metrics, runs, indicators=lambda: whose.hstack(pl.DataFrame(columns)),
        names=board.algorithms, missing=len(asked) - len(done),
        failed=tuple(
            Failure(one[0], one[0].upper(), *one[1:], "a loss is no number", "diverged", 50)
            for one in asked
            if one not in done
        ),
        torch=("2",), dgbench=("0.1",), manifests=dict.fromkeys(board.dataset, "0"), cases=tuple(cases),
        weights={case: 1 / sum(other.split("/")[0] == case.split("/")[0] for other in cases) for case in cases}
        if "/" in next(iter(cases)) else dict.fromkeys(cases, 1.0),
    )  # fmt: skip


@cache
def chosen(name: str, criterion: str) -> Selection:
    return selected(records(name), get(criterion))


@cache
def leaderboard(name: str, criterion: str) -> Leaderboard:
    found, first = records(name), None if criterion == HONEST[0] else leaderboard(name, HONEST[0])
    asked = info(domains=found.cases, algorithms=found.names, weights=found.weights, draws=2, criterion=criterion)
    return build(found.metrics, found.runs, asked, failed=found.failed, known=first, indicators=found.indicators)


def counts(criterion: str, view: str, taught: set[str]) -> bool:
    """Whether a criterion counts validation images in such a view."""
    if criterion.startswith("source"):
        return view == "clean"
    unseen = view != "clean" and (criterion == "augmented_all" or view not in taught)
    return unseen and (criterion != "augmented_no_edges" or view != "edges")


def mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found)


def least(values: Iterable[float]) -> float:
    found = list(values)
    return math.nan if any(map(math.isnan, found)) else min(found)


def score(criterion: str, rows: dict[tuple[str, str], tuple[float, float, int]]) -> float:
    """What a criterion makes of the accuracy, likelihood and number of images of each domain and view that counts."""
    domains, views = ({place[at] for place in rows} for at in (0, 1))
    values = {place: accuracy for place, (accuracy, _, _) in rows.items()}
    if criterion == "source_nll":
        values = {place: -nll for place, (_, nll, _) in rows.items()}
    if criterion == "augmented_logit":
        inside = {place: min(max(a, 0.5 / n), 1 - 0.5 / n) for place, (a, _, n) in rows.items() if not math.isnan(a)}
        values = {
            place: math.log(inside[place] / (1 - inside[place])) if place in inside else math.nan for place in rows
        }
    if criterion == "augmented_worst":
        return least(mean(values[domain, view] for domain in domains) for view in views)
    of_domains = [mean(values[domain, view] for view in views) for domain in domains]
    return least(of_domains) if criterion == "source_worst" else mean(of_domains)


@cache
def naive(name: str, criterion: str) -> dict[Place, list[tuple[float, Model, float]]]:
    """By loops alone: the candidates of each cell, the best first, with their scores and accuracies on the target."""
    found, taught = records(name), defaultdict[Place, set[str]](set)
    for run in found.runs.iter_rows(named=True):
        taught[run["algorithm"], run["target"], run["trial"]] |= set(run["families"])
    values: dict[tuple[Place, Model], dict[tuple[str, str], tuple[float, float, int]]] = defaultdict(dict)
    accuracy = {}
    for row in found.metrics.iter_rows(named=True):
        place, model = (row["algorithm"], row["target"], row["trial"]), (row["draw"], row["step"], row["run"])
        if row["split"] == "target":
            accuracy[place, model] = row["accuracy"]
        elif criterion in HONEST and criterion not in INDICATED and counts(criterion, row["view"], taught[place]):
            values[place, model][row["domain"], row["view"]] = row["accuracy"], row["nll"], row["n"]
    indicated = {tuple(row[at] for at in CANDIDATE): row.get(criterion) for row in found.indicators().rows(named=True)}
    cells: dict[Place, list[tuple[float, Model, float]]] = defaultdict(list)
    for (place, model), reached in accuracy.items():
        if criterion == "oracle" and model[1] < 100:
            continue
        if criterion in INDICATED:
            own = (-1 if criterion == "calibration" else 1) * indicated[*place, *model[:2]]
        else:
            own = score(criterion, values[place, model]) if criterion in HONEST else reached
        cells[place].append((round(own, 12), model, reached))
    order = {place: [one for one in own if not math.isnan(one[0])] for place, own in cells.items()}
    return {place: sorted(own, key=lambda one: (-one[0], one[1][1], one[1][0])) for place, own in order.items() if own}


def model(row: dict[str, Any], prefix: str = "") -> Model:
    return row[f"{prefix}draw"], row[f"{prefix}step"], row[f"{prefix}run"]


def place(row: dict[str, Any]) -> Place:
    return row["algorithm"], row["target"], row["trial"]


@pytest.mark.parametrize("criterion", ASKED)
@pytest.mark.parametrize("name", BOARDS)
def test_it_is_what_the_cells_of_the_leaderboard_are_made_of(name: str, criterion: str) -> None:
    cells = {place(row): row for row in chosen(name, criterion).cells.iter_rows(named=True)}
    if CRITERIA[criterion].uses_unlabelled_target:
        with pytest.raises(RecipeError, match="looks at images of the target and may not rank"):
            leaderboard(name, criterion)
    elif criterion in HONEST:
        made = leaderboard(name, criterion).cells
        assert {place(row) for row in made.iter_rows(named=True)} == set(cells)
        same = ("draw", "step", "run", "score", "views", "title", "track", "accuracy")
        for row in made.iter_rows(named=True):
            mine = cells[place(row)]
            assert [mine[key] for key in same] == [row[key] for key in same]
            assert (mine["ceiling"], mine["regret"]) == (
                row["ceiling_accuracy"], row["ceiling_accuracy"] - row["accuracy"],
            )  # fmt: skip
    else:
        for row in leaderboard(name, HONEST[0]).cells.iter_rows(named=True):
            told = tuple(row[f"{criterion}_{key}"] for key in ("draw", "step", "accuracy"))
            assert tuple(cells[place(row)][key] for key in ("draw", "step", "accuracy")) == told


@pytest.mark.parametrize("criterion", ASKED)
@pytest.mark.parametrize("name", BOARDS)
def test_it_is_what_loops_find(name: str, criterion: str) -> None:
    made, expected = chosen(name, criterion), {other: naive(name, other) for other in ASKED}
    cells = {place(row): row for row in made.cells.iter_rows(named=True)}
    assert cells.keys() == expected[criterion].keys()
    for where, row in cells.items():
        first, *rest = expected[criterion][where]
        assert (row["score"], model(row), row["accuracy"]) == (pytest.approx(first[0], abs=1e-12), *first[1:])
        assert row["tied"] == sum(other[0] == first[0] for other in rest)
        if rest:
            assert model(row, "next_") == rest[0][1]
            assert row["margin"] == pytest.approx(first[0] - rest[0][0], abs=1e-12)
        else:
            assert (row["next_run"], row["margin"]) == (None, None)
    others = {(one["criterion"], *place(one)): one for one in made.others.iter_rows(named=True)}
    assert set(others) == {(o, *where) for o in ASKED if o != criterion for where in cells if where in expected[o]}
    for (other, *where), one in others.items():
        score, theirs, reached = expected[other][tuple(where)][0]
        assert (one["score"], model(one), one["accuracy"]) == (pytest.approx(score, abs=1e-12), theirs, reached)
        assert one["same"] == (theirs == model(cells[tuple(where)]))
        own = {m: s for s, m, _ in expected[criterion][tuple(where)]}.get(theirs)
        assert one["own_score"] == (own if own is None else pytest.approx(own, abs=1e-12))
        assert (one["behind"] is None) == (own is None)
        assert one["behind"] is None or one["behind"] >= 0


def test_the_boards_have_what_makes_choices_hard() -> None:
    """Else the tests above would show little."""
    cells = pl.concat([chosen(name, "augmented").cells for name in BOARDS])
    assert (cells["tied"] > 0).any()
    assert (cells["regret"] > 0).any()
    assert chosen("incomplete", "oracle").cells["next_run"].null_count()
    source = chosen("incomplete", "source")
    assert len(source.without) == 1
    assert (source.missing, len(source.failed)) == (
        10,
        11,
    )  # one that diverged lost to a draw of its cell, and is a result
    assert source.without[0] not in {place(row) for row in source.cells.iter_rows(named=True)}


def test_a_part_has_the_choices_of_the_whole() -> None:
    found = records("each domain alone")
    whole, by = selected(found, get("augmented")), get("augmented")
    cells = whole.cells.filter(pl.col("algorithm") == "sam", pl.col("trial") == 1)
    assert selected(found, by, algorithms=["sam"], trials=[1]).cells.equals(cells)
    assert selected(found, by, algorithms=["t3a", "erm"]).cells["algorithm"].unique(maintain_order=True).to_list() == [
        "erm", "t3a",
    ]  # fmt: skip
    # a domain stands for every case that tests it
    cases = ["handwritten > print", "dot-matrix > print"]
    assert set(selected(found, by, targets=["print"]).cells["target"]) == set(cases)
    one = selected(found, by, algorithms=["erm"], targets=cases[:1], trials=[0])
    assert (one.cells.height, one.exportable, one.missing) == (1, True, 0)
    assert not selected(found, get("oracle"), algorithms=["erm"], targets=cases[:1], trials=[0]).exportable
    assert not replace(one, submitted={"erm": "erm@1"}).exportable


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({"algorithms": ["smm"]}, UnknownNameError, "no algorithm on this board named 'smm'. Did you mean 'sam'"),
        ({"algorithms": "sam"}, CardError, r"write \['sam'\]"),
        ({"targets": ["prnt"]}, UnknownNameError, "no target on this board named 'prnt'. Did you mean 'print'"),
        ({"trials": [2]}, UnknownNameError, "no trial on this board named '2'"),
        ({"algorithms": ["sam"], "trials": [1]}, StoreError, "no finished run .* asked for; diverged: a loss is no"),
    ],
)
def test_what_is_not_there_is_one_message(asked: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        selected(records("incomplete"), get("augmented"), **asked)


def toy(*candidates: Any, **more: Any) -> Records:
    """The records of a board of one target."""
    names = tuple(dict.fromkeys(run["algorithm"] for _, run in candidates))
    board = rules("quick", algorithms=names, trials=1, draws=3)
    parts = {"missing": 0, "failed": (), "torch": (), "dgbench": (), "manifests": {}, "weights": {"b": 1.0}}
    return Records(board, *tables(candidates), names=names, cases=("b",), **(parts | more))


def test_a_criterion_that_refuses_one_algorithm_judges_the_others() -> None:
    shifted = {family: {"a": 0.5} for family in FAMILIES}
    taught = candidate("sam", shifted=shifted, trained=FAMILIES)
    found = toy(candidate("erm", shifted=shifted), taught)
    made = selected(found, get("source"))
    assert [one for one in made.refusals if one[0] not in INDICATED] == [(name, "sam") for name in STRICT]
    assert made.others.filter(criterion="augmented")["algorithm"].to_list() == ["erm"]
    said = [line for line in render.warnings(made) if "has no shift family left for 'sam' (target b)" in line]
    assert [line.partition(": ")[0] for line in said] == [", ".join(STRICT)]
    assert any(
        line.startswith("calibration, confidence°, atc°") and "So for 1 more" in line for line in render.warnings(made)
    )
    with pytest.raises(RecipeError, match="no shift family left for 'sam'"):
        selected(found, get("augmented"))
    assert selected(found, get("augmented"), algorithms=["erm"]).cells.height == 1


def printed(made: Selection) -> str:
    console = Console(width=120, highlight=False)
    with console.capture() as said:
        terminal.show_selection(made, console)
    return said.get()


def test_a_table_says_who_chose_what_and_by_how_much() -> None:
    shifted = [{family: {"a": value} for family in FAMILIES} for value in (0.5, 0.75, 0.75)]
    pool = [
        candidate("erm", draw=draw, clean={"a": 0.9 - 0.1 * draw}, shifted=shifted[draw], on_target=0.2 + 0.1 * draw)
        for draw in range(3)
    ]
    ((_, rows),) = render.tables(selected(toy(*pool), get("augmented")))
    chosen, blind, best = (row.cells for row in rows)
    shift = "augmented, augmented_all, augmented_worst, augmented_logit, augmented_no_edges"
    tail = ("0.7500", "0.7500", "tie of 2", "3", "30.0", "10.0")
    assert chosen == ("b", "0", "1", "100", "erm-b-0-", shift, *tail)
    source = "source, source_nll, source_worst"
    assert blind == ("", "", "0", "100", "erm-b-0-", source, "0.5000", "", "−0.2500", "", "20.0", "20.0")
    assert best == ("", "", "2", "100", "erm-b-0-", "ceiling*, oracle*", "0.7500", "", "tie", "", "40.0", "0.0")
    # whoever is of the same mind is not named where those who are not are fewer
    ((_, rows),) = render.tables(selected(toy(*pool[:2]), get("ceiling")))
    assert [row.cells[5] for row in rows] == [f"ceiling*, all others but {source}", source]
    shown = printed(selected(toy(*pool), get("augmented")))
    assert all(part in shown for part in ("augmented_no_edges", "tie of 2", "−0.2500"))
    said = " ".join(printed(selected(toy(*pool), get("oracle"))).split())
    assert "reads target labels: it is for looking, and never ranks" in said
    assert "what nobody knows when choosing" in said


def test_what_is_missing_and_what_failed_is_said() -> None:
    said = " ".join(printed(selected(records("incomplete"), get("source"))).split())
    assert "Runs that are not finished: 10." in said
    assert "Diverged: SAM on target" in said
    assert "every score is not a number, so nothing is chosen" in said


def test_as_data_it_is_json_with_target_labels_apart() -> None:
    made = selected(records("incomplete"), get("source"))
    told = json.loads(json.dumps(render.as_data(made), allow_nan=False))
    assert len(told["cells"]) == made.cells.height
    labelled = {"accuracy", "ceiling", "regret"}
    for cell in told["cells"]:
        assert not labelled & set(cell)
        assert set(cell["with_target_labels"]) == labelled | {"others"}
        for name, other in cell["others"].items():
            assert not labelled & set(other)
            assert set(cell["with_target_labels"]["others"][name]) == {"accuracy", "regret"}
    assert {one["status"] for one in told["failed"]} == {"diverged"}
