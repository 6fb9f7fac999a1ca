"""Trainings that are merged: what comes out, who waits for whom, what stays of them, how they are done again."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Literal

import polars as pl
import pytest
import torch
from safetensors.torch import load_file

import dgbench
from dgbench.api import boards
from dgbench.core.cards import BoardCard, CaseRules, SelectionRules, SplitRules
from dgbench.core.errors import DivergedError, RecipeError
from dgbench.core.pieces import checkpoint, file
from dgbench.core.space import Space
from dgbench.models.effective import load_effective
from dgbench.runs.again import part
from dgbench.runs.all_domains import on_all_domains
from dgbench.runs.execute import do_training
from dgbench.runs.failures import failure
from dgbench.runs.launch import units_of
from dgbench.runs.merging import StoredMembers
from dgbench.runs.origin import origin
from dgbench.runs.parts import parts_of
from dgbench.runs.plan import Plan
from dgbench.runs.planning import make_plan
from dgbench.runs.prune import prune, pruning
from dgbench.runs.setting import Setting
from dgbench.runs.store import Store
from dgbench.runs.todo import todo
from dgbench.runs.usage import Usage
from dgbench.train.spec import TrainingSpec
from in_process import carry_out
from small import small_board

pytestmark = pytest.mark.usefixtures("computing_as_a_worker")
CPU = torch.device("cpu")
SOUPS = ("erm", "soup", "greedy_soup")


def board(*algorithms: str, draws: int = 3, backbone: str = "dgbench:convnet-small", **changes: object) -> BoardCard:
    """One target, two sources, few images that are looked at."""
    case = CaseRules(targets=("print",), sources=("handwritten", "dot-matrix"))
    rules = {"cases": {"digits": case}, "selection": SelectionRules(views_per_domain=2)}
    split = SplitRules(validation=0.03, test=0.02)
    made = small_board(*algorithms, backbone=backbone, steps=6, split=split)
    return boards.rules(made, draws=draws).model_copy(update=rules | changes)


def merges(plan: Plan) -> dict[str, TrainingSpec]:
    """By the algorithm that merges."""
    return {e.algorithm: spec for e in plan.entries if (spec := plan.trainings[e.training]).merged is not None}


def weights(store: Store, training: str, step: int = 6) -> dict[str, torch.Tensor]:
    return load_file(store.folder("training", training) / file(checkpoint(step)))


def bits(root: Path) -> dict[str, str]:
    """A hash of every piece of weights and every table of predictions."""
    found = {str(path.relative_to(root)): path.read_bytes() for path in root.glob("trainings/*/weights/*.safetensors")}
    tables = {str(p.relative_to(root)): pl.read_parquet(p).write_json().encode() for p in root.glob("runs/*/*.parquet")}
    return {name: hashlib.sha256(content).hexdigest() for name, content in (found | tables).items()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The board, with all its weights."""
    root = tmp_path_factory.mktemp("soups")
    carry_out(board(*SOUPS, keep="all"), root)
    return root


@pytest.fixture
def store(whole: Path, tmp_path: Path) -> Store:
    return Store(shutil.copytree(whole, tmp_path / "store"))


def test_a_soup_takes_no_training_more_than_its_draws() -> None:
    plain, made = make_plan(board("erm")), make_plan(board(*SOUPS))
    assert plain.trainings.items() <= made.trainings.items()
    more = [spec for id_, spec in made.trainings.items() if id_ not in plain.trainings]
    assert [spec.merged is not None for spec in more] == [True, True]
    for spec in more:
        assert spec.reads() == tuple(plain.trainings)
        assert spec.parts == plain.trainings[spec.reads()[0]].parts
        assert TrainingSpec.read(json.loads(json.dumps(spec.spec()))).id == spec.id
    order = list(made.trainings)
    assert all(
        order.index(id_) > max(map(order.index, spec.reads()))
        for id_, spec in zip(order, made.trainings.values(), strict=True)
        if spec.merged
    )


def test_every_draw_is_a_candidate_with_a_predictor_of_its_own() -> None:
    made = make_plan(board("soup + t3a", draws=5))
    (training,) = {entry.training for entry in made.entries}
    kept = {json.dumps(entry.hyperparameters["predictor"]): entry.run for entry in made.entries}
    assert len(made.entries) == 5
    assert len(kept) == len(set(kept.values())) > 1
    assert {run.training for run in made.runs.values()} == {training}


def test_draws_that_train_alike_leave_nothing_to_merge() -> None:
    for rules in (board("erm", "soup", draws=1), board("erm", "soup", search={})):
        made = make_plan(rules)
        assert not merges(made)
        assert {entry.training for entry in made.entries} == {made.entries[0].training}
        assert made.entries[-1].hyperparameters["averaging"]["part"] == "last"
        assert "acts on several draws" in made.entries[-1].without_effect


SINGLE = {"protocol": "single-source", "cases": {}}
WEIGHTS = {"objective.penalty_weight": Space(kind="loguniform", low=0.1, high=10.0)}


def test_draws_that_differ_in_what_has_no_effect_train_alike() -> None:
    """CORAL aligns domains, of which there is one: what is searched of it changes nothing."""
    made = make_plan(board("coral + soup", search=WEIGHTS, **SINGLE))
    assert not merges(made)
    assert {entry.hyperparameters["averaging"]["part"] for entry in made.entries} == {"last"}
    assert all("acts on several draws" in entry.without_effect for entry in made.entries)


def test_every_member_loses_the_parts_that_have_no_effect_on_it() -> None:
    """CORAL has none where the features stay; which draws these are does not depend on the draw that asks."""
    made = make_plan(board("rfc(networks=2) + coral + soup", draws=6, search={}))
    (training,) = {entry.training for entry in made.entries}
    members = [made.trainings[id_].parts for id_ in made.trainings[training].reads()]
    found = {(parts["adapter"]["train"], parts["objective"]["part"]) for parts in members}
    assert found == {("all", "coral"), ("head", "cross_entropy")}


def test_draws_that_start_from_other_weights_are_no_soup() -> None:
    with pytest.raises(RecipeError, match="recipe 'rfc \\+ soup': the averaging Soup takes the mean of trainings that"):
        make_plan(board("rfc + soup"))
    (soup,) = merges(make_plan(board("rfc + soup(orders=2)", draws=1))).values()
    assert len(soup.reads()) == 2, "which differ in their order alone"


def test_orders_start_alike_and_see_other_batches() -> None:
    made = make_plan(board("diwa", draws=1))
    spec = merges(made)["diwa"]
    first, second = (made.trainings[id_] for id_ in spec.reads())
    assert replace(second, order=0) == first
    assert (first.reference, first.order, second.order) == (second.reference, 0, 1)
    for purpose in ("init", "head", "adapter", "auxiliary", "stream"):
        assert first.seed(purpose) == second.seed(purpose)
    for purpose in ("order", "augment", "step", "objective", "domains"):
        assert first.seed(purpose, 3) != second.seed(purpose, 3)


def test_the_uniform_soup_is_the_mean_of_stored_weights(whole: Path) -> None:
    spec, store = merges(make_plan(board(*SOUPS)))["soup"], Store(whole)
    found, members = weights(store, spec.id), [weights(store, id_) for id_ in spec.reads()]
    assert len(members) == 3
    assert not torch.equal(members[0]["head.weight"], members[1]["head.weight"])
    for name, tensor in found.items():
        torch.testing.assert_close(tensor, torch.stack([one[name] for one in members]).mean(0))


def test_the_greedy_soup_follows_accuracy_on_source_validation_images(whole: Path) -> None:
    spec, store = merges(make_plan(board(*SOUPS)))["greedy_soup"], Store(whole)
    members = [weights(store, id_) for id_ in spec.reads()]
    setting = Setting(spec, parts_of(spec), store, CPU)
    network, domains = setting.initial_network().eval(), setting.sources().domains

    def worth(numbers: list[int]) -> float:
        mean = {name: torch.stack([members[n][name] for n in numbers]).mean(0) for name in members[0]}
        load_effective(network, mean)
        with torch.no_grad():
            right = [network(d.inputs.ready(d.validation)).argmax(1) == d.labels[d.validation] for d in domains]
        return sum(float(one.double().mean()) for one in right) / len(right)

    alone = [worth([number]) for number in range(3)]
    taken = [max(range(3), key=lambda number: (alone[number], -number))]
    for number in sorted({0, 1, 2} - set(taken), key=lambda number: (-alone[number], number)):
        if worth([*taken, number]) >= worth(taken):
            taken.append(number)
    assert len(set(alone)) > 1
    for name, tensor in weights(store, spec.id).items():
        torch.testing.assert_close(tensor, torch.stack([members[n][name] for n in taken]).mean(0))
    history = pl.read_parquet(store.folder("training", spec.id) / "history.parquet")
    assert history["accuracy"].mean() == pytest.approx(worth(taken))
    assert history["step"].unique().to_list() == [6]
    assert history["loss"].null_count() == history.height


def test_stopped_anywhere_it_ends_with_the_same_bits(whole: Path, tmp_path: Path) -> None:
    rules = board(*SOUPS, keep="all")
    plan, broken = make_plan(rules), Store(tmp_path / "broken")

    class StoppedError(Exception):
        pass

    def stop(step: int) -> None:
        if step == 4:
            raise StoppedError

    first, second, *_ = plan.trainings.values()
    do_training(first, broken, CPU)
    with pytest.raises(StoppedError):
        do_training(second, broken, CPU, stop)
    left = carry_out(rules, broken.root)
    assert (len(left.first), left.again) == (len(plan.trainings) - 1, {})
    assert bits(broken.root) == bits(whole)
    assert not carry_out(rules, broken.root).first


def test_what_was_merged_may_go_and_comes_back_when_it_is_wanted(store: Store, whole: Path) -> None:
    rules = board(*SOUPS)
    plan = make_plan(rules)
    soup = merges(plan)["soup"]
    prune(store, pruning(store, keep="none"))
    assert not list(store.root.glob("trainings/*/weights/*"))
    assert not todo(plan, store).at_work(soup.id)
    left = carry_out(board(*SOUPS, keep="chosen"), store.root)
    assert soup.id in left.again
    assert set(soup.reads()) <= left.again.keys()
    assert torch.equal(weights(store, soup.id)["head.weight"], weights(Store(whole), soup.id)["head.weight"])
    assert len(list(store.root.glob("trainings/*/weights/*"))) <= len(SOUPS), "of three draws two stay for nobody"
    later = carry_out(board("soup + t3a"), store.root)
    assert (later.first, later.again, [run.training for run in later.runs[soup.id]]) == (
        frozenset(),
        {},
        [soup.id] * len(later.runs[soup.id]),
    )


def test_members_wait_for_the_soup_and_no_longer(tmp_path: Path) -> None:
    rules = board("soup", keep="chosen")
    plan, store = make_plan(rules), Store(tmp_path)
    store.write_index(rules, boards_index(plan))
    units = units_of(plan, todo(plan, store))
    assert [unit.last for unit in units] == [True, True, True, False]
    assert set(units[-1].needs()) >= {unit.id for unit in units[:-1]}
    for unit in units[:-1]:
        unit.do(store, "cpu", lambda said: None)
        assert (store.folder("training", unit.id) / file(checkpoint(6))).exists()
    units[-1].do(store, "cpu", lambda said: None)
    assert [path.parts[-3] for path in store.root.glob("trainings/*/weights/*")] == [units[-1].id]


def boards_index(plan: Plan) -> dict[str, object]:
    from dgbench.runs.index import index

    found = index(plan)
    (soup,) = merges(plan).values()
    assert found["reads"] == {soup.id: list(soup.reads())}
    assert "reads" not in index(make_plan(board("erm", "lp_ft")))
    return found


def test_a_run_of_a_soup_comes_from_all_that_was_merged(whole: Path) -> None:
    plan, store = make_plan(board(*SOUPS)), Store(whole)
    soup = merges(plan)["greedy_soup"]
    run = next(run for run in plan.runs.values() if run.training == soup.id)
    assert [one.id for one in origin(store, run.id).trainings] == [*soup.reads(), soup.id]
    assert list(part(plan, [soup.id], [run.id]).trainings) == [*soup.reads(), soup.id]
    assert {("training", id_) for id_ in plan.trainings} <= Usage(store).boards[0].pieces()


def test_a_soup_costs_its_members_and_the_board_each_training_once(whole: Path) -> None:
    made, plan, store = dgbench.leaderboard(board(*SOUPS), store=whole), make_plan(board(*SOUPS)), Store(whole)
    soups = merges(plan)
    took = {id_: seconds(store, "training", id_) for id_ in plan.trainings}
    members = [took[id_] for id_ in soups["soup"].reads()]
    cost = {entry.algorithm: entry.cost.train for entry in made.entries}
    assert cost["erm"] == pytest.approx(sum(members) / 3)
    assert cost["soup"] == pytest.approx(sum(members) + took[soups["soup"].id])
    assert made.seconds == pytest.approx(sum(took.values()) + sum(seconds(store, "run", id_) for id_ in plan.runs))
    alone = 3 * sum(members) + sum(took[one.id] for one in soups.values())
    assert made.seconds_unshared == pytest.approx(alone + sum(seconds(store, "run", e.run) for e in plan.entries))


def test_a_submission_of_a_soup_says_what_its_members_took_too(whole: Path, tmp_path: Path) -> None:
    dgbench.make_submissions(board(*SOUPS), tmp_path, store=whole)
    plan, store = make_plan(board(*SOUPS)), Store(whole)
    for name, spec in merges(plan).items():
        said = pl.read_parquet(tmp_path / f"{name}@1" / "runs.parquet")["train_seconds"].to_list()
        took = sum(seconds(store, "training", id_) for id_ in (*spec.reads(), spec.id))
        assert said == [pytest.approx(took)] * len(said) != []
    alone = pl.read_parquet(tmp_path / "erm@1" / "runs.parquet")
    assert alone["train_seconds"].to_list() == [seconds(store, "training", id_) for id_ in alone["training"]]


def seconds(store: Store, kind: Literal["training", "run"], id_: str) -> float:
    note = store.done(kind, id_)
    assert note is not None
    return float(note["seconds"])


def test_a_member_s_failure_is_that_of_its_soup_in_words() -> None:
    plan = make_plan(board("soup"))
    (soup,) = merges(plan).values()
    assert failure(plan, soup.reads()[0], "").where.startswith("what comes before Model soup (uniform), target print")
    assert failure(plan, soup.id, "").where.startswith("Model soup (uniform), target print")


def test_weights_that_give_no_number_are_no_soup(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = make_plan(board(*SOUPS))
    soup = merges(plan)["soup"]
    shutil.rmtree(store.folder("training", soup.id))
    from dgbench.algorithms.averaging.soup import Soup

    monkeypatch.setattr(
        Soup, "merge", lambda self, members: {k: t * float("nan") for k, t in members.trajectories[0].at(6).items()}
    )
    with pytest.raises(DivergedError, match="step 6"):
        do_training(soup, store, CPU)
    assert not store.finished("training", soup.id)


def test_a_soup_that_is_deployed_merges_the_draws_that_were_measured() -> None:
    plan = make_plan(board("soup"))
    made = on_all_domains(plan, plan.entries[0], "augmented")
    (soup,) = merges(made).values()
    then = [plan.trainings[id_].parts for id_ in merges(plan)["soup"].reads()]
    assert [made.trainings[id_].parts for id_ in soup.reads()] == then
    assert set(soup.sources) > set(plan.entries[0].sources)


def test_a_soup_that_is_deployed_has_no_part_that_its_draws_did_not_have() -> None:
    """From one domain CORAL was nothing; on all domains it would be, in the draws that were not asked."""
    plan = make_plan(board("coral + soup", **SINGLE))
    made = on_all_domains(plan, plan.entries[1], "augmented")
    (soup,) = merges(made).values()
    assert len(soup.sources) > 1
    assert len(soup.reads()) == 3
    assert {made.trainings[id_].parts["objective"]["part"] for id_ in soup.reads()} == {"cross_entropy"}


def test_adapters_are_merged_as_the_weights_that_they_come_to() -> None:
    made = make_plan(board("lora + soup", "pego + soup", backbone="dgbench:vit-micro"))
    assert len(merges(made)) == 2


def test_information_is_the_mean_square_of_single_gradients(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The head's gradient in closed form, for the likeliest class of each of three images of each domain."""
    plan, store = make_plan(board(*SOUPS)), Store(whole)
    spec = plan.trainings[merges(plan)["soup"].reads()[0]]
    setting = Setting(spec, parts_of(spec), store, CPU)
    members = StoredMembers(setting, [spec.id])
    monkeypatch.setattr(torch, "multinomial", lambda p, n, generator: p.argmax(1, keepdim=True))
    state = members.trajectories[0].at(6)
    found = members.squared_gradients(state, 5)
    network, draw, squares = setting.initial_network().eval(), members.generator(), []
    load_effective(network, state)
    for domain in setting.sources().domains:
        for row in domain.train[torch.randperm(len(domain.train), generator=draw)[:3]]:
            with torch.no_grad():
                features = network.features(domain.inputs.ready(row[None]))
                p = network.head(features).softmax(1)
            residual = torch.nn.functional.one_hot(p.argmax(1), p.shape[1]) - p
            squares.append((residual.t() @ features).square())
    assert len(squares) == 6
    torch.testing.assert_close(found["head.weight"], torch.stack(squares).mean(0))
    assert found.keys() == dict(network.named_parameters()).keys()


def test_a_merge_of_one_training_shares_it_with_others(tmp_path: Path) -> None:
    rules = board("lp_ft", "wise_ft_fisher(images=3)", "wise_ft_sparse(points=1)", draws=1)
    plan, store = make_plan(rules), Store(tmp_path)
    found = merges(plan)
    assert len(found) == 2
    for training in plan.trainings.values():
        do_training(training, store, CPU)
    for spec in found.values():
        assert spec.reads() == (plan.entries[0].training,)
        assert not torch.equal(weights(store, spec.id)["head.weight"], weights(store, spec.reads()[0])["head.weight"])
