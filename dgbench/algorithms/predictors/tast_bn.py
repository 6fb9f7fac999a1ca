"""TAST-BN: normalisation layers learn to say of each image what its nearest neighbours among past ones are.

Jang, Chung, Chung: Test-Time Adaptation via Self-Training with Nearest Neighbor Information. ICLR 2023.
arXiv 2207.10792. Code: mingukjang/TAST.

The paper's variant of :mod:`~dgbench.algorithms.predictors.tast` without projections. Supports are *images*, with the
class and the entropy that the network gave them as they came; a batch joins first, then each class keeps its M of least
entropy. With ``phi`` the features as the network computes them now, and ``mu_c`` their mean over the supports of c,

    p(c | x) = softmax_c(10 cos(phi(x), mu_c))        N(x) = the k supports nearest to x by cosine of phi
    P(c | x) = mean over s in N(x) of p(c | s)
    loss = 1 / (b C) sum_i KL(mean over s in N(x_i) of onehot(argmax p(. | s)) || p(. | x_i))

Adam moves scales and shifts of the layers that normalise, in ``steps`` updates a batch; scores are those before the
last. A pass over the batch, and in each step one forth and one back over the batch and all supports, which stay in
memory: C M images. Needs layers that normalise; a class without supports has similarity 0 to everything.

Deviations: M is the share of a class in ``supports``, but at least 1, where the released code keeps none of more than
150 classes. Layers go on normalising by their running statistics: what a support says depends on no other image, and a
support that is not there yet is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from dgbench.algorithms.later import F, Network, Tensor, torch
from dgbench.algorithms.predictors.descent import Descent
from dgbench.algorithms.predictors.learning_network import movable
from dgbench.algorithms.predictors.tast import SCALE, nearest
from dgbench.algorithms.slots import Ground, Predictor, Source, Stream, Track
from dgbench.core.cards import STREAM_BATCH
from dgbench.core.errors import RecipeError
from dgbench.core.units import Count, NonNegative


@dataclass(frozen=True)
class TASTBN(Predictor):
    """Votes of the nearest past images, in features that learn from these votes.

    Attributes:
        supports: How many images are kept, in all classes together.
        k: How many neighbours an image has; those of a class, where they are fewer.
        lr: Learning rate of Adam; where it is 0 the network stays as it was trained.
        steps: Updates a batch.
    """

    supports: Count = 150
    k: Count = 4
    lr: NonNegative = 1e-3
    steps: Count = 1
    scores: ClassVar[Literal["logits", "probabilities", "values"]] = "probabilities"
    sees: ClassVar[Literal["features", "images"]] = "images"

    def acts_on(self) -> frozenset[Ground]:
        """Scales and shifts of layers that normalise."""
        return frozenset({"normalisation"})

    @property
    def track(self) -> Track:
        """Predictions depend on the images before."""
        return "online"

    @property
    def passes(self) -> float:
        """Of an image and its share of the supports, in batches of the usual size."""
        return 1.0 + 3.0 * self.steps * (1 + self.supports / STREAM_BATCH)

    def prepare(self, network: Network, source: Source | None) -> Stream:
        """A stream without supports."""
        return _Supported(network, self)


class _Supported(Stream):
    def __init__(self, network: Network, settings: TASTBN) -> None:
        from dgbench.models.network import Features
        from dgbench.models.norms import affine

        scales = affine(network)
        self.names = [name for name in movable(network) if name in scales]
        if not self.names:
            raise RecipeError(f"backbone '{network.info.name}' freezes all that a predictor is to move at test time")
        self.features, self.head = Features(network), network.head
        self.settings = settings
        self.slots = max(1, settings.supports // network.classes)
        self.descent = Descent([scales[name] for name in self.names], settings.lr)
        self.numbers = torch.arange(network.classes, device=self.head.weight.device)
        self.labels = self.numbers.repeat_interleave(self.slots)
        self.reset(0)

    def reset(self, seed: int) -> None:
        """No supports, and the network as it was trained."""
        self.descent.reset()
        self.entropy = self.head.weight.new_full(self.labels.shape, torch.inf)
        self.images: Tensor | None = None

    def observe(self, images: Tensor) -> Tensor:
        """Probabilities ``[b, C]``."""
        supports = self._joined(images)
        there = torch.isfinite(self.entropy)
        classes, k = F.one_hot(self.labels, len(self.numbers)) * there[:, None], min(self.settings.k, self.slots)
        for _ in range(self.settings.steps):
            with torch.enable_grad():
                weights = [weight.clone().requires_grad_() for weight in self.descent.weights]
                held, asked = (self._features(weights, x) for x in (supports, images))
                said = _similar(held, held, classes).detach()
                near = nearest(asked.detach(), held.detach(), there, k)
                found = near @ F.softmax(said, 1)
                targets = near @ F.one_hot(said.argmax(1), said.shape[1]).to(said)
                logs = F.log_softmax(_similar(asked, held, classes), 1)
                loss = F.kl_div(logs, targets, reduction="sum") / targets.numel()
                slopes = torch.autograd.grad(loss, weights, allow_unused=True, materialize_grads=True)
            self.descent.step(slopes)
        return found

    def _joined(self, images: Tensor) -> Tensor:
        """The supports ``[C M, ...]`` once a batch has joined: of each class those of least entropy, class by class."""
        logits = self.head(self._features(self.descent.weights, images))
        before = images.new_zeros(len(self.labels), *images.shape[1:]) if self.images is None else self.images
        entropy = torch.cat([self.entropy, torch.special.entr(F.softmax(logits, 1)).sum(1)])
        mine = torch.cat([self.labels, logits.argmax(1)]) == self.numbers[:, None]
        least, order = torch.where(mine, entropy, torch.inf).sort(dim=1, stable=True)
        self.entropy = least[:, : self.slots].flatten()
        self.images = torch.cat([before, images])[order[:, : self.slots].flatten()]
        return self.images

    def _features(self, weights: Sequence[Tensor], images: Tensor) -> Tensor:
        mine = {f"network.{name}": weight for name, weight in zip(self.names, weights, strict=True)}
        found: Tensor = torch.func.functional_call(self.features, mine, (images,))
        return found


def _similar(features: Tensor, supports: Tensor, classes: Tensor) -> Tensor:
    """Ten times the cosine of features ``[n, d]`` with the mean of each class's supports, ``[n, C]``."""
    return SCALE * F.normalize(features, dim=1) @ F.normalize(classes.to(supports).T @ supports, dim=1).T
