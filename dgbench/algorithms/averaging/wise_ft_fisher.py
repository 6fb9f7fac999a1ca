"""WiSE-FT with a share of its own for each weight, by how much the network's output depends on it at either end.

Wortsman et al.: Robust Fine-Tuning of Zero-Shot Models. CVPR 2022. arXiv 2109.01903. The authors' code has it as an
option, after Matena and Raffel: Merging Models with Fisher-Weighted Averaging. NeurIPS 2022. arXiv 2111.09832:

    theta = [(1 - alpha) F_0 theta_0 + alpha F_1 theta_1] / [(1 - alpha) F_0 + alpha F_1]
    F = mean over images of (d log p(y | x) / d theta)^2, y drawn from p(. | x), at least ``floor``

F_0 is taken at the weights before training and F_1 at those after it, on some images that train, without augmentation,
as many of each source domain. What has no gradient, such as statistics of batch normalisation, counts alike at both
ends, and is interpolated as by WiSE-FT. Cost: a forward and a backward pass for each image at each end, one image at a
time.
"""

from __future__ import annotations

from dataclasses import dataclass

from dgbench.algorithms.averaging.merging import Members, Merging
from dgbench.algorithms.later import torch
from dgbench.algorithms.serving import Targets
from dgbench.algorithms.slots import State
from dgbench.core.units import Count, Fraction, Positive


@dataclass(frozen=True)
class WiSEFTFisher(Merging):
    """Interpolation of initial and final weights, weight by weight.

    Attributes:
        alpha: 0 gives the weights before training, 1 those after it, bit for bit.
        images: On how many F is taken.
        floor: Below which F is not.
    """

    alpha: Fraction = 0.5
    images: Count = 256
    floor: Positive = 1e-8

    def serves(self) -> frozenset[Targets]:
        """Fisher information is that of class probabilities."""
        return frozenset({"classes"})

    def needs(self) -> frozenset[str]:
        """Initial weights that classify."""
        return frozenset({"reference_head"})

    def merge(self, members: Members) -> State:
        """The interpolation."""
        (path,) = members.trajectories
        ends = path.initial(), path.at(path.steps[-1])
        fishers = [members.squared_gradients(end, self.images) for end in ends]
        state: State = {}
        for name, after in ends[1].items():
            if not after.is_floating_point():
                state[name] = after
                continue
            one = torch.ones(())
            first, last = (fisher.get(name, one).clamp(min=self.floor) for fisher in fishers)
            share = self.alpha * last / ((1 - self.alpha) * first + self.alpha * last)
            state[name] = torch.lerp(ends[0][name], after, share.to(after).expand_as(after))
        return state
