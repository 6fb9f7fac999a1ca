"""From trainings to a board of submissions and back: what is submitted ranks as what was run, and is done again."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from comparing.called import Done, within
from submissions.synthetic import choose_again, repredict, submit, tamper, toy_board

import dgbench
from dgbench.api import measuring
from dgbench.api.boards import rules
from dgbench.board.render import files
from dgbench.core.cards import BoardCard, CaseRules
from dgbench.core.errors import RecordError, StoreError
from dgbench.runs.again import Again, compared
from dgbench.submissions.place import placed, verification
from small import small_board


@pytest.fixture(scope="module")
def room(ran: Path) -> Path:
    return ran


def board_of(room: Path) -> str:
    return str(room / "small" / "board.toml")


def call(room: Path, *arguments: str | Path) -> Done:
    return within(*arguments, folder=room)


def test_make_check_add_rank_and_do_again(room: Path) -> None:
    board, store = board_of(room), room / "store"
    own = dgbench.leaderboard(rules(board), store=store)
    for algorithm in ("erm", "t3a"):
        made = call(room, "submit", "make", board, "-a", algorithm, "-o", "out", "--store", store, "--json")
        assert made.returncode == 0, made.stderr
        folder = Path(json.loads(made.stdout)["folder"])
        assert folder == room / "out" / f"{algorithm}@1"
        checked = call(room, "submit", "check", folder, "--board", board, "--store", store, "--json")
        assert checked.returncode == 0, checked.stdout + checked.stderr
        told = json.loads(checked.stdout)
        refused = [verdict for verdict in told["verdicts"] if verdict["outcome"] == "refused"]
        assert told["good"]
        assert refused == []
        added = call(room, "submit", "add", folder, "--board", board, "--store", store, "--quiet")
        assert (added.returncode, added.stdout, added.stderr) == (0, "", "")
    # from submissions alone the board says what it says from the store: the exported table is the same
    into = room / "small" / "submissions"
    theirs = dgbench.leaderboard(rules(board), store=room / "empty", submissions=into)
    exported = pl.read_csv(files.write(theirs, room / "pages")[2])
    recomputed = files.table(own)
    numbers = [
        name
        for name in recomputed.columns
        if name.startswith(("accuracy", "gap", "rank", "ceiling", "oracle", "worst"))
    ]
    assert len(numbers) > 10
    for name in numbers:
        assert exported[name].to_list() == pytest.approx(recomputed[name].to_list(), nan_ok=True), name
    assert exported["algorithm"].to_list() == recomputed["algorithm"].to_list()
    assert exported["versus_erm"].drop_nulls().len() == 1, "T3A is compared with the ERM that was submitted"
    # by every measure, too, from the predictions of the one as from those of the other
    here = measuring.rankings(rules(board), own, store=store).known
    there = measuring.rankings(rules(board), theirs, store=room / "empty", submissions=into).known
    assert here.keys() == there.keys() > {"macro", "worst_class", "nll", "ece"}
    for metric, ranking in here.items():
        for track, places in ranking.tracks.items():
            assert [place.value for place in there[metric].tracks[track]] == [place.value for place in places]
            assert all(place.value is not None for place in places)
    ranked = call(room, "leaderboard", board, "--metric", "ece", "--store", store, "--json")
    assert ranked.returncode == 0, ranked.stderr
    told = json.loads(ranked.stdout)
    assert (told["metric"], told["is_the_rule"], len(told["entries"])) == ("ece", False, 2)
    shown = call(room, "leaderboard", board, "--metric", "nll", "--store", store)
    assert "Lower is better" in shown.stdout
    refused = call(room, "leaderboard", board, "--metric", "eec", "--store", store)
    assert (refused.returncode, refused.stderr.strip()) == (
        2, "dgbench: there is no metric named 'eec'. Did you mean 'ece'?"
    )  # fmt: skip
    # both together: the store's own runs stand for those that were submitted, which are told
    both = call(room, "leaderboard", board, "--store", store, "--json")
    assert both.returncode == 0, both.stderr
    told = json.loads(both.stdout)
    assert {entry["algorithm"]: entry["level"] for entry in told["entries"]} == {"erm": "", "t3a": ""}
    assert [entry["accuracy"] for entry in told["entries"]] == recomputed["accuracy"].to_list()
    levels = {one.submission.id: one.level for one in placed(into)}
    assert told["repeats"] == [
        {"submission": f"{name}@1", "algorithm": name, "level": levels[f"{name}@1"], "identical": True, "difference": 0}
        for name in ("erm", "t3a")
    ]
    shown = call(room, "leaderboard", board, "--store", store)
    assert "with the same predictions bit for bit, and listed once: erm@1, t3a@1." in " ".join(shown.stdout.split())
    # an algorithm asked for by name is alone
    alone = call(room, "leaderboard", board, "-a", "erm", "-a", "t3a", "--store", store, "--json")
    assert {entry["algorithm"] for entry in json.loads(alone.stdout)["entries"]} >= {"erm", "t3a"}

    again = call(room, "verify", into / "t3a@1", "--board", board, "--seed", "3", "--device", "cpu", "--json")
    assert again.returncode == 0, again.stdout + again.stderr
    told = json.loads(again.stdout)
    assert told["agrees"]
    assert [run["identical"] for run in told["runs"]] == [True], "bit for bit"
    seen = verification(into / "t3a@1")
    assert seen is not None
    assert (seen.level, seen.trainings, seen.difference) == ("spot re-run", 1, 0.0)
    assert {one.submission.id: one.level for one in placed(into)}["t3a@1"] == "spot re-run"

    held = call(room, "verify", board, "--store", store, "--seed", "1", "--device", "cpu")
    assert held.returncode == 0, held.stdout + held.stderr
    assert held.stdout.count("the same bit for bit") == 2, "ERM and T3A share the training"


def test_predictions_that_are_not_those_of_the_spec_do_not_agree(room: Path) -> None:
    """Whoever submits predictions of other weights passes what files can show, and fails here."""
    board = board_of(room)
    folder, better = (
        dgbench.make_submission(board, name, room / "forged", store=room / "store") for name in ("erm", "t3a")
    )
    theirs = pl.read_parquet(better / "runs.parquet")

    def other(table: pl.DataFrame, row: dict[str, object]) -> pl.DataFrame:
        run = theirs.filter(target=row["target"])["run"][0]
        return pl.read_parquet(better / "predictions" / f"{run}.parquet")

    repredict(folder, other)
    choose_again(folder)
    assert dgbench.check_submission(folder, board=board).good
    done = call(room, "verify", folder, "--board", board, "--seed", "3", "--device", "cpu")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "predictions are of another class, probabilities differ by up to 0." in done.stdout


def test_what_cannot_be_made_or_done_again_is_one_message(room: Path, tmp_path: Path, board: BoardCard) -> None:
    with pytest.raises(
        StoreError, match=r"2 of 2 runs are missing, the first of them on target .*; 'dgbench run small"
    ):
        dgbench.make_submission(board_of(room), "sam", tmp_path, store=room / "store")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(StoreError, match="holds no finished run of 'small'"):
        dgbench.verify(board_of(room), store=tmp_path / "none")
    for change, says in (
        (lambda content: content["method"].update(recipe=None), "another code base"),
        (lambda content: content["scores"].pop(), "is refused, so nothing of it is done again"),
        (lambda content: content, "are not what this dgbench does by these rules"),
    ):
        folder = submit(tmp_path / says[:5], board)
        tamper(folder, says=change)
        with pytest.raises(RecordError, match=says):
            dgbench.verify(str(folder), board=board, store=tmp_path / "none")
    assert toy_board() == board


def test_a_run_that_failed_is_submitted_with_its_reason(tmp_path: Path) -> None:
    """A diverged run is a row with its status, and the board counts it."""
    diverging = small_board("linear_probe").model_copy(
        update={
            "cases": {"digits": CaseRules(targets=("print",))},
            "overrides": {"linear_probe": {"optimizer.lr": 1e30}},
        }
    )
    assert dgbench.run(diverging, store=tmp_path / "store", device="cpu").failed
    folder = dgbench.make_submission(diverging, "linear_probe", tmp_path / "out", store=tmp_path / "store")
    checked = dgbench.check_submission(folder, board=diverging, store=tmp_path / "store")
    (row,) = checked.rows
    assert (row.result.status, row.result.last_step) == ("diverged", 0)
    told = {verdict.code: verdict for verdict in checked.verdicts}
    assert told["E08"].reasons == ("1 of 1 runs has the status 'diverged'",)
    assert told["E08"].outcome == "marked"


def test_tables_are_compared_number_by_number() -> None:
    table = pl.DataFrame(
        {"step": [1, 1], "split": "target", "domain": "d", "view": "clean", "sample": ["a", "b"], "label": [0, 1],
         "prediction": [0, 1], "confidence": [0.5, 0.6], "p_label": [0.5, 0.4]}
    )  # fmt: skip
    which = Again("r", "t", "ERM, target d")
    same = compared(which, table, table)
    assert (same.identical, same.difference, same.changed, same.examples, same.agrees) == (True, 0.0, 0, 2, True)
    near = compared(which, table, table.with_columns(pl.col("p_label") + 5e-4))
    assert (near.identical, near.agrees) == (False, True)
    assert near.difference == pytest.approx(5e-4)
    far = compared(which, table, table.with_columns(prediction=pl.Series([1, 1])))
    assert (far.changed, far.agrees) == (1, False)
    other = compared(which, table, table.with_columns(sample=pl.Series(["a", "c"])))
    assert (other.agrees, other.error) == (False, "other examples are predicted, or in other columns")
