"""Camera traps as the domains that they are: miniatures of iWildCam by the rules of `wilds`, with a small network."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from wilds_made import package, write_set

from dgbench.api.boards import rules
from dgbench.core.cards import BoardCard, SelectionRules
from dgbench.core.errors import RecipeError
from dgbench.data.catalogue import load, outline
from dgbench.data.splits import split
from dgbench.runs.collect import collect
from dgbench.runs.execute import do_runs, do_training
from dgbench.runs.index import index
from dgbench.runs.planning import make_plan
from dgbench.runs.predictions import in_full
from dgbench.runs.store import Store

CPU = torch.device("cpu")
TRAPS = 60
Written = Callable[[int], Path]


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Written:
    """Writes a miniature with so many training traps, pictures and all, where dgbench looks for it."""
    package(monkeypatch)

    def write(traps: int) -> Path:
        folder = write_set("iwildcam", tmp_path / "data", n=traps)
        (folder / "train").mkdir()
        for line in (folder / "metadata.csv").read_text().splitlines()[1:]:
            name, label, *_ = line.split(",")
            (folder / "train" / name).write_bytes(picture(int(label)))
        monkeypatch.setenv("DGBENCH_DATA", str(tmp_path / "data"))
        monkeypatch.setenv("DGBENCH_STREAM", "1")
        return tmp_path

    return write


@cache
def picture(label: int) -> bytes:
    """All of one class look alike: writing thousands would take longer than training on them."""
    pixels, file = np.random.default_rng(label).normal(label, 20, (8, 8, 3)), BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "png", compress_level=0)
    return file.getvalue()


def board(*algorithms: str, steps: int = 4) -> BoardCard:
    wilds = rules(
        "wilds", datasets=["iwildcam"], algorithms=algorithms, trials=1, backbone="dgbench:convnet-small(size=16)"
    )
    small = {"steps": steps, "checkpoints": 2, "batch_per_domain": 4, "precision": "float32"}
    return wilds.model_copy(update={"training": wilds.training.model_copy(update=small)})


def test_each_trap_is_a_domain_and_the_rules_still_say_train(written: Written) -> None:
    written(TRAPS)
    (case,) = make_plan(board("erm")).cases
    assert (len(case.sources), case.target) == (TRAPS, "test")
    assert case.sources[:11:10] == ("train/location-0", "train/location-10"), "in the order of their numbers"
    dataset = load("iwildcam", 16)
    assert [domain.part_of for domain in dataset.domains[-3:]] == ["train", None, None]
    validating = [name for name in case.sources if len(split(dataset, name, 0, 0.1, official=True).validation)]
    assert validating == list(case.sources[::3]), "as WILDS has it, and none of the others gives images up for it"
    whole, parts = dataset.domain("train/location-1"), split(dataset, "train/location-1", 0, 0.1, official=True)
    assert parts.train.tolist() == list(range(len(whole)))
    drawn = split(dataset, "train/location-1", 0, 0.1)
    assert sorted([*drawn.train, *drawn.validation]) == list(range(len(whole)))
    named = {domain.name for domain in outline("iwildcam").domains}
    assert f"train/location-{TRAPS + 5}" not in named, "it only validates, so nobody learns from it"


def test_methods_of_domains_differ_from_erm_and_runs_predict_what_there_is(written: Written) -> None:
    root = written(24)  # more than a step sees
    names = ("erm", "coral", "vrex", "irm", "groupdro")
    plan = make_plan(board(*names))
    assert [entry.without_effect for entry in plan.entries] == [""] * len(names)
    store, weights = Store(root / "store"), {}
    for entry in plan.entries:
        training = plan.trainings[entry.training]
        do_training(training, store, CPU)
        last = store.folder("training", training.id) / "weights" / f"{training.steps:06d}.safetensors"
        weights[entry.algorithm] = load_file(last)["head.weight"]
    for name in names[1:]:
        assert not torch.allclose(weights[name], weights["erm"], atol=1e-7), name
    entry = plan.entries[2]
    do_runs(plan.trainings[entry.training], [plan.runs[entry.run]], store, CPU)
    predicted = in_full(store, entry.run)
    assert predicted is not None
    validation = predicted.filter(split="validation", view="clean", step=4)
    assert set(validation["domain"]) == set(entry.sources[::3])
    assert predicted.filter(split="target")["domain"].unique().to_list() == ["test"]
    store.write_index(plan.board, index(plan))
    by_trap, together = (
        collect(plan.board.model_copy(update={"headline": "accuracy", "selection": rule}), store, index(plan)).metrics
        for rule in (SelectionRules(), plan.board.selection)
    )
    assert by_trap.filter(split="validation", view="clean", step=4).height == len(entry.sources[::3])
    (measured,) = together.filter(split="validation", view="clean", step=4)["accuracy"]
    assert measured == pytest.approx((validation["label"] == validation["prediction"]).mean())


def test_a_trap_without_validation_images_is_asked_nothing_where_it_is_left_out(written: Written) -> None:
    store = Store(written(4) / "store")
    plan = make_plan(board("erm").model_copy(update={"criterion": "lodo"}))
    (judge,) = [one for one in plan.judges if one.domains == ("train/location-1",)]
    run, training = plan.runs[judge.run], plan.trainings[judge.training]
    assert (run.target, run.part) == ("train/location-1", "validation")
    do_training(training, store, CPU)
    assert do_runs(training, [run], store, CPU) == 1
    predicted = in_full(store, run.id)
    assert predicted is not None
    assert set(predicted["split"]) == {"validation"}


def test_a_head_for_each_of_them_is_refused(written: Written) -> None:
    written(TRAPS)
    with pytest.raises(RecipeError, match="at most 32, and 'test' has 60"):
        make_plan(board("drm"))


class _StoppedError(Exception):
    pass


def test_a_thousand_domains_are_planned_trained_and_gone_on_with(written: Written) -> None:
    root = written(1000)
    (spec,) = make_plan(board("vrex")).trainings.values()
    assert (len(spec.sources), spec.batch) == (1000, 16)

    def stop(step: int) -> None:
        if step == 3:
            raise _StoppedError

    found = []
    for name, stops in (("whole", False), ("stopped", True)):
        store = Store(root / name)
        if stops:
            with pytest.raises(_StoppedError):
                do_training(spec, store, CPU, stop)
        do_training(spec, store, CPU)
        weights = store.folder("training", spec.id) / "weights"
        found.append({path.name: path.read_bytes() for path in weights.iterdir()})
    assert found[0] == found[1]
    assert replace(spec, domains_per_step=5).id != spec.id
