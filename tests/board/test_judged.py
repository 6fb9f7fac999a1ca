"""Criteria ranked as algorithms are: numbers from the values of every target and trial, and words from the numbers."""

from __future__ import annotations

import io
import itertools
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from board.synthetic import DOMAINS, candidate, tables
from board.test_render import HOSTILE, Page
from rich.console import Console
from scipy.stats import t as student

import dgbench
from dgbench.board.judged import CriteriaBoard, JudgedTrack, judged, track
from dgbench.board.render.criteria import data, markdown, page, terminal, words
from dgbench.core.errors import StoreError
from dgbench.runs.collect import Failure, Records
from dgbench.selection.criteria import CRITERIA
from dgbench.selection.design import Design
from dgbench.selection.judging import CHOICES, SET, chosen, offered
from dgbench.selection.records import CANDIDATE
from dgbench.selection.statistics import Estimate, estimate

ALGORITHMS = ("erm", "sam", "irm")
SOME = tuple(CRITERIA[name] for name in ("source", "source_worst", "augmented", "augmented_all"))
TRIALS, DRAWS = 4, 5


def records(source: float = 0.0, augmented: float = 0.0, title: str = "", trials: int = TRIALS) -> Records:
    """Models whose scores are their accuracy with noise of these sizes."""
    random = np.random.default_rng(5)

    def near(accuracy: float, noise: float) -> float:
        return float(np.clip(accuracy + noise * random.standard_normal(), 0, 1))

    made = []
    for algorithm, target, trial, draw in itertools.product(ALGORITHMS, DOMAINS, range(trials), range(DRAWS)):
        accuracy = float(random.uniform(0.2, 0.8))
        score, shifted = near(accuracy, source), near(accuracy, augmented)
        others = [domain for domain in DOMAINS if domain != target]
        families = {family: dict.fromkeys(others, shifted) for family in ("blur", "edges")}
        clean = dict.fromkeys(others, score)
        metrics, run = candidate(algorithm, target, trial, draw, clean=clean, shifted=families, on_target=accuracy)
        made.append(([row | {"title": title} for row in metrics] if title and algorithm == "sam" else metrics, run))
    card = dgbench.rules("quick", algorithms=ALGORITHMS, trials=trials, draws=DRAWS)
    found = tables(made)
    return Records(card, *found, ALGORITHMS, 0, (), ("2.9",), ("0.1",), {"digits": "0"}, DOMAINS, {})


@pytest.fixture(scope="module")
def made() -> CriteriaBoard:
    return judged(records(source=0.3, augmented=0.05, title=HOSTILE), SOME)


def the(board: CriteriaBoard) -> JudgedTrack:
    (only,) = board.tracks
    return only


def interval(values: list[list[float]]) -> tuple[float, float, float]:
    """Mean and ends for targets that each have trainings of their own: Welch and Satterthwaite, by hand."""
    rows = np.array(values)
    parts = rows.var(axis=1, ddof=1) / rows.shape[1] / len(rows) ** 2
    df = parts.sum() ** 2 / (parts**2 / (rows.shape[1] - 1)).sum()
    half = student.ppf(0.975, df) * math.sqrt(parts.sum())
    return float(rows.mean()), float(rows.mean() - half), float(rows.mean() + half)


def by_set(cells: pl.DataFrame, column: str = "picked") -> list[list[float]]:
    return [part.sort("trial")[column].to_list() for part in cells.sort(SET).partition_by("target")]


def ends(value: Estimate | None) -> tuple[float, float, float]:
    assert value is not None
    assert value.interval is not None
    return (value.mean, *value.interval)


@pytest.mark.parametrize("choice", CHOICES)
def test_every_number_is_that_of_its_values(made: CriteriaBoard, choice: str) -> None:
    one = the(made)
    among = offered(one.points, choice)  # type: ignore[arg-type]  # one of CHOICES
    cells = {name: chosen(among, name, choice)[0] for name in ("augmented", "source", "accuracy")}  # type: ignore[arg-type]
    found = one.of("augmented")
    assert found is not None
    worth = found.choices[choice]  # type: ignore[index]  # one of CHOICES
    mine, reference, best = (np.array(by_set(cells[name])) for name in ("augmented", "source", "accuracy"))
    assert ends(worth.picked) == pytest.approx(interval(mine.tolist()))
    assert ends(worth.gain) == pytest.approx(interval((mine - reference).tolist()))
    mean, low, high = interval((best - mine).tolist())
    assert ends(worth.regret) == pytest.approx((mean, max(low, 0), high))
    assert worth.hit.mean == pytest.approx(np.mean(by_set(cells["augmented"], "hit")))
    # the delta method, by hand: the quotient of two means errs as the mean of (x - R y) / b does
    for quotient, upper, lower, less in ((worth.gained, mine, reference, 1.0), (worth.lost, best - mine, best, 0.0)):
        ratio = upper.mean() / lower.mean()
        _, low, high = interval(((upper - ratio * lower) / lower.mean()).tolist())
        assert ends(quotient) == pytest.approx((ratio - less, ratio - less + low, ratio - less + high))
    assert worth.searches[-1].mean == pytest.approx(worth.picked.mean)
    assert len(worth.searches) == (len(ALGORITHMS) if choice == "method" else DRAWS)


def test_ranks_are_corrected_over_all_pairs(made: CriteriaBoard) -> None:
    one = the(made)
    results = [each.criterion.name for each in one.criteria if not each.same_as]
    for choice in CHOICES:
        pairs = one.pairs[choice]
        assert {(p.first, p.second) for p in pairs} == set(itertools.combinations(results, 2))
        plain = sorted((p.difference.p if p.difference.p is not None else 1.0) for p in pairs)
        holm = np.minimum(np.maximum.accumulate([(len(plain) - i) * p for i, p in enumerate(plain)]), 1)
        assert sorted(p.p for p in pairs) == pytest.approx(sorted(holm))
        for each in one.criteria:
            name = each.same_as or each.criterion.name
            beaten = sum(p.better is not None and p.better != name and name in (p.first, p.second) for p in pairs)
            beats = sum(p.better == name for p in pairs)
            worth = each.choices[choice]
            assert (worth.rank, worth.rank_worst) == (1 + beaten, len(results) - beats)
    augmented, source = one.of("augmented"), one.of("source")
    assert augmented is not None
    assert source is not None
    assert augmented.choices["hyperparameters"].rank == 1
    assert (source.choices["hyperparameters"].rank or 0) > 1


def test_a_perfect_criterion_regrets_nothing_and_a_constant_one_is_worth_chance() -> None:
    base = the(judged(records(source=0.3, augmented=0.3), SOME[:1]))
    points = base.points.select(*CANDIDATE, "accuracy", "source").with_columns(
        augmented=pl.col("accuracy"), source_worst=pl.lit(0.5)
    )
    criteria = {name: CRITERIA[name] for name in ("source", "augmented", "source_worst")}
    design = Design({target: target for target in DOMAINS})
    found = track("inductive", {name: name for name in ALGORITHMS}, points, criteria, {}, design)
    perfect, constant = found.of("augmented"), found.of("source_worst")
    assert perfect is not None
    assert constant is not None
    for choice in CHOICES:
        worth, blind = perfect.choices[choice], constant.choices[choice]
        assert (worth.regret.mean, worth.hit.mean) == (0, 1)
        assert worth.lost is not None
        assert worth.lost.mean == 0
        assert blind.picked.mean == pytest.approx(found.blind[choice].picked.mean)
        assert found.best[choice].picked == worth.picked
        assert [each.mean for each in blind.searches] == pytest.approx([blind.picked.mean] * len(blind.searches))
    assert {name: value and value.mean for name, value in perfect.correlations.items()} == dict.fromkeys(
        perfect.correlations, 1.0
    )
    assert {value and value.mean for value in constant.correlations.values()} == {0.0}


def test_criteria_that_score_alike_are_one_result(made: CriteriaBoard) -> None:
    one = the(made)
    same = {each.criterion.name: each.same_as for each in one.criteria if each.same_as}
    assert same["augmented_all"] == "augmented"
    whole, first = one.of("augmented_all"), one.of("augmented")
    assert whole is not None
    assert first is not None
    assert whole.choices["both"].rank == first.choices["both"].rank
    assert any(
        line.startswith("Augmented validation (all families) scores every model as") for line in words.notes(made)
    )


def test_criteria_that_see_the_target_are_ranked_among_themselves(made: CriteriaBoard) -> None:
    one = the(made)
    sees = replace(CRITERIA["source_worst"], needs=("target images",))
    criteria = {"source": CRITERIA["source"], "augmented": CRITERIA["augmented"], "source_worst": sees}
    points = one.points.with_columns(source_worst=pl.col("accuracy"))
    design = Design({target: target for target in DOMAINS})
    found = track("inductive", one.algorithms, points, criteria, {}, design)
    apart = found.of("source_worst")
    assert apart is not None
    assert (apart.choices["both"].rank, apart.choices["both"].rank_worst) == (1, 1)
    assert all("source_worst" not in (pair.first, pair.second) for pair in found.pairs["both"])
    assert [(bool(said), [each.criterion.name for each in group]) for said, group in words.groups(found)] == [
        (False, ["source", "augmented"]),
        (True, ["source_worst"]),
    ]


def test_labels_of_the_target_are_no_criterion(made: CriteriaBoard) -> None:
    assert not {"ceiling", "oracle"} & {each.criterion.name for each in the(made).criteria}


@pytest.mark.parametrize(
    ("source", "augmented", "said"),
    [
        (0.4, 0.02, r"chooses better than source validation: \+\d.* points, 95 % interval \+\d"),
        (0.02, 0.4, r"chooses worse than source validation: −\d.* points, 95 % interval −\d"),
        (0.2, 0.2, r"is not shown to choose better than source validation, nor worse: [+−]\d.* interval −.* to \+"),
        (0.0, 0.0, r"picks what is as good as with source validation, in every trial"),
    ],
)
def test_the_page_says_what_the_interval_says(source: float, augmented: float, said: str) -> None:
    board = judged(records(source, augmented), SOME[:3])
    line = words.headline(board)[1]
    assert re.match(f"For the choice of hyperparameters augmented validation .*{said}", line), line
    assert line in re.sub(r"\s+", " ", page.render(board).replace("&#39;", "'"))
    assert line in markdown.render(board).replace("\\", "")


def test_one_trial_shows_nothing() -> None:
    board = judged(records(0.4, 0.02, trials=1), SOME[:3])
    assert "without an interval that shows nothing" in words.headline(board)[1]
    assert any("one trial" in note for note in words.notes(board))


def test_what_is_missing_and_refused_is_said() -> None:
    found = records(0.1, 0.1)
    clean = replace(found, streams=found.metrics.filter(pl.col("view") == "clean"), missing=3)
    board = judged(clean, SOME)
    assert words.headline(board) == [line for line in words.headline(board) if "could not be judged" in line]
    assert "finds nothing to score" in words.headline(board)[0]
    assert "Runs that are not finished: 3." in words.notes(board)[0]
    page.render(board)
    gone = (
        (pl.col("algorithm") == "sam") & (pl.col("target") == "print") & (pl.col("trial") == 1) & (pl.col("draw") == 2)
    )
    diverged = Failure("sam", "SAM", "print", 1, 2, "the loss is not a number", "diverged")
    less = replace(found, streams=found.metrics.filter(~gone), runs=found.runs.filter(~gone), missing=1)
    judged_less = judged(replace(less, failed=(diverged,)), SOME[:1])
    assert judged_less.missing == 0
    assert words.notes(judged_less)[0].startswith("Diverged: SAM on target print, trial 1")
    lost = (pl.col("draw") == 1) & (pl.col("domain") == "print") & (pl.col("split") == "validation")
    uneven = replace(found, streams=found.metrics.filter(~lost))
    with pytest.raises(StoreError, match="different streams"):
        judged(uneven)


def test_the_page_is_whole_and_nothing_in_a_name_acts(made: CriteriaBoard, tmp_path: Path) -> None:
    paths = page.write(made, tmp_path)
    assert [path.name for path in paths] == [
        "criteria.html", "criteria.md", "criteria.csv", "curves.csv", "pairs.csv", "models.csv",
    ]  # fmt: skip
    source = paths[0].read_text(encoding="utf-8")
    assert "<script>alert" not in source
    shown = Page(source)
    linked = {value for tag, name, value in shown.attributes if (tag, name) == ("a", "href")}
    ids = [value for _, name, value in shown.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    for href in linked:
        assert href.removeprefix("#") in ids if href.startswith("#") else (tmp_path / href).is_file(), href
    assert source.count("<table") == source.count("<caption") == len(CHOICES) + 1
    assert source.count("<main") == source.count("<h1") == 1
    drawn = [value for tag, name, value in shown.attributes if (tag, name) == ("polyline", "points")]
    results = [each for each in the(made).criteria if not each.same_as]
    assert len(drawn) == len(CHOICES) * (len(results) + 2)
    for line in drawn:
        points = [tuple(map(float, point.split(","))) for point in line.split()]
        assert all(0 <= x <= 200 and 0 <= y <= 110 for x, y in points)
        assert [x for x, _ in points] == sorted(x for x, _ in points)
    rows = [row for row in shown.rows if row[1:2] == ["augmented validation (strict)"]]
    assert len(rows) == len(CHOICES)


def test_tables_hold_what_the_page_says_and_the_models_all_that_it_follows_from(
    made: CriteriaBoard, tmp_path: Path
) -> None:
    page.write(made, tmp_path)
    kept = pl.read_csv(tmp_path / "models.csv")
    points = kept.drop("track").with_columns(pl.col(pl.Int64).exclude("trial", "draw", "step").cast(pl.Float64))
    one = the(made)
    criteria = {each.criterion.name: each.criterion for each in one.criteria}
    again = track(one.name, one.algorithms, points, criteria, {}, Design({target: target for target in DOMAINS}))
    table = data.table(replace(made, tracks=(again,)))
    written = pl.read_csv(tmp_path / "criteria.csv", schema=table.schema)
    assert written.height == len(CHOICES) * (len(criteria) + 2)
    assert set(written["criterion"]) == {*criteria, "best", "blind"}
    for column, kind in table.schema.items():
        if kind.is_float():
            assert written[column].to_list() == pytest.approx(table[column].to_list(), abs=1e-9, nan_ok=True), column
        elif kind.is_integer():
            assert written[column].to_list() == table[column].to_list(), column
    curves = pl.read_csv(tmp_path / "curves.csv")
    last = curves.filter(choice="both", size=DRAWS, criterion="augmented")["picked"].item()
    assert last == pytest.approx(written.filter(choice="both", criterion="augmented")["picked"].item())
    said = data.as_data(made)
    assert (said["said"], len(said["pairs"])) == (words.headline(made), 3 * len(one.pairs["both"]))


def test_the_terminal_has_a_table_for_each_choice(made: CriteriaBoard) -> None:
    console = Console(width=120, record=True, file=io.StringIO())
    terminal.show(made, console)
    shown = console.export_text()
    for title in words.TITLES.values():
        assert title in shown
    assert "the best (target" in shown


def test_the_command_takes_the_options_of_the_run() -> None:
    board = judged(records(), SOME[:1])
    told = replace(board, info=replace(board.info, recompute="dgbench run x -a erm --trials 2 --criterion source"))
    assert words.command(told) == "dgbench criteria x -a erm --trials 2"


def test_intervals_of_one_cluster_are_the_ordinary_ones() -> None:
    values = [[0.1, 0.4, 0.3, 0.2]]
    assert ends(estimate(values)) == pytest.approx(interval(values))
