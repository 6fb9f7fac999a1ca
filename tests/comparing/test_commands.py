"""``dgbench compare`` on a store of real runs and on submissions, run as a user runs it."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import typer
from comparing.called import process, within
from comparing.conftest import Room

import dgbench
from dgbench.api.boards import rules
from dgbench.cli import program
from dgbench.core.errors import RecipeError, StoreError, UnknownNameError
from dgbench.core.files import write_json
from dgbench.runs.store import Store


def test_what_the_store_holds_is_compared_and_written_as_a_page(room: Room) -> None:
    page = room.folder / "compared.html"
    done = within("compare", "erm", "t3a", "--board", room.board, "--store", room.store, "--json", "-o", page)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    (one,) = told["against"]
    # naively, from the predictions of the models that were chosen
    card = rules(room.board)
    chosen = dgbench.select(card, store=room.store).cells
    predictions = dgbench.predictions(card, store=room.store).filter(pl.col("split") == "target").collect()
    place = ["algorithm", "target", "trial", "draw", "step"]
    kept = predictions.join(chosen.select(place).cast({"step": pl.Int32}), on=place, how="semi")
    right = {
        (algorithm, target, trial): dict(zip(part["sample"], part["prediction"] == part["label"], strict=True))
        for (algorithm, target, trial), part in kept.group_by("algorithm", "target", "trial")
    }
    for flip in one["flips"]:
        erm, t3a = (right[name, flip["target"], flip["trial"]] for name in ("erm", "t3a"))
        assert flip["both"] == sum(erm[sample] and t3a[sample] for sample in erm)
        assert flip["first"] == sum(erm[sample] and not t3a[sample] for sample in erm)
        assert flip["second"] == sum(t3a[sample] and not erm[sample] for sample in erm)
        assert flip["neither"] == sum(not t3a[sample] and not erm[sample] for sample in erm)
    means = [
        np.mean([*right["t3a", target, 0].values()]) - np.mean([*right["erm", target, 0].values()])
        for target in ("print", "dot-matrix")
    ]
    assert one["difference"]["mean"] == pytest.approx(np.mean(means))
    assert (one["trainings"], one["trainings_shared"]) == (2, 2), "T3A needs none of its own"
    html = page.read_text()
    assert told["page"] == str(page)
    assert "T3A minus ERM" in html
    assert "data:image/png" in html, "built-in images are drawn"
    assert "http" not in html.replace("http-equiv", "")
    shown = process(room.folder, "compare", "erm", "t3a", "--board", room.board, "--store", room.store)
    assert shown.returncode == 0, shown.stderr
    assert "T3A minus ERM" in shown.stdout


def test_runs_count_whatever_list_of_the_board_they_were_done_for(room: Room) -> None:
    """The store has a list of three algorithms; without a list of those that are asked for, their runs are there."""
    found = dgbench.compare(rules(room.board, algorithms=["erm"]), ["t3a", "sam", "erm"], store=room.store)
    assert [one.entry.algorithm for one in found.against] == ["sam", "erm"]
    assert found.against[0].lead.total.n == 2
    assert found.against[0].lead.total.interval is None, "there is one trial"
    assert found._repr_html_().count("<tr>") == 3


def test_missing_runs_are_named_with_the_command_that_does_them(room: Room, tmp_path: Path) -> None:
    store = shutil.copytree(room.store, tmp_path / "kept here")
    card = rules(room.board)
    gone = dgbench.records(card, store=store).runs.filter(
        (pl.col("algorithm") == "sam") & (pl.col("target") == "print")
    )
    shutil.rmtree(store / "runs" / gone["run"][0])
    done = within("compare", "erm", "sam", "--board", room.board, "--store", store)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert "'sam' lacks 1 of 2 runs: target print, trial 0, draw 0. To do what is missing: dgbench run" in line
    command = line.partition("To do what is missing: ")[2]
    words = shlex.split(command)
    assert words[:7] == ["dgbench", "run", room.board, "-a", "erm", "-a", "sam"]
    assert words[-2:] == ["--store", str(store)], "a path with a space in it can be pasted"
    assert "'erm' lacks" not in line
    write_json(Store(store).failure_note(gone["training"][0]), {"error": "a loss is no number", "status": "diverged"})
    failed = within("compare", "erm", "sam", "--board", room.board, "--store", store)
    assert "target print, trial 0, draw 0; diverged: a loss is no number. To do" in failed.stderr
    more = within("compare", "erm", "sam", "--board", room.board, "--store", store, "--trials", "2")
    assert f"dgbench run {room.board} -a erm -a sam --trials 2" in more.stderr
    with pytest.raises(StoreError, match="'ema' lacks 2 of 2 runs"):
        dgbench.compare(room.board, ["erm", "ema"], store=room.store)


@pytest.mark.parametrize(
    ("names", "error", "words"),
    [
        (["erm"], RecipeError, "two algorithms or more"),
        (["erm", "erm"], RecipeError, "'erm' is named twice"),
        (["erm", "tea"], UnknownNameError, "Did you mean 't3a'"),
        (["erm", "sam@7"], UnknownNameError, "no submission to 'small' named 'sam@7'"),
    ],
)
def test_a_wrong_name_is_one_message(room: Room, names: list[str], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=re.escape(words)):
        dgbench.compare(room.board, names, store=room.store)


@pytest.mark.parametrize("predictions", [True, False])
def test_a_submission_is_compared_with_what_was_run_here(room: Room, tmp_path: Path, predictions: bool) -> None:
    board = Path(shutil.copytree(Path(room.board).parent, tmp_path / "small")) / "board.toml"
    folder = dgbench.make_submission(str(board), "sam", tmp_path / "out", store=room.store)
    dgbench.add_submission(folder, board=str(board), predictions=predictions)
    compared = dgbench.compare(str(board), ["erm", "sam@1"], store=room.store)
    own = dgbench.compare(str(board), ["erm", "sam"], store=room.store)
    assert compared.against[0].lead == own.against[0].lead
    assert compared.against[0].entry.level in ("recomputed", "self-reported")
    assert compared.against[0].flips == (own.against[0].flips if predictions else ())
    if predictions:
        assert compared.against[0].images.equals(own.against[0].images)
    elsewhere = dgbench.compare(str(board), ["sam@1", "sam"], store=room.store)
    assert elsewhere.against[0].same
    # what the store does not hold stands on the board by its submission, and is compared by it
    dgbench.add_submission(
        dgbench.make_submission(str(board), "erm", tmp_path / "out", store=room.store), board=str(board)
    )
    theirs = dgbench.compare(str(board), ["erm", "sam"], store=tmp_path / "empty")
    assert (theirs.first.algorithm, theirs.against[0].entry.algorithm) == ("erm@1", "sam@1")
    assert theirs.against[0].lead == own.against[0].lead
    with pytest.raises(StoreError, match="'t3a' lacks 2 of 2 runs"):
        dgbench.compare(str(board), ["erm", "t3a"], store=tmp_path / "empty")
    twin = dgbench.compare(str(board), ["sam", "sam@1"], store=room.store)
    assert twin.against[0].same


def test_the_command_that_select_prints_exports_the_model_that_it_names(room: Room, tmp_path: Path) -> None:
    asked = ["-a", "sam", "--target", "dot-matrix", "--trial", "0", "--criterion", "source", "--store", room.store]
    done = within("select", room.board, *asked)
    assert done.returncode == 0, done.stderr
    line = done.stdout.splitlines()[-1]
    assert shlex.split(line) == [
        "dgbench", "export", room.board, "sam", "--target", "dot-matrix", "--trial", "0", "--criterion", "source",
        "--store", str(room.store), "--out", "model",
    ]  # fmt: skip
    exported = within(*shlex.split(line)[1:-1], tmp_path / "model", "--json", "--device", "cpu")
    assert exported.returncode == 0, exported.stderr
    card = json.loads(exported.stdout)["selection"]
    (one,) = json.loads(within("select", room.board, *asked, "--json").stdout)["cells"]
    assert [card[key] for key in ("target", "trial", "draw", "step")] == [
        one[key] for key in ("target", "trial", "draw", "step")
    ]
    assert (card["run"], card["score"]) == (one["run"], one["score"])
    # what target labels choose leaves no board
    looked = within("select", room.board, *asked[:6], "--criterion", "ceiling", "--store", room.store)
    assert "dgbench export" not in looked.stdout


def test_the_commands_of_the_page_can_be_given() -> None:
    page = (Path(__file__).parents[2] / "docs" / "compare.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    lines = [line.partition("#")[0].strip() for block in blocks for line in block.splitlines()]
    assert len(lines) >= 6
    verbs = typer.main.get_command(program()).commands
    for line in lines:
        tool, verb, *arguments = shlex.split(line)
        assert tool == "dgbench"
        verbs[verb].make_context(verb, arguments)
