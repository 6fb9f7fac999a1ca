"""Folders for the Hub: what they hold is what was computed; what is sent arrives byte for byte, once, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import datasets
import polars as pl
import pytest
import yaml
from hub.stand_in import TOKEN, Hub, at, hub
from huggingface_hub import constants
from sites.made import shown_board

import dgbench
from dgbench.board.interactive import Leaderboard
from dgbench.board.render import files
from dgbench.core.errors import DGBenchError
from dgbench.core.visible import visible
from dgbench.hub.folder import TABLES, board_folder
from dgbench.hub.push import push

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning")  # of huggingface_hub


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


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Hub for this process."""
    with hub() as state:
        at(state, monkeypatch)
        yield state


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


def test_no_name_ends_the_block_or_acts_in_the_card(tmp_path: Path) -> None:
    title = "x\n---\nlicense: none\n# \x1b[31m {a: b}"
    shown = shown_board(title=title, suffix="\n---\n", domains=("a: b", "---", "c\x1b[0m"))
    board_folder(Leaderboard._of(shown.own, shown.records), shown.records, tmp_path / "out", "mit")
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    _, block, body = card.split("---\n", 2)
    assert yaml.safe_load(block)["license"] == "mit"
    assert yaml.safe_load(block)["pretty_name"] == visible(title)
    assert "\x1b" not in card
    assert not [line for line in body.splitlines() if line.startswith(("license:", "---"))]
    read = datasets.load_dataset(str(tmp_path / "out"), "cells", split="test", cache_dir=str(tmp_path / "cache"))
    assert set(read["target"]) == {"a: b", "---", "c\x1b[0m"}


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


def test_what_is_sent_arrives_byte_for_byte_in_one_commit_and_private(
    there: Hub, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sent = push(folder, "me/board", "dataset", public=False)
    repository = there.repositories["me/board"]
    assert repository.files == contents(folder)
    assert (repository.kind, repository.visibility, repository.commits) == ("dataset", "private", 1)
    assert there.large, "some files go over LFS"
    assert sent == f"{there.address}/me/board/commit/{1:040x}"
    push(folder, "me/board", "dataset", public=True)
    assert (repository.visibility, repository.commits) == ("private", 2), "one that is there stays as it is"
    assert TOKEN not in "".join(capfd.readouterr())


def test_a_new_repository_is_public_when_that_is_asked_for(there: Hub, folder: Path) -> None:
    push(folder, "me/board", "dataset", public=True)
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
def test_a_failure_on_the_way_is_one_error_and_leaves_no_half(
    where: str, status: int, there: Hub, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = contents(folder)
    there.fails = (where, status)
    with pytest.raises(DGBenchError) as failed:
        push(folder, "me/board", "dataset", public=False)
    assert any(asked.partition(" ")[2].startswith(where) for asked in there.asked)
    said = str(failed.value)
    assert said.startswith("me/board: could not be pushed (")
    assert said.endswith("there is complete, and the same command tries again")
    assert "\n" not in said
    assert TOKEN not in said + "".join(capfd.readouterr())
    assert all(repository.files == {} for repository in there.repositories.values())
    there.fails = None
    push(folder, "me/board", "dataset", public=False)
    assert there.repositories["me/board"].files == before
    assert contents(folder) == before


def test_who_is_not_known_is_told(there: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_another")
    with pytest.raises(DGBenchError, match="could not be pushed") as refused:
        push(folder, "me/board", "dataset", public=False)
    assert "hf_another" not in str(refused.value)
    monkeypatch.delenv("HF_TOKEN")
    there.asked.clear()
    with pytest.raises(DGBenchError, match="run 'hf auth login', or set HF_TOKEN"):
        push(folder, "me/board", "dataset", public=False)
    assert there.asked == []


def test_who_reaches_nobody_is_told(there: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DGBenchError, match="could not be pushed"):
        push(folder, "me/board", "dataset", public=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DGBenchError, match=r"could not be pushed \(.*offline"):
        push(folder, "me/board", "dataset", public=False)


def test_a_repository_has_an_owner_and_a_name(folder: Path) -> None:
    for name in ("board", "a/b/c", "me/ board"):
        with pytest.raises(DGBenchError, match="OWNER/"):
            push(folder, name, "dataset", public=False)


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(DGBenchError, match="holds nothing of 'emoji-scratch'"):
        dgbench.publish_board("emoji-scratch", tmp_path / "x", store=tmp_path / "store")
    with pytest.raises(DGBenchError, match="is no exported model"):
        dgbench.publish_model(tmp_path, tmp_path / "x")
    assert not (tmp_path / "x").exists()
