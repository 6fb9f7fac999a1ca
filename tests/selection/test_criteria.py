from __future__ import annotations

import math
import re
import statistics
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from board.synthetic import FAMILIES, candidate, tables

from dgbench.core.errors import RecipeError, StoreError, UnknownNameError
from dgbench.core.judges import BY, KINDS
from dgbench.selection.criteria import CRITERIA, NEEDS, Criterion, at_hand, choose, get, ranking, scores
from dgbench.selection.records import CANDIDATE, INDICATED, INDICATORS, WEIGHED, Indicators


def indicators(metrics: pl.DataFrame) -> Indicators:
    """Of each candidate, an indicator for each of its draw, step and trial."""
    whose = metrics.select(CANDIDATE).unique()
    number = (pl.col("draw") * 7 + pl.col("step") * 3 + pl.col("trial") * 5) % 11 / 11
    return lambda: whose.with_columns(number.alias(name) for name in (*INDICATED, *WEIGHED))


def only_score(criterion: str, *candidates: Any) -> float:
    scored = scores(*tables(candidates), get(criterion))
    assert scored.height == 1
    return float(scored["score"][0])


def chosen(criterion: str, *candidates: Any) -> tuple[int, int]:
    """Draw and step that win the only cell."""
    return choose(*tables(candidates), get(criterion)).select("draw", "step").row(0)


ONE = candidate(
    "erm",
    clean={"a": 0.9, "c": 0.8},
    shifted={"blur": {"a": 0.6, "c": 0.4}, "edges": {"a": 0.2, "c": 0.1}, "weather": {"a": 0.7, "c": 0.9}},
    on_target=0.35,
    trained=["weather"],
    judged={"folds": {"blur": {"a": 0.6, "c": 0.4}, "edges": {"a": 0.2, "c": 0.1}, "weather": {"a": 0.3, "c": 0.5}}}
    | {"domains": {"clean": {"a": 0.55, "c": 0.15}}},
)


@pytest.mark.parametrize(
    ("criterion", "expected"),
    [
        ("source", (0.9 + 0.8) / 2),
        ("source_nll", -(0.1 + 0.2) / 2),
        ("augmented", ((0.6 + 0.2) / 2 + (0.4 + 0.1) / 2) / 2),
        ("augmented_all", ((0.6 + 0.2 + 0.7) / 3 + (0.4 + 0.1 + 0.9) / 3) / 2),
        ("source_worst", 0.8),
        ("augmented_worst", (0.2 + 0.1) / 2),
        ("augmented_logit", sum(math.log(a / (1 - a)) for a in (0.6, 0.2, 0.4, 0.1)) / 4),
        ("augmented_no_edges", (0.6 + 0.4) / 2),
        ("lodo", (0.55 + 0.15) / 2),
        ("lodo_last", (0.55 + 0.15) / 2),
        ("kfold", ((0.6 + 0.2 + 0.3) / 3 + (0.4 + 0.1 + 0.5) / 3) / 2),
        ("oracle", 0.35),
    ],
)
def test_scores_by_hand(criterion: str, expected: float) -> None:
    assert only_score(criterion, ONE) == pytest.approx(expected, abs=1e-12)


def test_the_views_that_were_used_are_told() -> None:
    records = tables([ONE])
    assert scores(*records, get("augmented"))["views"].to_list() == [["blur", "edges"]]
    assert scores(*records, get("source"))["views"].to_list() == [["clean"]]


def test_a_constant_classifier_scores_the_class_prior() -> None:
    # it is right on every image of its class, whatever happened to the image
    prior = {"a": 0.1, "c": 0.3}
    constant = candidate("constant", clean=prior, shifted=dict.fromkeys(FAMILIES, prior))
    assert only_score("augmented", constant) == pytest.approx(0.2)
    assert only_score("source", constant) == pytest.approx(0.2)


def test_none_and_all_count_as_half_an_image() -> None:
    """There are 100 images in each stream, so right to wrong is at most 199 to 1."""
    extremes = candidate("erm", shifted={"blur": {"a": 1.0}, "weather": {"a": 1.0}, "color": {"a": 0.0}})
    assert only_score("augmented_logit", extremes) == pytest.approx(math.log(199) / 3)


def test_the_worst_is_no_number_where_one_is_none() -> None:
    unknown = candidate("erm", clean={"a": 0.9, "c": math.nan}, shifted={"blur": {"a": math.nan, "c": 0.9}})
    assert math.isnan(only_score("source_worst", unknown))
    assert math.isnan(only_score("augmented_worst", unknown))


def test_without_edges_there_must_be_another_family() -> None:
    with pytest.raises(StoreError, match=r"hold only the views clean, edges"):
        choose(*tables([candidate("erm", shifted={"edges": {"a": 0.5}})]), get("augmented_no_edges"))


def test_renaming_the_families_leaves_the_score() -> None:
    values = {family: {"a": 0.05 * i, "c": 0.03 * i} for i, family in enumerate(FAMILIES)}
    renamed = dict(zip(reversed(FAMILIES), values.values(), strict=True))
    first, second = (only_score("augmented", candidate("erm", shifted=v)) for v in (values, renamed))
    assert first == second


def test_the_order_of_the_records_changes_nothing() -> None:
    shifted = [{family: {"a": 0.1 * d} for family in FAMILIES} for d in range(4)]
    random = [
        candidate("erm", draw=d, shifted=views, judged=dict.fromkeys(KINDS, views | {"clean": {"a": 0.1 * d}}))
        for d, views in enumerate(shifted)
    ]
    metrics, runs = tables(random)
    read = indicators(metrics)
    for name in CRITERIA:
        shuffled = metrics.sample(fraction=1, shuffle=True, seed=1), runs.reverse()
        assert choose(*shuffled, get(name), lambda: read().reverse()).equals(choose(metrics, runs, get(name), read))


def test_strict_holds_out_what_any_candidate_of_the_cell_trained_with() -> None:
    shifted = {"blur": {"a": 0.6}, "edges": {"a": 0.2}}
    plain, taught = (candidate("erm", draw=d, shifted=shifted, trained=t) for d, t in ((0, []), (1, ["edges"])))
    assert scores(*tables([plain, taught]), get("augmented"))["views"].to_list() == [["blur"], ["blur"]]
    # but what another algorithm trained with is its own affair
    other = candidate("sam", shifted=shifted, trained=["blur"])
    by_algorithm = scores(*tables([plain, other]), get("augmented"))
    assert dict(by_algorithm.select("algorithm", "views").iter_rows()) == {"erm": ["blur", "edges"], "sam": ["edges"]}
    # unless their scores are to be compared with each other
    compared = scores(*tables([plain, other]), get("augmented"), within=("target", "trial"))
    assert compared["views"].to_list() == [["edges"], ["edges"]]


def test_strict_refuses_when_training_used_every_family() -> None:
    everything = candidate("erm", shifted={"blur": {"a": 0.5}, "edges": {"a": 0.5}}, trained=FAMILIES)
    with pytest.raises(RecipeError, match=r"no shift family left for 'erm'.*Keep a family out of the sampler"):
        choose(*tables([everything]), get("augmented"))
    assert only_score("augmented_all", everything) == 0.5


@pytest.mark.parametrize(
    "name", [name for name, one in CRITERIA.items() if "shifted images" in one.needs and not one.judges]
)
def test_missing_views_are_reported(name: str) -> None:
    with pytest.raises(StoreError, match="evaluate the missing views"):
        choose(*tables([candidate("erm")]), get(name))


@pytest.mark.parametrize("name", [name for name, criterion in CRITERIA.items() if criterion.judges])
def test_what_needs_judges_refuses_candidates_without_and_is_looked_at_where_they_are(name: str) -> None:
    kind = get(name).judges
    assert kind
    judged = candidate("erm", draw=0, judged={str(kind): {"blur": {"a": 0.3}, "clean": {"a": 0.3}}})
    assert get(name) in at_hand(tables([judged])[0])
    for unjudged in (candidate("erm", draw=1), candidate("sam")):
        with pytest.raises(StoreError, match=rf"'{name}' judges by {BY[kind]}, and there are none for"):
            choose(*tables([judged, unjudged]), get(name))
    assert [one.name for one in at_hand(tables([candidate("erm")])[0])] == [
        name for name, one in CRITERIA.items() if not one.judges
    ]


def test_of_two_steps_only_the_last_is_a_candidate_where_hyperparameters_alone_are_chosen() -> None:
    pool = [
        candidate("erm", draw=draw, step=step, judged={"domains": {"clean": {"a": value}}})
        for draw, step, value in ((0, 1, 0.9), (0, 2, 0.4), (1, 1, 0.3), (1, 2, 0.5))
    ]
    assert chosen("lodo", *pool) == (0, 1)
    assert chosen("lodo_last", *pool) == (1, 2)


def test_families_that_training_used_are_refused_by_name_whatever_the_form() -> None:
    """All were held out; with judges of their own there is nothing to refuse."""
    families = {"blur": {"a": 0.3}, "edges": {"a": 0.5}}
    taught = candidate("erm", shifted=families, trained=families, judged={"folds": families})
    strict = [name for name, one in CRITERIA.items() if name.startswith("augmented") and name != "augmented_all"]
    assert len(strict) == 4
    for name in strict:
        with pytest.raises(RecipeError, match="its candidates trained with blur, edges, and only blur, edges were"):
            choose(*tables([taught]), get(name))
    assert only_score("kfold", taught) == 0.4


@pytest.mark.parametrize("name", [name for name, criterion in CRITERIA.items() if "predictions" in criterion.needs])
def test_without_single_predictions_what_needs_them_refuses(name: str) -> None:
    metrics, runs = tables([candidate("erm"), candidate("sam")])
    with pytest.raises(
        StoreError, match=rf"'{name}' is computed from single predictions, and those of 'erm' \(target b"
    ):
        choose(metrics, runs, get(name))
    known = indicators(metrics)()
    half = known.filter(algorithm="erm")
    with pytest.raises(StoreError, match="those of 'sam'"):
        choose(metrics, runs, get(name), lambda: half)
    unknown = known.with_columns(pl.lit(None, pl.Float64).alias(one) for one in INDICATED)
    with pytest.raises(StoreError, match=rf"'{name}' is not known of 'erm' \(target b\): {get(name).lacking}"):
        choose(metrics, runs, get(name), lambda: unknown)


def test_the_score_is_the_indicator_and_less_error_is_better() -> None:
    metrics, runs = tables([candidate("erm", draw=draw) for draw in range(2)])
    read = indicators(metrics)
    values = dict(read().select("draw", "atc").iter_rows())
    assert dict(
        scores(metrics, runs, get("atc"), indicators=read).select("draw", "score").iter_rows()
    ) == pytest.approx(values)
    worse = max(values, key=lambda draw: values[draw])
    assert choose(metrics, runs, get("atc"), read)["draw"].item() == worse
    assert choose(metrics, runs, get("calibration"), read)["draw"].item() != worse


WEIGHTS = {"weights": {"clean": {"a": 0.5}}}


def weighed(discrepancies: list[float], risks: list[float]) -> tuple[pl.DataFrame, pl.DataFrame, Indicators]:
    """Draws with these; the toy's risk is one minus accuracy."""
    pool = [candidate("erm", draw=d, clean={"a": 1 - risk}, judged=WEIGHTS) for d, risk in enumerate(risks)]
    whose = tables(pool)[0].select(CANDIDATE).unique().sort("draw")
    known = pl.concat([INDICATORS.to_frame(), whose.with_columns(discrepancy=pl.Series(discrepancies))], how="diagonal")
    return *tables(pool), lambda: known


def test_risk_and_discrepancy_count_alike_whatever_their_units() -> None:
    risks, apart = [0.2, 0.3, 0.7], [0.05, 0.01, 0.03]
    found = scores(*weighed(apart, risks)[:2], get("risk_discrepancy"), indicators=weighed(apart, risks)[2])
    spread = [statistics.pstdev(risks), statistics.pstdev(apart)]
    expected = [
        -(risk - statistics.fmean(risks)) / spread[0] - (far - statistics.fmean(apart)) / spread[1]
        for risk, far in zip(risks, apart, strict=True)
    ]
    assert found["score"].to_list() == pytest.approx(expected, abs=1e-12)
    assert expected[1] == max(expected), "neither the least risk nor the largest discrepancy"
    grown = weighed([1000 * far - 7 for far in apart], risks)
    other = scores(*grown[:2], get("risk_discrepancy"), indicators=grown[2])
    assert other["score"].to_list() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("apart", "best"), [([0.3, 0.3, 0.3], 0), ([math.nan, 0.3, 0.3], 1), ([0.0, 9.0, 9.0], 0)])
def test_what_is_the_same_of_all_says_nothing_and_what_is_no_number_never_wins(apart: list[float], best: int) -> None:
    metrics, runs, read = weighed(apart, [0.2, 0.3, 0.7])
    assert choose(metrics, runs, get("risk_discrepancy"), read)["draw"].item() == best


def test_candidates_are_put_in_one_measure_with_those_that_they_are_compared_with() -> None:
    """A cell of one candidate has no spread; with those of another algorithm there is one."""
    pool = [candidate(name, clean={"a": right}, judged=WEIGHTS) for name, right in (("erm", 0.5), ("sam", 0.7))]
    metrics, runs = tables(pool)
    whose = metrics.select(CANDIDATE).unique().sort("algorithm")
    known = whose.with_columns(flatness=pl.lit(-1.0), discrepancy=pl.Series([0.1, 0.1]))
    for within, expected in ((("algorithm", "target", "trial"), [0, 0]), (("target", "trial"), [-1, 1])):
        found = scores(metrics, runs, get("risk_discrepancy"), within, lambda: known)
        assert found["score"].to_list() == expected


def test_a_candidate_of_whose_weights_nothing_is_known_is_refused() -> None:
    metrics, runs, read = weighed([0.1, 0.2], [0.2, 0.3])
    with pytest.raises(StoreError, match=r"'flatness' is not known of 'erm' \(target b\): its loss has no gradient"):
        choose(metrics, runs, get("flatness"), read)


@pytest.mark.parametrize("name", CRITERIA)
def test_what_sees_the_target_never_ranks(name: str) -> None:
    if get(name).ranks:
        assert ranking(name, "toy") == get(name)
    else:
        seen = "reads target labels" if get(name).uses_target else "looks at images of the target"
        with pytest.raises(RecipeError, match=f"{seen} and may not rank; choose one of source, source_nll"):
            ranking(name, "toy")


def test_the_page_on_choosing_has_every_criterion_under_its_mark() -> None:
    page = Path(__file__).parents[2].joinpath("docs", "compare.md").read_text(encoding="utf-8")
    found = re.findall(r"^\| `(\w+)` ?([°*]?) \|", page, re.MULTILINE)
    marks = {n: "*" if c.uses_target else "°" if c.uses_unlabelled_target else "" for n, c in CRITERIA.items()}
    assert {name: mark for name, mark in found if name in CRITERIA} == marks


@pytest.mark.parametrize("name", CRITERIA)
def test_every_need_is_explained(name: str) -> None:
    assert set(CRITERIA[name].needs) <= set(NEEDS)
    assert CRITERIA[name].needs


def test_candidates_on_different_streams_are_not_compared() -> None:
    full = candidate("erm", draw=0, clean={"a": 0.5, "c": 0.5})
    half = candidate("erm", draw=1, clean={"a": 0.9}, sources=["a", "c"])
    with pytest.raises(StoreError, match="different streams: run erm-b-0-1 has 1 of 2"):
        choose(*tables([full, half]), get("source"))


def test_a_candidate_without_any_of_the_streams_that_the_others_have_is_not_left_out() -> None:
    seen = candidate("erm", draw=0, clean={"a": 0.8}, shifted={"blur": {"a": 0.5}})
    unseen = candidate("erm", draw=1, clean={"a": 0.9}, shifted={})
    with pytest.raises(StoreError, match="different streams: run erm-b-0-1 has 0 of 1; evaluate it again"):
        choose(*tables([seen, unseen]), get("augmented"))
    assert chosen("source", seen, unseen) == (1, 100)


def test_the_best_score_wins() -> None:
    pool = [
        candidate("erm", draw=d, step=s, clean={"a": 0.5 + 0.1 * (d == 1) + 0.01 * s})
        for d in (0, 1, 2)
        for s in (1, 2)
    ]
    assert chosen("source", *pool) == (1, 2)


def test_ties_go_to_the_earliest_step_then_to_the_lowest_draw() -> None:
    pool = [candidate("erm", draw=d, step=s) for d, s in ((2, 100), (1, 50), (0, 100), (2, 50))]
    assert chosen("source", *pool) == (1, 50)


def test_rounding_noise_breaks_no_tie() -> None:
    later = candidate("erm", step=2, clean={"a": 0.1 + 0.2})
    earlier = candidate("erm", step=1, clean={"a": 0.3})
    assert 0.1 + 0.2 > 0.3
    assert chosen("source", later, earlier) == (0, 1)


def test_not_a_number_never_wins() -> None:
    broken = candidate("erm", draw=0, clean={"a": math.nan})
    poor = candidate("erm", draw=1, clean={"a": 0.01})
    assert chosen("source", broken, poor) == (1, 100)
    assert choose(*tables([broken]), get("source")).is_empty()


def test_the_oracle_looks_once_at_the_last_step() -> None:
    # step 1 is better on the target, but is not asked for; draw 1 ends earlier than draw 0
    pool = [
        candidate("erm", draw=0, step=1, on_target=0.9),
        candidate("erm", draw=0, step=2, on_target=0.4),
        candidate("erm", draw=1, step=1, on_target=0.6),
    ]
    assert chosen("oracle", *pool) == (1, 1)


@pytest.mark.parametrize("name", [name for name, criterion in CRITERIA.items() if criterion.ranks])
def test_no_honest_criterion_reads_the_target(name: str) -> None:
    pool = [
        candidate(
            "erm",
            draw=d,
            clean={"a": 0.5 + 0.1 * d},
            shifted={"blur": {"a": 0.6 - 0.1 * d}},
            judged={kind: {"blur": {"a": 0.7 - 0.1 * d}, "clean": {"a": 0.7 - 0.1 * d}} for kind in KINDS},
            on_target=0.3 * d,
        )
        for d in range(3)
    ]
    metrics, runs = tables(pool)
    read = indicators(metrics)
    honest = choose(metrics, runs, get(name), read)
    on_target = pl.col("split") == "target"
    turned = metrics.with_columns(
        accuracy=pl.when(on_target).then(1 - pl.col("accuracy")).otherwise(pl.col("accuracy"))
    )
    assert choose(turned, runs, get(name), read).equals(honest)
    assert choose(metrics.filter(~on_target), runs, get(name), read).equals(honest)
    # the same change does move the oracle, so the test can fail
    assert not choose(turned, runs, get("oracle")).equals(choose(metrics, runs, get("oracle")))


def test_a_criterion_that_reaches_for_the_target_finds_nothing() -> None:
    sly = Criterion("sly", "sly", "", keep=pl.col("split") == "target")
    with pytest.raises(StoreError, match="nothing to score"):
        choose(*tables([ONE]), sly)


def test_the_oracle_is_at_least_as_good_as_any_choice_from_the_same_pool() -> None:
    pool = [
        candidate(
            "erm",
            trial=trial,
            draw=draw,
            clean={"a": (7 * draw + trial) % 5 / 5},
            shifted={"blur": {"a": draw % 3 / 3}},
            judged={kind: {view: {"a": draw % 4 / 4} for view in ("blur", "clean")} for kind in KINDS},
            on_target=(3 * draw + trial) % 7 / 7,
        )
        for trial in range(3)
        for draw in range(6)
    ]
    metrics, runs = tables(pool)
    truth = metrics.filter(pl.col("split") == "target").select(*CANDIDATE, "accuracy")
    best = choose(metrics, runs, get("oracle")).join(truth, on=CANDIDATE).sort("trial")["accuracy"]
    for name in CRITERIA:
        reached = (
            choose(metrics, runs, get(name), indicators(metrics)).join(truth, on=CANDIDATE).sort("trial")["accuracy"]
        )
        assert (best >= reached).all()


def test_an_unknown_criterion_is_named_with_the_closest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'augmented'"):
        get("augmentd")


def test_without_likelihoods_only_the_criteria_that_need_them_refuse() -> None:
    """Of classes alone the accuracy is known; a criterion of likelihoods passes over no such method in silence."""
    metrics, runs = tables([candidate("erm", target, clean={"a": 0.9}) for target in ("b", "c")])
    classes = metrics.with_columns(nll=pl.lit(math.nan))
    assert choose(classes, runs, get("source")).equals(choose(metrics, runs, get("source")))
    with pytest.raises(
        StoreError, match=r"'source_nll' scores by likelihoods, and of 'erm' \(target b\) they are not known"
    ):
        choose(classes, runs, get("source_nll"))
