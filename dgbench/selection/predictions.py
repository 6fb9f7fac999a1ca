"""What a run keeps of every example that it predicts: the columns of ``predictions.parquet``, and how they are made.

Every score and every criterion is a function of this table; no network is needed. Nothing here imports torch.

**Scores.** The clean images of source validation and of the target keep the scores of all classes, as

    logit_c = s_c - s_prediction        s: what the predictor gave, or the logarithm of it where it gave probabilities

so the prediction has logit 0, no class has more, and softmax turns them into the stored confidence, whatever the
predictor. ``logit_c + log(confidence)`` is a log-probability; ``+ logsumexp`` gives back s. The largest is taken away
before rounding, since float16 is the finer the nearer a number is to 0. What is lost, for C classes: 2^-11 of a logit
(2^-24 near 0), log(C) / 2000 of a confidence that is computed from them, and of a mean negative log-likelihood nll
(nll + log(C)) / 2000. So ``prediction``, ``confidence`` and ``p_label`` stay the truth. The prediction is the first of
the largest logits: of classes that rounding makes its equals, those before it are put 2^-24 lower. A gap of more than
65,504 counts as that, a probability below 1e-38 as that.

**Values.** Where a value is predicted, ``label`` and ``prediction`` are values, in the unit of the data, and there are
no probabilities and no scores: :data:`VALUES`.

**Many classes.** Beyond a hundred classes the five largest logits are kept with their classes, and the entropy, which
they do not give. What needs the whole matrix of probabilities, as its nuclear norm does, then sees it up to the mass
that the five have.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dgbench.core.errors import StoreError
from dgbench.selection.records import refuse_faults

PREDICTIONS = pl.Schema(
    {
        "step": pl.Int32(),
        "split": pl.String(),
        "domain": pl.String(),
        "view": pl.String(),
        "index": pl.Int32(),
        "sample": pl.String(),
        "group": pl.Int64(),
        "label": pl.Int16(),
        "prediction": pl.Int16(),
        "confidence": pl.Float32(),
        "p_label": pl.Float32(),
        "logsumexp": pl.Float32(),
        "logits": pl.List(pl.Float16()),
        "entropy": pl.Float32(),
        "top": pl.List(pl.Int16()),
        "top_logits": pl.List(pl.Float16()),
    }
)
"""One row for each example, view and candidate.

``step`` is the candidate's checkpoint. ``split`` is ``validation`` (held-out images of the source domains), ``target``,
or, in submissions of other code, ``again`` (the target, seen in another order); ``domain`` is a domain of the dataset,
``view`` is ``clean`` or the shift family that the image went through. ``index`` is the example's row in its domain.
``sample`` names it wherever the data lies (``dgbench.data.samples``): 16 hexadecimal digits, unique in a domain.
``group`` is the number of its group, null where the dataset has none; where the dataset's card has official groups, the
place of one of these. ``label`` and ``prediction`` are class numbers,
``confidence`` and ``p_label`` the probabilities of these two, in [0, 1]; both are null in a whole stream of which only
classes are known, as methods of other code bases may predict them.

Of clean views alone, and where probabilities are known, null elsewhere: ``logsumexp`` of the predictor's scores, in
nats (0 where it gave probabilities); with at most :data:`MOST` classes ``logits``, one for each class in the order of
their numbers, at most 0 (``table["logits"].list.to_array(C).to_numpy()`` is a matrix ``[n, C]``); with more of them
``top``, the :data:`TOP` most probable classes, the prediction first, ``top_logits`` of these, and the ``entropy`` of
all, in nats.

Rows are ordered by step, then as the streams were predicted, then by ``index``. Predictors saw a stream in another
order, which the training's seed draws.
"""

VALUES = pl.Schema({**PREDICTIONS, "label": pl.Float64(), "prediction": pl.Float64()})
"""The same where values are predicted: ``confidence``, ``p_label`` and what follows them are null."""

STREAM = ("step", "split", "domain", "view")
"""One set of examples that was predicted in one go."""
AGAIN = "again"
"""The split of a target that was seen in another order. It gives no score; it is compared with the target."""
MOST = 100
"""Classes up to which all logits are kept."""
TOP = 5
"""How many are kept beyond."""

_ROWS = 8192
"""Examples whose scores are worked on at once."""
_LOWEST = float(np.finfo(np.float16).min)
_STEP = float(np.finfo(np.float16).smallest_subnormal)
_IN_FULL = ("logsumexp", "logits")
_COMPACT = ("logsumexp", "entropy", "top", "top_logits")
_SCORES = ("logsumexp", "logits", "entropy", "top", "top_logits")
_CHANCES = ("confidence", "p_label")
_DIGESTED = ("index", "prediction", "confidence")

Scores = NDArray[np.float32]


def bytes_per_row(classes: int, logits: bool) -> float:
    """About how many bytes a row takes on disk.

    Args:
        classes: Of the dataset; 0 where a value is predicted.
        logits: Whether its view is clean, so that scores are kept. The name of an example takes 9 of its bytes, which
            rows of further candidates save.
    """
    if not logits:
        return 9.0
    return 25.5 + (1.5 * classes if classes <= MOST else 18.0)


def scores_kept(
    scores: Scores, prediction: NDArray[np.int64], kind: Literal["logits", "probabilities"]
) -> pl.DataFrame:
    """The columns ``logsumexp``, ``logits``, ``entropy``, ``top`` and ``top_logits`` of some examples.

    Args:
        scores: What the predictor gave, ``[n, C]``; probabilities need not sum to one.
        prediction: The classes that were predicted, ``[n]``.
        kind: What the scores are.
    """
    starts = range(0, max(len(scores), 1), _ROWS)
    parts = [_kept(scores[i : i + _ROWS], prediction[i : i + _ROWS], kind) for i in starts]
    return pl.DataFrame([_column(name, [part[name] for part in parts], len(scores)) for name in _SCORES])


def _column(name: str, parts: Sequence[NDArray[Any] | None], count: int) -> pl.Series:
    """Built one by one: to cast a whole table takes ten times as long as to compute what is in it."""
    there = [part for part in parts if part is not None]
    if not there:
        return pl.Series(name, [None], PREDICTIONS[name]).new_from_index(0, count)
    return pl.Series(name, np.concatenate(there)).cast(PREDICTIONS[name])


def _kept(
    scores: Scores, prediction: NDArray[np.int64], kind: Literal["logits", "probabilities"]
) -> dict[str, NDArray[Any] | None]:
    examples, classes = np.arange(len(scores)), scores.shape[1]
    if kind == "probabilities":
        scores = np.log(np.maximum(scores / scores.sum(1, keepdims=True), np.finfo(np.float32).tiny))
    highest = scores[examples, prediction]
    # Probabilities may tie, and the first of them be predicted, where scores do not quite.
    logits = np.clip(scores - highest[:, None], _LOWEST, 0)
    weights = np.exp(logits)
    total = weights.sum(1)
    rounded = logits.astype(np.float16)
    rounded[(rounded == 0) & (np.arange(classes) < prediction[:, None])] = -_STEP
    logsumexp = highest + np.log(total) if kind == "logits" else np.zeros_like(highest)
    if classes <= MOST:
        return {"logsumexp": logsumexp, "logits": rounded, "entropy": None, "top": None, "top_logits": None}
    top = _largest(rounded)
    return {
        "logsumexp": logsumexp,
        "logits": None,
        "entropy": np.log(total) - (weights * logits).sum(1) / total,
        "top": top.astype(np.int16),
        "top_logits": np.take_along_axis(rounded, top, 1),
    }


def _largest(logits: NDArray[np.float16]) -> NDArray[np.int64]:
    """Classes of the largest logits in each row, largest first; of equal ones the first."""
    least = np.partition(logits, -TOP, axis=1)[:, -TOP, None]
    above, level = logits > least, logits == least
    room = TOP - above.sum(1, keepdims=True)
    chosen = np.nonzero(above | (level & (level.cumsum(1) <= room)))[1].reshape(-1, TOP)
    order = np.argsort(-np.take_along_axis(logits, chosen, 1), axis=1, kind="stable")
    return np.take_along_axis(chosen, order, 1)


def summarise(predictions: pl.DataFrame) -> pl.DataFrame:
    """Accuracy and negative log-likelihood (nats) of every stream in a table of predictions, and its digest.

    Of values the accuracy is minus the root-mean-square error: more is better. The likelihood is null of these, and
    where only classes are known. What was seen :data:`AGAIN` gives nothing.

    Two algorithms whose predictions have one digest are one result: they agree in every prediction and confidence.
    """
    seen = predictions.select(*STREAM, "label", "p_label", *_DIGESTED).filter(pl.col("split") != AGAIN)
    off = pl.col("prediction").cast(pl.Float64) - pl.col("label")
    right = -off.pow(2).mean().sqrt() if of_values(predictions) else (pl.col("prediction") == pl.col("label")).mean()
    streams = seen.group_by(STREAM, maintain_order=True).agg(
        *_DIGESTED,
        accuracy=right,
        nll=-pl.col("p_label").cast(pl.Float64).clip(lower_bound=1e-12).log().mean(),
        n=pl.len().cast(pl.Int64),
    )
    columns = [streams[name].explode(empty_as_null=False).to_numpy() for name in _DIGESTED]
    ends = streams["n"].cum_sum().to_list()
    digests = [_digest([column[start:end] for column in columns]) for start, end in itertools.pairwise([0, *ends])]
    return streams.drop(_DIGESTED).with_columns(pl.Series("digest", digests, pl.String))


def of_values(predictions: pl.DataFrame) -> bool:
    """Whether they are predictions of values, as :data:`VALUES`."""
    return predictions.schema["label"].is_float()


def otherwise(predictions: pl.DataFrame, tolerance: float) -> tuple[int, int]:
    """How many predictions of the target are others where it was seen :data:`AGAIN`, and of how many.

    Args:
        predictions: Those of a run; a step without a second order counts nothing.
        tolerance: What a probability may differ by.
    """
    key = ["step", "domain", "sample"]
    split, seen = pl.col("split"), predictions.select(*key, "split", "prediction", *_CHANCES)
    again = seen.filter(split == AGAIN)
    if again.is_empty():
        return 0, 0
    pairs = seen.filter(split == "target").join(again, on=key, suffix="_again")
    apart = [(pl.col(name) - pl.col(f"{name}_again")).abs() > tolerance for name in _CHANCES]
    other = pl.any_horizontal(pl.col("prediction") != pl.col("prediction_again"), *apart)
    known = [pl.col(name).is_null() != pl.col(f"{name}_again").is_null() for name in _CHANCES]
    return pairs.filter(pl.any_horizontal(other.fill_null(False), *known)).height, pairs.height


def _digest(columns: Sequence[NDArray[Any]]) -> str:
    """Of numbers, not of a file: how they are compressed makes no difference."""
    return hashlib.sha256(b"".join(column.tobytes() for column in columns)).hexdigest()[:16]


def check(table: pl.DataFrame, classes: int) -> None:
    """Refuse predictions that would give a wrong number without a word.

    Args:
        table: As :data:`PREDICTIONS`.
        classes: Of the dataset; 0 where a value is predicted: the table is one of :data:`VALUES` then.

    Raises:
        StoreError: a column is missing or of another type, or a value is missing, not a number, out of range, doubled,
            or contradicts another; the message shows the first such row.
    """
    schema = PREDICTIONS if classes else VALUES
    found = table.schema
    wrong = [f"{column} must be {kind}" for column, kind in schema.items() if found.get(column) != kind]
    if wrong:
        raise StoreError(
            f"the predictions do not have the columns of dgbench.selection.predictions: {', '.join(wrong)}"
        )
    faults = dict(_of_examples())
    for further in (_of_classes, _of_scores) if classes else (_of_values,):
        faults |= dict(further(classes))
    refuse_faults("predictions", table, faults)


Faults = Iterator[tuple[str, pl.Expr]]
"""What may be wrong, each with the rows in which it is."""


def _of_examples() -> Faults:
    always = [name for name in PREDICTIONS if name not in ("group", *_CHANCES, *_SCORES)]
    yield "a value is missing", pl.any_horizontal(pl.col(always).is_null())
    yield (
        f"a split is none of 'validation', 'target' and '{AGAIN}'",
        ~pl.col("split").is_in(["validation", "target", AGAIN]),
    )
    yield "a sample is not 16 hexadecimal digits", ~pl.col("sample").str.contains("^[0-9a-f]{16}$")
    yield "an example is there twice", pl.struct(*STREAM, "sample").is_duplicated()


def _of_values(classes: int) -> Faults:
    yield "a value is no finite number", ~pl.all_horizontal(pl.col("label", "prediction").is_finite())
    yield "a value has a probability, or scores", pl.any_horizontal(pl.col(*_CHANCES, *_SCORES).is_not_null())


def _of_classes(classes: int) -> Faults:
    there = [pl.col(name).is_not_null() for name in _CHANCES]
    whole = there[0].all().over(STREAM) | ~there[0].any().over(STREAM)
    yield "a probability is missing where others are there", (there[0] != there[1]) | ~whole
    known = pl.col("label", "prediction").is_between(0, classes - 1)
    yield f"a class is not in 0 to {classes - 1}", ~pl.all_horizontal(known)
    likely = pl.col("confidence", "p_label").is_between(0, 1 + 1e-5)  # float32 sums to a little more than 1
    yield "a probability is no number in [0, 1]", ~pl.all_horizontal(likely)


def _of_scores(classes: int) -> Faults:
    kept = _IN_FULL if classes <= MOST else _COMPACT
    lists = [name for name in kept if isinstance(PREDICTIONS[name], pl.List)]
    scores, length = lists[-1], classes if classes <= MOST else TOP
    clean, there = pl.col("view") == "clean", pl.col(_SCORES).is_not_null()
    known = pl.all_horizontal(pl.col(_CHANCES).is_not_null())
    scored = clean & known
    other = [name for name in _SCORES if name not in kept]
    yield f"{classes} classes have scores in {kept} alone", pl.any_horizontal(pl.col(other).is_not_null())
    yield "a clean view lacks scores", scored & pl.any_horizontal(pl.col(kept).is_null())
    yield "scores are kept of a shifted view", ~clean & pl.any_horizontal(there)
    yield "scores are kept without probabilities", ~known & pl.any_horizontal(there)
    full = pl.col(lists).list.drop_nulls().list.len() == length
    yield f"there are not {length} scores", scored & ~pl.all_horizontal(full)
    numbers = [pl.col(scores).list.eval(pl.element().is_finite().all()).list.first()]
    numbers += [pl.col(name).is_finite() for name in kept if name not in lists]
    yield "a score is no number", scored & ~pl.all_horizontal(numbers)
    yield "the largest logit is not 0", scored & (pl.col(scores).list.max() != 0)
    best = pl.col(scores).list.arg_max() if classes <= MOST else pl.col("top").list.first()
    yield "the largest logit is not the prediction's", scored & (best != pl.col("prediction"))
