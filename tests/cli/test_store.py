"""``dgbench store``."""

import json
import os
from pathlib import Path

import pytest
from comparing.called import Done, process, within

from dgbench.core.errors import StoreError
from dgbench.core.files import write_json
from dgbench.core.seals import seal, write_sealed
from dgbench.core.spec import identity
from dgbench.runs.store import Kind, Store


def dgbench(*arguments: str | Path) -> Done:
    return within("store", *arguments)


def piece(store: Store, kind: Kind, number: int, name: str) -> Path:
    with store.claim(kind, {"number": number}) as folder:
        assert folder is not None
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"written" * 100)
        seal(folder, {"seconds": 1})
    return folder / name


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path / "store")
    for number in range(3):
        piece(made, "training", number, "weights/000002.safetensors")
        piece(made, "run", number, "predictions.parquet")
    write_sealed(made.root / "boards" / "small" / "0.json", {"schema": "dgbench.index/3", "entries": []})
    return made


def flip(path: Path) -> bytes:
    content = bytearray(path.read_bytes())
    content[3] ^= 1
    path.write_bytes(content)
    return bytes(content)


def test_a_whole_store_is_told_so(store: Store) -> None:
    done = dgbench("verify", "--store", store.root)
    assert done.returncode == 0, done.stderr
    assert [line.split()[:5] for line in done.stdout.splitlines()[1:]] == [
        ["trainings", "3", "0", "0", "6"],
        ["runs", "3", "0", "0", "6"],
        ["features", "0", "0", "0", "0"],
        ["boards", "1", "0", "0", "1"],
    ]
    told = json.loads(dgbench("verify", "--store", store.root, "--json").stdout)
    assert [(kind["kind"], kind["pieces"], kind["files"], kind["damaged"]) for kind in told] == [
        ("training", 3, 6, []),
        ("run", 3, 6, []),
        ("features", 0, 0, []),
        ("board", 1, 1, []),
    ]


def test_what_is_damaged_is_named_and_set_aside_unless_one_only_looks(store: Store) -> None:
    weights = store.folder("training", identity({"number": 1})) / "weights" / "000002.safetensors"
    board = store.root / "boards" / "small" / "0.json"
    flipped = flip(weights)
    flip(board)
    for look in range(2):
        done = process(store.root, "store", "verify", "--store", store.root, "--dry-run")
        assert done.returncode == 1
        said = " ".join(done.stdout.split())
        assert f"{weights} is damaged" in said, look
        assert f"{board} is damaged" in said
        assert not done.stderr
    assert not (store.root / "damaged").exists()
    quiet = dgbench("verify", "--store", store.root, "--quiet")
    assert (quiet.returncode, quiet.stdout) == (1, "")
    aside = store.root / "damaged" / f"training-{weights.parent.parent.name}-1" / "weights" / weights.name
    assert aside.read_bytes() == flipped
    assert not weights.parent.parent.exists()
    assert dgbench("verify", "--store", store.root).returncode == 0
    # It is damaged once more: nothing that lies aside is lost.
    flip(piece(store, "training", 1, "weights/000002.safetensors"))
    assert f"{aside.parents[1].name[:-1]}2" in dgbench("verify", "--store", store.root).stdout.replace("\n", "")
    assert aside.read_bytes() == flipped


def test_work_of_an_earlier_version_is_neither_sound_nor_damaged(store: Store) -> None:
    folder = store.root / "trainings" / "0123456789abcdef"
    write_json(folder / "done.json", {"seconds": 1, "torch": "2"})
    done = dgbench("verify", "--store", store.root)
    assert done.returncode == 0
    assert "earlier dgbench" in done.stdout
    assert folder.is_dir()


def test_a_store_that_is_not_there_is_one_message(tmp_path: Path) -> None:
    done = dgbench("verify", "--store", tmp_path / "nothing")
    assert done.returncode == 2
    assert done.stderr.startswith("dgbench: there is no store in")


@pytest.fixture
def listed(tmp_path: Path) -> Store:
    """Two algorithms that share a training, and a training that nobody lists."""
    made = Store(tmp_path / "listed")
    training = piece(made, "training", 1, "weights/000002.safetensors").parents[1].name
    runs = [piece(made, "run", number, "predictions.parquet").parent.name for number in (1, 2)]
    piece(made, "training", 2, "weights/000002.safetensors")
    entries = [
        {"algorithm": name, "target": "print", "trial": 0, "draw": 0, "training": training, "run": run}
        | {"hyperparameters": {"averaging": {"part": "last", "version": 1}}, "passes": 1.0}
        | dict.fromkeys(("title", "track", "backbone", "pretrained_on", "dataset", "domain", "without_effect"), "")
        | {"sources": [], "families": []}
        for name, run in zip(("erm", "t3a"), runs, strict=True)
    ]
    content = {"schema": "dgbench.index/4", "criterion": "augmented", "keep": "all", "starts": {}, "entries": entries}
    content |= {"manifests": {}, "cases": []}
    write_sealed(made.root / "boards" / "small" / "0.json", content)
    return made


def test_boards_are_listed_with_what_is_done_and_its_size(listed: Store) -> None:
    told = json.loads(dgbench("ls", "--store", listed.root, "--json").stdout)
    assert [(b["board"], b["runs"], b["finished"], b["keep"]) for b in told["boards"]] == [("small", 2, 2, "all")]
    assert 3 * 700 < told["boards"][0]["bytes"] < 3 * 2000
    lines = dgbench("ls", "--store", listed.root).stdout.splitlines()
    assert lines[1].split()[:6] == ["small", "0", "2", "2", "2", "0"]


def test_room_is_told_by_board_and_algorithm_and_what_is_shared_once(listed: Store) -> None:
    told = json.loads(dgbench("du", "--store", listed.root, "--json").stdout)
    erm, t3a = told["algorithms"]
    assert (erm["algorithm"], erm["weights"], t3a["weights"]) == ("erm", 700, 700)
    assert erm["shared"] == t3a["shared"] == erm["weights"] + erm["other"]
    assert told["boards_shared_work_once"] == erm["bytes"] + t3a["bytes"] - erm["shared"]
    assert 700 < told["on_no_boards_list"] < 2000
    said = dgbench("du", "--store", listed.root).stdout
    assert "small" in said
    assert "boards, shared work once" in said


def test_nothing_goes_before_one_says_yes(listed: Store) -> None:
    def there() -> set[Path]:
        return {path for path in listed.root.rglob("*") if path.is_file()}

    before = there()
    said = dgbench("prune", "--unlisted", "--store", listed.root)
    assert said.returncode == 0, said.stderr
    assert said.stdout.splitlines()[-1].endswith("would go; --yes lets it go")
    assert there() == before
    told = json.loads(dgbench("prune", "--unlisted", "--yes", "--json", "--store", listed.root).stdout)
    assert told["freed"] == told["bytes"] > 700
    assert len(before - there()) == 3
    assert dgbench("prune", "--unlisted", "--store", listed.root).stdout == "there is nothing to let go of\n"
    assert dgbench("prune", "smal", "--store", listed.root).returncode == 2


HOSTILE = {"files": {"../../../secret": [2, "0" * 64]}}, {"files": [1]}, {"files": {"x": 1}}, {"files": {"x": [0, "x"]}}


@pytest.mark.parametrize("note", HOSTILE)
def test_a_seal_that_leads_elsewhere_or_is_none_is_damage(note: dict[str, object], store: Store) -> None:
    id_ = store.pieces("run")[0]
    write_sealed(store.folder("run", id_) / "done.json", note)
    assert f"{id_}/done.json is damaged" in dgbench("verify", "--store", store.root).stdout
    assert (store.root / "damaged" / f"run-{id_}-1").is_dir()


@pytest.mark.parametrize("changed", [{"run": "../../x"}, {"run": 1}, {"title": "\x1b[31m"}, {"hyperparameters": {}}])
def test_a_list_that_leads_elsewhere_or_is_none_is_damage(changed: dict[str, object], listed: Store) -> None:
    path = listed.root / "boards" / "small" / "0.json"
    content = json.loads(path.read_text())
    del content["sha256"]
    content["entries"][1] |= changed
    write_sealed(path, content)
    done = dgbench("ls", "--store", listed.root)
    assert done.returncode == 0
    assert "0.json is damaged" in done.stdout
    assert "\x1b" not in done.stdout


def test_pipes_and_links_in_a_store_are_not_waited_for_and_not_followed(store: Store, tmp_path: Path) -> None:
    first, second, third = (store.folder("run", id_) for id_ in store.pieces("run"))
    (first / "done.json").unlink()
    os.mkfifo(first / "done.json")
    (second / "predictions.parquet").unlink()
    (second / "predictions.parquet").symlink_to("/dev/zero")
    flip(third / "predictions.parquet")
    (store.root / "locks" / f"run-{third.name}.lock").symlink_to(tmp_path / "made")
    done = dgbench("verify", "--store", store.root)
    assert done.returncode == 2
    assert "Too many levels of symbolic links" in done.stderr
    assert not (tmp_path / "made").exists()
    with pytest.raises(StoreError, match="no name of a piece of work"):
        store.folder("run", "../x")


def test_stores_are_merged_and_exported_by_path_and_by_address(store: Store, listed: Store, tmp_path: Path) -> None:
    disk = f"file://{tmp_path / 'disk'}"
    done = dgbench("merge", store.root, listed.root, "--store", disk, "--json")
    assert done.returncode == 0, done.stderr
    assert [(one["trainings"], one["runs"], one["damaged"]) for one in json.loads(done.stdout)] == [
        (3, 3, []),
        (0, 0, []),
    ]
    again = dgbench("merge", store.root, "--store", disk)
    assert "0 trainings and 0 runs copied (0 bytes), 6 were there; lists of 0 boards" in again.stdout
    (board,) = {path.parent.name for path in listed.indices()}
    out = tmp_path / "out"
    assert dgbench("export", out, board, "--store", disk).returncode == 0
    assert len(Store(out).pieces("run")) == 2
    assert dgbench("verify", "--store", out).returncode == 0
    flip(store.folder("run", identity({"number": 1})) / "predictions.parquet")
    left = dgbench("merge", store.root, "--store", tmp_path / "another")
    assert left.returncode == 1
    assert "predictions.parquet is damaged" in left.stdout
    assert dgbench("merge", store.root, "--store", store.root).returncode == 2
    unknown = dgbench("export", out, "nothing", "--store", disk)
    assert unknown.returncode == 2
    assert "Did you mean" in unknown.stderr or "Known: " in unknown.stderr
