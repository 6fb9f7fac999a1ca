"""Heads on frozen backbones: their features are computed once, and are the features that the images would give."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dgbench.core.backbone_name import parse
from dgbench.core.cards import CaseRules, SelectionRules, SplitRules
from dgbench.core.decoding import Decoding
from dgbench.core.errors import DamagedError
from dgbench.core.in_use import use
from dgbench.core.shelf import remove
from dgbench.core.shift_families import FAMILIES
from dgbench.core.spec import canonical, identity
from dgbench.data.catalogue import load
from dgbench.models.backbones import build
from dgbench.runs import features as features_module
from dgbench.runs import setting as settings
from dgbench.runs.execute import do_runs, do_training
from dgbench.runs.features import FeatureBank, dimension, shelf
from dgbench.runs.parts import on_features, parts_of
from dgbench.runs.plan import Plan
from dgbench.runs.planning import make_plan
from dgbench.runs.setting import Setting, stored
from dgbench.runs.store import Store
from small import small_board

CPU = torch.device("cpu")


def frozen(*algorithms: str, trials: int = 1) -> Plan:
    """Of two targets, so that each of the four domains trains for one of them; few images are looked at."""
    board = small_board(*algorithms, trials=trials, split=SplitRules(validation=0.02, test=0.02))
    changes = {
        "cases": {"digits": CaseRules(targets=("print", "dot-matrix"))},
        "hyperparameters": {"sampler.augmentation": "none"},
        "selection": SelectionRules(views_per_domain=2),
    }
    return make_plan(board.model_copy(update=changes))


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
        monkeypatch.setattr(settings, "on_features", shortcut)
        do_training(spec, store, CPU)
        do_runs(spec, runs, store, CPU)
    by_features, by_images = (stored(spec, store, CPU).at(spec.steps) for store in stores)
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

    def named(**changes: Any) -> str:
        bank = FeatureBank(replace(spec, **changes), Store(tmp_path), CPU, lambda: pytest.fail("not needed"))
        return canonical(bank.spec("print", "clean", None))

    others = [
        {"weights": "sha256:0"},
        {"size": 32},
        {"resize": "crop"},
        {"decoding": Decoding("white")},
        {"manifest": "0"},
        {"backbone": "x"},
        {"precision": "bfloat16"},
    ]
    assert len({named(), *(named(**change) for change in others)}) == 1 + len(others)
    assert named(trial=7) != named(), "random weights are drawn anew in every trial"
    assert named(sources=("print",)) != named(), "and for other sources"
    published = {"weights": "sha256:0"}
    assert named(**published) == named(**published, sources=("print",), trial=7, steps=2, batch_per_domain=9)


def test_features_of_shifted_images_depend_on_how_the_shifts_are_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = next(iter(frozen("linear_probe").trainings.values()))
    bank = FeatureBank(spec, Store(tmp_path), CPU, lambda: pytest.fail("not needed"))
    before = {view: bank.spec("print", view, None) for view in ("clean", *FAMILIES)}
    monkeypatch.setattr(features_module, "VIEWS_VERSION", features_module.VIEWS_VERSION + 1)
    assert [view for view, old in before.items() if bank.spec("print", view, None) == old] == ["clean"]


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
    setting = Setting(spec, parts_of(spec), store, CPU)
    if bytes_left is None:  # seen only when it is read
        with pytest.raises(DamagedError, match=re.escape(str(damaged))) as caught:
            setting.sources()
        assert store.mend_after(caught.value) == ("features", damaged.parent.name)
    setting.sources()
    assert damaged.read_bytes() == written
    assert f"{damaged} is damaged" in caplog.text
    assert (tmp_path / "damaged" / f"features-{damaged.parent.name}-1" / "features.npy").is_file()


def test_features_obey_the_bound_and_come_out_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = next(iter(frozen("linear_probe").trainings.values()))
    domains = load(spec.dataset, spec.size).domains
    free = FeatureBank(
        spec, Store(tmp_path / "free"), CPU, Setting(spec, parts_of(spec), Store(tmp_path), CPU)._extractor
    )
    expected = {d.name: free.get(d.name, "clean", lambda d=d: d.inputs[np.arange(40)]) for d in domains}
    size = 128 + expected["print"].numel() * 4 + 1000  # and the JSON beside them
    monkeypatch.setenv("DGBENCH_FEATURES_LIMIT", str(2 * size + 4096))
    store = Store(tmp_path / "bound")
    bank = FeatureBank(spec, store, CPU, free._build)
    for name in (*expected, *reversed(expected)):
        images = load(spec.dataset, spec.size).domain(name).inputs[np.arange(40)]
        for _ in range(2):
            assert torch.equal(bank.get(name, "clean", lambda images=images: images), expected[name])
        assert shelf(store).taken() <= 2 * size + 4096
        assert len(store.pieces("features")) <= 2
    assert store.pieces("features") == sorted(identity(bank.spec(name, "clean", None)) for name in list(expected)[:2])
    assert all(store.damage("features", id_) is None for id_ in store.pieces("features"))
    assert [path for path in store.root.rglob(".*") if path.name != ".clock"] == []


def test_features_that_are_read_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever finds them gone, because another process made room, extracts them again."""
    spec = next(iter(frozen("linear_probe").trainings.values()))
    store = Store(tmp_path)
    images = load(spec.dataset, spec.size).domain("print").inputs[np.arange(8)]
    bank = FeatureBank(spec, store, CPU, Setting(spec, parts_of(spec), store, CPU)._extractor)
    first = bank.get("print", "clean", lambda: images)
    reads, load_array = [], np.load

    def while_reading(path: Path, **options: Any) -> Any:
        reads.append([remove(one) for one in shelf(store).pieces()])
        return load_array(path, **options)

    monkeypatch.setattr(np, "load", while_reading)
    assert torch.equal(bank.get("print", "clean", lambda: images), first)
    assert reads == [[False]]
    assert torch.equal(bank.get("print", "clean", lambda: images), first)
    assert len(reads) == 1, "what was just read is at hand"
    real = use
    monkeypatch.setattr(features_module, "_at_hand", {})

    def gone_just_now(path: Path) -> Any:
        monkeypatch.setattr(features_module, "use", real)
        assert [remove(one) for one in shelf(store).pieces()] == [True]
        return real(path)

    monkeypatch.setattr(features_module, "use", gone_just_now)
    assert torch.equal(bank.get("print", "clean", lambda: images), first)
    assert features_module.use is real
    assert len(reads) == 1, "they were extracted again"


@pytest.mark.parametrize(
    "name",
    [
        "dgbench:vit-micro@letters",
        "efficientnet-lite0(size=64)",
        "mobilenet-v2(freeze=features)",
        "timm:resnet18.a1_in1k",
    ],
)
def test_the_number_of_features_is_known_before_there_are_any(name: str) -> None:
    """Without weights; those of the package are read here, to see that it is right."""
    untrained = parse(name).family in ("timm", "dgbench")
    network = build(parse(name).untrained() if untrained else replace(parse(name), freeze=None))
    image = torch.zeros(1, 3, network.size, network.size)
    assert network.module.eval()(image).shape == (1, dimension(name))
