"""What is done to a store, and who reads it then."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
from pathlib import Path
from typing import Any

from dgbench.core.seals import described
from dgbench.core.spec import canonical
from fuzzing import mutate
from fuzzing.mutate import LINKS, NAMES, RAW


def sealed(path: Path, content: Any) -> None:
    """JSON with a hash of itself, by someone who knows how that is made; what has none is written as it is."""
    if isinstance(content, dict):
        content.pop("sha256", None)
        try:
            content["sha256"] = hashlib.sha256(canonical(content).encode()).hexdigest()
        except (ValueError, RecursionError):
            content["sha256"] = "0" * 64
    path.write_bytes(json.dumps(content).encode("utf-8", "surrogatepass"))


def _unsealed(path: Path) -> Any:
    content = json.loads(path.read_bytes())
    del content["sha256"]
    return content


def a_seal(folder: Path, random_: random.Random) -> None:
    """A hostile value in the seal of finished work, which is sealed again."""
    path = mutate.one(folder, random_, "**/done.json")
    sealed(path, mutate.poisoned(_unsealed(path), random_))


def a_sealed_file(folder: Path, random_: random.Random) -> None:
    """A file of finished work that says something else, in a seal that fits."""
    note = mutate.one(folder, random_, "**/done.json")
    content = _unsealed(note)
    name = random_.choice(sorted(content["files"]))
    path = note.parent / name
    mutate.changed_file(path, random_)
    content["files"][name] = described(path)
    sealed(note, content)


def a_list(folder: Path, random_: random.Random) -> None:
    """A hostile value in the list of a board's runs, which is sealed again."""
    path = mutate.one(folder, random_, "boards/*/*.json")
    if random_.random() < 0.1:
        path.write_bytes(random_.choice(RAW).encode("utf-8", "surrogatepass"))
    else:
        sealed(path, mutate.poisoned(_unsealed(path), random_))


def a_note(folder: Path, random_: random.Random) -> None:
    """A note of why a training failed, of one that the board has, with hostile values or bytes."""
    path = mutate.one(folder, random_, "failures/*.json")
    content = path.read_bytes()
    training = random_.choice(sorted((folder / "trainings").iterdir()))
    if random_.random() < 0.7:
        (training / "done.json").unlink()
    path.rename(path.with_name(f"{training.name}.json")).write_bytes(mutate.strange_json(content, random_))


def a_lock(folder: Path, random_: random.Random) -> None:
    """A lock that is a folder, a pipe or a link, of a piece that is damaged."""
    run = random_.choice(sorted((folder / random_.choice(("runs", "trainings"))).iterdir()))
    mutate.bytes_of_a_file(run, random_)
    lock = folder / "locks" / f"{run.parent.name.removesuffix('s')}-{run.name}.lock"
    _strange(lock, random_)


def a_folder(folder: Path, random_: random.Random) -> None:
    """A folder of the store that is elsewhere, or something else."""
    named = [path for path in sorted(folder.rglob("*")) if path.is_dir()] + [folder / "damaged", folder / "failures"]
    path = random_.choice(named)
    shutil.rmtree(path, ignore_errors=True)
    _strange(path, random_)
    if random_.random() < 0.5:
        mutate.bytes_of_a_file(folder, random_)


def a_stranger(folder: Path, random_: random.Random) -> None:
    """Pieces, boards and rooms of killed processes under names that nobody gives."""
    parent = random_.choice([folder, *(path for path in sorted(folder.rglob("*")) if path.is_dir())])
    name = random_.choice((*NAMES, f".done.json.{'0' * 16}", f".x.{'a' * 16}", "0" * 16, "known"))
    path = parent / name
    if path.exists():
        return
    if random_.random() < 0.5:
        _strange(path, random_)
    else:
        path.mkdir()
        for each in mutate.files(folder, "runs/*/*")[:4]:
            shutil.copy(each, path)


def _strange(path: Path, random_: random.Random) -> None:
    match random_.randrange(4):
        case 0:
            os.mkfifo(path)
        case 1:
            path.mkdir()
            (path / "x").write_text("x")
        case 2:
            path.write_text("x")
        case _:
            path.symlink_to(random_.choice(LINKS))


MUTATIONS = (a_seal, a_sealed_file, a_list, a_note, a_lock, a_folder, a_stranger, mutate.no_file)
MUTATIONS += (mutate.bytes_of_a_file,)  # type: ignore[assignment]
