"""Naive Bayes on the features: a head that is counted, not trained.

Zheng, Wu, Bao, Cao, Li, Zhu: Revisiting Discriminative vs. Generative Classifiers: Theory and Implications. ICML 2023.
arXiv 2302.02334. Code: ML-GSAI/Revisiting-Dis-vs-Gen-Classifiers.

    score_k(x) = log pi_k - 1/2 sum_j (x_j - mu_kj)^2 / v_j        v_j = sum_k pi_k Var_k(x_j)

With ``pi_k`` the share of class k in the source images, ``mu_k`` the mean of its features and one biased variance for
all classes, scores are linear in the features: weights ``mu_k / v``, biases ``log pi_k - 1/2 sum_j mu_kj^2 / v_j``,
up to what is the same for all classes. It takes one pass over the source training images. Applied to frozen features it
is the paper's; after a training it refits the head.

Deviations: the released code scales every feature to [0, 1] first, which changes nothing here, and adds 1e-9 to
variances, so that a feature which is constant in every class decides alone; here no variance is below ``floor`` of the
largest, and one of 0 everywhere counts as 1. With ``balanced`` each source domain counts alike, however many images it
has: an extension. A class without images has score minus infinity in the paper's formula; here its prior is that of
half an image and its mean that of all classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from dgbench.algorithms.later import F, Network, Tensor, torch
from dgbench.algorithms.slots import Predictor, Source, Stream
from dgbench.core.units import Fraction


@dataclass(frozen=True)
class NaiveBayes(Predictor):
    """Class means and one diagonal variance, of the source images.

    Attributes:
        floor: Least variance of a feature, as a share of the largest.
        balanced: Whether each source domain weighs the same.
    """

    floor: Fraction = 1e-4
    balanced: bool = False
    scores: ClassVar[Literal["logits", "probabilities"]] = "logits"
    needs_source: ClassVar[bool] = True

    def prepare(self, network: Network, source: Source | None) -> Stream:
        """The linear head that follows from the source images."""
        assert source is not None
        weights = torch.ones_like(source.labels, dtype=torch.float64)
        if self.balanced:
            counts = torch.bincount(source.domains).double()
            weights = 1 / counts[source.domains]
        return _Linear(*head(source.features, source.labels, weights, network.classes, self.floor))


def head(x: Tensor, y: Tensor, weights: Tensor, classes: int, floor: float) -> tuple[Tensor, Tensor]:
    """Weight ``[C, d]`` and bias ``[C]`` of the classifier, in the features' type.

    Args:
        x: Features ``[n, d]``.
        y: Labels ``[n]``.
        weights: What each example counts, float64 ``[n]``; any scale.
        classes: C.
        floor: As :class:`NaiveBayes` has it.
    """
    wide = x.double()
    member = F.one_hot(y, classes).double() * weights[:, None]
    mass = member.sum(0)
    everything = (weights @ wide) / weights.sum()
    means = torch.where(mass[:, None] > 0, member.T @ wide / mass.clamp(min=1e-300)[:, None], everything)
    variance = (weights @ (wide - means[y]).square()) / weights.sum()
    variance = variance.clamp(min=floor * variance.max())
    variance = torch.where(variance > 0, variance, 1)
    prior = torch.where(mass > 0, mass, weights.mean() / 2).log() - weights.sum().log()
    bias = prior - (means.square() / variance).sum(1) / 2
    return (means / variance).to(x.dtype), bias.to(x.dtype)


class _Linear(Stream):
    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self.weight, self.bias = weight, bias

    def reset(self, seed: int) -> None:
        """There is no state."""

    def observe(self, features: Tensor) -> Tensor:
        """Scores ``[b, C]``, less what is the same for all classes."""
        return F.linear(features, self.weight, self.bias)
