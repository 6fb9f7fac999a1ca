"""Model soups: the mean of the weights of several trainings that started alike.

Wortsman, Ilharco, Gadre, Roelofs, Gontijo-Lopes, Morcos, Namkoong, Farhadi, Carmon, Kornblith, Schmidt: Model soups:
averaging weights of multiple fine-tuned models improves accuracy without increasing inference time. ICML 2022.
arXiv 2203.05482.

    uniform    theta = mean of all theta_m
    greedy     by falling validation accuracy: theta_m joins where the mean with it is at least as good as without it

The trainings are all draws of hyperparameters of the cell: where other algorithms spend their draws on a choice, a soup
spends them on a mean, at no training more. They start from the same weights and see the same batches; with ``orders``
above 1 each draw is trained as many times, every time with other batches, augmentation and dropout. Every draw's
candidate is the same soup, with the draw's own predictor. Validation images are those of the source domains, each
domain counting alike unless the board's rules say otherwise; the target's are never seen. Running statistics of batch
normalisation are averaged as weights are.

Cost: none but the trainings of the draws; for the greedy soup of n of them 2 n - 1 evaluations on validation images.
Draws that start from weights of their own (RFC) are refused. A training that diverges has no weights, and the soup
fails with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dgbench.algorithms.averaging.merging import Members, Merging
from dgbench.algorithms.slots import Ground, State, Trajectory
from dgbench.core.units import Count


@dataclass(frozen=True)
class Soup(Merging):
    """A mean over trainings.

    Attributes:
        choice: ``uniform`` takes all of them, ``greedy`` those that do not lower validation accuracy.
        orders: How often each draw is trained, each time in another order.
    """

    choice: Literal["uniform", "greedy"] = "uniform"
    orders: Count = 1

    def acts_on(self) -> frozenset[Ground]:
        """Several trainings."""
        return frozenset({"several draws"} if self.orders == 1 else ())

    def members(self, draw: int, draws: Sequence[int]) -> tuple[tuple[int, int], ...]:
        """All draws, in all orders, whichever draw asks."""
        return tuple((each, order) for each in draws for order in range(self.orders))

    def merge(self, members: Members) -> State:
        """The mean."""
        from dgbench.models.effective import weighted_mean

        if self.choice == "uniform":
            return weighted_mean((1, _last(one)) for one in members.trajectories)
        alone = [members.validated(_last(one)).accuracy for one in members.trajectories]
        first, *others = sorted(range(len(alone)), key=lambda number: -alone[number])
        mean, count, reached = _last(members.trajectories[first]), 1, alone[first]
        for number in others:
            tried = weighted_mean([(count, mean), (1, _last(members.trajectories[number]))])
            if (accuracy := members.validated(tried).accuracy) >= reached:
                mean, count, reached = tried, count + 1, accuracy
        return mean


def _last(trajectory: Trajectory) -> State:
    return trajectory.at(trajectory.steps[-1])
