"""Algorithms as others have them, in DomainBed's interface: classes that know nothing of dgbench."""

from __future__ import annotations

import copy
import random
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

Minibatches = list[tuple[Tensor, Tensor]]
HPARAMS = {"lr": 0.01, "width": 4}


class Algorithm(nn.Module):
    """What the others derive from."""

    def __init__(
        self, input_shape: tuple[int, ...], num_classes: int, num_domains: int, hparams: dict[str, Any]
    ) -> None:
        super().__init__()
        self.hparams = hparams
        self.num_domains = num_domains
        width = hparams["width"]
        self.featurizer = nn.Sequential(
            nn.Conv2d(input_shape[0], width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(),
            nn.AdaptiveAvgPool2d(2), nn.Flatten(),
        )  # fmt: skip
        self.classifier = nn.Linear(4 * width, num_classes)
        self.network = nn.Sequential(self.featurizer, self.classifier)

    def predict(self, x: Tensor) -> Tensor:
        return self.network(x)  # type: ignore[no-any-return]


class ERM(Algorithm):
    """One optimizer, which wants images as loaders give them, and dropout."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=self.hparams["lr"])

    def update(self, minibatches: Minibatches, unlabeled: list[Tensor] | None = None) -> dict[str, float]:
        x, y = (torch.cat(each) for each in zip(*minibatches, strict=True))
        x = x + 0.1 * torch.randn(x.view(len(x), -1).shape).view(x.shape)
        loss = F.cross_entropy(self.network(F.dropout(x, 0.1)), y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return {"loss": loss.item()}


class DANN(Algorithm):
    """Two optimizers that take turns, a schedule, and a counter that is no tensor."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.discriminator = nn.Linear(4 * self.hparams["width"], self.num_domains)
        self.optimizers = {
            "network": torch.optim.SGD(self.network.parameters(), lr=self.hparams["lr"], momentum=0.9),
            "discriminator": torch.optim.Adam(self.discriminator.parameters(), lr=self.hparams["lr"]),
        }
        self.schedule = torch.optim.lr_scheduler.ExponentialLR(self.optimizers["network"], 0.8)
        self.register_buffer("update_count", torch.tensor([0]))
        self.turns = 0

    def update(self, minibatches: Minibatches, unlabeled: list[Tensor] | None = None) -> dict[str, float]:
        x, y = (torch.cat(each) for each in zip(*minibatches, strict=True))
        domain = torch.cat([torch.full_like(y, number) for number, (_, y) in enumerate(minibatches)])
        features = self.featurizer(x)
        self.update_count += 1
        self.turns += 1
        told = F.cross_entropy(self.discriminator(features), domain)
        if self.turns % 3 == 0:
            self.optimizers["discriminator"].zero_grad()
            told.backward()
            self.optimizers["discriminator"].step()
            return {"disc_loss": told.item()}
        loss = F.cross_entropy(self.classifier(features), y)
        self.optimizers["network"].zero_grad()
        (loss - 0.1 * told).backward()
        self.optimizers["network"].step()
        self.schedule.step()
        return {"loss": loss.item(), "disc_loss": told.item()}


class Queue(Algorithm):
    """Features in a queue, a buffer that is empty at first, a slow copy, a number outside of modules, global chance."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.slow = copy.deepcopy(self.featurizer).requires_grad_(False)
        self.register_buffer("weights", torch.Tensor())
        self.queue: deque[Tensor] = deque(maxlen=3)
        self.means = [torch.zeros(4 * self.hparams["width"]) for _ in range(self.num_domains)]
        self.temperature = torch.ones((), requires_grad=True)
        self.optimizer = torch.optim.AdamW([*self.network.parameters(), self.temperature], lr=self.hparams["lr"])
        self.past: dict[str, Any] = {"losses": np.zeros(2), "best": float("inf")}

    def update(self, minibatches: Minibatches, unlabeled: list[Tensor] | None = None) -> dict[str, float]:
        random.shuffle(minibatches)
        x, y = (torch.cat(each) for each in zip(*minibatches, strict=True))
        features = self.featurizer(x)
        loss = F.cross_entropy(self.classifier(features) * self.temperature, y)
        for before in self.queue:
            loss = loss + 0.1 * (features.mean(0) - before).square().sum() * float(np.random.rand())
        if not len(self.weights):  # as many have it: only an update says how many there are
            self.weights = torch.ones(len(minibatches))
        self.weights = self.weights * torch.arange(1, len(minibatches) + 1).float().mean().sqrt()
        loss = loss * (1 + 0.001 * self.weights.mean())
        loss = loss + 0.01 * torch.stack(self.means).mean(0).dot(features.mean(0))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        with torch.no_grad():
            self.queue.append(self.slow(x).mean(0))
            for number, (pictures, _) in enumerate(minibatches):
                self.means[number] = 0.9 * self.means[number] + 0.1 * self.slow(pictures).mean(0)
            for mine, its in zip(self.slow.parameters(), self.featurizer.parameters(), strict=True):
                mine.lerp_(its, 0.1)
        self.past["losses"] = np.roll(self.past["losses"], 1) + loss.item()
        self.past["best"] = min(self.past["best"], float(self.past["losses"][0]))
        return {"loss": loss.item()}


class OtherState(ERM):
    """What it draws from cannot be kept."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.noise: Iterator[float] = iter([0.1 * number for number in range(100)])

    def update(self, minibatches: Minibatches, unlabeled: list[Tensor] | None = None) -> dict[str, float]:
        noise = next(self.noise)
        return super().update([(x + noise, y) for x, y in minibatches])


class Remembers(ERM):
    """Predicts by a prototype that is no buffer."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.shift = torch.zeros(())

    def update(self, minibatches: Minibatches, unlabeled: list[Tensor] | None = None) -> dict[str, float]:
        self.shift = self.shift + 1
        return super().update(minibatches)

    def predict(self, x: Tensor) -> Tensor:
        return self.network(x + self.shift)  # type: ignore[no-any-return]


class LooksAround(ERM):
    """Predicts an image by the others that it is shown with."""

    def predict(self, x: Tensor) -> Tensor:
        return self.network(x - x.mean(0) + 0.5 * x.std(0))  # type: ignore[no-any-return]


class Guesses(ERM):
    """Predicts by chance."""

    def predict(self, x: Tensor) -> Tensor:
        return self.network(x + torch.randn_like(x))  # type: ignore[no-any-return]


class Grows(ERM):
    """Has another classifier in the end."""

    def update(self, minibatches: Minibatches, unlabeled: list[Tensor] | None = None) -> dict[str, float]:
        self.featurizer = nn.Sequential(nn.Flatten(), nn.Linear(minibatches[0][0][0].numel(), 16))
        self.network = nn.Sequential(self.featurizer, self.classifier)
        return super().update(minibatches)


class FeaturesOnly(ERM):
    """Predicts no logits."""

    def predict(self, x: Tensor) -> Tensor:
        return self.featurizer(x)  # type: ignore[no-any-return]


class Closed(ERM):
    """Predicts without gradients."""

    @torch.no_grad()
    def predict(self, x: Tensor) -> Tensor:
        return super().predict(x)


class Partly(ERM):
    """Some of its parameters are frozen, and one is not even a real number."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.featurizer.requires_grad_(False)
        self.order = nn.Parameter(torch.arange(3), requires_grad=False)


class Lazy(ERM):
    """How large one of its layers is, it does not say."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.lazy = nn.LazyLinear(3)


class Tells(ERM):
    """Readings of a step that are as its hyperparameters say."""

    told: Any = None

    def update(self, minibatches: Minibatches, unlabeled: list[Tensor] | None = None) -> Any:
        super().update(minibatches)
        return self.told


class NoInterface:
    """Is something else."""
