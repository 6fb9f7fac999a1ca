"""The source domains of a training, on its device: batches to learn from, images to validate on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dgbench.algorithms.slots import Sampler
from dgbench.core.seeds import seed
from dgbench.data.domain import Batch, Dataset
from dgbench.data.splits import split
from dgbench.models.network import Backbone
from dgbench.train.spec import TrainingSpec


def pictures(inputs: NDArray[np.uint8], device: torch.device) -> Tensor:
    """uint8 ``[n, h, w, 3]`` to uint8 ``[n, 3, h, w]`` on the device."""
    return torch.from_numpy(inputs).to(device).permute(0, 3, 1, 2).contiguous()


def normalise(x: Tensor, backbone: Backbone) -> Tensor:
    """Images in [0, 1] to what the backbone was pretrained on."""
    mean = torch.tensor(backbone.mean, device=x.device).view(1, 3, 1, 1)
    std = torch.tensor(backbone.std, device=x.device).view(1, 3, 1, 1)
    return (x - mean) / std


@dataclass(frozen=True)
class Held:
    """One source domain on the device: all its images, and which rows train and validate."""

    name: str
    images: Tensor
    labels: Tensor
    train: Tensor
    validation: Tensor


class Sources:
    """The source domains of one training. It is built from their names alone: no target can be in it."""

    def __init__(self, spec: TrainingSpec, dataset: Dataset, backbone: Backbone, device: torch.device) -> None:
        self.spec = spec
        self.backbone = backbone
        self.device = device
        self.domains: Sequence[Held] = [self._hold(dataset, name) for name in spec.sources]

    def _hold(self, dataset: Dataset, name: str) -> Held:
        domain = dataset.domain(name)
        rows = split(domain, dataset.name, self.spec.trial, self.spec.validation, self.spec.test)
        return Held(
            name,
            pictures(domain.inputs, self.device),
            torch.from_numpy(domain.labels).to(self.device),
            torch.from_numpy(rows.train),
            torch.from_numpy(rows.validation),
        )

    def batch(self, sampler: Sampler, step: int) -> Batch:
        """What the step sees: depends on the step's number and the trial, not on any step before it."""
        spec = self.spec
        seeds = [seed("order", spec.dataset, d.name, spec.trial) for d in self.domains]
        taken = sampler.rows([d.train for d in self.domains], spec.batch_per_domain, step, seeds)
        inputs, labels, numbers = [], [], []
        for number, (domain, rows) in enumerate(zip(self.domains, taken, strict=True)):
            on_device = rows.to(self.device)
            # On the CPU, so that every device sees the same batch.
            generator = torch.Generator().manual_seed(seed("augment", spec.dataset, domain.name, spec.trial, step))
            inputs.append(sampler.augment(domain.images[on_device].float() / 255, generator))
            labels.append(domain.labels[on_device])
            numbers.append(torch.full_like(labels[-1], number))
        x = normalise(torch.cat(inputs), self.backbone)
        return Batch(x, torch.cat(labels), torch.cat(numbers), torch.cat(taken).to(self.device))
