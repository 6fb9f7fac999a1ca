"""A submission whose predictions lie elsewhere has its level by the note alone; leaving them out gains nothing."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from submissions.synthetic import Edit, submit, tamper, usual

import dgbench
from dgbench.core.cards import BoardCard
from dgbench.core.errors import RecordError
from dgbench.core.results import Result
from dgbench.core.seals import described
from dgbench.runs.again import Again, announced
from dgbench.selection.measures import summarised
from dgbench.selection.predictions import summarise
from dgbench.submissions.check import Level, check
from dgbench.submissions.place import Verification, add, note, placed, seen, verification
from dgbench.submissions.rerun import Claimed


@pytest.fixture
def bare(good: Path, board: BoardCard, tmp_path: Path) -> Path:
    """Placed by a maintainer who had the predictions; they are not there any more."""
    return add(good, check(good, board), tmp_path / "submissions", predictions=False)


def level(place: Path) -> list[Level]:
    return [one.level for one in placed(place.parent)]


def test_its_check_says_what_was_not_looked_at_and_where_predictions_come_from(bare: Path, board: BoardCard) -> None:
    checked = check(bare, board)
    told = {verdict.code: verdict for verdict in checked.verdicts if verdict.outcome != "passed"}
    assert {code: verdict.outcome for code, verdict in told.items()} == {"E04": "marked", "E05": "marked"}
    assert told["E04"].reasons == (
        "its predictions are not here, so no example was looked at; 'dgbench run toy -a \"erm\"' and 'dgbench submit "
        "make toy -a \"erm\"' make them again, and '--predictions FOLDER' looks at them there",
    )
    assert (checked.good, checked.level, level(bare)) == (True, "self-reported", ["recomputed"])


def test_with_predictions_from_elsewhere_all_is_looked_at(bare: Path, good: Path, board: BoardCard) -> None:
    checked = check(bare, board, predictions=good)
    assert [verdict.code for verdict in checked.verdicts if verdict.outcome != "passed"] == []
    assert checked.level == "recomputed"


def test_predictions_from_elsewhere_are_those_that_were_announced(bare: Path, board: BoardCard, tmp_path: Path) -> None:
    other = submit(tmp_path / "other", board, skill=lambda stream: usual(stream) - 0.1)
    checked = check(bare, board, predictions=other)
    assert not checked.good
    assert checked.verdicts[0].code == "E01"
    assert (
        "predictions that were made again elsewhere are compared by 'dgbench verify'" in checked.verdicts[0].reasons[0]
    )
    first = min((other / "predictions").iterdir())
    first.unlink()
    assert f"{first.name} cannot be read" in check(bare, board, predictions=other).verdicts[0].reasons[0]
    with pytest.raises(RecordError, match="has no folder 'predictions'"):
        dgbench.check_submission(bare, board=board, predictions=bare)


def test_leaving_predictions_out_gains_nothing(good: Path, board: BoardCard, tmp_path: Path) -> None:
    shutil.rmtree(good / "predictions")
    place = add(good, check(good, board), tmp_path / "submissions")
    assert not place.with_name("erm@1.verified.json").exists()
    assert level(place) == ["self-reported"]


def _better(table: pl.DataFrame) -> pl.DataFrame:
    return table.with_columns(pl.col("result").str.replace_all(r'"accuracy":0\.\d+', '"accuracy":0.99'))


def _other_hash(table: pl.DataFrame) -> pl.DataFrame:
    return table.with_columns(sha256=pl.lit("0" * 64))


@pytest.mark.parametrize("rows", [_better, _other_hash])
def test_a_table_that_was_changed_loses_the_level(bare: Path, rows: Edit) -> None:
    """The note holds for what was seen: the submission, by it the table of runs, and by that every prediction."""
    whole = Path(shutil.copytree(bare.parent, bare.parents[1] / "kept"))
    tamper(bare, rows=rows, announce=False)
    assert level(bare) == [], "not even the table that it announces"
    shutil.rmtree(bare.parent)
    shutil.copytree(whole, bare.parent)
    tamper(bare, rows=rows)
    assert level(bare) == ["self-reported"]
    assert verification(bare) is None


class Done:
    """A run that was done again."""

    agrees, difference = True, 0.0

    def __init__(self, training: str) -> None:
        self.training = training


def test_a_part_of_the_trainings_vouches_for_no_score_of_the_others(
    bare: Path, board: BoardCard, tmp_path: Path
) -> None:
    checked = check(bare, board)
    trainings = sorted({row.training for row in checked.rows})
    claimed = Claimed.of(bare, checked)
    assert claimed.vouch([Done(trainings[0])]) is not None
    assert level(bare) == ["spot re-run"], "a maintainer had computed the others"
    bare.with_name("erm@1.verified.json").unlink()
    assert claimed.vouch([Done(trainings[0])]) is None
    assert level(bare) == ["self-reported"], "nobody had"
    assert claimed.vouch([Done(one) for one in trainings]) is not None
    assert level(bare) == ["full re-run"]
    assert claimed.vouch([Done(trainings[0])]) is None
    assert level(bare) == ["full re-run"], "less takes the place of nothing"


def test_a_note_on_another_submission_is_none(bare: Path, board: BoardCard, tmp_path: Path) -> None:
    stranger = submit(tmp_path / "other", board, "sam")
    shutil.rmtree(stranger / "predictions")
    place = add(stranger, check(stranger, board), bare.parent)
    shutil.copy(bare.with_name("erm@1.verified.json"), place.with_name("sam@1.verified.json"))
    assert level(place) == ["recomputed", "self-reported"]
    note(place, Verification(submission="0" * 64, **seen("full re-run")))
    assert level(place) == ["recomputed", "self-reported"]


def _as_it_is(table: pl.DataFrame) -> pl.DataFrame:
    return table


def _one_other_class(table: pl.DataFrame) -> pl.DataFrame:
    first = pl.int_range(pl.len()) == 0
    return table.with_columns(prediction=pl.when(first).then((pl.col("prediction") + 1) % 10).otherwise("prediction"))


def _one_confidence(table: pl.DataFrame) -> pl.DataFrame:
    first = pl.int_range(pl.len()) == 0
    return table.with_columns(confidence=pl.when(first).then(pl.col("confidence") * 0.999).otherwise("confidence"))


@pytest.mark.parametrize(
    ("change", "rewritten", "agrees", "identical"),
    [
        (_as_it_is, False, True, True),
        (_as_it_is, True, True, False),
        (_one_other_class, True, False, False),
        (_one_confidence, True, False, False),
    ],
)
def test_what_is_done_again_is_compared_with_what_was_announced(
    kept: Path,
    tmp_path: Path,
    change: Callable[[pl.DataFrame], pl.DataFrame],
    rewritten: bool,
    agrees: bool,
    identical: bool,
) -> None:
    then = min((kept / "predictions").iterdir())
    metrics = Result.measured(summarise(pl.read_parquet(then)).to_dicts()).metrics
    now = Path(shutil.copy(then, tmp_path))
    if rewritten:
        change(pl.read_parquet(then)).cast(pl.read_parquet_schema(then)).write_parquet(now, compression="lz4")  # type: ignore[arg-type]
    found = announced(Again("run", "training", "here"), described(then)[1], metrics, now, "accuracy", "digits")
    assert (found.agrees, found.identical) == (agrees, identical)
    assert bool(found.error) == (not agrees)


@pytest.mark.parametrize(("measure", "invented"), [("accuracy", "accuracy"), ("macro_f1", "headline")])
def test_scores_that_were_invented_do_not_agree_though_their_predictions_do(
    kept: Path, measure: str, invented: str
) -> None:
    path = min((kept / "predictions").iterdir())
    metrics = Result.measured(summarised(pl.read_parquet(path), measure, "digits").to_dicts()).metrics
    better = [metrics[0].model_copy(update={invented: 0.99}), *metrics[1:]]
    which = Again("run", "training", "here")
    assert not announced(which, described(path)[1], better, path, measure, "digits").agrees
    assert announced(which, described(path)[1], metrics, path, measure, "digits").agrees
