"""The loop against naive references: what it records, what it restores, what it shares between algorithms."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
import polars as pl
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dgbench.algorithms.slots import Sampler
from dgbench.algorithms.step import Batch
from dgbench.core.decoding import AS_LOADERS
from dgbench.core.errors import DGBenchError
from dgbench.core.precision import Precision
from dgbench.core.recipe import build_part, describe
from dgbench.core.registry import Slot
from dgbench.data.domain import Dataset, Domain
from dgbench.data.splits import split
from dgbench.models.effective import effective_state
from dgbench.models.network import Backbone, Network
from dgbench.models.reseed import reseed
from dgbench.train.ahead import ahead
from dgbench.train.loop import train
from dgbench.train.parts import Parts
from dgbench.train.sources import Inputs, Pixels, Sources
from dgbench.train.spec import TrainingSpec
from dgbench.train.trajectory import DECAYS, Initial, StoredTrajectory, initial

CPU = torch.device("cpu")
SIDE = 4


class _TinyBackbone(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3 * SIDE * SIDE, 8)
        self.norm = nn.BatchNorm1d(8)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.norm(self.linear(x.flatten(1))))


def _dataset() -> Dataset:
    rng = np.random.default_rng(0)
    domains = []
    for name in ("a", "b", "c"):
        labels = np.arange(60) % 3
        inputs = np.clip(rng.normal(60 + 60 * labels[:, None, None, None], 30, (60, SIDE, SIDE, 3)), 0, 255)
        domains.append(Domain(name, inputs.astype(np.uint8), labels, np.arange(60)))
    return Dataset("toy", ("x", "y", "z"), tuple(domains), hashlib.sha256(b"toy").hexdigest())


def _parts(**names: Any) -> tuple[Parts, dict[Slot, Any]]:
    chosen: dict[Slot, tuple[str, dict[str, Any]]] = {
        "sampler": ("balanced", {}),
        "adapter": ("full", {}),
        "objective": ("cross_entropy", {}),
        "optimizer": ("adamw", {"lr": 0.01}),
        **names,
    }
    parts = {slot: build_part(slot, name, given, "test") for slot, (name, given) in chosen.items()}
    return Parts(**parts), {slot: describe(slot, chosen[slot][0], part) for slot, part in parts.items()}


def _network(precision: Precision = "float32") -> Network:
    torch.manual_seed(0)
    backbone = Backbone("tiny", _TinyBackbone(), 8, SIDE, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    return Network(backbone, 3, precision=precision)


def _initial() -> Initial:
    return initial(_network())


def _train(
    folder: Path,
    *,
    steps: int = 6,
    norm_mode: Any = "train",
    precision: Precision = "float32",
    computes_in: Precision | None = None,
    device: torch.device = CPU,
    watch: Callable[[Network, Sources, int], None] = lambda network, sources, step: None,
    **names: Any,
) -> Network:
    parts, described = _parts(**names)
    spec = TrainingSpec(
        dataset="toy",
        manifest="",
        sources=("a", "b"),
        trial=0,
        validation=0.2,
        test=0.0,
        official=False,
        size=SIDE,
        resize="stretch",
        decoding=AS_LOADERS,
        backbone="tiny",
        weights=None,
        pretrained_on=None,
        reference=None,
        parts=described,
        steps=steps,
        checkpoints=2,
        batch_per_domain=6,
        precision=precision,
        norm_mode=norm_mode,
    )
    network = _network(computes_in or precision).to(device)
    dataset = _dataset()
    inputs: dict[str, Inputs] = {d.name: Pixels(d.inputs, network.info, device, resident=True) for d in dataset.domains}
    sources = Sources(spec, dataset, inputs, device)
    train(spec, parts, network, sources, folder, lambda step: watch(network, sources, step))
    return network


def test_what_is_recorded_equals_averages_taken_naively(tmp_path: Path) -> None:
    seen: list[dict[str, Tensor]] = []
    _train(tmp_path, watch=lambda network, *_: seen.append(effective_state(network)))
    trajectory = StoredTrajectory(tmp_path, _initial)
    assert trajectory.steps == (3, 6)
    for key in ("backbone.linear.weight", "head.bias", "backbone.norm.running_mean"):
        values = torch.stack([state[key] for state in seen])
        assert torch.equal(trajectory.at(3)[key], values[2])
        assert torch.equal(trajectory.at(6)[key], values[5])
        torch.testing.assert_close(trajectory.segment(3)[key], values[:3].mean(0))
        torch.testing.assert_close(trajectory.segment(6)[key], values[3:].mean(0))
        for decay in DECAYS:
            weights = torch.tensor([decay ** (5 - i) for i in range(6)])
            expected = (weights.view(-1, *[1] * (values.ndim - 1)) * values).sum(0) / weights.sum()
            torch.testing.assert_close(trajectory.ema(decay)[key], expected, rtol=1e-4, atol=1e-5)
    history = pl.read_parquet(tmp_path / "history.parquet")
    assert history["step"].to_list() == [3, 3, 6, 6]
    assert trajectory.validation_loss(6) == pytest.approx(history.filter(step=6)["nll"].mean())
    last = history.filter(step=6).select("nll", "n")
    by_image = StoredTrajectory(tmp_path, _initial, "examples").validation_loss(6)
    assert by_image == pytest.approx(np.average(last["nll"], weights=last["n"]))


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_a_step_is_seeded_as_torch_seeds(device: str) -> None:
    for number in (0, 2**63 - 1):
        torch.manual_seed(number)
        there, here = torch.rand(5, device=device), torch.rand(5)
        reseed(number, torch.device(device))
        assert torch.equal(torch.rand(5, device=device), there)
        assert torch.equal(torch.rand(5), here)


def test_training_learns(tmp_path: Path) -> None:
    _train(tmp_path, steps=60)
    assert pl.read_parquet(tmp_path / "history.parquet").filter(step=60)["accuracy"].min() > 0.8  # type: ignore[operator]


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "sam", "asam", "udim"])
def test_norm_statistics_move_once_a_step_or_never(tmp_path: Path, optimizer: str) -> None:
    """However many passes a step takes; frozen ones keep their bits while weights move."""
    moving = _train(tmp_path / "moving", optimizer=(optimizer, {"lr": 0.01}))
    assert not torch.equal(moving.backbone.norm.running_mean, torch.zeros(8))  # type: ignore[union-attr, arg-type]
    frozen = _train(tmp_path / "frozen", norm_mode="frozen", optimizer=(optimizer, {"lr": 0.01}))
    assert torch.equal(frozen.backbone.norm.running_mean, torch.zeros(8))  # type: ignore[union-attr, arg-type]
    assert torch.equal(frozen.backbone.norm.running_var, torch.ones(8))  # type: ignore[union-attr, arg-type]


def test_running_statistics_of_sam_are_those_of_its_first_pass(tmp_path: Path) -> None:
    """At rho = 0 both passes see the same weights, so SAM must leave what the base optimizer leaves, bit for bit."""
    names = {"optimizer": ("sam", {"lr": 0.01, "rho": 0.0})}
    states = [effective_state(_train(tmp_path / str(i), **kw)) for i, kw in enumerate(({}, names))]
    for key in ("backbone.norm.running_mean", "backbone.norm.running_var"):
        assert torch.equal(states[0][key], states[1][key])


def test_algorithms_see_the_same_batches(tmp_path: Path) -> None:
    """A batch depends on the data, the trial and the step, not on the algorithm or on what was drawn before."""
    drawn: dict[str, list[Tensor]] = {}
    for name, chosen in {
        "erm": {},
        "sam": {"optimizer": ("sam", {"lr": 0.01})},
        "irm": {"objective": ("irm", {})},
    }.items():

        def note(network: Network, sources: Sources, step: int, name: str = name, chosen: Any = chosen) -> None:
            batch = sources.batch(_parts(**chosen)[0].sampler, step)
            drawn.setdefault(name, []).append(torch.cat([batch.index, batch.y, batch.domain, batch.x.sum((1, 2, 3))]))

        _train(tmp_path / name, watch=note, **chosen)
    for step in range(6):
        assert torch.equal(drawn["erm"][step], drawn["sam"][step])
        assert torch.equal(drawn["erm"][step], drawn["irm"][step])
    assert not torch.equal(drawn["erm"][0], drawn["erm"][1])


def test_an_epoch_shows_every_training_image_once(tmp_path: Path) -> None:
    parts, _ = _parts()
    pool = torch.arange(100, 110)
    rows = torch.cat([parts.sampler.rows([pool], 4, step, [7])[0] for step in range(5)])
    assert sorted(rows[:10].tolist()) == pool.tolist()
    assert sorted(rows[10:].tolist()) == pool.tolist()
    assert rows[:10].tolist() != rows[10:].tolist()


def test_udim_returns_to_the_best_checkpoint(tmp_path: Path) -> None:
    """With a restart right after the only checkpoint nothing is lost; with a later one, the steps since are undone."""
    at: dict[int, dict[str, Tensor]] = {}

    def note(network: Network, sources: Sources, step: int) -> None:
        at[step] = effective_state(network)

    names: dict[str, Any] = {"optimizer": ("udim", {"lr": 0.0 + 1e-12, "sam_phase": 5 / 6})}
    _train(tmp_path / "slow", watch=note, norm_mode="frozen", **names)
    # At step 5 training goes back to the weights of step 3: with a rate near 0 the step itself moves next to nothing.
    names["optimizer"][1]["lr"] = 0.05
    parts, _ = _parts(**names)
    assert parts.optimizer.restart(6) == 5
    _train(tmp_path / "fast", watch=note, norm_mode="frozen", **names)
    key = "backbone.linear.weight"
    back, on = (float((at[6][key] - at[step][key]).norm()) for step in (3, 5))
    assert back < on


def test_bfloat16_follows_float32(tmp_path: Path) -> None:
    descent = ("sgd", {"lr": 0.01})
    full, half = (_train(tmp_path / p, precision=p, optimizer=descent) for p in get_args(Precision))
    for key, tensor in effective_state(full).items():
        assert effective_state(half)[key].dtype == tensor.dtype
        torch.testing.assert_close(effective_state(half)[key], tensor, rtol=0.05, atol=0.02)
    assert any(not torch.equal(effective_state(half)[k], t) for k, t in effective_state(full).items())


def test_a_bfloat16_training_is_validated_in_bfloat16(tmp_path: Path) -> None:
    half = _train(tmp_path, precision="bfloat16").eval()
    last = pl.read_parquet(tmp_path / "history.parquet").filter(step=6)
    found: dict[Precision, list[float]] = {"bfloat16": [], "float32": []}
    for domain in _dataset().domains[:2]:
        rows = split(_dataset(), domain.name, 0, 0.2, 0.0, False).validation
        x = (torch.from_numpy(np.array(domain.inputs[rows])).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
        y = torch.from_numpy(domain.labels[rows])
        for precision, losses in found.items():
            with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
                features = half.backbone(x)
            losses.append(F.cross_entropy(half.head(features.float()), y).item())
    assert last["nll"].to_list() == pytest.approx(found["bfloat16"], rel=1e-6)
    assert last["nll"].to_list() != pytest.approx(found["float32"], rel=1e-5)


def test_a_network_of_another_precision_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="in float32 for a training in bfloat16"):
        _train(tmp_path, precision="bfloat16", computes_in="float32")


def test_a_diverged_training_is_an_error_and_leaves_nothing_that_looks_finished(tmp_path: Path) -> None:
    with pytest.raises(DGBenchError, match="diverged"):
        _train(tmp_path, optimizer=("sgd", {"lr": 1e38}))
    assert not (tmp_path / "done.json").exists()


@pytest.mark.gpu
def test_an_accelerator_follows_the_cpu(tmp_path: Path) -> None:
    cpu, gpu = (_train(tmp_path / d, device=torch.device(d), optimizer=("sgd", {"lr": 0.01})) for d in ("cpu", "cuda"))
    for key, tensor in effective_state(cpu).items():
        assert effective_state(gpu)[key].device.type == "cuda"
        torch.testing.assert_close(effective_state(gpu)[key].cpu(), tensor, rtol=1e-3, atol=1e-4)


# Batches that are made ahead


def _beside(self: Sources, sampler: Sampler, steps: range) -> AbstractContextManager[Iterator[Batch]]:
    """:meth:`Sources.batches`, as it is beside an accelerator."""
    return ahead(partial(self.batch, sampler), steps)


def _files(folder: Path) -> dict[str, bytes]:
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.safetensors"))}
    assert found
    return found


_AUGMENTED: dict[str, Any] = {"sampler": ("balanced", {"augmentation": "domainbed"})}


def test_a_training_whose_batches_are_made_ahead_has_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _train(tmp_path / "in turn", **_AUGMENTED)
    monkeypatch.setattr(Sources, "batches", _beside)
    _train(tmp_path / "ahead", **_AUGMENTED)
    assert _files(tmp_path / "in turn") == _files(tmp_path / "ahead")


def test_a_training_that_was_stopped_goes_on_with_batches_made_ahead_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _train(tmp_path / "in turn", **_AUGMENTED)
    monkeypatch.setattr(Sources, "batches", _beside)
    before = threading.active_count()

    def stop(network: object, sources: object, step: int) -> None:
        if step == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _train(tmp_path / "stopped", watch=stop, **_AUGMENTED)
    assert threading.active_count() == before
    assert not (tmp_path / "stopped" / "done.json").exists()
    _train(tmp_path / "stopped", **_AUGMENTED)
    assert _files(tmp_path / "in turn") == _files(tmp_path / "stopped")
