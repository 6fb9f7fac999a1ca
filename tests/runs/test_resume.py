"""A training that is killed at any instant ends, run again, with the same bits."""

import contextlib
import hashlib
import math
import random
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import doomed
import polars as pl
import pytest
import torch
from smallest import smallest

from dgbench.api import boards
from dgbench.core.cards import BoardCard, CaseRules, PartChoice, RecipeSlots, SelectionRules, SplitRules
from dgbench.core.errors import DGBenchError
from dgbench.core.stopping import StoppedError, heeding
from dgbench.runs.execute import Wanted, do_together, do_training
from dgbench.runs.index import index
from dgbench.runs.launch import units_of
from dgbench.runs.planning import make_plan
from dgbench.runs.store import Store
from dgbench.runs.todo import todo
from dgbench.train.spec import TrainingSpec
from dgbench.train.training import Training
from small import small_board

CPU = torch.device("cpu")
KILLS = 4
CASE = CaseRules(targets=("print",), sources=("handwritten", "dot-matrix"))
FEWER = SplitRules(validation=0.01, test=0.01)


def _small(*algorithms: str, backbone: str, steps: int, checkpoints: int = 2) -> BoardCard:
    """Two sources, and few images to look at: what is measured at a checkpoint takes longer than steps do."""
    board = small_board(*algorithms, backbone=backbone, steps=steps, checkpoints=checkpoints, split=FEWER)
    changes = {"cases": {"digits": CASE}, "selection": SelectionRules(views_per_domain=2)}
    return board.model_copy(update=changes)


def _contents(root: Path) -> dict[str, str]:
    """A hash of every weight file and every table of predictions."""
    weights = {str(p.relative_to(root)): p.read_bytes() for p in root.glob("trainings/*/weights/*.safetensors")}
    tables = {
        str(p.relative_to(root)): pl.read_parquet(p).write_json().encode()
        for p in root.glob("runs/*/predictions.parquet")
    }
    return {name: hashlib.sha256(content).hexdigest() for name, content in (weights | tables).items()}


@pytest.mark.parametrize("algorithm", ["udim + ema", "pego + swad", "drm", "mixup + t3a"])
def test_sigkill_at_random_points_changes_no_bit(algorithm: str, tmp_path: Path) -> None:
    plan = make_plan(_small(algorithm, backbone=smallest(algorithm), steps=12))
    touched = doomed.do(plan, tmp_path / "whole")
    assert touched is not None
    assert touched > 50
    rng, killed = random.Random(algorithm), 0
    for _ in range(KILLS):
        after = rng.randint(1, touched // 3), rng.choice((0.0, rng.uniform(0, 0.05)))
        killed += doomed.do(plan, tmp_path / "broken", after) is None
    assert doomed.do(plan, tmp_path / "broken") is not None
    assert killed >= 2
    whole, broken = _contents(tmp_path / "whole"), _contents(tmp_path / "broken")
    assert len(whole) > 5
    assert whole == broken


class _InterruptedError(Exception):
    pass


def _training(algorithm: str, backbone: str, steps: int = 6, base: str = "adamw", checkpoints: int = 3) -> TrainingSpec:
    """Two steps lie between checkpoints, or more."""
    board = _small(algorithm, backbone=backbone, steps=steps, checkpoints=checkpoints)
    board = board.model_copy(update={"defaults": RecipeSlots(optimizer=PartChoice(part=base))})
    return list(make_plan(board).trainings.values())[-1]


def _trained(training: TrainingSpec, root: Path, stops: Iterable[int] = ()) -> dict[str, Any]:
    """What is left of a training that was stopped after some steps, in turn, and gone on with each time."""
    store = Store(root)
    for stop in (*stops, None):

        def at(step: int, stop: int | None = stop) -> None:
            if step == stop:
                raise _InterruptedError

        with contextlib.nullcontext() if stop is None else pytest.raises(_InterruptedError):
            do_training(training, store, CPU, at)
    folder = store.folder("training", training.id)
    kept: dict[str, Any] = {path.name: path.read_bytes() for path in (folder / "weights").iterdir()}
    return kept | {"history": (folder / "history.parquet").read_bytes()}


SMALL = ("dgbench:convnet-small", "dgbench:vit-micro")
STOPS = dict(zip(SMALL, (range(1, 7), (3, 5)), strict=True))
"""After which of six steps: the quickest after every one, the other once in each stretch that it goes on from. Real
ones take four steps and are stopped after the third, between their two checkpoints."""
REAL = ("timm:test_efficientnet(size=32)", "timm:test_resnet(size=32)", "timm:test_vit(size=32)")
RECIPES = (
    ("erm", "adamw"),
    ("erm", "sgd"),
    ("sam", "adamw"),
    ("sam(base=sgd)", "adamw"),
    ("asam", "adamw"),
    ("irm(warmup=0.5)", "adamw"),
    ("udim(sam_phase=0.5)", "adamw"),
)
LATE = ("udim(sam_phase=0.75)", "adamw")
"""Goes back to its best checkpoint after the third of four steps."""


@pytest.mark.parametrize(
    ("algorithm", "base", "backbone"),
    [(*recipe, backbone) for backbone in SMALL for recipe in RECIPES]
    + [(*recipe, backbone) for backbone in REAL for recipe in (RECIPES[0], LATE)]
    + [("pego", "adamw", "dgbench:vit-micro")],
)
def test_a_training_that_is_stopped_time_and_again_changes_no_bit(
    algorithm: str, base: str, backbone: str, tmp_path: Path
) -> None:
    """Dense convolutions see several channels in these networks: a file's layout of their weights is not their own.

    UDIM goes back to a snapshot of weights and moments, IRM throws its moments away.
    """
    steps, checkpoints = (4, 2) if backbone in REAL else (6, 3)
    training = _training(algorithm, backbone, steps, base, checkpoints)
    undisturbed = _trained(training, tmp_path / "whole")
    stopped = _trained(training, tmp_path / "broken", STOPS.get(backbone, (3,)))
    assert len(undisturbed) == 2 * checkpoints + 3 + 1
    assert undisturbed.keys() == stopped.keys()
    assert [name for name in undisturbed if undisturbed[name] != stopped[name]] == []


@pytest.mark.parametrize(
    ("algorithm", "base", "backbone"),
    [
        ("erm", "sgd", "dgbench:convnet-small"),
        ("udim(sam_phase=0.5)", "adamw", "dgbench:convnet-small"),
        ("pego", "adamw", "dgbench:vit-micro"),
    ],
)
def test_a_training_asked_to_stop_keeps_every_step(algorithm: str, base: str, backbone: str, tmp_path: Path) -> None:
    """Checkpoints are three steps apart; nothing is done twice, running means and sums among it."""
    training, store, did = _training(algorithm, backbone, 9, base), Store(tmp_path / "asked"), []

    def at(step: int) -> None:
        did.append(step)
        signal.raise_signal(signal.SIGTERM)

    for _ in range(9):
        with pytest.raises(StoppedError), heeding(signal.SIGTERM):
            do_training(training, store, CPU, at, pause=math.inf)
    assert did == list(range(1, 10))
    assert _trained(training, store.root) == _trained(training, tmp_path / "whole")


def test_heads_side_by_side_that_are_asked_to_stop_keep_every_step(tmp_path: Path) -> None:
    board = small_board("linear_probe", "linear_probe + sam", "linear_probe + swad", steps=6)
    plan = make_plan(board.model_copy(update={"cases": {"digits": CaseRules(targets=("print",))}}))
    trainings, did = list(plan.trainings.values()), []
    asked, whole = Store(tmp_path / "asked"), Store(tmp_path / "whole")

    def at(step: int) -> None:
        did.append(step)
        signal.raise_signal(signal.SIGTERM)

    wanted = [Wanted(one, one.pieces(), lambda pieces: True) for one in trainings]
    for _ in range(6):
        with pytest.raises(StoppedError), heeding(signal.SIGTERM):
            do_together(wanted, asked, CPU, at)
    assert did == list(range(1, 7))
    assert do_together(wanted, asked, CPU, did.append) == do_together(wanted, whole, CPU) == len(trainings) > 1
    assert did == list(range(1, 7)), "the last step was kept, too: only the end was left to write"
    assert _contents(asked.root) == _contents(whole.root) != {}


def test_a_training_goes_on_where_its_store_was_taken(tmp_path: Path) -> None:
    """Nothing in the store knows where it lies."""
    training = _training("udim(sam_phase=0.5)", "dgbench:vit-micro", base="adamw")
    here, there = tmp_path / "here", tmp_path / "on another machine"
    undisturbed = _trained(training, tmp_path / "whole")

    def stop(step: int) -> None:
        if step == 5:
            raise _InterruptedError

    with pytest.raises(_InterruptedError):
        do_training(training, Store(here), CPU, stop)
    here.rename(there)
    assert not [path for path in there.rglob("*.json") if str(tmp_path) in path.read_text()]
    steps: list[int] = []
    do_training(training, Store(there), CPU, steps.append)
    assert steps == [5, 6]
    assert _trained(training, there) == undisturbed


def test_a_training_resumes_at_its_last_checkpoint(tmp_path: Path) -> None:
    """Nothing is done twice that a checkpoint holds."""
    training = next(iter(make_plan(small_board("erm", steps=8)).trainings.values()))
    store = Store(tmp_path)

    class KilledError(Exception):
        pass

    def stop(step: int) -> None:
        if step == 6:
            raise KilledError

    with pytest.raises(KilledError):
        do_training(training, store, CPU, stop)
    steps: list[int] = []
    told: list[tuple[int, list[int]]] = []
    do_training(
        training, store, CPU, steps.append, on_history=lambda step, rows: told.append((step, [r["step"] for r in rows]))
    )
    assert steps == [5, 6, 7, 8]
    sources = len(training.sources)
    assert told == [(4, [4] * sources), (8, [8] * sources)], "what was measured before, then what is new"
    assert not do_training(training, store, CPU, steps.append)
    assert not (store.folder("training", training.id) / "state").exists()


def test_a_sweep_keeps_states_that_are_a_while_apart_and_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[int] = []
    save = Training._save

    def noted(training: Training, step: int) -> None:
        kept.append(step)
        save(training, step)

    monkeypatch.setattr(Training, "_save", noted)
    plan, left = make_plan(small_board("swad", backbone=SMALL[0], steps=9, checkpoints=3)), []
    monkeypatch.setattr("dgbench.train.training.WORK", 0)
    for pause, states in (("0", [3, 6, 9]), ("inf", []), ("1e-9", [*range(1, 10)])):
        monkeypatch.setenv("DGBENCH_STATE_EVERY", pause)
        store = Store(tmp_path / str(pause))
        store.write_index(plan.board, index(plan, store.keep(plan.board)))
        units_of(plan, todo(plan, store))[0].do(store, "cpu", lambda told: None)
        assert kept == states
        kept.clear()
        left.append(_contents(store.root))
    assert len(left[0]) > 1
    assert left[0] == left[1] == left[2]


@pytest.mark.parametrize("said", ["soon", "", "-1", "nan"])
def test_seconds_between_states_that_are_none_are_refused(
    said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DGBENCH_STATE_EVERY", said)
    with pytest.raises(DGBenchError, match=f"DGBENCH_STATE_EVERY: '{said}' is no number of seconds"):
        boards.run(small_board("erm"), store=tmp_path, device="cpu")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("writes", "kept"), [(0.1, [5, 10, 15]), (1.0, [5])])
def test_states_between_checkpoints_are_a_while_apart_and_take_a_twentieth_of_the_time(
    writes: float, kept: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step is a second, a state is wanted every five; there is no checkpoint near."""

    class Slow(Training):
        def __init__(self) -> None:
            self.checkpoints, self.pause, self.saved, self.writing = frozenset(), 5.0, 0.0, 0.0

        def take(self, step: int, batch: object) -> None:
            clock[0] += 1.0

        def _save(self, step: int) -> None:
            found.append(step)
            self.saved, self.writing = clock[0], writes

    clock, found = [0.0], []
    monkeypatch.setattr("dgbench.train.training.time.perf_counter", lambda: clock[0])
    slow = Slow()
    for step in range(19):
        slow.advance(step, None)
    assert found == kept
