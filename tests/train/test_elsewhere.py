"""Whole algorithms from elsewhere against a loop written by hand, and against what stops them."""

import copy
import hashlib
import random
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import reference_interface
import torch
from reference_interface import HPARAMS
from safetensors.torch import load_file
from torch import Tensor, nn

from dgbench.core.decoding import AS_LOADERS
from dgbench.core.elsewhere import trust
from dgbench.core.errors import RecipeError
from dgbench.core.recipe import build_part, compose, describe
from dgbench.data.domain import Dataset, Domain
from dgbench.models.backbones.facts import IMAGENET
from dgbench.models.effective import load_effective
from dgbench.models.elsewhere import Elsewhere
from dgbench.runs.parts import elsewhere
from dgbench.train.evaluate import evaluating
from dgbench.train.loop import train
from dgbench.train.parts import Parts
from dgbench.train.sources import Pixels, Sources
from dgbench.train.spec import TrainingSpec

CPU = torch.device("cpu")
SIDE, STEPS, EACH = 6, 9, 4
NAMES = ("a", "b", "c")


@pytest.fixture(autouse=True)
def _named() -> None:
    for name in vars(reference_interface):
        trust(f"domainbed:reference_interface:{name}")


def dataset() -> Dataset:
    """Pictures whose brightness is their class."""
    rng, domains = np.random.default_rng(0), []
    for name in NAMES:
        labels = np.arange(40) % 3
        pictures = np.clip(rng.normal(60 + 60 * labels[:, None, None, None], 30, (40, SIDE, SIDE, 3)), 0, 255)
        domains.append(Domain(name, pictures.astype(np.uint8), labels, np.arange(40)))
    return Dataset("toy", ("x", "y", "z"), tuple(domains), hashlib.sha256(b"toy").hexdigest())


class Work:
    """A training of a class in a folder."""

    def __init__(self, name: str, folder: Path) -> None:
        self.folder = folder
        named = compose(f"domainbed:reference_interface:{name}").slots["objective"].hyperparameters
        given = {"objective": named | {"hparams": HPARAMS}, "adapter": {}, "optimizer": {}}
        parts = {slot: build_part(slot, "domainbed", fields, "") for slot, fields in given.items()}  # type: ignore[arg-type]
        parts["sampler"] = build_part("sampler", "balanced", {"augmentation": "crop"}, "")
        self.parts = Parts(**parts)
        whole = elsewhere(self.parts)
        assert whole is not None
        self.whole = whole
        self.spec = TrainingSpec(
            dataset="toy", manifest="", sources=NAMES, trial=0, validation=0.2, test=0.0, official=False, size=SIDE,
            resize="stretch", decoding=AS_LOADERS, backbone=f"domainbed:{name}", weights=None, pretrained_on=None,
            reference=None, steps=STEPS, checkpoints=3, batch_per_domain=EACH, precision="float32", norm_mode="train",
            parts={slot: describe(part.slot, "balanced" if slot == "sampler" else "domainbed", part)
                   for slot, part in parts.items()},  # type: ignore[misc]
        )  # fmt: skip
        self.network = self.fresh()
        inputs = {d.name: Pixels(d.inputs, self.network.info, CPU, resident=True) for d in dataset().domains}
        self.sources = Sources(self.spec, dataset(), inputs, CPU)

    def fresh(self) -> Elsewhere:
        return Elsewhere(self.whole, SIDE, 3, 3, self.spec.seed("init"), CPU)

    def done(self, stop: int | None = None) -> dict[str, Tensor]:
        """All that it writes of weights; where it stops, nothing."""

        def at(step: int) -> None:
            if step == stop:
                raise InterruptedError

        train(self.spec, self.parts, self.network, self.sources, self.folder, at)
        found = {path.stem: load_file(path) for path in sorted((self.folder / "weights").glob("*.safetensors"))}
        return {f"{piece} {name}": t for piece, tensors in found.items() for name, t in tensors.items()}


def by_hand(work: Work) -> nn.Module:
    """What DomainBed's own script does, in a few lines."""
    made = getattr(reference_interface, work.whole.algorithm.partition(":")[2])

    def seed(number: int) -> None:
        random.seed(number)
        np.random.seed(number % 2**32)
        torch.manual_seed(number)

    seed(work.spec.seed("init"))
    algorithm: nn.Module = made((3, SIDE, SIDE), 3, 3, copy.deepcopy(HPARAMS))
    for step in range(STEPS):
        batch = work.sources.batch(work.parts.sampler, step)
        minibatches = [(batch.x[batch.domain == d].contiguous(), batch.y[batch.domain == d]) for d in range(len(NAMES))]
        seed(work.spec.seed("step", step))
        algorithm.update(minibatches, None)  # type: ignore[operator]
    return algorithm


@pytest.mark.parametrize("name", ["ERM", "DANN", "Queue"])
def test_it_trains_as_a_loop_by_hand_and_resumes_to_the_same_bits(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = Work(name, tmp_path / "whole")
    weights = whole.done()
    hand = by_hand(whole)
    for key, tensor in (*hand.named_parameters(), *hand.named_buffers()):
        stored = weights[f"000009 backbone.{key}"]
        assert key == "weights" or torch.equal(stored, tensor.float()), key  # which was empty, and counts as it was
    for stop in (5, 7, None):
        broken = Work(name, tmp_path / "broken")
        if stop is None:
            again = broken.done()
        else:
            with pytest.raises(InterruptedError):
                broken.done(stop)
    assert weights.keys() == again.keys()
    assert all(torch.equal(again[key], tensor) for key, tensor in weights.items())
    assert len({key.partition(" ")[0] for key in weights}) == 9  # checkpoints, segments and averages
    assert not caplog.records  # nobody was told of a start from step 0


@pytest.mark.parametrize("name", ["DANN", "Queue"])
def test_what_is_beside_weights_matters(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where attributes are left out of what is put back, bits are others: the test above can fail."""
    weights = Work(name, tmp_path / "whole").done()
    with pytest.raises(InterruptedError):
        Work(name, tmp_path / "broken").done(7)
    monkeypatch.setattr("dgbench.train.attributes._Back.put", lambda *_: None)
    again = Work(name, tmp_path / "broken").done()
    assert not all(torch.equal(again[key], tensor) for key, tensor in weights.items())


def test_other_state_starts_again_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    weights = Work("OtherState", tmp_path / "whole").done()
    with pytest.raises(InterruptedError):
        Work("OtherState", tmp_path / "broken").done(7)
    (said,) = {record.getMessage() for record in caplog.records}
    assert "its attribute 'noise' is of the type list_iterator" in said
    assert "starts again from step 0" in said
    again = Work("OtherState", tmp_path / "broken").done()
    assert all(torch.equal(again[key], tensor) for key, tensor in weights.items())


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Remembers", "predicts by what is neither a parameter nor a buffer"),
        ("LooksAround", "predicts by the other images that it is shown"),
        ("Guesses", "predicts by chance"),
        ("Grows", "went, or came to be of another shape"),
        ("Lazy", r"how large 'lazy.weight' is only its first images would tell .* give its size"),
        ("FeaturesOnly", r"predict\(x\) gave the shape \[9, 16\] for 9 images, not logits of 3 classes"),
    ],
)
def test_what_no_board_can_show_is_refused_with_the_reason(name: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=why):
        Work(name, tmp_path).done()


@pytest.mark.parametrize(
    ("told", "what"),
    [
        ({"note": "hi"}, "as 'note', .* but a str; give the loss as 'loss'"),
        ({"loss": None}, "as 'loss', .* but a NoneType"),
        ({"per_domain": torch.ones(3)}, r"as 'per_domain', .* but a Tensor of the shape \[3\]"),
        ({"loss": [0.1]}, "as 'loss', .* but a list"),
    ],
    ids=["text", "none", "many", "list"],
)
def test_a_loss_that_is_no_number_is_refused(
    told: dict[str, Any], what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference_interface.Tells, "told", told)
    with pytest.raises(RecipeError, match=f"reference_interface:Tells': update gave no single number {what}"):
        Work("Tells", tmp_path).done()


@pytest.mark.parametrize(
    ("told", "loss"),
    [
        ({"accuracy": 1, "loss": 0.5}, 0.5),
        ({"first": torch.full((1,), 0.25, requires_grad=True), "second": "text"}, 0.25),
        ({"first": np.float32(2)}, 2),
        ({}, 0),
    ],
    ids=["by its name", "first", "array", "nothing"],
)
def test_the_loss_is_what_is_called_so_or_comes_first(
    told: dict[str, Any], loss: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference_interface.Tells, "told", told)
    Work("Tells", tmp_path).done()
    assert set(pl.read_parquet(tmp_path / "history.parquet")["loss"]) == {loss}


def test_means_of_weights_predict(tmp_path: Path) -> None:
    """An average is loaded into an object that has never been trained."""
    work = Work("Queue", tmp_path)
    weights = work.done()
    mean = {key.removeprefix("000009-mean "): t for key, t in weights.items() if key.startswith("000009-mean ")}
    fresh = work.fresh()
    load_effective(fresh, mean)
    held = work.sources.domains[0]
    with evaluating(fresh):
        logits = fresh.features(held.inputs.ready(held.validation))
    hand = by_hand(work)
    own = dict(hand.named_parameters()) | dict(hand.named_buffers())
    hand.load_state_dict({key: mean[f"backbone.{key}"].to(own[key]) for key in own.keys() - {"weights"}}, strict=False)
    hand.eval()
    mean_of, std_of = (torch.tensor(values).view(3, 1, 1) for values in IMAGENET)
    pictures = torch.from_numpy(dataset().domain("a").inputs[held.validation.numpy()]).permute(0, 3, 1, 2)
    assert torch.allclose(logits, hand.predict((pictures / 255 - mean_of) / std_of), atol=1e-5)  # type: ignore[operator]
