from __future__ import annotations

import math
import re
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from board.synthetic import FAMILIES, board, candidate, entries, info, tables
from hypothesis import given, settings
from hypothesis import strategies as st

from dgbench.board.build import build
from dgbench.board.leaderboard import Leaderboard
from dgbench.board.rankings import ranking
from dgbench.board.render import files, html, text
from dgbench.board.render.scatter import on_the_line
from dgbench.core.errors import RecipeError, StoreError, UnknownNameError
from dgbench.core.results import Status
from dgbench.runs.collect import Failure
from dgbench.selection.means import means
from dgbench.selection.measures import RULE
from dgbench.selection.pairs import contrasts
from dgbench.selection.records import METRICS
from dgbench.selection.statistics import SHARE, Estimate, estimate


def test_every_number_by_hand() -> None:
    """Targets a and b, two trials; sam gains 0.1 and 0.2 on a, 0.0 and 0.1 on b."""
    erm = {("a", 0): 0.50, ("a", 1): 0.54, ("b", 0): 0.70, ("b", 1): 0.74}
    gain = {("a", 0): 0.1, ("a", 1): 0.2, ("b", 0): 0.0, ("b", 1): 0.1}
    records = tables(
        candidate(
            name,
            target,
            trial,
            clean={"b" if target == "a" else "a": 0.9},
            on_target=value + (gain[target, trial] if name == "sam" else 0),
            train_seconds=10.0 + trial,
            run_seconds=2.0,
            passes=2.0 if name == "sam" else 1.0,
        )
        for name in ("erm", "sam")
        for (target, trial), value in erm.items()
    )
    made = build(*records, info())
    found = entries(made)
    sam, reference = found["sam"], found["erm"]
    assert sam.accuracy.mean == pytest.approx((0.67 + 0.77) / 2)
    assert sam.accuracy.n == 4
    assert {t: e.mean for t, e in sam.targets.items()} == pytest.approx({"a": 0.67, "b": 0.77})
    assert sam.worst == "a"
    assert sam.gap.mean == pytest.approx(0.9 - 0.72)
    assert sam.difference is not None
    assert sam.difference.mean == pytest.approx(0.1)
    expected = estimate([[0.1, 0.2], [0.0, 0.1]])
    assert sam.difference.margin == pytest.approx(expected.margin)
    assert reference.difference is None
    compared = made.compare("sam", "erm")
    assert compared.total == sam.difference
    assert {target: one.mean for target, one in compared.targets.items()} == pytest.approx({"a": 0.15, "b": 0.05})
    assert made.compare("erm", "sam").total.mean == pytest.approx(-0.1)
    assert (sam.cost.train, sam.cost.predict, sam.cost.passes) == (10.5, 2.0, 2.0)
    assert sam.runs == 4


FIVE = {"erm": 0.5, "sam": 0.6, "irm": 0.4, "mixup": 0.52, "coral": 0.48}


def on_two_tracks(metrics: pl.DataFrame, online: set[str]) -> pl.DataFrame:
    other = pl.when(pl.col("algorithm").is_in(online)).then(pl.lit("online")).otherwise(pl.lit("inductive"))
    return metrics.with_columns(track=other)


TRIALS, SOME, TRACKED = (1, 2, 5), (("a",), ("a", "b"), ("a", "b", "c", "d")), (set(), {"irm", "mixup"}, {"erm"})


@pytest.mark.parametrize(
    ("trials", "domains", "online"),
    [(TRIALS[(one + two) % 3], SOME[one], TRACKED[two]) for one in range(3) for two in range(3)],
)
def test_the_difference_from_erm_is_that_of_the_pair(trials: int, domains: tuple[str, ...], online: set[str]) -> None:
    """On boards of every size, whichever track the two are on; and it is the same wherever it is asked for. Each number
    of trials, of domains and of algorithms of the other track meets each of the others."""
    metrics, runs = board(FIVE, trials=trials, domains=("z", *domains), noise=0.01)
    kept = pl.col("target") != "z"
    rules = info(trials=trials, domains=domains, algorithms=tuple(FIVE))
    made = build(on_two_tracks(metrics.filter(kept), online), runs.filter(kept), rules)
    scores = {
        name: made.cells.filter(pl.col("algorithm") == name).sort("target", "trial")["accuracy"].reshape((-1, trials))
        for name in FIVE
    }
    expected = contrasts({name: values.to_numpy().tolist() for name, values in scores.items()})
    pairs = {(pair.first, pair.second): pair.difference for track in made.tracks for pair in track.pairs}
    for name, entry in ((entry.algorithm, entry) for entry in made.entries if entry.algorithm != "erm"):
        own = expected.between(name, "erm")
        assert own is not None
        assert entry.difference is not None
        assert (entry.difference.mean, entry.difference.error, entry.difference.df) == pytest.approx(
            (own.mean, own.error, own.df)
        )
        assert (entry.difference.margin is None) == (trials == 1)
        assert entry.difference == made.compare(name, "erm").total
        assert entry.difference == -made.compare("erm", name).total
        if ("erm", name) in pairs:
            assert entry.difference == -pairs["erm", name]
    tracks = [len(track.entries) for track in made.tracks]
    assert len(pairs) == sum(n * (n - 1) // 2 for n in tracks), "a track is ranked by its own pairs alone"


def test_who_is_not_ranked_is_compared_by_the_cells_it_has() -> None:
    metrics, runs = board(FIVE, trials=3, noise=0.01)
    lost = (pl.col("algorithm") == "sam") & (pl.col("target") == "b") & (pl.col("trial") == 1)
    names = tuple(FIVE)
    made = build(metrics.filter(~lost), runs.filter(~lost), info(trials=3, algorithms=names))
    whole = build(metrics, runs, info(trials=3, algorithms=names))
    sam, erm = (made.cells.filter(pl.col("algorithm") == name) for name in ("sam", "erm"))
    assert entries(made)["sam"].difference == made.design.ahead(sam, erm, "accuracy")
    assert entries(made)["irm"].difference != entries(whole)["irm"].difference, "it lends its variances to nobody"
    lost = (pl.col("algorithm") == "erm") & (pl.col("target") == "b") & (pl.col("trial") == 1)
    made = build(metrics.filter(~lost), runs.filter(~lost), info(trials=3, algorithms=names))
    assert {entry.difference.n for entry in made.entries if entry.difference is not None} == {5}


SERVED = {
    "leave-one-domain-out": {"a": ("b", "c"), "b": ("a", "c"), "c": ("a", "b")},
    "single-source": {"a > b": ("a",), "a > c": ("a",), "b > a": ("b",)},
    "fixed": {"fog": ("photo",), "snow": ("photo",), "rain": ("photo",)},
}


@pytest.mark.parametrize("protocol", SERVED)
@pytest.mark.parametrize("trials", [1, 2, 3])
def test_means_of_ranked_algorithms_lend_each_other_their_variances(protocol: str, trials: int) -> None:
    """On boards of every protocol, on both tracks; a copy lends nothing, and who lacks a run has its own."""
    random, served = np.random.default_rng(0), SERVED[protocol]
    skills = FIVE | {"copy": FIVE["coral"], "mixup + sam": 0.55}
    drawn = {name: skill + 0.02 * random.standard_normal((len(served), trials)) for name, skill in skills.items()}
    drawn["copy"] = drawn["coral"]
    metrics, runs = tables(
        candidate(name, target, trial, clean=dict.fromkeys(sources, 0.9), on_target=drawn[name][row, trial])
        for name in skills
        for row, (target, sources) in enumerate(served.items())
        for trial in range(trials)
        if (name, row, trial) != ("mixup + sam", 1, trials - 1)
    )
    rules = info(domains=tuple(served), trials=trials, algorithms=tuple(skills))
    made = build(on_two_tracks(metrics, {"irm", "mixup"}), runs, rules)
    expected = means({name: drawn[name].tolist() for name in FIVE}, clusters=tuple(served.values()), within=SHARE)
    expected["copy"] = expected["coral"]
    values = {place.entry.algorithm: place.value for places in ranking(made, RULE).tracks.values() for place in places}
    for entry in made.entries:
        assert entry.accuracy == values[entry.algorithm]
        if entry.algorithm in expected:
            one = expected[entry.algorithm]
            assert known(entry.accuracy) == pytest.approx(known(one))
            if entry.nll is not None and trials > 1:
                assert (entry.nll.error, entry.nll.df) == pytest.approx((one.error, one.df)), "it is 1 - accuracy here"
        else:
            cells = made.cells.filter(pl.col("algorithm") == entry.algorithm)
            assert (entry.rank, entry.accuracy) == (None, made.design.estimate(cells, "accuracy"))
        assert entry.targets == {
            target: made.design.estimate(part, "accuracy")
            for (target,), part in made.cells.filter(pl.col("algorithm") == entry.algorithm).group_by("target")
        }


def known(one: Estimate) -> tuple[Any, ...]:
    return one.mean, one.n, one.error, one.df


def test_algorithms_without_a_common_cell_are_not_compared() -> None:
    metrics, runs = board({"erm": 0.5, "sam": 0.9})
    apart = [
        frame.filter(~((pl.col("algorithm") == "erm") & (pl.col("target") == "a"))).filter(
            ~((pl.col("algorithm") == "sam") & (pl.col("target") == "b"))
        )
        for frame in (metrics, runs)
    ]
    made = build(*apart, info())
    assert entries(made)["sam"].difference is None
    with pytest.raises(StoreError, match="'sam' and 'erm' have no finished runs on the same target"):
        made.compare("sam", "erm")
    with pytest.raises(UnknownNameError, match="Did you mean 'sam'"):
        made.compare("sm", "erm")


def test_the_criterion_chooses_and_the_oracle_stands_apart() -> None:
    pool = [
        candidate("erm", target, 0, draw, clean={"a" if target == "b" else "b": source}, on_target=reached)
        for target in ("a", "b")
        for draw, (source, reached) in enumerate([(0.9, 0.5), (0.8, 0.7)])
    ]
    made = build(*tables(pool), info(trials=1, draws=2))
    entry = entries(made)["erm"]
    assert entry.accuracy.mean == pytest.approx(0.5)
    assert entry.oracle.mean == pytest.approx(0.7)
    assert made.cells["draw"].to_list() == [0, 0]
    assert made.cells["oracle_draw"].to_list() == [1, 1]


def test_best_mean_first_and_ranks_by_what_the_data_separate() -> None:
    made = build(*board({"irm": 0.2, "erm": 0.6, "sam": 0.6}, trials=5, noise=0.001), info(trials=5))
    found = [(entry.algorithm, entry.rank) for entry in made.tracks[0].entries]
    assert dict(found) == {"erm": 1, "sam": 1, "irm": 3}
    assert found[-1] == ("irm", 3)


def test_an_incomplete_algorithm_is_listed_but_not_ranked() -> None:
    metrics, runs = board({"erm": 0.5, "sam": 0.9})
    lost = (pl.col("algorithm") == "sam") & (pl.col("target") == "b") & (pl.col("trial") == 1)
    made = build(metrics.filter(~lost), runs.filter(~lost), info())
    sam = entries(made)["sam"]
    assert (sam.rank, sam.runs, sam.accuracy.n) == (None, 3, 3)
    assert [entry.algorithm for entry in made.tracks[0].entries] == ["erm", "sam"]
    assert sam.difference is not None
    assert sam.difference.n == 3
    assert made.absent == ("irm",)


def test_a_smaller_search_is_incomplete() -> None:
    pool = [
        candidate(name, target, draw=draw, clean={"a" if target == "b" else "b": 0.9})
        for name, draws in (("erm", 2), ("sam", 1))
        for target in ("a", "b")
        for draw in range(draws)
    ]
    found = entries(build(*tables(pool), info(trials=1, draws=2)))
    assert (found["erm"].rank, found["sam"].rank) == (1, None)


def searched(seed: int = 0) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Three algorithms with three draws in each cell, drawn from a law that says nothing of who is better."""
    random = np.random.default_rng(seed)
    return tables(
        candidate(name, target, trial, draw, clean={"s": random.uniform(0.6, 0.9)}, on_target=random.uniform(0.3, 0.8))
        for name in ("erm", "sam", "irm")
        for target in ("a", "b")
        for trial in range(2)
        for draw in range(3)
    )


def ended(status: Status, *draws: int, algorithm: str = "sam", target: str = "b", trial: int = 1) -> list[Failure]:
    """Runs of a cell that could not be done."""
    return [Failure(algorithm, algorithm.upper(), target, trial, draw, "why", status, 0) for draw in draws]


def without(records: pl.DataFrame, failed: list[Failure]) -> pl.DataFrame:
    """Records that have nothing of some runs."""
    return records.join(placed(failed), on=placed(failed).columns, how="anti", maintain_order="left")


def placed(failed: list[Failure]) -> pl.DataFrame:
    columns = {name: METRICS[name] for name in ("algorithm", "target", "trial", "draw")}
    return pl.DataFrame([one.place for one in failed], columns, orient="row")


@pytest.mark.parametrize("seed", range(5))
def test_a_draw_that_diverged_loses_as_the_worst_that_ended_would(seed: int) -> None:
    """Against the same board where these draws came to an end, with no image right on the source."""
    metrics, runs = searched(seed)
    failed = [*ended("diverged", 0, 2), *ended("diverged", 1, trial=0), *ended("diverged", 1, algorithm="irm")]
    rules = info(draws=3)
    lost = build(without(metrics, failed), without(runs, failed), rules, failed=failed)
    marked = metrics.join(placed(failed).with_columns(lost=0.0), on=placed(failed).columns, how="left")
    wrong = pl.when(pl.col("split") == "validation").then(pl.coalesce("lost", "accuracy")).otherwise("accuracy")
    worst = build(marked.with_columns(accuracy=wrong).drop("lost"), runs, rules)
    ours = pl.selectors.exclude("^(ceiling|oracle)_.*$")  # which look at the target, where the lost are not the worst
    assert lost.cells.select(ours).equals(worst.cells.select(ours))
    for name, entry in entries(lost).items():
        other = entries(worst)[name]
        assert (entry.rank, entry.rank_worst, entry.accuracy) == (other.rank, other.rank_worst, other.accuracy)
        assert entry.rank is not None
    counts = {name: (entry.runs, entry.diverged) for name, entry in entries(lost).items()}
    assert counts == {"erm": (12, 0), "sam": (9, 3), "irm": (11, 1)}
    assert {pair.first for pair in lost.tracks[0].pairs} | {pair.second for pair in lost.tracks[0].pairs} == set(counts)
    (said,) = [line for line in text.warnings(lost, lost.tracks[0]) if line.startswith("SAM")]
    assert said == "SAM has 9 of 12 runs, and 3 diverged: a draw that diverged loses to the others of its cell."
    assert text.failures(lost.failed)[0].startswith("Diverged: SAM on target b, trial 1; target b, trial 1")
    assert files.table(lost).sort("algorithm")["diverged"].to_list() == [0, 1, 3]
    assert "9 of 12 (3 diverged)" in html.render(lost)


@pytest.mark.parametrize("status", ["failed", "out of memory", None])
def test_a_draw_that_did_not_diverge_is_missing(status: Status | None) -> None:
    """That it crashed, or was never done, says nothing of its hyperparameters."""
    metrics, runs = searched()
    one = ended(status or "failed", 2)
    failed = [*(one if status else []), *ended("diverged", 0)]
    lost = [*one, *ended("diverged", 0)]
    made = build(without(metrics, lost), without(runs, lost), info(draws=3), failed=failed)
    sam = entries(made)["sam"]
    assert (sam.rank, sam.runs, sam.diverged) == (None, 10, 1)
    (said,) = [line for line in text.warnings(made, made.tracks[0]) if line.startswith("SAM")]
    assert said == "SAM has 10 of 12 runs, and 1 diverged: it is listed with what there is, unranked."


def test_where_every_draw_diverged_there_is_no_rank() -> None:
    metrics, runs = searched()
    failed = [*ended("diverged", 0, 1, 2), *ended("diverged", 1, trial=0)]
    made = build(without(metrics, failed), without(runs, failed), info(draws=3), failed=failed)
    sam = entries(made)["sam"]
    assert (sam.rank, sam.runs, sam.diverged) == (None, 8, 1)
    (said,) = [line for line in text.warnings(made, made.tracks[0]) if line.startswith("SAM")]
    assert said == (
        "SAM has 8 of 12 runs, and 1 diverged: it is listed with what there is, unranked. "
        "Every draw diverged on target b, trial 1."
    )


def test_a_cell_without_any_number_is_missing() -> None:
    metrics, runs = board({"erm": 0.5, "sam": 0.9})
    diverged = (pl.col("algorithm") == "sam") & (pl.col("target") == "b") & (pl.col("split") == "validation")
    metrics = metrics.with_columns(accuracy=pl.when(diverged).then(float("nan")).otherwise(pl.col("accuracy")))
    assert entries(build(metrics, runs, info()))["sam"].rank is None


def test_tracks_are_ranked_apart_but_compared_with_the_same_reference() -> None:
    metrics, runs = board({"erm": 0.5, "sam": 0.6, "t3a": 0.9, "adanpc": 0.1})
    track = pl.when(pl.col("algorithm").is_in(["t3a", "adanpc"])).then(pl.lit("online")).otherwise(pl.lit("inductive"))
    made = build(metrics.with_columns(track=track), runs, info(algorithms=("erm", "sam", "t3a", "adanpc")))
    assert {t.name: [e.algorithm for e in t.entries] for t in made.tracks} == {
        "inductive": ["sam", "erm"],
        "online": ["t3a", "adanpc"],
    }
    assert entries(made)["sam"].rank == 1
    online = entries(made, "online")["t3a"]
    assert online.difference is not None
    assert online.difference.mean == pytest.approx(0.4)


def test_one_trial_ranks_nobody() -> None:
    made = build(*board({"erm": 0.5, "sam": 0.9}, trials=1), info(trials=1))
    assert {entry.rank for entry in made.tracks[0].entries} == {1}
    assert all(entry.accuracy.margin is None for entry in made.tracks[0].entries)


def test_shared_trainings_are_paid_once() -> None:
    metrics, runs = board({"erm": 0.5, "sam": 0.6}, trials=1)
    shared = runs.with_columns(training=pl.col("target"))
    made = build(metrics, shared, info(trials=1))
    # 2 trainings of 10 s for 4 runs of 1 s
    assert made.seconds == 24
    assert made.seconds_unshared == 44


def test_seconds_come_to_the_same_bits_in_any_order() -> None:
    metrics, runs = board({"erm": 0.5, "sam": 0.6}, trials=7, noise=0.01)
    random = np.random.default_rng(0)
    odd = runs.with_columns(train_seconds=random.lognormal(3, 2, runs.height), run_seconds=random.random(runs.height))
    found = set()
    for seed in range(8):
        made = build(metrics, odd.sample(fraction=1, shuffle=True, seed=seed), info(trials=7))
        cost = entries(made)["sam"].cost
        found.add((made.seconds, made.seconds_unshared, cost.train, cost.predict, cost.passes))
    assert len(found) == 1


@pytest.mark.parametrize("lost", ["all", "one trial"])
def test_a_model_without_a_number_on_the_source_has_no_gap(lost: str) -> None:
    """On some target all of them: there is none to speak of. Of one trial alone: that of the others."""
    pool = [
        candidate(
            name, target, trial, clean={"s": math.nan if (name, target) == ("sam", "b") and trial <= last else 0.9},
            shifted={"blur": {"s": 0.6 + 0.05 * trial}}, on_target=0.5 + 0.1 * trial,
        )
        for name in ("erm", "sam", "irm", "swad")
        for target in ("a", "b")
        for trial in range(2)
        for last in [1 if lost == "all" else 0]
    ]  # fmt: skip
    rules = info(criterion="augmented", algorithms=("erm", "sam", "irm", "swad"))
    made = build(*tables(pool), rules)
    sam, erm = (entries(made)[name] for name in ("sam", "erm"))
    assert sam.rank == erm.rank == 1
    assert erm.gap is not None
    assert erm.gap.mean == pytest.approx(0.35)
    plot = on_the_line(made)
    assert plot is not None
    header, shown = text.header(made, ["a", "b"]), text.row(sam, made, ["a", "b"])
    row = files.table(made).filter(algorithm="sam")
    if lost == "all":
        assert sam.gap is None
        assert shown[header.index("Gap")] == "–"
        assert row["gap"][0] is None
        assert [dot.algorithm for dot in plot.dots] == ["erm", "irm", "swad"]
    else:
        assert sam.gap is not None
        assert sam.gap.mean == pytest.approx(((0.4 + 0.3) / 2 + 0.3) / 2)
        assert len(plot.dots) == 4
    assert not re.search(r"\bnan\b", html.render(made), re.IGNORECASE)


def test_contamination_is_carried_to_the_entry() -> None:
    shifted = {family: {"a": 0.5, "c": 0.5} for family in FAMILIES}
    pool = [candidate(n, shifted=shifted, trained=t) for n, t in (("erm", ["blur"]), ("sam", []))]
    rules = info(domains=("b",), trials=1)
    everything = entries(build(*tables(pool), replace(rules, criterion="augmented_all")))
    assert (everything["erm"].contaminated, everything["sam"].contaminated) == (("blur",), ())
    strict = entries(build(*tables(pool), replace(rules, criterion="augmented")))
    assert strict["erm"].contaminated == ()
    assert "blur" not in strict["erm"].families


def test_a_criterion_that_cannot_be_judged_says_why() -> None:
    shifted = {"blur": {"a": 0.5}, "edges": {"a": 0.4}}
    pool = [candidate("erm", shifted=shifted, trained=["blur", "edges"]), candidate("sam", shifted=shifted)]
    made = build(*tables(pool), info(domains=("b",), trials=1))
    assert [q.criterion.name for q in made.tracks[0].qualities] == [
        "source",
        "source_nll",
        "augmented_all",
        "source_worst",
    ]
    assert "no shift family left" in made.tracks[0].refusals["augmented validation (strict)"]


def test_the_oracle_may_not_rank() -> None:
    with pytest.raises(RecipeError, match="reads target labels and may not rank; choose one of source"):
        build(*board({"erm": 0.5}), info(criterion="oracle"))


def test_an_unknown_criterion_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'source'"):
        build(*board({"erm": 0.5}), info(criterion="sorce"))


def test_records_beyond_the_rules_are_refused() -> None:
    records = board({"erm": 0.5}, trials=3)
    with pytest.raises(StoreError, match=r"hold trial \[2\], which the rules"):
        build(*records, info(trials=2))
    with pytest.raises(StoreError, match=r"hold algorithm \['erm'\]"):
        build(*records, info(trials=3, algorithms=("sam",)))


def test_a_candidate_without_its_target_is_refused() -> None:
    metrics, runs = board({"erm": 0.5})
    untested = (pl.col("split") == "target") & (pl.col("trial") == 1)
    with pytest.raises(StoreError, match="was not evaluated on its target at step 100"):
        build(metrics.filter(~untested), runs, info())


def test_an_empty_board_says_so() -> None:
    metrics, runs = board({"erm": 0.5})
    with pytest.raises(StoreError, match="no finished run"):
        build(metrics.clear(), runs.clear(), info())


def test_selecting_and_showing_import_no_torch() -> None:
    code = (
        "import sys, dgbench.selection.quality, dgbench.board.render.files, dgbench.board.render.terminal\n"
        "print([name for name in ('torch', 'torchvision', 'timm', 'kornia') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@settings(max_examples=20, deadline=None)
@given(
    scored=st.lists(st.tuples(st.integers(0, 100), st.integers(0, 300)), min_size=2, max_size=8),
    draws=st.integers(1, 2),
)
def test_the_ceiling_is_never_below_the_selection(scored: list[tuple[int, int]], draws: int) -> None:
    half = len(scored) // draws
    pool = [
        candidate("erm", draw=draw, step=step, clean={"a": source / 100}, on_target=reached / 300)
        for draw in range(draws)
        for step, (source, reached) in enumerate(scored[draw * half : (draw + 1) * half])
    ]
    entry = entries(build(*tables(pool), info(domains=("b",), trials=1, draws=draws)))["erm"]
    considered = scored[: draws * half]
    assert entry.ceiling.mean == max(reached for _, reached in considered) / 300
    assert entry.ceiling.mean >= entry.accuracy.mean
    last = [considered[(draw + 1) * half - 1][1] for draw in range(draws)]
    assert entry.oracle.mean == max(last) / 300


def test_the_oracle_reads_the_last_step_and_may_lie_below_the_selection() -> None:
    pool = [
        candidate("erm", step=step, clean={"a": source}, on_target=reached)
        for step, (source, reached) in enumerate([(0.9, 0.62), (0.8, 0.60)])
    ]
    entry = entries(build(*tables(pool), info(domains=("b",), trials=1)))["erm"]
    assert (entry.accuracy.mean, entry.oracle.mean, entry.ceiling.mean) == (0.62, 0.60, 0.62)


def twins(**of_coral: Any) -> Leaderboard:
    """CORAL predicts as ERM, bit for bit; IRM is far behind."""
    noise = 0.001 * np.random.default_rng(1).standard_normal((4, 2, 4))
    noise[0] = noise[1]
    skills = {"coral": 0.6, "erm": 0.6, "sam": 0.6, "irm": 0.3}
    pool = [
        candidate(
            name,
            target,
            trial,
            clean={"a" if target == "b" else "b": 0.9},
            on_target=skill + noise[which, number, trial],
            digest=f"{target}-{trial}" if name in ("erm", "coral") else "",
            **(of_coral if name == "coral" else {}),
        )
        for which, (name, skill) in enumerate(skills.items())
        for number, target in enumerate("ab")
        for trial in range(4)
    ]
    return build(*tables(pool), info(trials=4, algorithms=tuple(skills)))


def test_algorithms_with_the_same_predictions_are_one_result() -> None:
    made = twins()
    found = entries(made)
    assert {name: entry.same_as for name, entry in found.items()} == {
        "coral": None, "erm": "coral", "sam": None, "irm": None
    }  # fmt: skip
    # three algorithms have the better mean, and two results
    assert {name: entry.rank for name, entry in found.items()} == {"coral": 1, "erm": 1, "sam": 1, "irm": 3}


def test_the_recipe_without_effect_is_named_after_the_other() -> None:
    found = entries(twins(without_effect="the objective 'coral' acts on moving features, which this training has not"))
    assert (found["coral"].same_as, found["erm"].same_as) == ("erm", None)


def test_predictions_that_agree_in_some_cells_are_two_results() -> None:
    pool = [
        candidate(name, target, digest="x" if target == "a" else "", clean={"a" if target == "b" else "b": 0.9})
        for name in ("erm", "sam")
        for target in ("a", "b")
    ]
    assert {entry.same_as for entry in build(*tables(pool), info(trials=1)).entries} == {None}


def test_a_family_held_out_in_one_cell_and_used_in_another_is_no_contamination() -> None:
    shifted = {"blur": {"a": 0.5}, "edges": {"a": 0.4}}
    pool = [candidate("erm", trial=trial, shifted=shifted, trained=["blur"] if trial else []) for trial in range(2)]
    entry = entries(build(*tables(pool), info(domains=("b",), criterion="augmented")))["erm"]
    assert (entry.families, entry.held_out, entry.contaminated) == (("blur", "edges"), ("blur",), ())


FAILED = [
    Failure("irm", "IRM", target, trial, 0, "loss is not finite at step 7") for target in "ab" for trial in (0, 1)
]


def test_what_failed_is_not_what_was_not_run() -> None:
    rules = info(algorithms=("erm", "irm", "sam"))
    made = build(*board({"erm": 0.5}), rules, failed=FAILED)
    assert (made.failed, made.absent) == (tuple(FAILED), ("sam",))


def test_a_board_of_which_everything_failed_says_why() -> None:
    metrics, runs = board({"erm": 0.5})
    with pytest.raises(StoreError, match=r"4 failed, the first of them IRM on target a, trial 0: loss is not finite"):
        build(metrics.clear(), runs.clear(), info(), failed=FAILED)


def test_what_python_shows_of_a_board_is_one_line() -> None:
    made = build(*board({"erm": 0.5, "sam": 0.6}), info())
    assert repr(made) == "<Leaderboard 'toy' by source: algorithms 2 inductive; 8 of 12 runs>"
    for shown in (repr(made), repr(made.tracks[0]), repr(made.tracks)):
        assert "\n" not in shown
        assert len(shown) < 200


def test_another_criterion_of_the_same_records_needs_no_second_judgement() -> None:
    pool = [
        candidate(name, target, trial, 0, step, clean={"s": 0.9 - 0.001 * step}, shifted={"blur": {"s": step / 200}})
        for name in ("erm", "sam", "irm")
        for target in ("a", "b")
        for trial in range(2)
        for step in (50, 100)
    ]
    records = tables(pool)
    own = build(*records, info(criterion="source"))
    alone, after = (build(*records, info(criterion="augmented"), known=known) for known in (None, own))
    assert alone.cells.equals(after.cells)
    assert not alone.cells.equals(own.cells)
    for one, other in zip(alone.tracks, after.tracks, strict=True):
        assert (one.entries, one.pairs) == (other.entries, other.pairs)
        assert [q.regret for q in one.qualities] == [q.regret for q in other.qualities]
