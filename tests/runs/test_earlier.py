"""Trainings that read others: which are planned, what is heard of them, and that stopping changes no bit."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from dgbench.algorithms.adapters.full import Full
from dgbench.algorithms.earlier import Earlier
from dgbench.algorithms.samplers.useful import slow
from dgbench.api import boards
from dgbench.core.cards import BoardCard, CaseRules, SelectionRules, SplitRules
from dgbench.core.errors import RecipeError
from dgbench.core.pieces import checkpoint, file
from dgbench.data.catalogue import load
from dgbench.data.splits import split
from dgbench.models.effective import load_effective
from dgbench.runs.execute import do_runs, do_training
from dgbench.runs.index import index
from dgbench.runs.parts import parts_of
from dgbench.runs.plan import Plan
from dgbench.runs.planning import make_plan
from dgbench.runs.roll import earlier_of
from dgbench.runs.setting import Setting
from dgbench.runs.store import Store
from dgbench.runs.todo import todo
from dgbench.train.spec import SHAPING, TrainingSpec
from in_process import carry_out
from small import small_board

pytestmark = pytest.mark.usefixtures("computing_as_a_worker")
CPU = torch.device("cpu")


def board(*algorithms: str, steps: int = 4, **changes: object) -> BoardCard:
    """One target, two sources; a fifth of their images train, as each of them is asked what earlier trainings say."""
    case = CaseRules(targets=("print",), sources=("handwritten", "dot-matrix"))
    rules = {"cases": {"digits": case}, "selection": SelectionRules(views_per_domain=2)}
    split = SplitRules(validation=0.02, test=0.78)
    made = small_board(*algorithms, backbone="dgbench:convnet-small", steps=steps, split=split)
    return boards.rules(made).model_copy(update=rules | changes)


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


def test_a_probe_s_own_start_takes_all_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    first = Earlier({"adapter": ("last_blocks", {})})
    monkeypatch.setattr(Full, "starts_after", lambda self: first)
    made = make_plan(board("useful", steps=20))
    own = of(made, "useful")
    probe = made.trainings[own.reads()[0]]
    assert (probe.steps, made.trainings[str(probe.weights)].steps, made.trainings[str(own.weights)].steps) == (
        2,
        20,
        20,
    )


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


RFC = ("erm", "rfc", "rfc + vrex", "rfc(networks=3, train=head)")


def test_a_construction_begins_with_erm_and_is_shared_as_far_as_it_goes() -> None:
    made = make_plan(board(*RFC))
    erm, fine, vrex, frozen = (of(made, name) for name in RFC)
    two, three = (made.trainings[str(spec.weights)] for spec in (fine, frozen))
    assert (fine.weights, fine.reference) == (vrex.weights, vrex.reference) == (two.id, two.id)
    assert fine.follows() == (two.id,)
    assert two.reads() == three.reads()[:2]
    assert two.reads()[0] == erm.id
    first, second = (made.trainings[id_] for id_ in three.reads()[1:])
    assert [one.parts["objective"]["known"] for one in (first, second)] == [1, 2]
    assert (first.reads(), second.reads()) == ((erm.id,), (erm.id, first.id))
    assert {spec.parts["adapter"]["part"] for spec in (first, second)} == {"full"}
    assert len(made.trainings) == 1 + 2 + 2 + 3
    order = list(made.trainings)
    assert all(
        order.index(id_) > max(map(order.index, spec.follows()), default=-1) for id_, spec in made.trainings.items()
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All trainings, with all weights."""
    root = tmp_path_factory.mktemp("rfc")
    for training in plan_of().trainings.values():
        do_training(training, Store(root), CPU)
    return root


def plan_of() -> Plan:
    return make_plan(board(*RFC, hyperparameters={"sampler.augmentation": "none", "optimizer.lr": 0.01}))


def test_it_starts_from_the_features_and_the_mean_head_of_the_synthesis(built: Path) -> None:
    made, store = plan_of(), Store(built)
    own = of(made, "rfc")
    synthesis = load_file(store.folder("training", str(own.weights)) / file(checkpoint(4)))
    start = Setting(own, parts_of(own), store, CPU).initial().moving
    heads = synthesis["domain_heads.weight"].view(2, *synthesis["head.weight"].shape)
    torch.testing.assert_close(start["head.weight"], (heads[0] + heads[1]) / 2)
    torch.testing.assert_close(start["head.bias"], synthesis["domain_heads.bias"].view(2, -1).mean(0))
    backbone = [name for name in start if name.startswith("backbone.")]
    assert len(backbone) == 9
    assert all(torch.equal(start[name], synthesis[name]) for name in backbone)


def test_a_head_alone_learns_on_features_that_stay(built: Path) -> None:
    made, store = plan_of(), Store(built)
    own = of(made, RFC[-1])
    found = load_file(store.folder("training", own.id) / file(checkpoint(4)))
    assert {name.partition(".")[0] for name in found} == {"head"}
    (run,) = (run for run in made.runs.values() if run.training == own.id)
    assert do_runs(own, [run], store, CPU) == 1


def test_what_an_earlier_network_had_wrong_weighs_more(built: Path) -> None:
    """Its buffers, where training was stopped: who was right, by predictions of the stored weights."""
    made, store = plan_of(), Store(built)
    known = next(spec for spec in made.trainings.values() if spec.parts["objective"].get("known") == 1)
    erm = made.trainings[known.reads()[0]]
    network = Setting(erm, parts_of(erm), store, CPU).initial_network().eval()
    load_effective(network, load_file(store.folder("training", erm.id) / file(checkpoint(4))))
    setting = Setting(known, parts_of(known), store, CPU)
    (said,) = setting.said("objective")
    for logits, held in zip(said, setting.sources().domains, strict=True):
        with torch.no_grad():
            torch.testing.assert_close(logits, network(held.inputs.ready(held.train)), rtol=1e-4, atol=1e-5)


def test_every_training_of_a_construction_resumes_to_the_same_bits(built: Path, tmp_path: Path) -> None:
    stopped(plan_of(), tmp_path / "broken", lambda training: 3)
    assert bits(tmp_path / "broken") == bits(built) != {}


def test_rounds_are_part_of_what_a_training_costs(tmp_path: Path) -> None:
    made, store = make_plan(board("rfc", "lp_ft")), Store(tmp_path)
    store.write_index(board("rfc", "lp_ft"), index(made))
    own = of(made, "rfc")
    synthesis = made.trainings[str(own.weights)]
    assert own.own() == (synthesis.id,)
    assert of(made, "lp_ft").own() == ()
    assert earlier_of(store.read_index(board("rfc", "lp_ft")))[own.id] == (*synthesis.reads(), synthesis.id)
    assert of(made, "lp_ft").id not in earlier_of(store.read_index(board("rfc", "lp_ft")))


def test_an_optimizer_that_takes_batches_apart_has_no_discovery() -> None:
    with pytest.raises(RecipeError, match="recipe 'rfc \\+ fish': the optimizer Fish takes each batch apart"):
        make_plan(board("rfc + fish"))


def test_a_sampler_does_not_hear_a_head_that_nothing_trained() -> None:
    with pytest.raises(RecipeError, match="recipe 'useful \\+ rfc': the sampler Useful goes by what the head"):
        make_plan(board("useful + rfc"))
