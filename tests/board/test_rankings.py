"""A board by other measures: the same statistics, the right way round, and never a number that is not known."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from board.synthetic import board, info

from dgbench.board.build import build
from dgbench.board.leaderboard import Leaderboard
from dgbench.board.rankings import Ranking, ranking, rankings
from dgbench.board.render import files, html, markdown, measures, text
from dgbench.board.render.measures import caption
from dgbench.core.errors import StoreError
from dgbench.selection.measures import COMPUTED, MEASURES, RULE, headline
from dgbench.selection.records import CANDIDATE
from dgbench.selection.statistics import estimate

SKILLS = {"erm": 0.5, "sam": 0.6, "irm": 0.4}


def made(noise: float = 0.004) -> Leaderboard:
    return build(*board(SKILLS, trials=4, noise=noise), info(trials=4))


def judged(of: Leaderboard) -> pl.DataFrame:
    """Every measure is the accuracy, but the calibration error, which is what lacks to one."""
    cells = of.cells.select(*CANDIDATE, "accuracy")
    columns = {name: pl.col("accuracy") for name in COMPUTED} | {"ece": 1 - pl.col("accuracy")}
    columns |= dict.fromkeys((name for name, one in MEASURES.items() if one.optional), pl.lit(None, pl.Float64))
    return cells.select(*CANDIDATE, **columns)


def names(found: Ranking) -> list[str]:
    return [place.entry.algorithm for place in found.tracks["inductive"]]


def test_a_measure_that_is_accuracy_ranks_as_accuracy_does() -> None:
    of = made()
    for name in ("accuracy", "macro"):
        found = ranking(of, MEASURES[name], judged(of))
        for place, entry in zip(found.tracks["inductive"], of.entries, strict=True):
            assert place.entry == entry
            assert (place.rank, place.rank_worst) == (entry.rank, entry.rank_worst)
            assert place.value == entry.accuracy
            assert place.difference == entry.difference
            assert place.targets == pytest.approx({target: one.mean for target, one in entry.targets.items()})
            assert place.worst(found.measure) == entry.worst


def test_where_less_is_better_the_least_leads_and_the_differences_keep_their_sign() -> None:
    of = made()
    found = ranking(of, MEASURES["ece"], judged(of))
    assert names(found) == ["sam", "erm", "irm"] == [entry.algorithm for entry in of.entries]
    for place, entry in zip(found.tracks["inductive"], of.entries, strict=True):
        assert (place.rank, place.rank_worst) == (entry.rank, entry.rank_worst)
        assert place.value is not None
        assert place.value.mean == pytest.approx(1 - entry.accuracy.mean)
        assert place.worst(found.measure) == entry.worst, "the target with the most error"
    sam = found.tracks["inductive"][0]
    assert sam.difference is not None
    assert sam.difference.mean == pytest.approx(-0.1, abs=0.02)


def test_likelihoods_come_from_the_records_and_have_no_upper_end() -> None:
    of = made()
    found = ranking(of, MEASURES["nll"])
    first = found.tracks["inductive"][0]
    values = of.cells.filter(pl.col("algorithm") == "sam").sort("target", "trial")["nll"].to_numpy().reshape(2, -1)
    assert first.value is not None
    assert first.value.margin == pytest.approx(estimate(values.tolist()).margin)
    large = of.cells.with_columns(nll=100 * pl.col("nll"))
    assert ranking(_with(of, large), MEASURES["nll"]).tracks["inductive"][0].value.high > 1  # type: ignore[union-attr]


def test_intervals_stay_among_the_values_that_there_can_be() -> None:
    """Four trials that scatter widely, near the end of the scale."""
    of = made(noise=0.05)
    table = judged(of).with_columns(ece=pl.Series(np.resize([0.0, 0.6, 0.01, 0.02], of.cells.height)))
    for place in ranking(of, MEASURES["ece"], table).tracks["inductive"]:
        assert place.value is not None
        assert place.value.low == 0
        assert place.value.margin is not None
        assert place.value.mean - place.value.margin < 0


def _with(of: Leaderboard, cells: pl.DataFrame) -> Leaderboard:
    return replace(of, cells=cells)


def test_what_only_classes_are_known_of_has_no_likelihood_and_says_so() -> None:
    of = made()
    sam = pl.col("algorithm") == "sam"
    some = _with(of, of.cells.with_columns(nll=pl.when(~sam).then("nll").otherwise(math.nan)))
    found = ranking(some, MEASURES["nll"])
    assert names(found)[-1] == "sam"
    last = found.tracks["inductive"][-1]
    assert (last.rank, last.value, last.targets) == (None, None, {})
    assert last.lacking == "SAM predicted only classes on a, and no probabilities"
    assert found.tracks["inductive"][0].rank == 1
    assert measures.row(last, found, ["a"])[2:] == ["–"] * 5
    none = _with(of, of.cells.with_columns(nll=pl.lit(math.nan)))
    with pytest.raises(StoreError, match=r"negative log-likelihood is known of no algorithm on 'toy': .* only classes"):
        ranking(none, MEASURES["nll"])


def test_what_predictions_are_not_at_hand_of_is_named_and_the_others_are_ranked() -> None:
    of = made()
    found = rankings(of, judged(of).filter(pl.col("algorithm") != "irm").with_columns(worst_group=None))
    assert set(found.known) == {"macro", "macro_f1", "worst_class", "nll", "ece"}
    assert "belong to no groups of at least 10" in found.refusals["worst_group"]
    last = found.known["macro"].tracks["inductive"][-1]
    assert last.lacking == "the predictions of IRM on a are not at hand"
    assert found.known["macro"].tracks["inductive"][0].rank == 1
    nothing = rankings(of, judged(of).clear())
    assert set(nothing.known) == {"nll"}
    assert "not at hand" in nothing.refusals["ece"]


def test_without_the_reference_there_is_no_difference() -> None:
    of = made()
    found = ranking(of, MEASURES["macro"], judged(of).filter(pl.col("algorithm") != "erm"))
    assert all(place.difference is None for place in found.tracks["inductive"])


def test_the_file_holds_what_was_computed(tmp_path: Path) -> None:
    of = made()
    found = rankings(of, judged(of).with_columns(worst_group=None))
    paths = files.write(of, tmp_path, others=found)
    assert tmp_path / "measures.csv" in paths
    table = pl.read_csv(tmp_path / "measures.csv")
    assert table["metric"].unique(maintain_order=True).to_list() == list(found.known)
    for name, one in found.known.items():
        own = table.filter(pl.col("metric") == name)
        assert own["algorithm"].to_list() == names(one)
        assert own["value"].to_list() == [place.value.mean for place in one.tracks["inductive"] if place.value]
        assert own["rank"].to_list() == [place.rank for place in one.tracks["inductive"]]
    data = measures.as_data(found.known["ece"])
    assert json.loads(json.dumps(data))["entries"][0]["algorithm"] == "sam"
    assert (data["metric"], data["higher_is_better"], data["is_the_rule"]) == ("ece", False, False)


def test_what_is_far_worse_lies_beyond_the_axis_and_squeezes_nobody() -> None:
    """Seven of eight lie close; by a measure that rises the last is far below them, by one that falls far above."""
    skills = {f"m{number}": 0.6 + 0.01 * number for number in range(7)} | {"lost": 0.2}
    names_ = tuple(skills)
    of = build(*board(skills, trials=3, noise=0.003), info(trials=3, algorithms=names_))
    found = json.loads(measures.switched(rankings(of, judged(of)), of))
    for name in ("macro", "ece"):
        rows = dict(found[name]["rows"])
        assert rows["lost"][5] is None
        places = [rows[each][5] for each in names_ if each != "lost"]
        assert None not in places
        assert max(places) - min(places) > 20, "per cent of the axis"
        assert sorted(places, reverse=name == "ece") == places


@pytest.mark.parametrize("judged_by", [{"toy": "macro_f1"}, {"toy": "macro_f1", "other": "accuracy"}])
def test_where_another_measure_ranks_accuracy_is_for_looking(judged_by: dict[str, str]) -> None:
    rule = headline(judged_by)
    of = build(*board(SKILLS, trials=4), replace(info(trials=4), headline=rule))
    found = rankings(of, judged(of).with_columns(accuracy=1 - pl.col("accuracy")))
    assert rule.name not in found.known
    assert names(found.known["accuracy"]) == ["irm", "erm", "sam"], "it comes from predictions, not from the records"
    assert "this board's rule is" in caption(found.known["accuracy"])
    (first, *_) = ranking(of, rule).tracks["inductive"]
    assert first.value == of.entries[0].accuracy
    page = html.render(of, others=found)
    assert re.findall(r'id="by-(\w+)" value="\w+" checked', page) == [rule.name]
    assert page.count('id="by-accuracy"') == 1
    assert files.table(of).columns.count(rule.name) == 1
    assert "accuracy" not in files.table(of).columns
    shown = text.score(of)
    assert f"| {shown} |" in markdown.render(of)
    assert all(word in text.meant(of)[0] for word in (rule.title, rule.description))
    plain = build(*board(SKILLS, trials=4), info(trials=4))
    assert text.meant(plain) == []


def test_datasets_with_several_headlines_say_so() -> None:
    rule = headline({"camelyon17": "accuracy", "iwildcam": "macro_f1", "fmow": "worst_group"})
    said = "camelyon17 by accuracy; iwildcam by macro F1; fmow by accuracy on the worst group"
    assert said in rule.description
    assert headline({"camelyon17": "accuracy", "pacs": "accuracy"}) == RULE
