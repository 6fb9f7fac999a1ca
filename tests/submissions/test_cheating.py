"""Whoever knows the format and wants to look better than he is: caught where files can show it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from submissions.synthetic import choose_again, repredict, submit, tamper, usual

from dgbench.core.backbone_name import parse
from dgbench.core.cards import BoardCard
from dgbench.core.seals import described
from dgbench.selection.predictions import summarise
from dgbench.submissions.check import Checked, check
from dgbench.submissions.evidence import Others
from dgbench.submissions.place import others, placed


@pytest.fixture(scope="module")
def rival(tmp_path_factory: pytest.TempPathFactory, board: BoardCard) -> Path:
    """Another method on the board."""
    return submit(tmp_path_factory.mktemp("board"), board, "sam")


@pytest.fixture
def judged(rival: Path, board: BoardCard) -> Callable[[Path], dict[str, str]]:
    """What the checks say where the other method is known, but for those that pass."""

    def outcomes(folder: Path) -> dict[str, str]:
        known = others(placed(rival.parent), but="erm")
        assert known.metrics["algorithm"].unique().to_list() == ["sam@1"]
        return told(check(folder, board, lambda submission, card: known))

    return outcomes


def told(checked: Checked) -> dict[str, str]:
    return {v.code: f"{v.outcome}: {'; '.join(v.reasons)}" for v in checked.verdicts if v.outcome != "passed"}


def predictions(folder: Path, row: dict[str, Any]) -> pl.DataFrame:
    """What the method in a folder predicted in the same place."""
    place = [pl.col(key) == row[key] for key in ("target", "trial", "draw")]
    run = pl.read_parquet(folder / "runs.parquet").filter(*place)["run"][0]
    return pl.read_parquet(folder / "predictions" / f"{run}.parquet")


def test_an_honest_one_stands_beside_the_other(good: Path, judged: Callable[[Path], dict[str, str]]) -> None:
    assert judged(good) == {}


@pytest.mark.parametrize(
    ("split", "says"),
    [
        ("validation", "its validation predictions are those of 'sam@1', and its target's are not"),
        ("target", "its target predictions are those of 'sam@1', and its validation's are not"),
        ("both", "it predicts what 'sam@1' predicts, bit for bit"),
    ],
)
def test_predictions_copied_from_another_method(
    split: str, says: str, good: Path, rival: Path, judged: Callable[[Path], dict[str, str]]
) -> None:
    def change(table: pl.DataFrame, row: dict[str, Any]) -> pl.DataFrame:
        taken = predictions(rival, row)
        if split == "both":
            return taken
        copied = pl.col("split") == split
        both = pl.concat([table.filter(~copied), taken.filter(copied)])
        return both.sort("step", pl.col("split") == "target", maintain_order=True)

    repredict(good, change)
    choose_again(good)
    found = judged(good)
    assert set(found) == {"E09"}
    assert found["E09"].startswith("refused")
    assert says in found["E09"]


@pytest.mark.parametrize(("recipe", "outcome"), [(True, "marked"), (False, "refused")])
def test_recipes_may_come_to_the_same_in_some_runs_and_whoever_has_none_may_not(
    recipe: bool, outcome: str, good: Path, rival: Path, judged: Callable[[Path], dict[str, str]]
) -> None:
    """As a greedy soup does that keeps one member: it can be computed again, which a method of elsewhere cannot."""
    repredict(good, lambda table, row: predictions(rival, row) if row["trial"] == 1 else table)
    if not recipe:
        tamper(good, says=lambda said: said["method"].update(recipe=None))
    choose_again(good)
    found = judged(good)["E09"]
    assert found.startswith(outcome)
    assert "it predicts what 'sam@1' predicts, bit for bit" in found
    assert ("'dgbench verify' tells that from a copy" in found) is recipe


def test_a_training_that_two_methods_share_is_marked_and_counts_once(
    good: Path, rival: Path, judged: Callable[[Path], dict[str, str]]
) -> None:
    theirs = pl.read_parquet(rival / "runs.parquet").select("target", "trial", "draw", "training")
    repredict(good, lambda table, row: predictions(rival, row))
    tamper(good, rows=lambda t: t.drop("training").join(theirs, on=["target", "trial", "draw"]).select(t.columns))
    choose_again(good)
    assert {code: said.split(":")[0] for code, said in judged(good).items()} == {"E09": "marked"}


def test_a_better_draw_that_validation_would_not_choose_cannot_be_put_first(good: Path, board: BoardCard) -> None:
    """The draw that is best on the target is listed alone: what validation would have chosen is left out."""

    def only(table: pl.DataFrame) -> pl.DataFrame:
        for row in table.filter(pl.col("draw") == 1).iter_rows(named=True):
            (good / "predictions" / f"{row['run']}.parquet").unlink()
        return table.filter(pl.col("draw") == 0)

    tamper(good, rows=only)
    choose_again(good)
    found = told(check(good, board))
    assert found["E03"].startswith("refused: target ")
    assert "draw 1: no runs, where there must be one" in found["E03"]


def test_what_validation_would_choose_cannot_be_made_worse_afterwards(good: Path, board: BoardCard) -> None:
    """Validation scores of the draw that is bad on the target are edited down, and choices follow."""

    def edit(table: pl.DataFrame) -> pl.DataFrame:
        rows = []
        for row in table.iter_rows(named=True):
            result = json.loads(row["result"])
            for one in result["metrics"] if row["draw"] == 1 else ():
                if one["split"] == "validation":
                    one["accuracy"] = one["accuracy"] / 2
            rows.append(row | {"result": json.dumps(result)})
        return pl.DataFrame(rows, schema=table.schema)

    tamper(good, rows=edit)
    choose_again(good)
    found = told(check(good, board))
    assert set(found) == {"E05", "E06"}
    assert "chooses draw 1, step 4, not draw 0, step " in found["E06"]


def test_another_draw_in_its_place_is_none_that_the_board_draws(good: Path, board: BoardCard) -> None:
    """Draw 1 is draw 0 once more, under another name: the one that validation would choose is hidden."""

    def edit(table: pl.DataFrame) -> pl.DataFrame:
        rows = []
        for row in table.iter_rows(named=True):
            if row["draw"] == 1:
                (good / "predictions" / f"{row['run']}.parquet").unlink()
                place = [pl.col(key) == row[key] for key in ("target", "trial")]
                row = table.filter(pl.col("draw") == 0, *place).row(0, named=True) | {"draw": 1}
            rows.append(row)
        return pl.DataFrame(rows, schema=table.schema)

    tamper(good, rows=edit)
    choose_again(good)
    found = told(check(good, board))
    assert found["E08"].startswith("refused: target print, trial 0, draw 1: optimizer.lr is 0.004, and the board draws")


def test_failed_runs_that_are_left_out_are_missed(good: Path, board: BoardCard) -> None:
    def edit(table: pl.DataFrame) -> pl.DataFrame:
        (good / "predictions" / f"{table['run'][3]}.parquet").unlink()
        return pl.concat([table[:3], table[4:]])

    tamper(good, rows=edit)
    choose_again(good)
    assert "no runs, where there must be one" in told(check(good, board))["E03"]


def test_labels_that_leaked_are_seen_against_what_is_usual(
    tmp_path: Path, board: BoardCard, judged: Callable[[Path], dict[str, str]]
) -> None:
    def skill(stream: dict[str, Any]) -> float:
        return 0.99 if stream["split"] == "target" else usual(stream)

    folder = submit(tmp_path, board, "erm", skill=skill)
    found = told(check(folder, board))
    assert found["W12"].startswith("marked: print: ")
    assert "points better than on held-out source images; few others tell what is usual" in found["W12"]
    assert set(judged(folder)) == {"W12"}


def test_results_on_another_version_of_the_board_are_told_so(good: Path, board: BoardCard) -> None:
    later = board.model_copy(update={"version": 2})
    assert "version 1 of 'toy', which is version 2 now" in told(check(good, later))["E02"]
    longer = board.model_copy(update={"training": board.training.model_copy(update={"batch_per_domain": 8})})
    assert "it was made by the rules" in told(check(good, longer))["E02"]


def test_a_board_with_weights_of_its_owner_asks_for_their_name_not_for_their_place(
    tmp_path: Path, board: BoardCard
) -> None:
    own = "timm:test_vit(weights={}, pretrained_on=unknown)"
    here, there = (
        board.model_copy(update={"tracks": dict.fromkeys(board.tracks, own.format(path))})
        for path in ("'/home/me/nets, v=1/best.pth'", "'/data/x/best.pth'")
    )
    shown = parse(here.tracks["inductive"]).shown("sha256:" + "0123456789abcdef" * 4)
    assert shown == "timm:test_vit(weights=best.pth), SHA-256 0123456789ab"
    folder = submit(tmp_path, here)
    for claimed, refused in ((shown, False), (shown.replace("best", "other"), True), ("timm:test_vit", True)):
        tamper(folder, says=lambda content, claimed=claimed: content["claims"].update(backbone=claimed))
        assert ("it builds on" in told(check(folder, there)).get("E02", "")) == refused
        assert ("E02" in told(check(folder, there))) == refused, "the rules are the same on both machines"


def test_what_a_board_is_called_and_whom_it_compares_are_no_rules(good: Path, board: BoardCard) -> None:
    renamed = board.model_copy(update={"title": "Another", "summary": "Words.", "algorithms": ("sam", "erm")})
    assert check(good, renamed).good


def test_a_copy_with_other_digests_is_seen_through(good: Path, rival: Path, board: BoardCard) -> None:
    """Digests are of predictions: whoever writes others into the report is refused for that."""

    def edit(table: pl.DataFrame) -> pl.DataFrame:
        rows = []
        for number, row in enumerate(table.iter_rows(named=True)):
            copied = predictions(rival, row)
            path = good / "predictions" / f"{row['run']}.parquet"
            copied.write_parquet(path)
            size, sha256 = described(path)
            metrics = summarise(copied).with_columns(digest=pl.lit(f"{number:016x}")).to_dicts()
            result = json.loads(row["result"]) | {"metrics": metrics}
            rows.append(row | {"bytes": size, "sha256": sha256, "result": json.dumps(result)})
        return pl.DataFrame(rows, schema=table.schema)

    tamper(good, rows=edit)
    choose_again(good)
    known = others(placed(rival.parent), but="erm")
    found = told(check(good, board, lambda submission, card: known))
    assert {code: said.split(":")[0] for code, said in found.items()} == {"E05": "refused", "E09": "refused"}
    assert isinstance(known, Others)
