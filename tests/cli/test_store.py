"""``dgbench store``."""

import json
from pathlib import Path

import pytest
from comparing.called import Done, process, within

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
    write_sealed(made.root / "boards" / "small" / "0.json", {"entries": []})
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
        | {"hyperparameters": {"averaging": {"part": "last", "version": 1}}}
        for name, run in zip(("erm", "t3a"), runs, strict=True)
    ]
    content = {"schema": "dgbench.index/4", "criterion": "augmented", "keep": "all", "starts": {}, "entries": entries}
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
