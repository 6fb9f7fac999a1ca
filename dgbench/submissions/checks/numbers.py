"""Do the numbers follow from the predictions? The examples, the scores, and the choice of models."""

from __future__ import annotations

import math
from collections.abc import Iterator

import polars as pl

from dgbench.core.results import Measurement
from dgbench.selection.criteria import Criterion, choose
from dgbench.selection.measures import MEASURES
from dgbench.selection.records import CELL
from dgbench.submissions.evidence import Evidence
from dgbench.submissions.runs import Row
from dgbench.submissions.verdicts import Check, Finding, mark, refuse

TOLERANCE = 1e-6
"""What two computations of one score may differ by."""


def of_these_examples(seen: Evidence) -> Iterator[Finding]:
    """E04: every stream shows the examples of its split, once, with their labels."""
    yield from map(refuse, seen.faults)
    if not seen.bundled:
        yield mark(f"its predictions are not here, so no example was looked at; {_whence(seen)}")
    unknown = sum(any(one.nll is None for one in row.result.metrics) for row in seen.ok)
    if unknown and seen.submission.method.recipe is not None:
        yield refuse(f"{unknown} runs have no probabilities, and recipes of dgbench give them")
    elif unknown:
        yield mark(f"{unknown} runs have classes alone: likelihoods and calibration are not known")
    for name in seen.asked.outlines:
        if seen.bundled and not seen.asked.at_hand(name):
            yield mark(f"the data of '{name}' is not on this machine: runs were compared with each other alone")


def _whence(seen: Evidence) -> str:
    """Where predictions that are not here come from."""
    board, recipe = seen.asked.board.name, seen.submission.method.recipe
    if recipe is None:
        return "whoever submitted them has them, and '--predictions FOLDER' looks at them there"
    return (
        f"""'dgbench run {board} -a "{recipe}"' and 'dgbench submit make {board} -a "{recipe}"' make them again, and """
        "'--predictions FOLDER' looks at them there"
    )


def scored_right(seen: Evidence) -> Iterator[Finding]:
    """E05: accuracy, likelihood, headline and digest of every stream, and the scores of the submission."""
    if not seen.bundled:
        yield mark("what each run measured is as runs.parquet says; choices and scores were computed from that")
    for row in seen.ok:
        if row.run not in seen.measured:
            yield from _headline(seen, row)
            continue
        computed = {_stream(m): m for m in (_measured(cells) for cells in seen.measured[row.run].to_dicts())}
        reported = {_stream(m): m for m in row.result.metrics}
        for stream in sorted(set(computed) ^ set(reported)):
            where = "reported, and not predicted" if stream in reported else "predicted, and not reported"
            yield refuse(f"{row.where}: {stream[1]} of {stream[2]}, {stream[3]}, step {stream[0]} is {where}")
        for stream in sorted(set(computed) & set(reported)):
            for name in ("accuracy", "nll", "headline", "n", "digest"):
                own, other = getattr(computed[stream], name), getattr(reported[stream], name)
                if not _same(own, other):
                    where = f"{stream[1]} of {stream[2]}, {stream[3]}, step {stream[0]}"
                    yield refuse(f"{row.where}: {where}: {name} is {own} by the predictions, and {other} as reported")
    yield from _scores(seen)


def _headline(seen: Evidence, row: Row) -> Iterator[Finding]:
    """Whether a run without predictions says what its dataset is judged by, and that alone."""
    name = seen.asked.headline(row.dataset)
    if any((one.headline is None) != (name == "accuracy") for one in row.result.metrics):
        lacking = "lacks" if name != "accuracy" else "has another headline than"
        yield refuse(f"{row.where}: it {lacking} the {MEASURES[name].title}, by which '{row.dataset}' is judged")


def _measured(cells: dict[str, object]) -> Measurement:
    return Measurement.model_construct(**cells)  # type: ignore[arg-type]


def _stream(of: Measurement) -> tuple[int, str, str, str]:
    return of.step, of.split, of.domain, of.view


def _same(one: float | str | None, other: float | str | None) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return one == other


def _scores(seen: Evidence) -> Iterator[Finding]:
    """The mean over trials of what the chosen models reach on each target."""
    metrics, _ = seen.records
    reached = metrics.filter(pl.col("split") == "target").select("target", "trial", "draw", "step", "accuracy")
    chosen = [choice.model_dump() for choice in seen.submission.chosen]
    named = pl.DataFrame(chosen, schema={key: reached.schema[key] for key in ("target", "trial", "draw", "step")})
    means = named.join(reached, on=named.columns).group_by("target").agg(pl.col("accuracy").mean())
    computed = dict(means.iter_rows())
    reported = {score.target: score.accuracy for score in seen.submission.scores}
    if len(reported) < len(seen.submission.scores):
        yield refuse("a target has two scores")
    for target in sorted(set(computed) | set(reported)):
        own, other = computed.get(target), reported.get(target)
        if not _same(own, other):
            yield refuse(f"the score on {target} is {own} by the chosen models, and {other} as reported")


def chosen_right(seen: Evidence) -> Iterator[Finding]:
    """E06: the chosen models are those that the board's criterion chooses among all of them."""
    board, claims = seen.asked.board, seen.submission.claims
    if claims.criterion != board.criterion:
        yield refuse(
            f"its models were chosen by '{claims.criterion}', and '{board.name}' chooses by '{board.criterion}'"
        )
        return
    assert seen.criterion is not None
    computed = _choices(seen, seen.criterion)
    reported = {(one.target, one.trial): (one.draw, one.step) for one in seen.submission.chosen}
    if len(reported) < len(seen.submission.chosen):
        yield refuse("two models are chosen for one target and trial")
    for target, trial in sorted(set(computed) | set(reported)):
        own, other = computed.get((target, trial)), reported.get((target, trial))
        if own != other:
            yield refuse(
                f"target {target}, trial {trial}: '{claims.criterion}' chooses {_told(own)}, not {_told(other)}"
            )


def _choices(seen: Evidence, criterion: Criterion) -> dict[tuple[str, int], tuple[int, int]]:
    metrics, runs = seen.records
    if metrics.is_empty():
        return {}
    chosen = choose(metrics, runs, criterion).select(*CELL[1:], "draw", "step")
    return {(target, trial): (draw, step) for target, trial, draw, step in chosen.iter_rows()}


def _told(choice: tuple[int, int] | None) -> str:
    return f"draw {choice[0]}, step {choice[1]}" if choice else "none"


def no_oracle(seen: Evidence) -> Iterator[Finding]:
    """E07: nothing that reads target labels ranks."""
    if seen.criterion is None:
        yield refuse(f"there is no criterion '{seen.submission.claims.criterion}'")
    elif seen.criterion.uses_target:
        yield refuse(f"'{seen.criterion.name}' reads target labels")


CHECKS = (
    Check(
        "E04",
        "every stream shows the examples of its split, each once, with its label",
        "Predict what 'dgbench kit' lists, or what dgbench itself would",
        of_these_examples,
    ),
    Check(
        "E05",
        "every score follows from the predictions",
        "Let 'dgbench submit make' write the scores, and change no file afterwards",
        scored_right,
    ),
    Check(
        "E06",
        "the chosen models are those that the board's criterion chooses from all that were tried",
        "List every draw and every checkpoint, and choose by validation predictions alone",
        chosen_right,
    ),
    Check(
        "E07",
        "models are chosen without target labels",
        "The board has columns of its own for 'ceiling' and 'oracle', computed for everyone; they never rank",
        no_oracle,
    ),
)
