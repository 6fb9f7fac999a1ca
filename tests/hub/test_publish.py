"""Folders for the Hub: what they hold is what was computed; what is sent arrives byte for byte, once, or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import datasets
import polars as pl
import pytest
import yaml
from hub.stand_in import TOKEN, Hub, hub
from sites.made import shown_board

import dgbench
from dgbench.board.interactive import Leaderboard
from dgbench.board.render import files
from dgbench.core.errors import DGBenchError
from dgbench.hub.folder import TABLES, board_folder

PUSH = "print(push(Path('there'), 'me/board', 'dataset', public={}))"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def board() -> Leaderboard:
    shown = shown_board()
    return Leaderboard._of(shown.own, shown.records)


@pytest.fixture(scope="module")
def folder(board: Leaderboard, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("published") / "there"
    board_folder(board, board.records, path, "mit")
    return path


def test_a_board_is_read_as_a_dataset_and_holds_what_it_follows_from(
    board: Leaderboard, folder: Path, tmp_path: Path
) -> None:
    expected = {
        "ranks": files.table(board), "cells": files.cells(board), "pairs": files.pairs(board),
        "criteria": files.qualities(board), "runs": board.records.runs, "measurements": board.records.metrics,
    }  # fmt: skip
    assert set(expected) == set(TABLES)
    for name, table in expected.items():
        read = datasets.load_dataset(str(folder), name, split="test", cache_dir=str(tmp_path))
        again = pl.DataFrame(read.to_list(), infer_schema_length=None)
        assert again.height == table.height
        assert again.columns == table.columns
        for column in table.columns:
            if table.schema[column] != pl.Null:
                assert again[column].cast(table.schema[column]).to_list() == table[column].to_list(), (name, column)
    assert set(datasets.get_dataset_config_names(str(folder), cache_dir=str(tmp_path))) == set(TABLES)


def test_the_leaderboard_can_be_computed_again_from_the_published_tables(board: Leaderboard, folder: Path) -> None:
    from dgbench.board.build import build

    metrics, runs = (pl.read_parquet(folder / "data" / f"{name}.parquet") for name in ("measurements", "runs"))
    again = build(metrics, runs, board.info)
    assert files.table(again).equals(files.table(board))


def test_the_card_says_what_the_hub_asks_for(folder: Path) -> None:
    card = (folder / "README.md").read_text(encoding="utf-8")
    _, block, body = card.split("---\n", 2)
    head = yaml.safe_load(block)
    assert head["license"] == "mit"
    assert "dgbench" in head["tags"]
    assert [one["config_name"] for one in head["configs"] if one.get("default")] == ["ranks"]
    for config in head["configs"]:
        (part,) = config["data_files"]
        assert (folder / part["path"]).is_file()
    assert "# Toy board" in body
    assert "| SAM |" in body
    names = set(contents(folder))
    assert {"README.md", "leaderboard.html", "leaderboard.tex", "methods.bib"} <= names
    assert sum(name.startswith("every-eval-ever/") for name in names) == 5
    assert "written" not in {path.name for path in folder.iterdir()}


def test_only_what_was_written_here_is_replaced(board: Leaderboard, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "README.md").write_text("# Notes\n\n- dgbench\n")
    (tmp_path / "notes").write_text("x")
    for name in ("mine", "notes"):
        with pytest.raises(DGBenchError, match="holds something else"):
            board_folder(board, board.records, tmp_path / name, "mit")
    assert (tmp_path / "mine" / "README.md").read_text().startswith("# Notes")
    board_folder(board, board.records, tmp_path / "new", "mit")
    (tmp_path / "new" / "data" / "stale.parquet").touch()
    board_folder(board, board.records, tmp_path / "new", "cc-by-4.0")
    assert "license: cc-by-4.0" in (tmp_path / "new" / "README.md").read_text(encoding="utf-8")
    assert not (tmp_path / "new" / "data" / "stale.parquet").exists()


def run(code: str, folder: Path, hub_: Hub | None, token: str | None = TOKEN) -> subprocess.CompletedProcess[str]:
    """A command's shell around some code, in a process whose Hub is the stand-in."""
    environment = os.environ | {"HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    environment |= {"HF_ENDPOINT": hub_.address if hub_ else "http://127.0.0.1:9"}
    environment |= {"HF_TOKEN": token} if token else {}
    shell = f"""
import sys
from pathlib import Path
from dgbench.core.errors import DGBenchError
from dgbench.hub.push import push
try:
    {code}
except DGBenchError as error:
    print(f"dgbench: {{error}}", file=sys.stderr)
    sys.exit(2)
"""
    return subprocess.run(
        [sys.executable, "-c", shell], capture_output=True, text=True, cwd=folder.parent, env=environment, timeout=60
    )


def test_what_is_sent_arrives_byte_for_byte_in_one_commit_and_private(folder: Path) -> None:
    with hub() as there:
        done = run(PUSH.format("False"), folder, there)
        assert done.returncode == 0, done.stderr
        repository = there.repositories["me/board"]
        assert repository.files == contents(folder)
        assert (repository.kind, repository.visibility, repository.commits) == ("dataset", "private", 1)
        assert any(there.large), "some files go over LFS"
        assert done.stdout.strip() == f"{there.address}/me/board/commit/{1:040x}"
        again = run(PUSH.format("True"), folder, there)
        assert again.returncode == 0, again.stderr
        assert (repository.visibility, repository.commits) == ("private", 2)
        for text in (done.stdout, done.stderr, again.stdout, again.stderr):
            assert TOKEN not in text


def test_a_new_repository_is_public_when_that_is_asked_for(folder: Path) -> None:
    with hub() as there:
        assert run(PUSH.format("True"), folder, there).returncode == 0
        assert there.repositories["me/board"].visibility == "public"


@pytest.mark.parametrize(
    ("where", "status"),
    [
        ("/api/repos/create", 403),
        ("/api/validate-yaml", 400),
        ("/api/datasets/me/board/preupload", 403),
        ("/datasets/me/board.git/info/lfs", 403),
        ("/lfs/", 400),
        ("/api/datasets/me/board/commit", 403),
    ],
)
def test_a_failure_on_the_way_is_one_error_and_leaves_no_half(where: str, status: int, folder: Path) -> None:
    before = contents(folder)
    with hub() as there:
        there.fails = (where, status)
        done = run(PUSH.format("False"), folder, there)
        assert any(asked.partition(" ")[2].startswith(where) for asked in there.asked)
        said = [line for line in done.stderr.splitlines() if line.startswith("dgbench: ")]
        assert (done.returncode, len(said)) == (2, 1), done.stderr
        assert "me/board: could not be pushed (" in said[0]
        assert "there is complete, and the same command tries again" in said[0]
        assert "Traceback" not in done.stderr
        assert TOKEN not in done.stdout + done.stderr
        assert all(repository.files == {} for repository in there.repositories.values())
        there.fails = None
        assert run(PUSH.format("False"), folder, there).returncode == 0
        assert there.repositories["me/board"].files == before
    assert contents(folder) == before


def test_who_is_not_logged_in_or_not_known_or_reaches_nobody_is_told(folder: Path) -> None:
    with hub() as there:
        unknown = run(PUSH.format("False"), folder, there, token=None)
        assert unknown.returncode == 2
        assert "run 'hf auth login', or set HF_TOKEN" in unknown.stderr
        assert there.asked == []
        stranger = run(PUSH.format("False"), folder, there, token="hf_another")
        assert stranger.returncode == 2
        assert "could not be pushed" in stranger.stderr
        assert "hf_another" not in stranger.stderr
    nobody = run(PUSH.format("False"), folder, None)
    assert nobody.returncode == 2
    assert "could not be pushed" in nobody.stderr
    assert "Traceback" not in nobody.stderr


def test_a_repository_has_an_owner_and_a_name(folder: Path) -> None:
    from dgbench.hub.push import push

    for name in ("board", "a/b/c", "me/ board"):
        with pytest.raises(DGBenchError, match="OWNER/"):
            push(folder, name, "dataset", public=False)


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(DGBenchError, match="holds nothing of 'emoji-scratch'"):
        dgbench.publish_board("emoji-scratch", tmp_path / "x", store=tmp_path / "store")
    with pytest.raises(DGBenchError, match="is no exported model"):
        dgbench.publish_model(tmp_path, tmp_path / "x")
    assert not (tmp_path / "x").exists()
