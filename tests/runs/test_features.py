"""Heads on frozen backbones: their features are computed once, and are the features that the images would give."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from dgbench.core.decoding import Decoding
from dgbench.core.errors import DamagedError
from dgbench.core.spec import canonical
from dgbench.runs import execute
from dgbench.runs.execute import do_runs, do_training, on_features, parts_of
from dgbench.runs.features import FeatureBank
from dgbench.runs.plan import Plan, make_plan
from dgbench.runs.store import Store
from dgbench.train.trajectory import StoredTrajectory
from small import small_board

CPU = torch.device("cpu")


def frozen(*algorithms: str, trials: int = 1) -> Plan:
    board = small_board(*algorithms, trials=trials)
    return make_plan(board.model_copy(update={"hyperparameters": {"sampler.augmentation": "none"}}))


def test_only_a_frozen_backbone_on_unchanged_images_is_replaced_by_its_features() -> None:
    def uses(algorithm: str, augmentation: str) -> bool:
        board = small_board(algorithm).model_copy(update={"hyperparameters": {"sampler.augmentation": augmentation}})
        return on_features(parts_of(next(iter(make_plan(board).trainings.values()))))

    assert uses("linear_probe", "none")
    assert uses("linear_probe + sam + irm", "none")
    assert not uses("linear_probe", "crop")
    assert not any(uses(algorithm, "none") for algorithm in ("erm", "lora", "drm"))


def test_a_head_learns_the_same_from_features_as_from_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = frozen("linear_probe")
    spec = next(iter(plan.trainings.values()))
    runs = [run for run in plan.runs.values() if run.training == spec.id]
    stores = [Store(tmp_path / "features"), Store(tmp_path / "images")]
    for store, shortcut in zip(stores, (on_features, lambda parts: False), strict=True):
        monkeypatch.setattr(execute, "on_features", shortcut)
        do_training(spec, store, CPU)
        do_runs(spec, runs, store, CPU)
    by_features, by_images = (StoredTrajectory(store.folder("training", spec.id)).at(spec.steps) for store in stores)
    assert set(by_features) == {"head.weight", "head.bias"}, "the backbone is not stored with every head"
    for key, tensor in by_features.items():
        torch.testing.assert_close(tensor, by_images[key], rtol=1e-4, atol=1e-5)
    metrics = [store.read("run", runs[0].id, "result.json")["metrics"] for store in stores]
    for one, other in zip(*metrics, strict=True):
        assert {**one, "accuracy": 0, "nll": 0} == {**other, "accuracy": 0, "nll": 0}
        assert one["nll"] == pytest.approx(other["nll"], rel=1e-3)
    assert list((stores[0].root / "features").iterdir())
    assert not (stores[1].root / "features").exists()


def test_every_head_shares_the_features(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def work(*algorithms: str) -> set[str]:
        plan = frozen(*algorithms)
        for spec in plan.trainings.values():
            published = replace(spec, weights="sha256:0")
            runs = [replace(run, training=published.id) for run in plan.runs.values() if run.training == spec.id]
            do_training(published, store, CPU)
            do_runs(published, runs, store, CPU)
        return {folder.name for folder in (tmp_path / "features").iterdir()}

    first = work("linear_probe")
    # Each domain once, clean; and the validation part of each, which is the same for every target, in ten families.
    assert len(first) == 4 + 4 * 10
    assert work("linear_probe + irm", "linear_probe + sam", "linear_probe + t3a") == first


def test_features_depend_on_weights_and_preprocessing_alone(tmp_path: Path) -> None:
    spec = next(iter(frozen("linear_probe").trainings.values()))

    def identity(**changes: Any) -> str:
        bank = FeatureBank(replace(spec, **changes), Store(tmp_path), CPU, lambda: pytest.fail("not needed"))
        return canonical(bank.spec("print", "clean", None))

    others = [
        {"weights": "sha256:0"},
        {"size": 32},
        {"resize": "crop"},
        {"decoding": Decoding("white")},
        {"manifest": "0"},
        {"backbone": "x"},
    ]
    assert len({identity(), *(identity(**change) for change in others)}) == 1 + len(others)
    assert identity(trial=7) != identity(), "random weights are drawn anew in every trial"
    assert identity(sources=("print",)) != identity(), "and for other sources"
    published = {"weights": "sha256:0"}
    assert identity(**published) == identity(**published, sources=("print",), trial=7, steps=2, batch_per_domain=9)


@pytest.mark.parametrize("bytes_left", [20, None])
def test_damaged_features_are_named_set_aside_and_extracted_again(
    bytes_left: int | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spec = next(iter(frozen("linear_probe").trainings.values()))
    store = Store(tmp_path)
    do_training(spec, store, CPU)
    damaged = next((tmp_path / "features").glob("*/features.npy"))
    written = damaged.read_bytes()
    flipped = written[:-9] + bytes([written[-9] ^ 1]) + written[-8:]
    damaged.write_bytes(flipped if bytes_left is None else written[:bytes_left])
    setting = execute.Setting(spec, parts_of(spec), store, CPU)
    if bytes_left is None:  # seen only when it is read
        with pytest.raises(DamagedError, match=re.escape(str(damaged))) as caught:
            setting.sources()
        assert store.mend_after(caught.value) == ("features", damaged.parent.name)
    setting.sources()
    assert damaged.read_bytes() == written
    assert f"{damaged} is damaged" in caplog.text
    assert (tmp_path / "damaged" / f"features-{damaged.parent.name}-1" / "features.npy").is_file()
