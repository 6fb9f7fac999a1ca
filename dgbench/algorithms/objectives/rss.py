"""RSS: robust and self-supervised, the worst nearby features of unlabelled images keep the label they have.

Saberi, Najafi, Heidari, Movasaghinia, Motahari, Khalaj: Out-Of-Domain Unlabeled Data Improves Generalization. ICLR
2024. arXiv 2310.00027.

    phi_g(z, y) = sup_z' loss(z', y) - g |z' - z|^2
    minimised:    mean_i CE(z_i, y_i) + w mean_u phi_g(z_u, yhat_u)      yhat_u = the model's own prediction

``z`` are features: the supremum is looked for by steps from there, each to where the slope of the cost is that of the
loss at the last place, ``z' <- z + slope / 2g``. Where the loss is linear one such step is the supremum; the
cross-entropy of a linear head is convex, so one never ends below where it began. ``ramp`` is the exact form of the 0-1
loss with distance for the cost, which the paper's simulations use: 1 where the prediction is wrong, else
max(0, 1 - g dist), with the distance from the head's nearest boundary.

Two passes of the backbone, over labelled and unlabelled images; the steps go through the head alone. Deviation: the
paper's perturbations are of images; its experiments' code is not public. Labelled images are those of its non-robust
case, unless ``labelled_gamma`` is set.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from dgbench.algorithms.later import F, Tensor, torch
from dgbench.algorithms.slots import Objective
from dgbench.algorithms.step import Forward
from dgbench.core.composition import UNLABELLED
from dgbench.core.units import Count, NonNegative, Positive


@dataclass(frozen=True)
class RSS(Objective):
    """Cross-entropy, and the robust loss of unlabelled images under their own labels.

    Attributes:
        weight: What unlabelled images count (w).
        gamma: What it costs to move their features (g); the more, the less they move.
        steps: How many steps look for the supremum.
        form: Cross-entropy by ``ascent``, or the ``ramp`` of the 0-1 loss.
        labelled_gamma: Likewise of labelled images; without it they do not move.
    """

    weight: NonNegative = 1.0
    gamma: Positive = 1.0
    steps: Count = 1
    form: Literal["ascent", "ramp"] = "ascent"
    labelled_gamma: Positive | None = None

    def needs(self) -> frozenset[str]:
        """Images without labels."""
        return frozenset({UNLABELLED})

    def loss(self, forward: Forward) -> Tensor:
        """A scalar, at least 0."""
        assert forward.unlabelled is not None
        labelled = forward.cross_entropy
        if self.labelled_gamma is not None:
            labelled = self._robust(forward, forward.features, forward.batch.y, self.labelled_gamma)
        own = forward.network.head(forward.unlabelled).argmax(1)
        return labelled.mean() + self.weight * self._robust(forward, forward.unlabelled, own, self.gamma).mean()

    def _robust(self, forward: Forward, features: Tensor, labels: Tensor, gamma: float) -> Tensor:
        head = forward.network.head
        if self.form == "ramp":
            return ramp(head(features), head.weight, labels, gamma)
        return robust(lambda z: F.cross_entropy(head(z), labels, reduction="none"), features, gamma, self.steps)


def robust(loss: Callable[[Tensor], Tensor], features: Tensor, gamma: float, steps: int) -> Tensor:
    """``sup_z loss(z) - gamma |z - features|^2`` of each example, ``[n]``, as far as the steps find it.

    Its gradient in the weights, and in the features, is that of the loss at the place found.

    Args:
        loss: Of features ``[n, d]``, ``[n]``.
        features: ``[n, d]``.
        gamma: Cost of a squared distance, above 0.
        steps: At least 1.
    """
    moved = torch.zeros_like(features)
    with torch.enable_grad():
        for _ in range(steps):
            place = (features + moved).detach().requires_grad_()
            (slope,) = torch.autograd.grad(loss(place).sum(), place)
            moved = slope.detach() / (2 * gamma)
    return loss(features + moved) - gamma * moved.square().sum(1)


def ramp(logits: Tensor, weight: Tensor, labels: Tensor, gamma: float) -> Tensor:
    """The 0-1 loss of each example at its worst place, less gamma times the distance to there, ``[n]``.

    Args:
        logits: Of a linear head, ``[n, C]``.
        weight: Of that head, ``[C, d]``.
        labels: int64 ``[n]``.
        gamma: Cost of a distance, above 0.
    """
    ahead = logits.gather(1, labels[:, None]) - logits
    apart = torch.cdist(weight[labels], weight, compute_mode="donot_use_mm_for_euclid_dist")
    own = F.one_hot(labels, logits.shape[1]).bool()
    distances = (ahead / apart.clamp(min=1e-12)).masked_fill(own, torch.inf).amin(1)
    return (1 - gamma * distances).clamp(0, 1)
