"""WiSE-FT: a point on the line between the model before fine-tuning and the model after it.

Wortsman, Ilharco, Kim, Li, Kornblith, Roelofs, Gontijo-Lopes, Hajishirzi, Farhadi, Namkoong, Schmidt: Robust
Fine-Tuning of Zero-Shot Models. CVPR 2022. arXiv 2109.01903.

    theta = (1 - alpha) * theta_0 + alpha * theta_1        over all weights, the head included

``theta_0`` must classify. In the paper it is CLIP with a head made of class names; without a text tower it is the
linear probe, with which the adapter must start. Effective weights are interpolated, so on LoRA the change of the
weights is scaled by alpha. Counters (no floating point numbers) are copied from ``theta_1``, where the released code
makes them fractions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dgbench.algorithms.averaging.averaged import Averaged
from dgbench.algorithms.slots import State, Trajectory
from dgbench.core.pieces import checkpoint
from dgbench.core.units import Fraction


@dataclass(frozen=True)
class WiSEFT(Averaged):
    """Interpolation of initial and final weights.

    Attributes:
        alpha: 0 gives the weights before training, 1 those after it, bit for bit.
    """

    alpha: Fraction = 0.5

    def needs(self) -> frozenset[str]:
        """Initial weights that classify."""
        return frozenset({"reference_head"})

    def candidates(self, trajectory: Trajectory) -> Iterator[tuple[int, State]]:
        """One candidate."""
        from dgbench.models.effective import weighted_mean

        step = trajectory.steps[-1]
        ends = [(1 - self.alpha, trajectory.initial()), (self.alpha, trajectory.at(step))]
        yield step, weighted_mean(ends)

    def reads(self, steps: Sequence[int], candidate: int | None = None) -> frozenset[str]:
        """The last checkpoint."""
        return frozenset({checkpoint(steps[-1])})
