"""Runs of predictors that see images, against a plain loop over the images in the order of their stream."""

from __future__ import annotations

import polars as pl
import pytest
import torch

from dgbench.api.boards import rules
from dgbench.core.cards import BoardCard, CaseRules, SelectionRules, SplitRules
from dgbench.core.elsewhere import trust
from dgbench.core.errors import RecipeError
from dgbench.data.cache.views import Shifted
from dgbench.data.catalogue import load
from dgbench.data.splits import tested as rows_tested
from dgbench.data.splits import viewed
from dgbench.models.effective import head_of
from dgbench.models.network import Network
from dgbench.runs.counts import Counts
from dgbench.runs.parts import part_of, parts_of
from dgbench.runs.plan import Plan
from dgbench.runs.planning import make_plan
from dgbench.runs.predict import Bench
from dgbench.runs.setting import Setting, stored
from dgbench.runs.store import Store
from dgbench.train.evaluate import evaluating, score
from dgbench.train.sources import Pixels
from dgbench.train.spec import TrainingSpec
from in_process import carry_out
from small import small_board

pytestmark = pytest.mark.usefixtures("computing_as_a_worker")
CPU = torch.device("cpu")
TARGET, VIEWS, BATCH = "print", 25, 20
RECIPES = (
    "erm",
    "tent(predictor.lr=0.01)",
    "linear_probe",
    "linear_probe + pl(threshold=0.1, predictor.lr=0.01)",
    "bn_adapt",
    "crafting_shifts",
)


def board(*algorithms: str, backbone: str = "dgbench:convnet-small") -> BoardCard:
    """One target, one checkpoint, few images, small batches."""
    case = CaseRules(targets=(TARGET,), sources=("handwritten", "dot-matrix"))
    changes = {"cases": {"digits": case}, "selection": SelectionRules(views_per_domain=VIEWS)}
    made = small_board(*algorithms, checkpoints=1, backbone=backbone, split=SplitRules(validation=0.05, test=0.15))
    return made.model_copy(update=changes | {"stream_batch": BATCH})


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Store]:
    folder = tmp_path_factory.mktemp("store")
    carry_out(board(*RECIPES), folder)
    return make_plan(board(*RECIPES)), Store(folder)


def trained(training: TrainingSpec, store: Store) -> Network:
    """Backbone and head as the training left them, put together by hand."""
    setting, trajectory = Setting(training, parts_of(training), store, CPU), stored(training, store, CPU)
    network = Network(setting.backbone(), 10)
    state = trajectory.at(trajectory.steps[-1])
    network.head.load_state_dict(head_of(state))
    own = {name.removeprefix("backbone."): t for name, t in state.items() if name.startswith("backbone.")}
    assert bool(own) == (setting.bank is None)
    network.backbone.load_state_dict(own or network.backbone.state_dict())
    return network.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize("view", ["clean", "blur"])
@pytest.mark.parametrize(
    "algorithm",
    ["tent(predictor.lr=0.01)", "linear_probe + pl(threshold=0.1, predictor.lr=0.01)", "crafting_shifts"],
)
def test_a_run_says_what_a_plain_loop_over_its_images_says(algorithm: str, view: str, ran: tuple[Plan, Store]) -> None:
    """Of a network that was trained, and of one whose backbone is frozen: runs on features share no step of this."""
    plan, store = ran
    (entry,) = (e for e in plan.entries if e.algorithm == algorithm)
    training, dataset = plan.trainings[entry.training], load("digits")
    network = trained(training, store)
    name = TARGET if view == "clean" else training.sources[0]
    rows = rows_tested(dataset, name, training.trial, training.validation, training.test, training.official)
    assert len(rows) > 5 * BATCH
    if view != "clean":
        held = Setting(training, parts_of(training), store, CPU).sources().domains[0].validation.numpy()
        rows = viewed(dataset, name, training.trial, held, VIEWS)
    images = dataset.domain(name).inputs[rows] if view == "clean" else Shifted(dataset, name, rows, view)
    pixels = Pixels(images, network.info, CPU, resident=False)
    seed = training.seed("stream", name, view)
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    with evaluating(network):
        stream = part_of("predictor", entry.hyperparameters["predictor"], "test").prepare(network, None)
        stream.reset(seed)
        scores = torch.cat([stream.observe(pixels.ready(batch)) for batch in order.split(BATCH)])
        plain = torch.cat([network(pixels.ready(batch)) for batch in order.split(BATCH)])
    assert not torch.allclose(scores, plain, atol=1e-3), "it moves, or looks at more"
    assert all(torch.equal(before[key], tensor) for key, tensor in network.state_dict().items())
    said = score(scores, torch.zeros(len(order), dtype=torch.int64), "logits")
    table = pl.read_parquet(store.file("run", entry.run, "predictions.parquet"))
    split = "target" if view == "clean" else "validation"
    own = table.filter(pl.col("split") == split, pl.col("domain") == name, pl.col("view") == view)
    shown = {row["index"]: row for row in own.iter_rows(named=True)}
    assert shown.keys() == set(rows.tolist())
    for place, prediction, confidence in zip(order.tolist(), said.prediction.tolist(), said.confidence, strict=True):
        row = shown[int(rows[place])]
        assert row["prediction"] == prediction or row["confidence"] < 0.2, "rounding may tip what is a tie"
        assert row["confidence"] == pytest.approx(float(confidence), abs=1e-4)


def test_runs_that_see_images_leave_the_others_as_they_are(ran: tuple[Plan, Store]) -> None:
    """The weights that a bench has loaded are shared: an image run between two others changes no bit of theirs."""
    plan, store = ran
    runs = {entry.algorithm: plan.runs[entry.run] for entry in plan.entries}
    bench = Bench(plan.trainings[runs["erm"].training], store, CPU)
    before = bench.predict(runs["erm"])
    hashed = {key: tensor.clone() for key, tensor in bench.network.state_dict().items()}
    first = bench.predict(runs["tent(predictor.lr=0.01)"])
    assert all(torch.equal(hashed[key], tensor) for key, tensor in bench.network.state_dict().items())
    assert bench.predict(runs["erm"]).equals(before)
    assert bench.predict(runs["tent(predictor.lr=0.01)"]).equals(first)
    assert not first["confidence"].equals(before["confidence"])


def test_what_acts_on_layers_that_a_backbone_has_not_is_the_plain_prediction(ran: tuple[Plan, Store]) -> None:
    plan, _ = ran
    entries = {entry.algorithm: entry for entry in plan.entries}
    assert entries["bn_adapt"].run == entries["erm"].run
    assert (
        "'bn_adapt' acts on normalisation by batch, which this training has not" in entries["bn_adapt"].without_effect
    )
    assert entries["tent(predictor.lr=0.01)"].without_effect == ""
    other = make_plan(
        board("erm", "bn_adapt", "linear_probe", "linear_probe + bn_adapt", backbone="timm:test_efficientnet(size=32)")
    )
    assert not any(entry.without_effect for entry in other.entries)
    assert len(other.runs) == 4
    assert len(other.trainings) == 2, "a frozen backbone has layers that normalise, too"
    alike = make_plan(board("erm", "tent", 'tent(statistics="source")', backbone="timm:test_vit(size=32)"))
    assert len(alike.runs) == 2, "nothing normalises by the batch, so these are one"
    assert not any(entry.without_effect for entry in alike.entries)
    bare = make_plan(board("erm", "tent", 'tent(statistics="source")', backbone="timm:test_nfnet(size=32)"))
    assert len(bare.runs) == 1
    assert [entry.without_effect.count("the predictor 'tent' acts on") for entry in bare.entries] == [0, 1, 1]


def test_what_goes_through_a_network_of_its_own_is_counted(ran: tuple[Plan, Store]) -> None:
    plan, _ = ran
    runs = {entry.algorithm: plan.runs[entry.run] for entry in plan.entries}
    training, counts = plan.trainings[runs["tent(predictor.lr=0.01)"].training], Counts(plan)
    once = counts.seen(training, [runs["tent(predictor.lr=0.01)"]])
    assert once == pytest.approx(3 * sum(counts.looked_at(training, [runs["erm"]])))
    assert counts.seen(training, [runs["erm"]]) == 0
    assert counts.looked_at(training, [runs["tent(predictor.lr=0.01)"]]) == []


def test_each_network_of_an_ensemble_is_counted_whatever_it_is_shown() -> None:
    made = make_plan(board("erm", "ensemble(orders=3)", "ensemble(orders=3) + tent"))
    runs = {entry.algorithm: made.runs[entry.run] for entry in made.entries}
    together, counts = runs["ensemble(orders=3)"], Counts(made)
    training = made.trainings[together.training]
    assert counts.seen(training, [runs["ensemble(orders=3) + tent"]]) == pytest.approx(
        3 * sum(counts.looked_at(training, [together]))
    )


@pytest.mark.parametrize("predictor", ["tent", "bn_adapt", "pl", "shot_im"])
def test_a_whole_algorithm_from_elsewhere_predicts_itself(predictor: str) -> None:
    whole = "domainbed:reference_interface:ERM"
    trust(whole)
    with pytest.raises(RecipeError, match="two parts for the slot 'predictor'"):
        make_plan(board("erm", f"{whole} + {predictor}"))


@pytest.mark.parametrize("predictor", ["tent", "bn_adapt", "pl", "shot_im", "tast_bn"])
def test_values_have_no_probabilities_to_be_sure_of(predictor: str) -> None:
    made = rules("turned-digits", algorithms=["erm", predictor], backbone="timm:test_efficientnet(size=32)")
    with pytest.raises(RecipeError, match=r"are values .* needs classes: it gives each a score"):
        make_plan(made.model_copy(update={"tracks": made.tracks | {"online": made.tracks["inductive"]}}))
