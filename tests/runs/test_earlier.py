"""Trainings that read others: which are planned, what is heard of them, and that stopping changes no bit."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from dgbench.algorithms.samplers.useful import slow
from dgbench.api import boards
from dgbench.core.cards import BoardCard, CaseRules, SelectionRules
from dgbench.core.pieces import checkpoint, file
from dgbench.data.catalogue import load
from dgbench.data.splits import split
from dgbench.models.effective import load_effective
from dgbench.runs.execute import do_training
from dgbench.runs.parts import parts_of
from dgbench.runs.plan import Plan
from dgbench.runs.planning import make_plan
from dgbench.runs.setting import Setting
from dgbench.runs.store import Store
from dgbench.runs.todo import todo
from dgbench.train.spec import SHAPING, TrainingSpec
from in_process import carry_out
from small import small_board

pytestmark = pytest.mark.usefixtures("computing_as_a_worker")
CPU = torch.device("cpu")


def board(*algorithms: str, steps: int = 4, **changes: object) -> BoardCard:
    """One target, few shifted images."""
    rules = {"cases": {"digits": CaseRules(targets=("print",))}, "selection": SelectionRules(views_per_domain=2)}
    return boards.rules(small_board(*algorithms, steps=steps)).model_copy(update=rules | changes)


def of(plan: Plan, algorithm: str) -> TrainingSpec:
    return plan.trainings[next(entry.training for entry in plan.entries if entry.algorithm == algorithm)]


def bits(root: Path) -> dict[str, str]:
    """A hash of every piece of weights."""
    found = root.glob("trainings/*/weights/*.safetensors")
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def stopped(plan: Plan, root: Path, stops: Callable[[TrainingSpec], int]) -> None:
    """Every training is stopped once on the way, and gone on with."""

    class StoppedError(Exception):
        pass

    for training in plan.trainings.values():

        def stop(step: int, at: int = stops(training)) -> None:
            if step == at:
                raise StoppedError

        with pytest.raises(StoppedError):
            do_training(training, Store(root), CPU, stop)
        do_training(training, Store(root), CPU)


def test_a_probe_is_the_recipe_on_the_plain_pool_for_a_share_of_the_steps() -> None:
    made = make_plan(board("useful", "useful + swad", "useful + sam", "erm", steps=20))
    own = of(made, "useful")
    (probe,) = (made.trainings[id_] for id_ in own.reads())
    assert own.parts["sampler"]["trainings"] == [probe.id]
    assert own.starts_from() == ()
    assert (probe.steps, probe.checkpoints, own.steps) == (2, 1, 20)
    assert probe.parts == of(made, "erm").parts
    assert {slot: own.parts[slot] for slot in SHAPING[1:]} == {slot: probe.parts[slot] for slot in SHAPING[1:]}
    assert of(made, "useful + swad") == own
    with_sam = of(made, "useful + sam")
    assert made.trainings[with_sam.reads()[0]].parts["optimizer"]["part"] == "sam"
    assert len(made.trainings) == 5
    passes = made.passes()
    assert (passes[own.reads()[0]], passes[with_sam.reads()[0]]) == (1.0, 2.0)


def test_another_probe_is_another_training_and_one_that_has_none_keeps_its_id() -> None:
    made = make_plan(board("useful", "useful(probe=0.5)", "useful(times=3)", steps=20))
    probes = [of(made, name).reads() for name in ("useful", "useful(probe=0.5)", "useful(times=3)")]
    assert probes[0] == probes[2] != probes[1]
    assert len({of(made, name).id for name in ("useful", "useful(probe=0.5)", "useful(times=3)")}) == 3


def test_a_probe_that_starts_from_a_head_starts_from_that_of_all_steps() -> None:
    made = make_plan(board("useful + lp_ft", steps=20))
    own = of(made, "useful + lp_ft")
    probe = made.trainings[own.reads()[0]]
    assert probe.reference == own.reference
    assert made.trainings[str(own.reference)].steps == 20
    assert own.follows() == (own.reference, probe.id)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("useful")
    for training in make_plan(board("useful(probe=0.5)")).trainings.values():
        do_training(training, Store(root), CPU)
    return root


def test_steps_take_rows_that_the_probe_was_slow_to_learn_twice_as_often(whole: Path) -> None:
    made, store = make_plan(board("useful(probe=0.5)")), Store(whole)
    own = of(made, "useful(probe=0.5)")
    probe = made.trainings[own.reads()[0]]
    network = Setting(probe, parts_of(probe), store, CPU).initial_network().eval()
    load_effective(network, load_file(store.folder("training", probe.id) / file(checkpoint(probe.steps))))
    sources = Setting(own, parts_of(own), store, CPU).sources_to_train()
    data = load("digits", own.size)
    more = 0
    for held in sources.domains:
        rows = torch.from_numpy(split(data, held.name, own.trial, own.validation, own.test, own.official).train)
        labels = torch.from_numpy(data.domain(held.name).labels)[rows]
        with torch.no_grad():
            logits = torch.cat([network(held.inputs.ready(part)) for part in rows.split(128)])
        extra = rows[slow(logits, labels)]
        assert torch.equal(held.pool, torch.cat([rows, extra]))
        assert torch.equal(held.train, rows)
        assert torch.equal(held.classes, torch.from_numpy(data.domain(held.name).labels)[held.pool])
        more += len(extra)
    assert more > 10


def test_stopped_on_the_way_it_ends_with_the_same_bits(whole: Path, tmp_path: Path) -> None:
    made = make_plan(board("useful(probe=0.5)"))
    stopped(made, tmp_path / "broken", lambda training: training.steps // 2 + 1)
    assert bits(tmp_path / "broken") == bits(whole) != {}


def test_a_probe_is_let_go_of_when_it_was_read(tmp_path: Path) -> None:
    rules = board("useful(probe=0.5)", keep="chosen")
    carry_out(rules, tmp_path)
    made, store = make_plan(rules), Store(tmp_path)
    own = of(made, "useful(probe=0.5)")
    assert [path.parts[-3] for path in tmp_path.glob("trainings/*/weights/*")] == [own.id]
    assert not todo(made, store).at_work(own.reads()[0])
    later = make_plan(board("useful(probe=0.5)", "useful(probe=0.5, times=3)"))
    left = todo(later, store)
    assert (set(left.first), set(left.again)) == ({of(later, "useful(probe=0.5, times=3)").id}, set(own.reads()))
