"""An ensemble: the mean of what several networks predict, in place of the mean of their weights.

Lakshminarayanan, Pritzel, Blundell: Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles.
NeurIPS 2017. arXiv 1612.01474.

    P(c | x) = 1/M sum_m p_m(c | x)

The networks are those that a soup takes the mean of: all draws of hyperparameters of the cell, each in ``orders``
orders of its batches. So the two differ in where the mean is taken, and in nothing else. Every network predicts with a
predictor of its own, whichever the recipe has, and what is averaged are probabilities (of values the values). It is
inductive where that predictor is.

All weights stay, side by side, as those of a training that takes no step; its members' own may go. Cost: the trainings
of the draws and orders; to predict takes as many passes as there are networks. Deviations: the paper's networks also
start from other random numbers, where orders here share the weights before the first step, also of the head; it adds
adversarial examples, which are left out. One model is exported, and these are several, so that is refused, as are
criteria that look at the weights of a candidate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from dgbench.algorithms.averaging.merging import Members, Merging
from dgbench.algorithms.slots import Ground, State
from dgbench.core.units import Count


@dataclass(frozen=True)
class Ensemble(Merging):
    """Several networks.

    Attributes:
        orders: How often each draw is trained, each time in another order.
    """

    orders: Count = 1
    several: ClassVar[bool] = True

    def acts_on(self) -> frozenset[Ground]:
        """Several trainings."""
        return frozenset({"several draws"} if self.orders == 1 else ())

    def members(self, draw: int, draws: Sequence[int]) -> tuple[tuple[int, int], ...]:
        """All draws, in all orders, whichever draw asks."""
        return tuple((each, order) for each in draws for order in range(self.orders))

    def merge(self, members: Members) -> State:
        """All of them."""
        from dgbench.models.effective import beside

        return beside([one.at(one.steps[-1]) for one in members.trajectories])
