"""Whatever file of a store is damaged: it is named, set aside and done again, and the board is what it was."""

import json
import math
import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from dgbench.api import boards
from dgbench.core.cards import CaseRules, SelectionRules, SplitRules
from dgbench.core.errors import DamagedError, StoreError
from dgbench.core.pieces import checkpoint
from dgbench.core.seals import seal
from dgbench.runs.execute import do_runs, do_training
from dgbench.runs.index import index
from dgbench.runs.plan import Plan
from dgbench.runs.planning import make_plan
from dgbench.runs.store import Kind, Store
from dgbench.runs.verify import verify
from dgbench.train.spec import TrainingSpec
from dgbench.train.trajectory import Initial, StoredTrajectory
from small import small_board

pytestmark = pytest.mark.usefixtures("computing_as_a_worker")
# Of one target: heads on stored features, and a network that starts from the head of the first. Few images.
BOARD = small_board(
    *("linear_probe", "erm(head='linear_probe')"),
    backbone="dgbench:convnet-small",
    split=SplitRules(validation=0.02, test=0.02),
).model_copy(
    update={
        "hyperparameters": {"sampler.augmentation": "none"},
        "cases": {"digits": CaseRules(targets=("print",), sources=("handwritten", "dot-matrix"))},
        "selection": SelectionRules(views_per_domain=2),
        "keep": "all",
    }
)
CPU = torch.device("cpu")
FILES: dict[Kind, tuple[str, ...]] = {
    "training": (
        "done.json",
        "history.parquet",
        "spec.json",
        "weights/000002-mean.safetensors",
        "weights/000004.safetensors",
        "weights/ema-0.99.safetensors",
    ),
    "run": ("done.json", "predictions.parquet", "result.json", "spec.json"),
    "features": ("done.json", "features.npy", "spec.json"),
}
"""One of each kind; a test sees that there are no others."""
Harm = Callable[[Path], None]


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncated(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def deleted(path: Path) -> None:
    path.unlink()


every_harm = pytest.mark.parametrize("harm", [flipped, truncated, deleted])


@cache
def plan() -> Plan:
    return make_plan(BOARD)


def trainings() -> list[TrainingSpec]:
    """The heads on stored features, and the network that starts from theirs."""
    return sorted(plan().trainings.values(), key=lambda training: len(training.starts_from()))


def run_here(root: Path) -> None:
    """What ``dgbench run`` does, in this process."""
    store = Store(root)
    store.write_index(BOARD, index(plan(), "all"))
    todo = {id_ for id_ in plan().runs if not store.intact("run", id_)}
    for training in trainings():
        runs = [run for id_, run in plan().runs.items() if id_ in todo and run.training == training.id]
        for _ in range(3):
            try:
                do_training(training, store, CPU)
                if runs:
                    do_runs(training, runs, store, CPU)
            except DamagedError as error:
                store.mend_after(error)
            else:
                break


def content(root: Path) -> dict[str, bytes]:
    """What there is of finished work; seconds vary."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for folder in ("trainings", "runs", "features", "boards")
        for path in (root / folder).rglob("*")
        if path.is_file() and path.name != "done.json"
    }


def numbers(root: Path) -> tuple[Any, Any]:
    """What all runs measured, and the board that follows from it."""
    return boards.records(BOARD, store=root).metrics.to_dicts(), boards.leaderboard(BOARD, store=root).cells.to_dicts()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("undisturbed") / "store"
    run_here(root)
    return root


@pytest.fixture(scope="module")
def expected(finished: Path) -> tuple[Any, Any]:
    """The numbers of the store that nobody damages."""
    return numbers(finished)


@pytest.fixture
def store(finished: Path, tmp_path: Path) -> Store:
    return Store(shutil.copytree(finished, tmp_path / "store"))


def a_piece(store: Store, kind: Kind) -> Path:
    """A piece of work of the heads on stored features, which is done again fastest."""
    training = trainings()[0].id
    run = next(id_ for id_, run in plan().runs.items() if run.training == training)
    id_ = {"training": training, "run": run, "features": store.pieces("features")[0]}[kind]
    return store.folder(kind, id_)


def test_every_kind_of_file_is_damaged_here(finished: Path) -> None:
    def kind(name: str) -> str:
        return re.sub(r"\d{6}", "000002" if "mean" in name else "000004", re.sub(r"ema-.*?\.s", "ema-0.99.s", name))

    for what, files in FILES.items():
        pieces = [Store(finished).folder(what, id_) for id_ in Store(finished).pieces(what)]
        assert pieces
        for piece in pieces:
            there = {path.relative_to(piece).as_posix() for path in piece.rglob("*") if path.is_file()}
            assert {kind(name) for name in there} == set(files)
    others = {path.name for path in finished.iterdir()} - {"trainings", "runs", "features", "boards", "locks", ".clock"}
    assert not others


@every_harm
@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in FILES.items() for name in names])
def test_what_is_damaged_is_named_set_aside_and_done_again(
    kind: Kind,
    name: str,
    harm: Harm,
    finished: Path,
    store: Store,
    caplog: pytest.LogCaptureFixture,
) -> None:
    piece = a_piece(store, kind)
    harm(piece / name)
    harmed = {path.name: path.read_bytes() for path in piece.rglob("*") if path.is_file()}

    def again() -> None:
        if kind == "features":  # they are asked for where something is left to do with them
            shutil.rmtree(a_piece(store, "run"))
        run_here(store.root)

    again()
    if name == "done.json" and harm is deleted:  # it is what says that the work was finished
        verify(store)
        again()
    else:
        if not (store.root / "damaged").exists():  # nothing asked for the file's content, so nobody read it
            assert harm is flipped
            assert kind == "training" or (kind, name) == ("features", "spec.json")
            (damage,) = (damage for result in verify(store) for damage in result.damaged)
            assert damage.what.startswith(f"{piece / name} is damaged")
            again()
        assert str(piece / name) in caplog.text
        aside = store.root / "damaged" / f"{kind}-{piece.name}-1"
        assert {path.name: path.read_bytes() for path in aside.rglob("*") if path.is_file()} == harmed
    assert content(store.root) == content(finished), "so the board is what it was, if all is finished:"
    assert all(store.intact("run", id_) for id_ in plan().runs)
    assert not [damage for result in verify(store) for damage in result.damaged]


@every_harm
def test_the_list_of_a_boards_runs_is_named_set_aside_and_written_again(
    harm: Harm, expected: tuple[Any, Any], store: Store
) -> None:
    path = store.index(BOARD)
    harm(path)
    with pytest.raises(StoreError, match="holds nothing" if harm is deleted else f"{re.escape(str(path))} is damaged"):
        boards.leaderboard(BOARD, store=store.root)
    run_here(store.root)
    assert numbers(store.root) == expected
    assert (store.root / "damaged").exists() == (harm is not deleted)


@every_harm
@pytest.mark.parametrize(
    "name",
    ["state/000002.safetensors", "state/last.json", "spec.json", "weights/000002.safetensors"],
)
def test_a_training_that_was_stopped_midway_starts_afresh_if_what_it_left_is_damaged(
    name: str, harm: Harm, finished: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store, training = Store(tmp_path), trainings()[0]
    folder = store.folder("training", training.id)
    shutil.copytree(finished / "features", tmp_path / "features")

    class StoppedError(Exception):
        pass

    def stop(step: int) -> None:
        if step == 3:
            raise StoppedError

    with pytest.raises(StoppedError):
        do_training(training, store, CPU, stop)
    harm(folder / name)
    steps: list[int] = []
    do_training(training, store, CPU, steps.append)
    assert steps == [1, 2, 3, 4]
    if (name, harm) != ("state/last.json", deleted):  # without it there is nothing to go on from
        assert f"{folder / name} is" in caplog.text
        assert (tmp_path / "damaged" / f"training-{training.id}-1").is_dir()
    for path in folder.glob("weights/*"):
        assert path.read_bytes() == (finished / path.relative_to(tmp_path)).read_bytes()


@pytest.mark.parametrize("harm", [flipped, truncated])
def test_weights_that_change_before_they_are_sealed_are_damaged(harm: Harm, finished: Path, tmp_path: Path) -> None:
    store, training = Store(tmp_path), trainings()[0]
    shutil.copytree(finished / "features", tmp_path / "features")
    path = store.folder("training", training.id) / "weights" / "000002-mean.safetensors"

    def at(step: int) -> None:
        if step == 3:
            harm(path)

    do_training(training, store, CPU, at, pause=math.inf)
    assert "000002-mean" in str(store.damage("training", training.id))


def test_weights_that_are_damaged_are_seen_when_they_are_used_and_trained_again(
    finished: Path, expected: tuple[Any, Any], store: Store
) -> None:
    """By a run of that training, and by a training that starts from it; both in processes of their own."""
    probe, other = trainings()
    flipped(store.folder("training", probe.id) / "weights" / "000004.safetensors")
    flipped(store.folder("features", store.pieces("features")[0]) / "features.npy")
    shutil.rmtree(store.folder("training", other.id))
    shutil.rmtree(store.root / "runs")
    summary = boards.run(BOARD, store=store.root, device="cpu", workers=2)
    assert summary.failed == {}
    assert summary.runs == 2
    assert (store.root / "damaged" / f"training-{probe.id}-1").is_dir()
    assert content(store.root) == content(finished)
    assert numbers(store.root) == expected


def test_weights_that_are_no_tensors_under_a_seal_that_fits_are_damaged(store: Store) -> None:
    """Whoever sends a store can seal it; the content is looked at all the same."""
    folder, name = store.folder("training", trainings()[0].id), "weights/000004.safetensors"
    truncated(folder / name)
    note = json.loads((folder / "done.json").read_text(encoding="utf-8"))
    seal(folder, {key: value for key, value in note.items() if key not in ("files", "sha256")})
    assert store.damage("training", folder.name) is None
    stored = StoredTrajectory(folder, rebuild=lambda: Initial({}, {}))
    with pytest.raises(DamagedError, match=f"{re.escape(str(folder / name))} is damaged") as caught:
        stored.moving(checkpoint(4))
    assert (caught.value.folder, caught.value.file) == (folder, name)
    assert stored.moving(checkpoint(2)).keys() == {"head.weight", "head.bias"}


def test_a_training_that_is_lost_is_done_again_though_its_runs_are_finished(finished: Path, store: Store) -> None:
    probe, other = trainings()
    flipped(store.folder("training", probe.id) / "weights" / "000004.safetensors")
    shutil.rmtree(store.folder("training", other.id))
    summary = boards.run(BOARD, store=store.root, device="cpu", workers=1)
    assert summary.failed == {}
    assert summary.trainings == 2
    assert content(store.root) == content(finished)


def test_a_board_says_what_is_damaged_and_counts_it_as_missing(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    path = a_piece(store, "run") / "result.json"
    flipped(path)
    assert boards.records(BOARD, store=store.root).missing == 1
    assert caplog.text.count(f"{path} is damaged") == 1
    assert path.is_file(), "looking at a board touches nothing"


def test_many_at_once_set_a_piece_aside_once(store: Store) -> None:
    piece = a_piece(store, "training")
    truncated(piece / "history.parquet")

    def mend(_: int) -> bool:
        try:
            return Store(store.root).mend("training", piece.name) is not None
        except StoreError:
            return False

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(mend, range(64))) == 1
    assert len(list((store.root / "damaged").iterdir())) == 1
