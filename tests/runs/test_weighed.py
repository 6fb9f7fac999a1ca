"""What is measured of weights: against derivatives taken by hand, and on a board that selects by it."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
import torch.nn.functional as F
from reference_interface import HPARAMS
from torch import Tensor, nn

from dgbench.api import boards
from dgbench.core.cards import BoardCard, CaseRules, PartChoice, RecipeSlots, SelectionRules
from dgbench.core.elsewhere import Whole, code, trust
from dgbench.core.errors import StoreError
from dgbench.models.elsewhere import Elsewhere
from dgbench.models.network import Backbone, Network
from dgbench.runs.counts import WEIGHED, Counts
from dgbench.runs.finished import WEIGHTS
from dgbench.runs.index import index
from dgbench.runs.overlap import sharing
from dgbench.runs.planning import make_plan
from dgbench.runs.predict import Bench
from dgbench.runs.store import Store
from dgbench.runs.todo import todo
from dgbench.runs.weighed import RADIUS, rise
from dgbench.runs.wishes import Boards
from dgbench.selection.indicators.discrepancy import discrepancy
from dgbench.train.sources import Features, Held
from in_process import carry_out
from small import small_board

pytestmark = pytest.mark.usefixtures("computing_as_a_worker")
CPU = torch.device("cpu")


def head(features: int = 3, classes: int = 2) -> Network:
    """A linear head on features, in double precision, so that differences are seen."""
    backbone = Backbone("toy", nn.Identity(), features, 1, (0, 0, 0), (1, 1, 1))
    return Network(backbone, classes).double()


def held(*domains: tuple[Tensor, Tensor]) -> list[Held]:
    """Domains of which all but the first example validates."""
    nothing = torch.zeros(0, dtype=torch.int64)
    return [Held("", Features(x), y, nothing, torch.arange(1, len(x)), nothing, nothing) for x, y in domains]


def drawn() -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    return [
        (torch.randn(n, 3, generator=generator, dtype=torch.float64), torch.randint(0, 2, (n,), generator=generator))
        for n in (9, 4)
    ]


def test_the_rise_is_that_of_the_loss_one_step_up_its_gradient() -> None:
    network, domains = head(), drawn()
    start = [network.head.weight.detach().clone(), network.head.bias.detach().clone()]

    def loss(weight: Tensor, bias: Tensor) -> Tensor:
        return torch.stack([F.cross_entropy(x[1:] @ weight.T + bias, y[1:]) for x, y in domains]).mean()

    slopes = torch.func.grad(loss, (0, 1))(*start)
    length = sum(slope.square().sum() for slope in slopes) ** 0.5
    up = [one + RADIUS * slope / length for one, slope in zip(start, slopes, strict=True)]
    expected = float(loss(*up) - loss(*start))
    assert expected > 0
    moved = frozenset({"head.weight", "head.bias"})
    for chunk in (2, 100):
        assert rise(network, held(*domains), moved, chunk) == pytest.approx(expected, rel=1e-9)
    assert torch.equal(network.head.weight, start[0])
    assert torch.equal(network.head.bias, start[1])
    assert network.head.weight.grad is None
    weight = loss(start[0] + RADIUS * slopes[0] / slopes[0].norm(), start[1]) - loss(*start)
    assert rise(network, held(*domains), frozenset({"head.weight"})) == pytest.approx(float(weight), rel=1e-9)


def test_a_rise_of_a_known_size() -> None:
    """Two classes, one feature of 1, weights 0: log 2, and the logits move apart by r times a root of 2."""
    network = head(1)
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.bias.zero_()
    found = rise(network, held((torch.ones(3, 1).double(), torch.zeros(3).long())), frozenset({"head.weight"}))
    assert found == pytest.approx(np.log1p(np.exp(RADIUS * 2**0.5)) - np.log(2), rel=1e-9)


def test_where_the_loss_is_level_it_does_not_rise() -> None:
    x = torch.zeros(4, 3).double()
    domains = held((x, torch.tensor([0, 0, 1, 0])))
    assert rise(head(), domains, frozenset({"head.weight"})) == 0, "features of 0 have no slope in the weight"


def test_in_whatever_precision_and_mode_a_network_is_it_is_looked_at_in_float32_and_left_as_it_was() -> None:
    network = head().float()
    seen: list[Any] = []
    network.backbone.register_forward_hook(lambda *_: seen.append((network.precision, network.training)))
    network.precision = "bfloat16"
    network.train().requires_grad_(False)
    rise(network, held(*((x.float(), y) for x, y in drawn())), frozenset({"head.weight"}))
    assert set(seen) == {("float32", False)}
    assert (network.precision, network.training) == ("bfloat16", True)
    assert not any(parameter.requires_grad for parameter in network.parameters())


def whole(name: str) -> Elsewhere:
    trust(f"domainbed:reference_interface:{name}")
    target = f"reference_interface:{name}"
    return Elsewhere(Whole(target, code(target), dict(HPARAMS)), 6, 2, 2, 0, CPU)


def pictures() -> list[Held]:
    generator = torch.Generator().manual_seed(1)
    return held((torch.rand(9, 3, 6, 6, generator=generator), torch.arange(9) % 2))


def test_of_a_class_from_elsewhere_what_is_frozen_or_no_real_number_stays() -> None:
    network, (domain,) = whole("Partly"), pictures()
    free = [network.backbone.classifier.weight, network.backbone.classifier.bias]  # type: ignore[union-attr]
    found = rise(network, [domain], frozenset(network.tensors()))
    assert found is not None
    assert [parameter.requires_grad for parameter in network.parameters()].count(True) == len(free)

    def loss() -> Tensor:
        return F.cross_entropy(network.eval()(domain.inputs.ready(domain.validation)), domain.labels[domain.validation])

    before = loss()
    slopes = torch.autograd.grad(before, free)  # type: ignore[arg-type]
    length = sum(float(slope.square().sum()) for slope in slopes) ** 0.5
    with torch.no_grad():
        for one, slope in zip(free, slopes, strict=True):
            one.add_(slope, alpha=RADIUS / length)  # type: ignore[operator, union-attr]
    assert found == pytest.approx(float((loss() - before).detach()), abs=1e-6)
    assert found > 1e-4


def test_a_class_that_predicts_without_gradients_has_no_rise_and_all_else(tmp_path: Path) -> None:
    network = whole("Closed")
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)  # of whatever was before
    assert rise(network, pictures(), frozenset(network.tensors())) is None
    recipe = f"domainbed:reference_interface:Closed({', '.join(f'{name}={value}' for name, value in HPARAMS.items())})"
    carry_out(board(recipe), tmp_path)
    with pytest.raises(StoreError, match=r"'flatness' is not known of .*Closed.* its loss has no gradient"):
        boards.select(board(recipe), store=tmp_path)
    found = boards.select(board(recipe, criterion="risk_discrepancy"), store=tmp_path)
    assert found.cells["score"].is_finite().all()


def board(*algorithms: str, criterion: str = "flatness") -> BoardCard:
    rules = {
        "cases": {"digits": CaseRules(targets=("print",))},
        "criterion": criterion,
        "defaults": RecipeSlots(averaging=PartChoice(part="best")),
        "selection": SelectionRules(views_per_domain=3),
        "keep": "all",
    }
    return small_board(*algorithms, steps=2).model_copy(update=rules)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("weighed")
    carry_out(board("erm", "t3a", "swad"), root)
    return root


def test_a_board_that_asks_has_further_runs_and_no_further_training() -> None:
    made, plain = make_plan(board("erm", "t3a", "swad")), make_plan(board("erm", "t3a", "swad", criterion="source"))
    assert made.entries == plain.entries
    assert made.trainings == plain.trainings
    assert plain.runs.items() <= made.runs.items()
    further = [run for id_, run in made.runs.items() if id_ not in plain.runs]
    assert len(further) == 2, "of the checkpoints, which ERM and T3A share, and of SWAD's mean"
    assert {(run.weighs, run.target, run.predictor["part"]) for run in further} == {(True, "", "argmax")}
    assert not any("weighs" in run.spec() for run in plain.runs.values())
    assert made.only_judging() == (set(), {run.id for run in further})
    assert (len(made.judges), len(plain.judges)) == (3, 0)
    assert sum(group.runs for group in sharing(made)) == 3 + 2


def whole_loss(network: Network, bench: Bench) -> float:
    """The mean over domains of the mean cross-entropy."""
    return float(_loss(network, bench).detach())


def _loss(network: Network, bench: Bench) -> Tensor:
    seen = ((d.inputs.ready(d.validation), d.labels[d.validation]) for d in bench.sources.validating)
    return torch.stack([F.cross_entropy(network(x), y) for x, y in seen]).mean()


def moved_up(network: Network, bench: Bench) -> float:
    """That after one step up its gradient in all weights, of a copy."""
    copy = deepcopy(network)
    slopes = torch.autograd.grad(_loss(copy, bench), list(copy.parameters()))
    length = sum(float(slope.square().sum()) for slope in slopes) ** 0.5
    with torch.no_grad():
        for one, slope in zip(copy.parameters(), slopes, strict=True):
            one.add_(slope * (RADIUS / length))
    return whole_loss(copy, bench)


def test_what_is_noted_is_what_the_weights_say_and_the_flattest_is_chosen(done: Path) -> None:
    rules, store = board("erm", "t3a", "swad"), Store(done)
    plan = make_plan(rules)
    expected: dict[tuple[str, int], tuple[float, float]] = {}
    for judge in plan.judges:
        run, training = plan.runs[judge.run], plan.trainings[judge.training]
        table = pl.read_parquet(store.folder("run", run.id) / WEIGHTS)
        predicted = pl.read_parquet(store.folder("run", run.id) / "predictions.parquet")
        assert set(predicted.select("split", "view").unique().iter_rows()) == {("validation", "clean")}
        bench = Bench(training, store, CPU)
        for step, flatness, apart in table.iter_rows():
            network, _ = bench.recall(run, step)
            network.requires_grad_(True).eval()
            with torch.no_grad():
                features = [network.features(d.inputs.ready(d.validation)).numpy() for d in bench.sources.validating]
            assert apart == pytest.approx(discrepancy(features), abs=1e-6), "all images count where they are few"
            loss, higher = whole_loss(network, bench), moved_up(network, bench)
            by_domain = predicted.filter(step=step).group_by("domain").agg(-pl.col("p_label").log().mean())
            assert by_domain["p_label"].mean() == pytest.approx(loss, abs=1e-5)
            assert flatness == pytest.approx(loss - higher, abs=2e-5)
            assert flatness < -1e-3
            expected[judge.algorithm, step] = (flatness, apart)
    found = boards.records(rules, store=done)
    assert (found.missing, found.metrics["split"].unique().sort().to_list()) == (0, ["target", "validation", "weights"])
    noted = found.indicators()
    assert {
        (row["algorithm"], row["step"]): (row["flatness"], row["discrepancy"]) for row in noted.to_dicts()
    } == expected
    assert noted["calibration"].null_count() == 0
    chosen = boards.select(rules, store=done)
    for cell in chosen.cells.iter_rows(named=True):
        best = max(value for (name, _), (value, _) in expected.items() if name == cell["algorithm"])
        assert cell["score"] == pytest.approx(best, abs=1e-12)
    assert {
        one.criterion.name for track in boards.leaderboard(rules, store=done).tracks for one in track.qualities
    } >= {
        "flatness",
        "risk_discrepancy",
    }
    by_both = boards.select(board("erm", "t3a", "swad", criterion="risk_discrepancy"), store=done)
    assert by_both.cells["algorithm"].to_list() == ["erm", "t3a", "swad"], "its list of runs is the same"


def test_what_the_criterion_chose_stays(done: Path) -> None:
    rules = board("erm", "t3a", "swad")
    plan, store = make_plan(rules), Store(done)
    chosen = {row["algorithm"]: row["step"] for row in boards.select(rules, store=done).cells.to_dicts()}
    for entry in plan.entries:
        wish = Boards(store, [index(plan, "chosen")]).wish(entry.training)
        own = [step for averaging, step in wish.candidates if averaging == entry.hyperparameters["averaging"]]
        assert own == [chosen[entry.algorithm]]


def test_weights_that_were_let_go_are_trained_again_and_the_plan_says_so(tmp_path: Path) -> None:
    first = board("erm", criterion="source").model_copy(update={"keep": "chosen"})
    carry_out(first, tmp_path)
    asked, store = board("erm").model_copy(update={"keep": None}), Store(tmp_path)
    plan = make_plan(asked)
    (training,) = plan.trainings
    assert todo(plan, store).again == {training: ("erm",)}
    assert carry_out(asked, tmp_path).again.keys() == {training}
    assert todo(make_plan(asked), store).runs == {}
    assert boards.select(asked, store=tmp_path).cells.height == 1
    assert json.loads(store.index(first).read_text())["criterion"] == "source"


def test_other_boards_do_not_speak_of_it(done: Path) -> None:
    plain = board("erm", "t3a", "swad", criterion="source")
    store = Store(done)
    store.write_index(plain, index(make_plan(plain)))
    found = boards.select(plain, store=done)
    assert not {name for name, _ in found.refusals} & {"flatness", "risk_discrepancy"}
    assert boards.records(plain, store=done).indicators().select("flatness").null_count().item() == 4 + 1


def test_cost_of_looking_at_weights_is_in_the_estimate() -> None:
    made = make_plan(board("erm"))
    (training,) = made.trainings.values()
    counts = Counts(made)
    own, judge = sorted(made.runs.values(), key=lambda run: run.weighs)
    assert counts.looked_at(training, [judge]) == [2 * WEIGHED * counts.validation(training)]
    assert counts.looked_at(training, [own, judge]) == [
        *counts.looked_at(training, [own]),
        *counts.looked_at(training, [judge]),
    ]
    assert "trial 0" not in {of[-1] for of in counts.feature_sets(training, [judge])}
