"""What runs write down, against the weights, the data and the streams that it comes from."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from numpy.typing import NDArray

from dgbench.core.cards import CaseRules, SelectionRules, SplitRules
from dgbench.core.errors import StoreError
from dgbench.core.files import read_json
from dgbench.core.registry import StreamMode
from dgbench.core.seeds import seed
from dgbench.core.shift_families import FAMILIES, VIEWS_VERSION
from dgbench.data.catalogue import load
from dgbench.data.domain import Dataset, Domain
from dgbench.data.samples import sample_names
from dgbench.data.shifts import shift
from dgbench.models.effective import load_effective
from dgbench.runs import predict
from dgbench.runs.execute import do_runs, do_training
from dgbench.runs.observed import examples
from dgbench.runs.parts import part_of, parts_of
from dgbench.runs.plan import Plan
from dgbench.runs.planning import make_plan
from dgbench.runs.setting import Setting
from dgbench.runs.setting import stored as stored_training
from dgbench.runs.store import Store
from dgbench.selection.predictions import check, summarise
from dgbench.submissions.asked import Asked
from dgbench.train.evaluate import evaluating
from dgbench.train.sources import Pixels
from small import small_board

CPU = torch.device("cpu")
ALGORITHMS = ("erm", "t3a", "adanpc", "drm")
TARGET = "print"
VIEWS = 25
CASES = {"digits": CaseRules(targets=(TARGET,), sources=("handwritten", "dot-matrix"))}

Ran = tuple[Plan, Store]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """One target's column of a small board."""
    changes = {"cases": CASES, "selection": SelectionRules(views_per_domain=VIEWS)}
    board = small_board(*ALGORITHMS, split=SplitRules(validation=0.04)).model_copy(update=changes)
    plan, store = make_plan(board), Store(tmp_path_factory.mktemp("store"))
    runs = [run for run in plan.runs.values() if run.target == TARGET]
    for id_ in dict.fromkeys(run.training for run in runs):
        do_training(plan.trainings[id_], store, CPU)
        do_runs(plan.trainings[id_], [run for run in runs if run.training == id_], store, CPU)
    return plan, store


def table(ran: Ran, algorithm: str) -> pl.DataFrame:
    plan, store = ran
    (entry,) = (e for e in plan.entries if e.algorithm == algorithm and e.domain == TARGET)
    return pl.read_parquet(store.file("run", entry.run, "predictions.parquet"))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_metrics_are_those_of_a_plain_loop_over_the_stored_rows(ran: Ran, algorithm: str) -> None:
    plan, store = ran
    (entry,) = (e for e in plan.entries if e.algorithm == algorithm and e.domain == TARGET)
    stored, metrics = table(ran, algorithm), read_json(store.folder("run", entry.run) / "result.json")["metrics"]
    check(stored, 10)
    assert summarise(stored).to_dicts() == metrics, "to the last bit"
    keys = ("step", "split", "domain", "view")
    found: dict[tuple[object, ...], list[tuple[bool, float]]] = {}
    for one in stored.iter_rows(named=True):
        said = one["prediction"] == one["label"], -np.log(max(one["p_label"], 1e-12))
        found.setdefault(tuple(one[key] for key in keys), []).append(said)
    assert len(found) == len(metrics)
    for row in metrics:
        hits, losses = zip(*found[tuple(row[key] for key in keys)], strict=True)
        assert row["n"] == len(hits)
        assert row["accuracy"] == np.mean(hits)
        assert row["nll"] == pytest.approx(np.mean(losses), rel=1e-12)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_stored_scores_give_the_stored_predictions(ran: Ran, algorithm: str) -> None:
    clean = table(ran, algorithm).filter(pl.col("view") == "clean")
    logits = clean["logits"].list.to_array(10).to_numpy().astype(np.float64)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert (logits.argmax(1) == clean["prediction"].to_numpy()).all()
    assert p.max(1) == pytest.approx(clean["confidence"].to_numpy(), rel=np.log(10) / 2000)
    nll, again = -np.log(clean["p_label"].to_numpy()), -np.log(p[np.arange(len(p)), clean["label"]])
    assert abs(again.mean() - nll.mean()) <= (nll.mean() + np.log(10)) / 2000
    gives_probabilities = algorithm in ("adanpc", "drm")
    assert (clean["logsumexp"] == 0).all() == gives_probabilities


def test_every_row_is_of_its_example(ran: Ran) -> None:
    """Against the images, the weights and the network alone, in the order of the domain."""
    plan, store = ran
    (entry,) = (e for e in plan.entries if e.algorithm == "erm" and e.domain == TARGET)
    training, stored = plan.trainings[entry.training], table(ran, "erm")
    setting = Setting(training, parts_of(training), store, CPU)
    network, trajectory = setting.initial_network(), stored_training(training, store, CPU)
    domain = load("digits").domain(TARGET)
    for step in trajectory.steps:
        load_effective(network, trajectory.at(step))
        inputs = Pixels(domain.inputs, network.info, CPU, resident=False)
        with evaluating(network):
            scores = network(inputs.ready(torch.arange(len(domain)))).numpy()
        rows = stored.filter(pl.col("split") == "target", pl.col("step") == step)
        assert rows["index"].to_list() == list(range(len(domain)))
        assert rows["label"].to_list() == domain.labels.tolist()
        assert rows["group"].to_list() == domain.groups.tolist()
        assert rows["sample"].to_list() == sample_names(domain, np.arange(len(domain)))
        kept = rows["logits"].list.to_array(10).to_numpy().astype(np.float32)
        given = kept + (np.log(rows["confidence"].to_numpy()) + rows["logsumexp"].to_numpy())[:, None]
        assert np.allclose(given, scores, atol=2e-3)


def test_under_shifts_as_many_images_are_predicted_as_the_board_says(ran: Ran) -> None:
    """Some of the clean ones, the same under every shift, as submissions are asked for them; each as it is drawn."""
    plan, store = ran
    (entry,) = (e for e in plan.entries if e.algorithm == "erm" and e.domain == TARGET)
    training, stored, asked = plan.trainings[entry.training], table(ran, "erm"), Asked.of(plan.board)
    validation = stored.filter(split="validation", step=training.steps)
    setting = Setting(training, parts_of(training), store, CPU)
    network, trajectory = setting.initial_network(), stored_training(training, store, CPU)
    load_effective(network, trajectory.at(training.steps))
    for domain in training.sources:
        own = validation.filter(domain=domain)
        clean = own.filter(view="clean")["index"].to_list()
        wanted = asked.examples("validation", "digits", domain, 0, shifted=True)
        assert wanted is not None
        assert wanted["group"].is_null().all(), "nobody judges the digits by groups of their own"
        rows = wanted["index"].to_list()
        assert len(clean) > len(rows) == VIEWS
        assert set(rows) <= set(clean)
        for family in FAMILIES:
            assert own.filter(view=family).select("index", "sample", "label").equals(wanted.drop("group"))
        images = np.stack([drawn(domain, row, "contrast") for row in rows])
        inputs = Pixels(images, network.info, CPU, resident=False)
        with evaluating(network):
            scores = network(inputs.ready(torch.arange(VIEWS)))
        assert scores.argmax(1).tolist() == own.filter(view="contrast")["prediction"].to_list()


def drawn(domain: str, row: int, family: str) -> NDArray[np.uint8]:
    """A shifted image, by its seed alone."""
    dataset = load("digits")
    named = seed("view", VIEWS_VERSION, dataset.manifest, domain, row, family, 0)
    return shift(dataset.domain(domain).inputs[np.array([row])][0], family, named)


@pytest.mark.parametrize(("batch", "mode"), [(32, "per_target"), (7, "per_target"), (32, "episodic"), (32, "by_class")])
def test_what_an_online_predictor_said_stands_at_its_example(ran: Ran, batch: int, mode: StreamMode) -> None:
    plan, store = ran
    (entry,) = (e for e in plan.entries if e.algorithm == "t3a" and e.domain == TARGET)
    training, run = plan.trainings[entry.training], replace(plan.runs[entry.run], stream_batch=batch, stream_mode=mode)
    do_runs(training, [run], store, CPU)  # that of the board is there
    stored = pl.read_parquet(store.file("run", run.id, "predictions.parquet"))
    setting = Setting(training, parts_of(training), store, CPU)
    network, trajectory = setting.initial_network(), stored_training(training, store, CPU)
    load_effective(network, trajectory.at(trajectory.steps[-1]))
    domain = load("digits").domain(TARGET)
    inputs = Pixels(domain.inputs, network.info, CPU, resident=False)
    seed = training.seed("stream", TARGET, "clean")
    order = torch.randperm(len(domain), generator=torch.Generator().manual_seed(seed))
    if mode == "by_class":
        order = torch.tensor(sorted(order.tolist(), key=lambda row: int(domain.labels[row])))
    predictor = part_of("predictor", entry.hyperparameters["predictor"], "test")
    with evaluating(network):
        at_work = predictor.prepare(network, None)
        at_work.reset(seed)
        features = network.features(inputs.ready(torch.arange(len(domain))))
        said: dict[int, int] = {}
        for rows in order.split(batch):
            if mode == "episodic":
                at_work.reset(seed)
            said |= dict(zip(rows.tolist(), at_work.observe(features[rows]).argmax(1).tolist(), strict=True))
    last = stored.filter(pl.col("split") == "target", pl.col("step") == trajectory.steps[-1])
    agree = np.mean([said[index] == prediction for index, prediction in last.select("index", "prediction").iter_rows()])
    assert agree > 0.99  # rounding may tip a prediction that is a tie
    usual = table(ran, "t3a").filter(split="target", step=trajectory.steps[-1])
    assert usual["confidence"].equals(last["confidence"]) == ((batch, mode) == (32, "per_target"))


def small_domain(groups: list[int], **more: Any) -> Domain:
    images: NDArray[np.uint8] = np.arange(len(groups) * 3, dtype=np.uint8).reshape(-1, 1, 1, 3)
    return Domain("d", images, np.zeros(len(groups), np.int64), np.array(groups), **more)


@pytest.mark.parametrize(
    ("groups", "shared", "kept"),
    [
        ([5, 5, 7], False, [5, 7]),
        ([5, 6, 7], True, [5, 7]),  # one emoji concept, one test picture under each corruption
        ([0, 1, 2], False, [None, None]),  # every example on its own: no groups
    ],
)
def test_groups_are_kept_where_there_are_some(groups: list[int], shared: bool, kept: list[int | None]) -> None:
    data = Dataset("data", ("a",), (small_domain(groups),), "", shared_groups=shared)
    shown = examples(data, "d", np.array([0, 2]))
    assert shown["group"].to_list() == kept
    assert shown["index"].to_list() == [0, 2]


def test_a_prediction_that_is_no_number_is_no_result(ran: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, done = ran
    (entry,) = (e for e in plan.entries if e.algorithm == "erm" and e.domain == TARGET)
    store, training = Store(tmp_path), plan.trainings[entry.training]
    shutil.copytree(done.folder("training", training.id), store.folder("training", training.id))
    real = predict.features_of_sets
    monkeypatch.setattr(predict, "features_of_sets", lambda *args: [own * float("nan") for own in real(*args)])
    with pytest.raises(StoreError, match="a probability is no number"):
        do_runs(training, [plan.runs[entry.run]], store, CPU)
    assert not store.finished("run", entry.run)


def test_bits_are_those_of_a_run_alone_whatever_was_looked_at_before(tmp_path: Path) -> None:
    """On a network whose passes of few images give other bits than passes of many."""
    board = small_board("erm", "t3a", backbone="timm:test_efficientnet(size=32)").model_copy(
        update={
            "cases": CASES,
            "split": SplitRules(validation=0.02, test=0.7),
            "selection": SelectionRules(views_per_domain=4),
        }
    )
    plan = make_plan(board)
    targets = [entry for entry in plan.entries if entry.domain == TARGET]
    (training,) = {entry.training for entry in targets}
    runs = [replace(plan.runs[entry.run], part=part) for entry in targets for part in ("tested", "untested")]
    together, alone = Store(tmp_path / "together"), Store(tmp_path / "alone")
    do_training(plan.trainings[training], together, CPU)
    shutil.copytree(together.root, alone.root)
    do_runs(plan.trainings[training], runs, together, CPU)
    for run in reversed(runs):
        do_runs(plan.trainings[training], [run], alone, CPU)
        said = [store.file("run", run.id, "predictions.parquet").read_bytes() for store in (together, alone)]
        assert said[0] == said[1]
