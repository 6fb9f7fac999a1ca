"""Several networks that predict together: what they say, what stays of them, and what is refused."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

import dgbench
from dgbench.api import boards
from dgbench.core.cards import BoardCard, CaseRules, SelectionRules
from dgbench.core.errors import RecipeError
from dgbench.core.pieces import checkpoint, file
from dgbench.models.effective import apart, beside, load_effective
from dgbench.runs.execute import do_training
from dgbench.runs.parts import networks, parts_of
from dgbench.runs.plan import Plan
from dgbench.runs.planning import make_plan
from dgbench.runs.prune import prune, pruning
from dgbench.runs.setting import Setting
from dgbench.runs.sizes import sizes
from dgbench.runs.store import Store
from dgbench.runs.todo import todo
from dgbench.train.evaluate import pooled
from dgbench.train.spec import TrainingSpec
from in_process import carry_out
from small import small_board

pytestmark = pytest.mark.usefixtures("computing_as_a_worker")
CPU = torch.device("cpu")
ORDERS = "ensemble(orders=2)"
RECIPES = ("erm", ORDERS, "soup(orders=2)", f"{ORDERS} + t3a", f"linear_probe + {ORDERS}")


def board(*algorithms: str, **changes: object) -> BoardCard:
    """One target, few shifted images, one draw."""
    rules = {"cases": {"digits": CaseRules(targets=("print",))}, "selection": SelectionRules(views_per_domain=2)}
    return small_board(*algorithms, steps=6).model_copy(update=rules | changes)


def training(plan: Plan, algorithm: str) -> TrainingSpec:
    (id_,) = {entry.training for entry in plan.entries if entry.algorithm == algorithm}
    return plan.trainings[id_]


def last(store: Store, id_: str) -> dict[str, Tensor]:
    return load_file(store.folder("training", id_) / file(checkpoint(6)))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The board, with all its weights."""
    root = tmp_path_factory.mktemp("ensemble")
    carry_out(board(*RECIPES, keep="all"), root)
    return root


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Every member trained by itself: a board keeps none of those whose predictions nobody asks for."""
    plan, store, end = make_plan(board(*RECIPES)), Store(tmp_path_factory.mktemp("members")), checkpoint(6)
    for spec in plan.trainings.values():
        if spec.merged is None:
            do_training(spec, store, CPU, keep={end}, enough=lambda pieces: end in pieces)
    return store


def test_the_worked_example() -> None:
    p = [torch.tensor([one]) for one in ([0.8, 0.2], [0.3, 0.7], [0.6, 0.4])]
    mean, kind = pooled(p, "probabilities")
    assert kind == "probabilities"
    torch.testing.assert_close(mean, torch.tensor([[0.5667, 0.4333]]), rtol=0, atol=5e-5)
    torch.testing.assert_close(pooled([one.log() + 3 for one in p], "logits")[0], mean)
    assert pooled([torch.tensor([[1.0]]), torch.tensor([[4.0]])], "values")[0].item() == 2.5


def test_together_they_are_less_sure_than_on_average_and_copies_are_one() -> None:
    logits = list(torch.randn(4, 50, 3, generator=torch.Generator().manual_seed(0)))
    p, _ = pooled(logits, "logits")
    alone = torch.stack([one.softmax(1) for one in logits])
    assert (p.max(1).values <= alone.max(2).values.mean(0) + 1e-6).all()
    assert (torch.special.entr(p).sum(1) >= torch.special.entr(alone).sum(2).mean(0) - 1e-6).all()
    torch.testing.assert_close(pooled([logits[0]] * 3, "logits")[0], logits[0].softmax(1))
    assert pooled(logits[:1], "logits") == (logits[0], "logits")


def test_networks_lie_side_by_side_and_come_apart() -> None:
    states = [{"head.weight": torch.full((2, 2), float(n)), "a.b": torch.tensor(n)} for n in range(11)]
    found = apart(beside(states) | {"frozen": torch.ones(1)})
    assert len(found) == 11
    for number, state in enumerate(found):
        assert state.keys() == {"head.weight", "a.b", "frozen"}
        assert state["a.b"].item() == number
    assert apart(states[0]) == [states[0]]


def test_it_takes_the_trainings_of_a_soup_and_keeps_them_all() -> None:
    plan = make_plan(board(*RECIPES))
    ensemble, soup = training(plan, ORDERS), training(plan, "soup(orders=2)")
    assert ensemble.reads() == soup.reads()
    assert (len(ensemble.reads()), networks(ensemble), networks(soup)) == (2, 2, 1)
    assert training(plan, f"{ORDERS} + t3a") == ensemble
    assert [entry.track for entry in plan.entries] == ["inductive"] * 3 + ["online", "inductive"]


def test_one_training_is_no_ensemble() -> None:
    (entry,) = make_plan(board("ensemble(orders=1)")).entries
    assert "acts on several draws" in entry.without_effect
    assert entry.hyperparameters["averaging"]["part"] == "last"


@pytest.mark.parametrize("prefix", ["", "linear_probe + "])
def test_it_predicts_the_mean_of_what_its_members_do(prefix: str, whole: Path, alone: Store) -> None:
    """Each network by itself, with the weights that its own training left."""
    plan, store = make_plan(board(*RECIPES)), Store(whole)
    spec = training(plan, prefix + ORDERS)
    setting = Setting(spec, parts_of(spec), store, CPU)
    network = setting.initial_network().eval()
    frozen = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    rules = board(*RECIPES)
    stored = dgbench.predictions(rules, algorithm=prefix + ORDERS, target="print", store=store.root).select(
        "split", "index", "p_label", "label", "prediction"
    )
    shown = stored.collect().filter(pl.col("split") == "target").sort("index")
    domain = setting.dataset.domain("print")
    inputs = setting.inputs("print", "clean", lambda: domain.inputs)
    said = []
    for id_ in spec.reads():
        load_effective(network, frozen | last(alone, id_))
        with torch.no_grad():
            features = network.features(inputs.ready(torch.from_numpy(shown["index"].to_numpy().astype("int64"))))
            said.append(network.head(features).softmax(1))
    assert not torch.allclose(said[0], said[1], atol=1e-3)
    p = (said[0] + said[1]) / 2
    label = torch.tensor(shown["label"].to_list())
    torch.testing.assert_close(torch.tensor(shown["p_label"].to_list()), p.gather(1, label[:, None])[:, 0])
    assert shown["prediction"].to_list() == p.argmax(1).tolist()


def test_its_validation_is_that_of_all_together(whole: Path) -> None:
    plan, store = make_plan(board(*RECIPES)), Store(whole)
    spec = training(plan, ORDERS)
    history = {
        id_: pl.read_parquet(store.folder("training", id_) / "history.parquet") for id_ in (spec.id, *spec.reads())
    }
    nll = {id_: table.filter(pl.col("step") == 6)["nll"].mean() for id_, table in history.items()}
    assert nll[spec.id] <= sum(nll[id_] for id_ in spec.reads()) / 2, "the loss of a mean is at most the mean loss"


def test_members_may_go_and_predictions_come_back(alone: Store, tmp_path: Path) -> None:
    rules = board(ORDERS, keep="chosen")
    carry_out(rules, tmp_path)
    plan, store = make_plan(rules), Store(tmp_path)
    spec = training(plan, ORDERS)
    prune(store, pruning(store, keep="chosen"))
    assert [path.parts[-3] for path in tmp_path.glob("trainings/*/weights/*")] == [spec.id]
    found = last(store, spec.id)
    for number, id_ in enumerate(spec.reads()):
        for name, tensor in last(alone, id_).items():
            assert torch.equal(found[f"{number}/{name}"], tensor)
    more = board(f"{ORDERS} + t3a")
    assert not todo(make_plan(more), store).trains(spec.id)
    left = carry_out(more, tmp_path)
    assert (left.first, left.again) == (frozenset(), {})


def test_it_takes_room_for_all_its_networks() -> None:
    ensemble, soup = (sizes(make_plan(board(f"{name}(orders=4)")), "chosen").weights for name in ("ensemble", "soup"))
    assert ensemble == 4 * soup > 0


def test_a_soup_of_the_same_is_the_mean_of_its_weights(whole: Path, alone: Store) -> None:
    plan, store = make_plan(board(*RECIPES)), Store(whole)
    spec = training(plan, "soup(orders=2)")
    for name, tensor in last(store, spec.id).items():
        torch.testing.assert_close(tensor, sum(last(alone, id_)[name] for id_ in spec.reads()) / 2)


def test_several_networks_are_not_exported(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"'ensemble\(orders=2\)' predicts with several networks, .* take 'soup'"):
        dgbench.export(board(*RECIPES), ORDERS, tmp_path / "model", store=whole, device="cpu")
    assert not (tmp_path / "model").exists()


def test_a_criterion_that_looks_at_weights_is_refused() -> None:
    with pytest.raises(RecipeError, match="the averaging Ensemble keeps several networks, and the board's criterion"):
        make_plan(boards.rules(board(ORDERS), criterion="flatness"))
