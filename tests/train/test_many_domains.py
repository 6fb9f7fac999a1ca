"""A thousand source domains, of which a step sees a few."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from torch import Tensor, nn

from dgbench.core.decoding import AS_LOADERS
from dgbench.core.recipe import build_part, describe
from dgbench.core.registry import Slot
from dgbench.data.domain import Dataset, Domain
from dgbench.models.effective import effective_state
from dgbench.models.network import Backbone, Network
from dgbench.train.loop import train
from dgbench.train.parts import Parts
from dgbench.train.sources import Pixels, Sources, few
from dgbench.train.spec import TrainingSpec

CPU = torch.device("cpu")
MANY, FEW, BATCH = 1000, 5, 4
TRAINED = 100
SHADE = 51


def _dataset(count: int) -> Dataset:
    """Images of one pixel: which domain it is stands in two colours, which row in the third."""
    domains = []
    for number in range(count):
        rows = np.arange(4 + number % 3)
        pixels = np.stack([np.full(len(rows), number // 256), np.full(len(rows), number % 256), rows * SHADE], 1)
        labels = (rows + number) % 2
        domains.append(Domain(f"camera {number}", pixels.astype(np.uint8).reshape(-1, 1, 1, 3), labels, rows))
    return Dataset("cameras", ("day", "night"), tuple(domains), "")


def _spec(dataset: Dataset, parts: dict[Slot, Any], **changes: Any) -> TrainingSpec:
    given: dict[str, Any] = {
        "dataset": dataset.name, "manifest": "", "sources": tuple(domain.name for domain in dataset.domains),
        "trial": 0, "validation": 0.25, "test": 0.0, "official": False, "size": 1, "resize": "stretch",
        "decoding": AS_LOADERS, "backbone": "pixel", "weights": None, "pretrained_on": None, "reference": None,
        "parts": parts, "steps": 6, "checkpoints": 2, "batch_per_domain": BATCH, "precision": "float32",
        "norm_mode": "frozen", "domains_per_step": FEW, **changes,
    }  # fmt: skip
    return TrainingSpec(**given)


def _made(objective: str = "cross_entropy") -> tuple[Parts, dict[Slot, Any]]:
    chosen: dict[Slot, tuple[str, dict[str, Any]]] = {
        "sampler": ("balanced", {"augmentation": "none"}),
        "adapter": ("full", {}),
        "objective": (objective, {}),
        "optimizer": ("sgd", {"lr": 0.5, "momentum": 0.0}),
    }
    parts = {slot: build_part(slot, name, given, "test") for slot, (name, given) in chosen.items()}
    return Parts(**parts), {slot: describe(slot, chosen[slot][0], part) for slot, part in parts.items()}


def _sources(dataset: Dataset, spec: TrainingSpec, info: Backbone) -> Sources:
    return Sources(spec, dataset, {d.name: Pixels(d.inputs, info, CPU, resident=True) for d in dataset.domains}, CPU)


def _network() -> Network:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Flatten(), nn.Linear(3, 4))
    return Network(Backbone("pixel", body, 4, 1, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)), 2)


@pytest.fixture(scope="module")
def drawn() -> dict[str, Sources]:
    """A thousand domains, by how those of a step are drawn."""
    dataset, described, info = _dataset(MANY), _made()[1], _network().info
    hows = ("uniform", "size")
    return {how: _sources(dataset, _spec(dataset, described, domains_drawn=how), info) for how in hows}


@pytest.mark.parametrize("how", ["uniform", "size"])
def test_a_step_sees_as_many_images_of_each_domain_that_is_drawn(drawn: dict[str, Sources], how: str) -> None:
    parts, sources = _made()[0], drawn[how]
    for step in (0, 977):
        batch = sources.batch(parts.sampler, step)
        assert batch.present is not None
        assert batch.domain.tolist() == [place for place in range(FEW) for _ in range(BATCH)]
        assert batch.source.tolist() == batch.present.repeat_interleave(BATCH).tolist()
        red, green, blue = (255 * batch.x[:, channel, 0, 0] for channel in range(3))
        torch.testing.assert_close(256 * red + green, batch.source.float())
        torch.testing.assert_close(blue, SHADE * batch.index.float())
        for row, number in zip(batch.index.tolist(), batch.source.tolist(), strict=True):
            assert row in sources.domains[number].train.tolist(), "none that is held out to validate"
        assert batch.y.tolist() == [(row + number) % 2 for row, number in zip(batch.index, batch.source, strict=True)]
        again = sources.batch(_made("vrex")[0].sampler, step)
        assert again.present is not None
        assert torch.equal(again.present, batch.present)
        assert torch.equal(again.x, batch.x)


def test_drawn_by_size_all_images_are_as_likely(drawn: dict[str, Sources]) -> None:
    """A domain of 6 images has more to train on than one of 4."""
    counts = {}
    for how, sources in drawn.items():
        seen = torch.cat([sources._present(step) for step in range(1000)])  # type: ignore[misc]
        counts[how] = torch.bincount(seen % 3, minlength=3).double()
    sizes = torch.tensor([len(sources.domains[number].train) for number in range(3)]).double()
    assert len(set(sizes.tolist())) > 1
    expected = {"uniform": torch.ones(3).double(), "size": sizes}
    for how, weights in expected.items():
        share = weights * torch.tensor([334.0, 333.0, 333.0]).double()
        torch.testing.assert_close(counts[how] / counts[how].sum(), share / share.sum(), rtol=0, atol=0.02)


def test_training_stops_and_goes_on_to_the_same_bits_and_penalties_are_over_the_domains_present(
    tmp_path: Path,
) -> None:
    """V-REx differs from ERM by a penalty that is computed here from the domains of the step alone."""
    states, dataset = {}, _dataset(TRAINED)
    for objective in ("cross_entropy", "vrex"):
        parts, described = _made(objective)
        spec = _spec(dataset, described, steps=2, checkpoints=1)
        network = _network()
        train(spec, parts, network, _sources(dataset, spec, network.info), tmp_path / objective)
        states[objective] = effective_state(network)
        expected = _expected(dataset, spec, objective)
        assert expected.keys() == states[objective].keys()
        for name, tensor in expected.items():
            torch.testing.assert_close(states[objective][name], tensor, msg=f"{objective}, {name}")
    assert not torch.allclose(states["vrex"]["head.weight"], states["cross_entropy"]["head.weight"], atol=1e-6)

    parts, described = _made("vrex")
    spec = _spec(dataset, described)
    for folder, stops in (("whole", ()), ("stopped", (4,))):
        _trained(dataset, spec, parts, tmp_path / folder, stops)
    whole, stopped = (
        {path.name: path.read_bytes() for path in (tmp_path / folder / "weights").iterdir()}
        for folder in ("whole", "stopped")
    )
    assert whole == stopped
    history = pl.read_parquet(tmp_path / "whole" / "history.parquet")
    assert history.equals(pl.read_parquet(tmp_path / "stopped" / "history.parquet"))
    assert history.group_by("step").len().sort("step").rows() == [(3, TRAINED), (6, TRAINED)]


def _trained(dataset: Dataset, spec: TrainingSpec, parts: Parts, folder: Path, stops: Sequence[int]) -> None:
    for stop in (*stops, None):
        network = _network()
        sources = _sources(dataset, spec, network.info)
        if stop is None:
            train(spec, parts, network, sources, folder)
        else:
            with pytest.raises(KeyboardInterrupt):
                train(spec, parts, network, sources, folder, _stopping(stop))


def _stopping(at: int) -> Callable[[int], None]:
    def on_step(step: int) -> None:
        if step == at:
            raise KeyboardInterrupt

    return on_step


def _expected(dataset: Dataset, spec: TrainingSpec, objective: str) -> dict[str, Tensor]:
    """Plain gradient descent, domain by domain."""
    network = _network()
    sources = _sources(dataset, spec, network.info)
    descent = torch.optim.SGD(network.parameters(), lr=0.5)
    rate = _made()[0].optimizer
    for step in range(spec.steps):
        batch = sources.batch(_made()[0].sampler, step)
        risks = torch.stack(
            [
                nn.functional.cross_entropy(network(batch.x[batch.source == one]), batch.y[batch.source == one])
                for one in batch.source.unique()
            ]
        )
        assert len(risks) == FEW
        weight = 1.0 if objective == "vrex" and step < round(0.1 * spec.steps) else 10.0 * (objective == "vrex")
        descent.zero_grad()
        (risks.mean() + weight * ((risks - risks.mean()) ** 2).mean()).backward()  # type: ignore[no-untyped-call]
        descent.param_groups[0]["lr"] = rate.rate(step, spec.steps)
        descent.step()
    return effective_state(network)


def test_many_small_domains_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many stay on the device as take what sixteen of the largest would; large ones never do, and do not count."""
    monkeypatch.setattr("dgbench.train.sources.RESIDENT", 300)
    small, large = (np.zeros((n, 1, 1, 3), np.uint8) for n in (10, 101))
    assert few([large] * 99 + [small] * 160)
    assert not few([small] * 161)
