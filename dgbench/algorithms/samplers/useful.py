"""USEFUL: images that a network is slow to learn are seen twice as often, by a network trained afresh.

Nguyen, Haddad, Gan, Mirzasoleiman: Changing the Training Data Distribution to Reduce Simplicity Bias Improves
In-distribution Generalization. NeurIPS 2024. arXiv 2404.17768.

    1. train for a short while (``probe``, a share of the steps)
    2. split what that network gives out on the images of each class into two clusters, by k-means
    3. every image of the cluster with the higher mean loss counts ``times`` times
    4. train from the start on the enlarged pool, with all steps

The probe is the same recipe on the plain pool, a training of its own that recipes share. Here a class is that of one
source domain, so that no domain is slow as a whole, and domains are as balanced as ever: within one, slow images are
seen more often. Clusters are of probabilities; they start from the images of the lowest and the highest loss, so
nothing is drawn. Where all outputs are alike there is no slow cluster.

Deviations: the paper's code was not at hand. It trains for more steps, as many more as images were added; here steps
are the board's. The probe's learning rate goes through its schedule in the probe's own steps. Statistics of batch
normalisation that are estimated after training see the plain pool. Cost: the probe, and one look at all images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from dgbench.algorithms.earlier import Earlier, Said
from dgbench.algorithms.later import F, Tensor, torch
from dgbench.algorithms.samplers.balanced import Balanced
from dgbench.algorithms.serving import Targets

_ROUNDS = 100
"""Of k-means, at most."""


@dataclass(frozen=True)
class Useful(Balanced):
    """The balanced sampler on pools in which some images are there more than once.

    Attributes:
        probe: Share of the steps that the probe takes.
        times: How often a slow image is in the pool; once would be the balanced sampler.
        outputs: What is clustered: ``probabilities``, or ``logits``.
    """

    probe: Annotated[float, Field(gt=0, le=1)] = 0.1
    times: Annotated[int, Field(ge=2)] = 2
    outputs: Literal["probabilities", "logits"] = "probabilities"

    def serves(self) -> frozenset[Targets]:
        """It splits the images of each class."""
        return frozenset({"classes"})

    def earlier(self) -> tuple[Earlier, ...]:
        """The probe."""
        return (Earlier({"sampler": ("balanced", {"augmentation": self.augmentation})}, self.probe),)

    def resampled(self, pools: Sequence[Tensor], labels: Sequence[Tensor], said: Sequence[Said]) -> list[Tensor]:
        """Each pool, and after it its slow rows, in the order of the pool, once for each time more."""
        (probe,) = said
        return [
            torch.cat([pool, *[pool[slow(logits, label, self.outputs)]] * (self.times - 1)])
            for pool, label, logits in zip(pools, labels, probe, strict=True)
        ]


def slow(logits: Tensor, labels: Tensor, outputs: Literal["probabilities", "logits"] = "probabilities") -> Tensor:
    """Which images are in the slow cluster of their class, bool ``[n]``.

    Args:
        logits: ``[n, C]``.
        labels: int64 ``[n]``.
        outputs: What is clustered.
    """
    logits = logits.double()
    losses = F.cross_entropy(logits, labels, reduction="none")
    given = logits.softmax(1) if outputs == "probabilities" else logits
    found = torch.zeros(len(labels), dtype=torch.bool)
    for label in set(labels.tolist()):
        mine = (labels == label).nonzero().squeeze(1)
        second = _split(given[mine], losses[mine])
        if second.any() and not second.all():
            rest, there = losses[mine][~second].mean(), losses[mine][second].mean()
            found[mine] = second if there > rest else ~second
    return found


def _split(points: Tensor, losses: Tensor) -> Tensor:
    """Two clusters of points ``[n, d]`` by k-means: which are in the second, bool ``[n]``."""
    centres = torch.stack([points[losses.argmin()], points[losses.argmax()]])
    second = torch.zeros(len(points), dtype=torch.bool)
    for _ in range(_ROUNDS):
        distances = (points[:, None] - centres).square().sum(2)
        before, second = second, distances[:, 1] < distances[:, 0]
        if torch.equal(before, second):
            break
        centres = torch.stack([points[~second].mean(0), points[second].mean(0)])
    return second
