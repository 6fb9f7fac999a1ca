"""What is kept of predictions, against float64 and plain loops."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from dgbench.core.errors import StoreError
from dgbench.selection.predictions import MOST, PREDICTIONS, TOP, bytes_per_row, check, scores_kept

Kind = Literal["logits", "probabilities"]
Matrix = NDArray[np.float64]
KINDS: tuple[Kind, ...] = ("logits", "probabilities")


def softmax(scores: NDArray[Any]) -> Matrix:
    p: Matrix = np.exp(scores.astype(np.float64) - scores.max(1, keepdims=True))
    return np.asarray(p / p.sum(1, keepdims=True))


def drawn(kind: Kind, classes: int, spread: float = 3.0, n: int = 400) -> tuple[NDArray[np.float32], Matrix]:
    """What a predictor gives, and the probabilities that it stands for."""
    random = spread * np.random.default_rng(classes).standard_normal((n, classes))
    if kind == "logits":
        scores = random.astype(np.float32)
        return scores, softmax(scores)
    scores = (0.7 * softmax(random)).astype(np.float32)  # they need not sum to one
    return scores, np.asarray(scores / scores.sum(1, keepdims=True, dtype=np.float64))


def ece(confidence: Matrix, correct: NDArray[np.bool_]) -> float:
    """Calibration error over 15 bins of one width."""
    bins = np.minimum((confidence * 15).astype(int), 14)
    return float(sum(abs((confidence - correct)[bins == b].sum()) for b in range(15)) / len(bins))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("classes", [2, 7, MOST])
def test_logits_give_what_the_predictor_gave_within_the_stated_bounds(kind: Kind, classes: int) -> None:
    scores, p = drawn(kind, classes)
    prediction, examples = p.argmax(1), np.arange(len(p))
    labels = np.random.default_rng(1).integers(0, classes, len(p))
    kept = scores_kept(scores, prediction, kind)
    logits = kept["logits"].list.to_array(classes).to_numpy().astype(np.float64)
    assert (logits.argmax(1) == prediction).all()
    again = softmax(logits)
    confidence = p[examples, prediction]
    assert (abs(again.max(1) / confidence - 1) <= np.log(classes) / 2000).all()
    nll, nll_again = -np.log(p[examples, labels]), -np.log(again[examples, labels])
    assert abs(nll_again.mean() - nll.mean()) <= (nll.mean() + np.log(classes)) / 2000
    # an example moves by that much, and may leave its bin
    edges = np.arange(1, 15) / 15
    moved = sum((again.max(1) < edge) != (confidence < edge) for edge in edges).mean()
    correct = prediction == labels
    assert abs(ece(again.max(1), correct) - ece(confidence, correct)) <= np.log(classes) / 2000 + 2 * moved
    # the scale that softmax forgets
    given = logits + np.log(confidence)[:, None] + kept["logsumexp"].to_numpy()[:, None]
    wanted = scores if kind == "logits" else np.log(p)
    assert np.allclose(given, wanted, rtol=2e-3, atol=2**-11 * abs(logits).max())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("classes", [MOST + 1, 345])
def test_many_classes_keep_the_first_five_and_the_entropy(kind: Kind, classes: int) -> None:
    scores, p = drawn(kind, classes)
    kept = scores_kept(scores, p.argmax(1), kind)
    assert kept["logits"].null_count() == len(p)
    for row, top, logits in zip(p, kept["top"].to_list(), kept["top_logits"].to_list(), strict=True):
        assert row[top].tolist() == pytest.approx(sorted(row, reverse=True)[:TOP], rel=1e-3)
        assert np.log(row[top] / row.max()) == pytest.approx(logits, rel=2e-3, abs=1e-6)
    assert kept["entropy"].to_numpy() == pytest.approx(-(p * np.log(p)).sum(1), rel=1e-4)


def test_of_many_equal_classes_the_first_from_the_prediction_on_are_kept() -> None:
    scores = np.zeros((1, 200), np.float32)
    scores[0, 150:160] = 1
    kept = scores_kept(scores, np.array([153]), "logits")
    assert kept["top"].to_list() == [[153, 154, 155, 156, 157]]


EXTREME = st.one_of(st.sampled_from([0.0, 1e-30, 1e-9, 1.0, 1 + 1e-7, 3e5, 3e38]), st.floats(0, 5e4, width=32))


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_scores_of_any_size_and_ties_are_kept_as_numbers(kind: Kind, data: st.DataObject) -> None:
    classes = data.draw(st.sampled_from([2, 6, 101]))
    scores = data.draw(hnp.arrays(np.float32, (3, classes), elements=EXTREME.map(np.float32)))
    if kind == "probabilities":
        scores = np.minimum(scores, np.float32(1))
        scores[:, 1] += np.float32(0.5)
    prediction = scores.argmax(1)
    kept = scores_kept(scores, prediction, kind)
    values = np.array((kept["logits"] if classes <= MOST else kept["top_logits"]).to_list())
    assert np.isfinite(values).all()
    assert values.max(1).tolist() == [0, 0, 0]
    best = values.argmax(1) if classes <= MOST else kept["top"].list.first().to_numpy()
    assert (best == prediction).all()
    check(table(scores, prediction, kind), classes)


def table(scores: NDArray[np.float32], prediction: NDArray[np.int64], kind: Kind, view: str = "clean") -> pl.DataFrame:
    n = len(scores)
    rest = scores_kept(scores, prediction, kind)
    if view != "clean":
        rest = rest.clear(n)
    frame = pl.DataFrame(
        {
            "step": [5] * n, "split": ["validation"] * n, "domain": ["a"] * n, "view": [view] * n, "index": range(n),
            "sample": [f"{i:016x}" for i in range(n)], "group": [None] * n, "label": [0] * n, "prediction": prediction,
            "confidence": [0.5] * n, "p_label": [0.25] * n,
        }
    )  # fmt: skip
    return frame.hstack(rest).cast(PREDICTIONS)


def tables(classes: int) -> pl.DataFrame:
    scores = drawn("logits", classes, n=4)[0]
    return pl.concat([table(scores, scores.argmax(1), "logits", view) for view in ("clean", "blur")])


FULL, COMPACT = tables(7), tables(345)
CLEAN = pl.col("view") == "clean"


@pytest.mark.parametrize(("good", "classes"), [(FULL, 7), (COMPACT, 345), (FULL.clear(), 7)])
def test_good_predictions_pass_and_travel_through_a_file(good: pl.DataFrame, classes: int, tmp_path: Path) -> None:
    check(good, classes)
    good.write_parquet(tmp_path / "predictions.parquet")
    again = pl.read_parquet(tmp_path / "predictions.parquet")
    assert again.schema == PREDICTIONS
    assert again.equals(good)


def spoilt(name: str, value: Any, good: pl.DataFrame = FULL, where: pl.Expr = CLEAN) -> pl.DataFrame:
    literal = pl.lit(value, PREDICTIONS[name])
    return good.with_columns(pl.when(where).then(literal).otherwise(name).alias(name))


@pytest.mark.parametrize(
    ("message", "classes", "bad"),
    [
        ("group must be Int64", 7, FULL.drop("group")),
        (r"logits must be List\(Float16\)", 7, FULL.with_columns(pl.col("logits").cast(pl.List(pl.Float32)))),
        ("a value is missing in 4 rows", 7, spoilt("label", None)),
        ("none of 'validation', 'target' and 'again' in 4 rows", 7, spoilt("split", "test")),
        ("not 16 hexadecimal digits", 7, spoilt("sample", "photo/dog/1.jpg")),
        ("there twice in 16 rows", 7, pl.concat([FULL, FULL])),
        ("a class is not in 0 to 6", 7, spoilt("label", 7)),
        ("a class is not in 0 to 6", 7, spoilt("prediction", -1)),
        (r"no number in \[0, 1\]", 7, spoilt("confidence", 1.5)),
        (r"no number in \[0, 1\]", 7, spoilt("p_label", float("nan"))),
        ("lacks scores", 7, spoilt("logits", None)),
        ("lacks scores", 7, spoilt("logsumexp", None)),
        ("lacks scores", 345, spoilt("entropy", None, COMPACT)),
        ("of a shifted view in 4 rows", 7, spoilt("logsumexp", 1.0, where=~CLEAN)),
        ("345 classes have scores in", 345, FULL),
        ("7 classes have scores in", 7, spoilt("entropy", 1.0)),
        ("not 7 scores", 7, spoilt("logits", [0.0, -1.0])),
        ("not 7 scores", 7, spoilt("logits", [0.0, *[-1.0] * 5, None])),
        ("not 5 scores", 345, spoilt("top", [1, 2], COMPACT)),
        ("a score is no number", 7, spoilt("logits", [0.0, *[-1.0] * 5, float("nan")])),
        ("a score is no number", 7, spoilt("logits", [0.0, *[-1.0] * 5, float("-inf")])),
        ("a score is no number", 7, spoilt("logsumexp", float("inf"))),
        ("the largest logit is not 0", 7, spoilt("logits", [-1.0] * 7)),
        ("is not the prediction's", 7, spoilt("prediction", 1, spoilt("logits", [0.0] * 7))),
        ("is not the prediction's", 345, spoilt("top", [-1] * 5, COMPACT)),
    ],
)  # fmt: skip
def test_faulty_predictions_are_refused(message: str, classes: int, bad: pl.DataFrame) -> None:
    with pytest.raises(StoreError, match=message):
        check(bad, classes)


@pytest.mark.parametrize("classes", [7, 31, MOST, 345])
@pytest.mark.parametrize("view", ["clean", "blur"])
def test_the_stated_size_of_a_row_is_about_what_is_written(classes: int, view: str, tmp_path: Path) -> None:
    random, n = np.random.default_rng(2), 4000
    samples = [random.bytes(8).hex() for _ in range(n)]
    label = random.integers(0, classes, n)
    parts = []
    for number in range(1 if view == "clean" else 10):  # families show the same examples
        scores = (3 * random.standard_normal((n, classes))).astype(np.float32)
        scores[np.arange(n), label] += 6
        p = softmax(scores)
        columns = {"label": label, "confidence": p.max(1), "p_label": p[np.arange(n), label]}
        part = table(scores, p.argmax(1), "logits", view).with_columns(
            pl.lit(f"{view}{number or ''}").alias("view"),
            pl.Series("sample", samples),
            *(pl.Series(name, values).cast(PREDICTIONS[name]) for name, values in columns.items()),
        )
        parts.append(part)
    made = pl.concat(parts)
    made.write_parquet(tmp_path / "predictions.parquet", compression="zstd")
    size = (tmp_path / "predictions.parquet").stat().st_size / made.height
    assert size == pytest.approx(bytes_per_row(classes, view == "clean"), rel=0.2)


def entropy(p: Matrix) -> Matrix:
    return np.asarray(-(p * np.log(p)).sum(1))


def estimated(confidence: Matrix, on_source: Matrix, correct: NDArray[np.bool_], on_target: Matrix) -> dict[str, float]:
    """Guesses at the accuracy on a target without its labels: average confidence, and ATC by negative entropy."""
    threshold = np.quantile(-entropy(on_source), 1 - correct.mean())
    return {"average confidence": confidence.mean(), "ATC": (-entropy(on_target) >= threshold).mean()}


def nuclear_norm(p: Matrix) -> float:
    return float(np.linalg.svd(p, compute_uv=False).sum() / np.sqrt(min(p.shape) * len(p)))


def test_criteria_without_labels_come_out_of_what_is_stored() -> None:
    """The same from float64 probabilities and from the table."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 7, (2, 3000))
    scores = (3 * random.standard_normal((2, 3000, 7))).astype(np.float32)
    scores[0, np.arange(3000), labels[0]] += 6
    scores[1, np.arange(3000), labels[1]] += 3
    source, target = (softmax(each) for each in scores)
    kept = [scores_kept(each, each.argmax(1), "logits")["logits"].list.to_array(7).to_numpy() for each in scores]
    again = [softmax(logits) for logits in kept]
    correct = source.argmax(1) == labels[0]
    wanted = estimated(target.max(1), source, correct, target)
    found = estimated(again[1].max(1), again[0], correct, again[1])
    assert found["average confidence"] == pytest.approx(wanted["average confidence"], rel=np.log(7) / 2000)
    assert found["ATC"] == pytest.approx(wanted["ATC"], abs=2e-3)
    assert 0.5 < wanted["ATC"] < 0.9
    assert nuclear_norm(again[1]) == pytest.approx(nuclear_norm(target), rel=1e-3)


def test_of_many_classes_the_nuclear_norm_is_seen_up_to_the_mass_of_the_five() -> None:
    scores, p = drawn("logits", 200, spread=4, n=300)
    kept = scores_kept(scores, p.argmax(1), "logits")
    five = np.zeros_like(p)
    top = np.array(kept["top"].to_list())
    np.put_along_axis(five, top, np.exp(np.array(kept["top_logits"].to_list())) * p.max(1, keepdims=True), 1)
    assert nuclear_norm(five) == pytest.approx(nuclear_norm(p), abs=np.linalg.norm(p - five) / np.sqrt(len(p)))
    assert entropy(p) == pytest.approx(kept["entropy"].to_numpy(), rel=1e-4)
