"""What a training sees: of its source domains batches and images to validate on, of a target images at most."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from dgbench.algorithms.earlier import Said
from dgbench.algorithms.samplers import epochs
from dgbench.algorithms.samplers.groups import drawn
from dgbench.algorithms.slots import Sampler
from dgbench.algorithms.step import Batch, Unlabelled
from dgbench.core.errors import DataError
from dgbench.core.in_use import give_back
from dgbench.data.domain import Dataset, Images
from dgbench.data.pixels.normal import Normal
from dgbench.data.pixels.sent import sent
from dgbench.data.splits import Split, split, tested, untested
from dgbench.models.network import Backbone
from dgbench.train.ahead import ahead
from dgbench.train.scale import Scale
from dgbench.train.spec import TrainingSpec

RESIDENT = 256 * 2**20
"""Bytes of images up to which a domain is kept on the device whole; larger ones are read batch by batch."""
RESIDENTS = 16
"""Such domains, as large as they may be, are kept; of a training that has more bytes of them none is."""


class Inputs(Protocol):
    """What a network sees of one domain, by row."""

    def __len__(self) -> int:
        """How many rows there are."""

    def ready(self, rows: Tensor) -> Tensor:
        """Some rows on the device, as the network wants them: normalised images ``[b, 3, h, w]``, or features."""

    def seen(self, rows: Tensor, sampler: Sampler, generator: torch.Generator) -> Tensor:
        """Likewise, as a step of a training sees them: augmented, where the sampler augments."""


class Pixels:
    """Images, read when they are asked for.

    Args:
        images: Of one domain.
        backbone: Says how they are normalised.
        device: Where they are wanted.
        resident: Whether they are asked for again and again, and so kept on the device if they are few.
    """

    def __init__(self, images: Images, backbone: Backbone, device: torch.device, *, resident: bool) -> None:
        self.images = images
        self.device = device
        self.normal = Normal(backbone.mean, backbone.std)
        kept = resident and math.prod(images.shape) <= RESIDENT
        self.resident = self._read(torch.arange(len(images))) if kept else None

    def __len__(self) -> int:
        return len(self.images)

    def _read(self, rows: Tensor) -> Tensor:
        """uint8 ``[b, h, w, 3]``."""
        images = np.ascontiguousarray(self.images[rows.numpy()])
        give_back(self.images)
        return sent(torch.from_numpy(images), self.device)

    def take(self, rows: Tensor) -> Tensor:
        """uint8 ``[b, 3, h, w]``, the colours of a pixel side by side as they are stored; rows are on the CPU."""
        found = self._read(rows) if self.resident is None else self.resident.index_select(0, sent(rows, self.device))
        return found.permute(0, 3, 1, 2)

    def ready(self, rows: Tensor) -> Tensor:
        """Scaled to [0, 1] and normalised to what the backbone was pretrained on."""
        return self.normal(self.take(rows))

    def seen(self, rows: Tensor, sampler: Sampler, generator: torch.Generator) -> Tensor:
        """Augmented, where the sampler augments, and normalised."""
        return sampler.augmented(self.take(rows), generator, self.normal) if sampler.augments() else self.ready(rows)


def few(domains: Iterable[Images]) -> bool:
    """Whether those domains of a training that are small enough to be kept on the device are not too many for it."""
    sizes = (math.prod(images.shape) for images in domains)
    return sum(size for size in sizes if size <= RESIDENT) <= RESIDENTS * RESIDENT


@dataclass(frozen=True)
class Features:
    """Features of a frozen backbone, ``[n, d]`` on the device: for a head they are all that there is to see."""

    values: Tensor

    def __len__(self) -> int:
        return len(self.values)

    def ready(self, rows: Tensor) -> Tensor:
        """Features ``[b, d]``."""
        return self.values.index_select(0, sent(rows, self.values.device))

    def seen(self, rows: Tensor, sampler: Sampler, generator: torch.Generator) -> Tensor:
        """As they are: where the sampler augments, a head learns from pixels."""
        return self.ready(rows)


@dataclass(frozen=True)
class Held:
    """One source domain: what a network sees of it, its labels on the device, and which rows train and validate.

    ``pool`` are the rows that steps take from, those that train unless a sampler has made another pool of them, and
    ``classes`` are their labels, both on the CPU. Labels that are values are standardised, by ``scale``.
    """

    name: str
    inputs: Inputs
    labels: Tensor
    train: Tensor
    validation: Tensor
    pool: Tensor
    classes: Tensor
    scale: Scale | None = None


@dataclass(frozen=True)
class Target:
    """What steps see of a target: some of its images, in the plain order of epochs, and no label of any.

    Attributes:
        name: Of the domain.
        inputs: What a network sees of all its images.
        pool: The rows that may be seen, int64 on the CPU, ascending.
    """

    name: str
    inputs: Inputs
    pool: Tensor

    def batch(self, spec: TrainingSpec, sampler: Sampler, step: int, device: torch.device) -> Unlabelled:
        """As many as a step sees of a source domain, augmented likewise; they depend on no step before this one."""
        everything = torch.arange(len(self.pool))
        (index,) = epochs.rows([everything], spec.batch_per_domain, step, [spec.seed("unlabelled", self.name)])
        generator = torch.Generator().manual_seed(spec.seed("augment unlabelled", self.name, step))
        return Unlabelled(
            self.inputs.seen(self.pool[index], sampler, generator), sent(index.repeat(sampler.views), device)
        )


def shown(spec: TrainingSpec, dataset: Dataset) -> Tensor:
    """The rows of its target that a training may see, int64 on the CPU, ascending.

    Labels do not leave this place: where a board draws its parts by class, they have the classes' shares, no more.

    Raises:
        DataError: all of them are tested, or validate, and the rules do not allow for that.
    """
    assert spec.unlabelled is not None
    rules = (dataset, spec.unlabelled.domain, spec.trial, spec.validation, spec.test, spec.official)
    match spec.unlabelled.part:
        case "untested":
            return torch.from_numpy(untested(*rules))
        case "tested":
            return torch.from_numpy(tested(*rules))
        case "validation":
            return torch.from_numpy(split(*rules).validation)


class Sources:
    """The source domains of one training. It is built from their names alone: without :class:`Target` none is in it.

    Attributes:
        domains: In the order that numbers them.
        validating: Those that have images to validate on: all of them, unless they are many.
        scale: How labels are standardised where they are values; None where they are classes.
        target: Whose images steps see without their labels; None for all but the steps of trainings that ask for it.

    Raises:
        DataError: none of them has.
    """

    def __init__(
        self,
        spec: TrainingSpec,
        dataset: Dataset,
        inputs: Mapping[str, Inputs],
        device: torch.device,
        target: Target | None = None,
    ) -> None:
        self.spec = spec
        self.target = target
        self.device = device
        rules = (spec.trial, spec.validation, spec.test, spec.official)
        parts = {name: split(dataset, name, *rules) for name in spec.sources}
        self.scale: Scale | None = None
        if not dataset.classes:
            self.scale = Scale.of(dataset.domain(name).labels[own.train] for name, own in parts.items())
        self.domains: Sequence[Held] = [self._hold(dataset, name, inputs[name], own) for name, own in parts.items()]
        self.validating = [domain for domain in self.domains if len(domain.validation)]
        if not self.validating:
            raise DataError(
                f"none of the {len(self.domains)} source domains of '{spec.dataset}' has images to validate on"
            )
        sizes = torch.tensor([len(domain.train) for domain in self.domains], dtype=torch.float64)
        self.weights = sizes if spec.domains_drawn == "size" else torch.ones_like(sizes)

    def _hold(self, dataset: Dataset, name: str, inputs: Inputs, rows: Split) -> Held:
        given = np.ascontiguousarray(dataset.domain(name).labels)
        labels = torch.from_numpy(given) if self.scale is None else self.scale.standard(given)
        train, validation = torch.from_numpy(rows.train), torch.from_numpy(rows.validation)
        return Held(name, inputs, sent(labels, self.device), train, validation, train, labels[train], self.scale)

    def resample(self, sampler: Sampler, said: Sequence[Said]) -> None:
        """Let steps take from the pools that a sampler makes, by what earlier trainings say of the rows that train."""
        pools = sampler.resampled([d.train for d in self.domains], [d.classes for d in self.domains], said)
        self.domains = [
            replace(domain, pool=pool, classes=domain.labels.cpu()[pool])
            for domain, pool in zip(self.domains, pools, strict=True)
        ]

    def batches(self, sampler: Sampler, steps: range) -> AbstractContextManager[Iterator[Batch]]:
        """The batch of each step, for a ``with`` statement.

        Images for an accelerator are made while the step before is at work. Where a CPU does both there is nothing to
        gain: its cores have workers, and a thread only takes turns with one of them.
        """
        make = partial(self.batch, sampler)
        beside = self.device.type != "cpu" and isinstance(self.domains[0].inputs, Pixels)
        return ahead(make, steps) if beside else nullcontext(map(make, steps))

    def batch(self, sampler: Sampler, step: int) -> Batch:
        """What the step sees: depends on the step's number, the sources and the trial, not on any step before it."""
        spec = self.spec
        present = self._present(step)
        domains = self.domains if present is None else [self.domains[number] for number in present.tolist()]
        seeds = [spec.seed("order", d.name) for d in domains]
        pools, classes = [d.pool for d in domains], [d.classes for d in domains]
        taken = sampler.labelled_rows(pools, classes, spec.batch_per_domain, step, seeds)
        shown = [rows.repeat(sampler.views) for rows in taken]
        inputs, labels, numbers = [], [], []
        for number, (domain, rows, of_views) in enumerate(zip(domains, taken, shown, strict=True)):
            # On the CPU, so that every device sees the same batch.
            generator = torch.Generator().manual_seed(spec.seed("augment", domain.name, step))
            inputs.append(domain.inputs.seen(rows, sampler, generator))
            labels.append(domain.labels[sent(of_views, self.device)])
            numbers.append(torch.full_like(labels[-1], number, dtype=torch.int64))
        index = sent(torch.cat(shown), self.device)
        sizes = tuple(len(rows) for rows in shown)
        present = None if present is None else sent(present, self.device)
        seen = None if self.target is None else self.target.batch(spec, sampler, step, self.device)
        about = (torch.cat(inputs), torch.cat(labels), torch.cat(numbers), index)
        return Batch(*about, sizes=sizes, present=present, unlabelled=seen)

    def _present(self, step: int) -> Tensor | None:
        """The numbers of the domains that a step sees, on the CPU; None where it sees all."""
        count = self.spec.domains_per_step
        return None if count is None else drawn(self.weights, count, self.spec.seed("domains", step))
