"""For every code a submission that is refused or marked with it, and a good one that passes."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from submissions.synthetic import choose_again, repredict, tamper

from dgbench.core.backbone_name import UNTOLD
from dgbench.core.cards import BoardCard
from dgbench.submissions.check import CHECKS, check
from dgbench.submissions.verdicts import Outcome

Outcomes = Callable[[Path], dict[str, Outcome]]


def test_there_is_a_check_for_every_code() -> None:
    codes = [check.code for check in CHECKS]
    assert codes == [*(f"E{n:02d}" for n in range(1, 11)), "W11", "W12", "W13"]
    for one in CHECKS:
        assert one.rule
        assert one.remedy
        assert "\n" not in one.rule + one.remedy


def test_a_good_submission_passes_every_check(kept: Path, board: BoardCard) -> None:
    checked = check(kept, board)
    assert {verdict.outcome for verdict in checked.verdicts} == {"passed"}
    assert checked.good
    assert checked.level == "recomputed"


def test_checking_writes_nothing_and_gives_the_same_verdicts_again(kept: Path, board: BoardCard) -> None:
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in kept.rglob("*")}
    assert check(kept, board) == check(kept, board)
    assert before == {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in kept.rglob("*")}


Change = Callable[[Path], object]


def _set(**values: Any) -> Change:
    """Fields of the envelope, ``a__b`` for b in a."""

    def change(folder: Path) -> None:
        def edit(content: dict[str, Any]) -> None:
            for name, value in values.items():
                *path, last = name.split("__")
                inner = content
                for key in path:
                    inner = inner[key]
                inner[last] = value

        tamper(folder, says=edit)

    return change


def _rows(edit: Callable[[pl.DataFrame], pl.DataFrame]) -> Change:
    return lambda folder: tamper(folder, rows=edit)


def _first(column: str, value: Any) -> Change:
    """Another value in the first row."""
    first = pl.int_range(pl.len()) == 0
    return _rows(lambda table: table.with_columns(pl.when(first).then(pl.lit(value)).otherwise(column).alias(column)))


def _result(edit: Callable[[dict[str, Any]], None]) -> Change:
    def change(table: pl.DataFrame) -> pl.DataFrame:
        results = [json.loads(text) for text in table["result"]]
        edit(results[0])
        return table.with_columns(result=pl.Series([json.dumps(result) for result in results]))

    return _rows(change)


def _predictions(edit: Callable[[pl.DataFrame], pl.DataFrame]) -> Change:
    return lambda folder: repredict(folder, lambda table, _: edit(table))


_CHANCES, _SCORES = ("confidence", "p_label"), ("logsumexp", "logits")


def _classes_alone(table: pl.DataFrame) -> pl.DataFrame:
    return table.with_columns(pl.lit(None, table.schema[name]).alias(name) for name in (*_CHANCES, *_SCORES))


def _again(edit: Callable[[pl.DataFrame], pl.DataFrame] = lambda table: table, runs: int = 99) -> Change:
    """The target in another order, too, in the first so many runs."""

    def change(folder: Path) -> None:
        some = pl.read_parquet(folder / "runs.parquet")["run"].head(runs).to_list()

        def predicted(table: pl.DataFrame, row: dict[str, Any]) -> pl.DataFrame:
            second = edit(table.filter(pl.col("split") == "target").with_columns(split=pl.lit("again")))
            return pl.concat([table, second.cast(table.schema)]) if row["run"] in some else table  # type: ignore[arg-type]

        repredict(folder, predicted)

    return change


def _then(*changes: Change) -> Change:
    def both(folder: Path) -> None:
        for change in changes:
            change(folder)

    return both


def _failed(folder: Path) -> None:
    """The first run did not come to its end, and says so."""

    def edit(table: pl.DataFrame) -> pl.DataFrame:
        first = table.row(0, named=True)
        (folder / "predictions" / f"{first['run']}.parquet").unlink()
        ended = {"schema": "dgbench.result/1", "status": "diverged", "cause": "loss", "last_step": 2, "metrics": []}
        row = first | {"result": json.dumps(ended), "sha256": None, "bytes": None, "rows": None}
        return pl.concat([pl.DataFrame([row], schema=table.schema), table[1:]])

    tamper(folder, rows=edit)
    choose_again(folder)


def _same_trials(folder: Path) -> None:
    """Trial 1 predicts the target as trial 0 did."""
    tables: dict[Any, pl.DataFrame] = {}

    def change(table: pl.DataFrame, row: dict[str, Any]) -> pl.DataFrame:
        target = table.filter(pl.col("split") == "target")
        kept = tables.setdefault((row["target"], row["draw"]), target)
        steps = [pl.concat([table.filter((pl.col("step") == step) & (pl.col("split") != "target")),
                            kept.filter(pl.col("step") == step)]) for step in (2, 4)]  # fmt: skip
        return pl.concat(steps)

    repredict(folder, change)
    choose_again(folder)


def _leaked(folder: Path) -> None:
    """The labels of the target are known."""

    def change(table: pl.DataFrame, row: dict[str, Any]) -> pl.DataFrame:
        target = pl.col("split") == "target"
        best = [[0.0 if c == label else -9.0 - 0.01 * c for c in range(10)] for label in table["label"]]
        leaked = table.with_columns(prediction="label", logits=pl.Series(best, dtype=pl.List(pl.Float16())))
        chance = np.float32(0.998) - np.float32(1e-4) * (table["index"].to_numpy() % 7 + row["trial"])
        leaked = leaked.with_columns(confidence=chance, p_label=chance).cast(table.schema)  # type: ignore[arg-type]
        return pl.concat([table.filter(~target), leaked.filter(target)]).sort(
            "step", pl.col("split") == "target", maintain_order=True
        )

    repredict(folder, change)
    choose_again(folder)


_LOGITS = pl.List(pl.Float16())

REFUSED: dict[str, tuple[str, Change]] = {
    "a field that there is not": ("E01", _set(colour="red")),
    "a table that was not announced": ("E01", lambda f: tamper(f, rows=lambda t: t[1:], announce=False)),
    "a run that is not in the table of its files": ("E01", lambda f: next((f / "predictions").iterdir()).unlink()),
    "a file that does not belong there": ("E01", lambda f: (f / "notes.txt").write_text("x")),
    "a pickle": ("E01", lambda f: (f / "predictions" / "model.pkl").write_bytes(b"\x80\x04.")),
    "a link to a file outside": ("E01", lambda f: (f / "predictions" / "x.parquet").symlink_to("/etc/passwd")),
    "a link in place of predictions": (
        "E01", lambda f: _replace_by_link(next((f / "predictions").iterdir())),
    ),
    "a pipe": ("E01", lambda f: os.mkfifo(f / "predictions" / ("0" * 16 + ".parquet"))),
    "a link to a folder": ("E01", lambda f: (f / "more").symlink_to("/tmp")),
    "a run whose name is a path": ("E01", _first("run", "../../../../evil")),
    "an id that is a path": ("E01", _set(id="../evil@1")),
    "a status that there is not": ("E01", _result(lambda r: r.update(status="lost"))),
    "a cause of a run that is ok": ("E01", _result(lambda r: r.update(cause="loss"))),
    "an accuracy of nothing": ("E01", _result(lambda r: r["metrics"][0].update(accuracy=float("nan")))),
    "an infinite likelihood": ("E01", _result(lambda r: r["metrics"][0].update(nll=float("inf")))),
    "another column": ("E01", _rows(lambda t: t.with_columns(extra=1))),
    "a column of another type": ("E01", _rows(lambda t: t.cast({"trial": pl.Float64}))),
    "an escape in a title": ("E01", _set(method__title="a\x1b[31m")),
    "a number beyond all bounds": ("E01", _set(board__version=10**400)),
    "a recipe that is a file": ("E01", _set(method__recipe="/tmp/evil.toml")),
    "a confidence that is no number": (
        "E04", _predictions(lambda t: t.with_columns(confidence=pl.lit(np.nan, pl.Float32))),
    ),
    "a logit that is no number": (
        "E04", _predictions(lambda t: t.with_columns(logits=pl.Series([[np.inf] * 10] * t.height, dtype=_LOGITS))),
    ),
    "an example twice": ("E04", _predictions(lambda t: pl.concat([t, t[-1:]]))),
    "another version of the board": ("E02", _set(board__version=2)),
    "other rules": ("E02", _set(board__rules="0" * 16)),
    "other data": ("E02", _set(data__digits="0" * 64)),
    "no data": ("E02", _set(data={"letters": "0" * 64})),
    "another backbone": ("E02", _set(claims__backbone="timm:resnet50")),
    "a run left out": ("E03", _then(lambda f: _without(f, 0), choose_again)),
    "all draws of a trial left out": ("E03", _then(lambda f: _without(f, 2, 3), choose_again)),
    "a run twice": ("E03", _rows(lambda t: pl.concat([t, t[:1]]))),
    "a trial that nobody asked for": ("E03", _first("trial", 7)),
    "other sources": ("E03", _first("sources", '["print"]')),
    "a stream left out": (
        "E03",
        _predictions(lambda t: t.filter((pl.col("domain") != "handwritten") | (pl.col("split") == "target"))),
    ),
    "an example left out": ("E04", _predictions(lambda t: t[1:])),
    "probabilities beside their logits": (
        "E04", _predictions(lambda t: t.with_columns(pl.col("confidence", "p_label") * 0.9)),
    ),
    "labels of its own": ("E04", _predictions(lambda t: t.with_columns(label="prediction", p_label="confidence"))),
    "names of its own": (
        "E04", _predictions(lambda t: t.with_columns(sample=pl.col("sample").str.replace("^.", "0").str.slice(0, 16)))
    ),
    "rows in another order": ("E04", _predictions(lambda t: t.reverse().sort("step", maintain_order=True))),
    "numbers of its own for rows": ("E04", _predictions(lambda t: t.with_columns(pl.col("index") + 1))),
    "a target that is validated on": (
        "E04", _predictions(lambda t: t.with_columns(split=pl.lit("validation")))
    ),
    "an accuracy edited by hand": ("E05", _result(lambda r: r["metrics"][-1].update(accuracy=0.99))),
    "a likelihood edited by hand": ("E05", _result(lambda r: r["metrics"][-1].update(nll=0.01))),
    "a digest edited by hand": ("E05", _result(lambda r: r["metrics"][-1].update(digest="0" * 16))),
    "a score edited by hand": ("E05", lambda f: _edit_score(f, 0.99)),
    "a score left out": ("E05", lambda f: tamper(f, says=lambda c: c["scores"].pop())),
    "another draw chosen": ("E06", lambda f: _choose_other(f, "draw")),
    "another step chosen": ("E06", lambda f: _choose_other(f, "step")),
    "no choice in a cell": ("E06", lambda f: tamper(f, says=lambda c: c["chosen"].pop())),
    "another criterion": ("E06", _set(claims__criterion="source_nll")),
    "the target's labels choose": ("E07", _set(claims__criterion="oracle")),
    "the best of all choose": ("E07", _set(claims__criterion="ceiling")),
    "a criterion that there is not": ("E07", _set(claims__criterion="magic")),
    "hyperparameters of its own": (
        "E08", lambda f: tamper(f, rows=lambda t: t.with_columns(hyperparameters=pl.lit('{"optimizer": {"lr": 0.5}}')))
    ),
    "a checkpoint that there is not": ("E08", _predictions(lambda t: t.with_columns(pl.col("step") + 1))),
    "a seed copied": ("E09", _same_trials),
    "no chance, and trials that differ": ("E09", _set(claims__deterministic=True)),
    "a test-time method claimed inductive": ("E10", _set(method__recipe="t3a")),
    "an inductive method claimed online": ("E10", _set(claims__track="online")),
    "other predictions in another order": (
        "E10",
        _then(
            _set(method__recipe=None),
            _predictions(_classes_alone),
            _again(lambda t: t.with_columns(prediction=pl.col("prediction") ^ 1)),
        ),
    ),
    "other probabilities in another order": (
        "E10", _then(_set(method__recipe=None), _again(lambda t: t.with_columns(pl.col("confidence") - 0.002)))
    ),
    "an example left out of another order": ("E04", _again(lambda t: t[1:])),
    "another order of what is no target": ("E04", _again(lambda t: t.with_columns(domain=pl.lit("handwritten")))),
    "probabilities of some examples alone": (
        "E04", _predictions(lambda t: t.with_columns(pl.when(pl.col("index") > 99).then(pl.col(*_CHANCES, *_SCORES))))
    ),
    "classes alone, of a recipe": ("E04", _predictions(_classes_alone)),
    "scores of classes alone": (
        "E04", _predictions(lambda t: t.with_columns(pl.lit(None, pl.Float32).alias(name) for name in _CHANCES))
    ),
}  # fmt: skip


def _replace_by_link(path: Path) -> None:
    elsewhere = path.parents[2] / "elsewhere.parquet"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def _without(folder: Path, *numbers: int) -> None:
    def edit(table: pl.DataFrame) -> pl.DataFrame:
        for number in numbers:
            (folder / "predictions" / f"{table['run'][number]}.parquet").unlink()
        return table.filter(~pl.int_range(pl.len()).is_in(numbers))

    tamper(folder, rows=edit)


def _edit_score(folder: Path, accuracy: float) -> None:
    tamper(folder, says=lambda content: content["scores"][0].update(accuracy=accuracy))


def _choose_other(folder: Path, what: str) -> None:
    """Take what was not chosen, and give the score that belongs to it."""
    tables = {path.stem: pl.read_parquet(path) for path in (folder / "predictions").iterdir()}
    rows = pl.read_parquet(folder / "runs.parquet")

    def edit(content: dict[str, Any]) -> None:
        for choice in content["chosen"]:
            choice[what] = {"draw": 1 - choice["draw"], "step": 6 - choice["step"]}[what]
        for score in content["scores"]:
            reached = []
            for choice in content["chosen"]:
                if choice["target"] == score["target"]:
                    place = [pl.col(key) == choice[key] for key in ("target", "trial", "draw")]
                    table = tables[rows.filter(*place)["run"][0]].filter(
                        pl.col("split") == "target", pl.col("step") == choice["step"]
                    )
                    reached.append(table.select((pl.col("label") == pl.col("prediction")).mean()).item())
            score["accuracy"] = sum(reached) / len(reached)

    tamper(folder, says=edit)


@pytest.mark.parametrize("what", REFUSED)
def test_a_bad_submission_is_refused_with_its_code(what: str, good: Path, board: BoardCard) -> None:
    code, change = REFUSED[what]
    change(good)
    checked = check(good, board)
    found = {verdict.code: verdict for verdict in checked.verdicts}
    assert found[code].outcome == "refused", found
    assert not checked.good
    assert checked.level == "self-reported"
    assert found[code].remedy
    assert found[code].reasons
    for verdict in checked.verdicts:
        for reason in verdict.reasons:
            assert reason.isprintable(), "one line, and nothing in it acts"
            assert len(reason) < 500


MARKED: dict[str, tuple[str, Change]] = {
    "failed runs, told": ("E08", _failed),
    "pretrained on a domain of the board": ("W11", _set(claims__pretrained_on="Letters of the print domain")),
    "pretrained on nobody tells what": ("W11", _set(claims__pretrained_on=UNTOLD)),
    "data beside the sources": ("W11", _set(claims__extra_data=["a million pictures"])),
    "labels leaked into predictions": ("W12", _leaked),
    "changes that nobody else has": ("W13", _set(provenance__dgbench=["0.1.0 (0123456789ab-dirty)"])),
    "code that nobody knows": ("W13", _set(provenance__dgbench=[])),
    "a method of another code base": ("E10", _set(method__recipe=None)),
    "another order in some runs alone": ("E10", _then(_set(method__recipe=None), _again(runs=1))),
    "classes alone": ("E04", _then(_set(method__recipe=None), _predictions(_classes_alone))),
    "classes that another trial predicts": (
        "E09",
        _then(_set(method__recipe=None), _same_trials, _predictions(_classes_alone)),
    ),
    "no predictions": ("E04", lambda f: shutil.rmtree(f / "predictions")),
}


@pytest.mark.parametrize("what", MARKED)
def test_what_files_alone_cannot_settle_is_marked(what: str, good: Path, board: BoardCard) -> None:
    code, change = MARKED[what]
    change(good)
    checked = check(good, board)
    found = {verdict.code: verdict for verdict in checked.verdicts}
    assert found[code].outcome == "marked", found
    assert checked.good, "it stands, for people to look at"
    recomputed = code not in ("W13",) and what != "no predictions"
    assert checked.level == ("recomputed" if recomputed else "self-reported")


@pytest.mark.parametrize("change", [_again(), _again(lambda t: t.with_columns(pl.col(*_CHANCES) * 0.9995))])
def test_a_second_order_with_the_same_predictions_shows_an_inductive_method(
    change: Change, good: Path, board: BoardCard
) -> None:
    """Up to rounding."""
    _set(method__recipe=None)(good)
    _set(claims__backbone="none")(good)
    before = {verdict.code: verdict.outcome for verdict in check(good, board).verdicts}
    change(good)
    after = {verdict.code: verdict.outcome for verdict in check(good, board).verdicts}
    assert (before.pop("E10"), after.pop("E10")) == ("marked", "passed")
    assert before == after


def test_every_code_has_a_submission_that_earns_it() -> None:
    earned = {code for code, _ in (*REFUSED.values(), *MARKED.values())}
    assert earned == {check.code for check in CHECKS}


def test_a_method_without_chance_may_predict_the_same_in_every_trial(good: Path, board: BoardCard) -> None:
    _same_trials(good)
    _set(claims__deterministic=True)(good)
    checked = check(good, board)
    assert {v.code: v.outcome for v in checked.verdicts if v.outcome != "passed"} == {"E09": "marked"}
    assert checked.good
