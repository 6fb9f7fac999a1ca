"""T3A: class prototypes that move with the test examples.

Iwasawa, Matsuo: Test-Time Classifier Adjustment Module for Model-Agnostic Domain Generalization. NeurIPS 2021.

Supports of class c: unit features that the head assigns to c, the head's own weight rows among them from the start.
A batch joins first, then each class keeps its M supports of least entropy (of the head's prediction), then

    prototype_c = unit(sum of the supports of c)        logits = z . prototype_c

Support sets do not depend on the order of examples or on the batch size, predictions do. A class without support has
logit 0. Deviation from the released code: ``all`` keeps every support, where the code's M = -1 drops the most uncertain
one of every class at every batch. Equal entropies are kept in order of arrival.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from dgbench.algorithms.later import F, Network, Tensor, nn, torch
from dgbench.algorithms.slots import Predictor, Source, Stream, Track
from dgbench.core.units import Count


@dataclass(frozen=True)
class T3A(Predictor):
    """Adjusted prototypes in place of the head.

    Attributes:
        filter_size: M, how many supports a class keeps, or ``all``.
    """

    filter_size: Count | Literal["all"] = 20
    scores: ClassVar[Literal["logits", "probabilities"]] = "logits"

    @property
    def track(self) -> Track:
        """Predictions depend on the examples before."""
        return "online"

    def prepare(self, network: Network, source: Source | None) -> Stream:
        """A stream whose supports are the rows of the head."""
        return _All(network.head) if self.filter_size == "all" else Filtered(network.head, self.filter_size)


class _All(Stream):
    """Every support is kept: a sum for each class says it all."""

    def __init__(self, head: nn.Linear) -> None:
        self.head = head
        self.sums = torch.zeros_like(head.weight)
        self._join(head.weight)
        self.prepared = [tensor.clone() for tensor in self._state()]

    def _state(self) -> list[Tensor]:
        return [self.sums]

    def reset(self, seed: int) -> None:
        """The head's rows only."""
        for tensor, prepared in zip(self._state(), self.prepared, strict=True):
            tensor.copy_(prepared)

    def _join(self, features: Tensor) -> None:
        with torch.no_grad():
            logits = self.head(features)
            entropy = torch.special.entr(F.softmax(logits, 1)).sum(1)
            self._keep(self._support(features), logits.argmax(1), entropy)

    def _support(self, features: Tensor) -> Tensor:
        return F.normalize(features, dim=1)

    def _keep(self, supports: Tensor, labels: Tensor, entropy: Tensor) -> None:
        self.sums += F.one_hot(labels, len(self.sums)).to(supports).T @ supports

    def observe(self, features: Tensor) -> Tensor:
        """Logits ``[b, C]``."""
        self._join(features)
        return features @ F.normalize(self.sums, dim=1).T


class Filtered(_All):
    """Each class keeps M slots, in ascending order of (entropy, arrival); a free slot has infinite entropy."""

    def __init__(self, head: nn.Linear, slots: int) -> None:
        classes, dim = head.weight.shape
        self.supports = head.weight.new_zeros(classes, slots, dim)
        self.entropy = head.weight.new_full((classes, slots), torch.inf)
        super().__init__(head)

    def _state(self) -> list[Tensor]:
        return [self.sums, self.supports, self.entropy]

    def _keep(self, supports: Tensor, labels: Tensor, entropy: Tensor) -> None:
        touched = labels.unique()  # type: ignore[no-untyped-call]
        slots = self.entropy.shape[1]
        arrived = torch.where(labels == touched[:, None], entropy, torch.inf)
        ranked, order = torch.cat([self.entropy[touched], arrived], 1).sort(dim=1, stable=True)
        order, held = order[:, :slots], len(touched) * slots
        first = torch.arange(0, held, slots, device=order.device)[:, None]  # each class's, of all
        rows = torch.where(order < slots, first + order, held + order - slots)
        self.supports[touched] = torch.cat([self.supports[touched].flatten(0, 1), supports])[rows]
        self.entropy[touched] = ranked[:, :slots]
        self.sums[touched] = self.supports[touched].sum(1)
