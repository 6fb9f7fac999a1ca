"""WiSE-FT with a share of its own for each layer.

Wortsman et al.: Robust Fine-Tuning of Zero-Shot Models. CVPR 2022. arXiv 2109.01903 has one share for all weights:

    theta_l = (1 - alpha_l) theta_0,l + alpha_l theta_1,l        alpha_l from ``first`` to ``last`` in equal steps

Layers that are interpolated apart from each other can meet barriers where all together meet none, and the reverse
(Abdollahpoorrostam: In Search of the Successful Interpolation. NeurIPS 2024 workshop. arXiv 2410.16476), so how much of
the change each keeps is worth a choice. The ramp over depth is dgbench's: with two numbers it can be searched. Layers
are blocks (``dgbench/models/layers.py``), in the order in which the network names them, the head last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dgbench.algorithms.averaging.averaged import Averaged
from dgbench.algorithms.slots import State, Trajectory
from dgbench.core.pieces import checkpoint
from dgbench.core.units import Fraction


@dataclass(frozen=True)
class WiSEFTLayers(Averaged):
    """Interpolation of initial and final weights, layer by layer.

    Attributes:
        first: What the first layer keeps of its change: 0 gives its weights before training, 1 those after it.
        last: Likewise for the last layer, which is the head.
    """

    first: Fraction = 0.25
    last: Fraction = 0.75

    def needs(self) -> frozenset[str]:
        """Initial weights that classify."""
        return frozenset({"reference_head"})

    def candidates(self, trajectory: Trajectory) -> Iterator[tuple[int, State]]:
        """One candidate."""
        from dgbench.models.effective import weighted_mean
        from dgbench.models.layers import layer_of, layers

        step = trajectory.steps[-1]
        before, after = trajectory.initial(), trajectory.at(step)
        order = layers(before)
        state: State = {}
        for place, layer in enumerate(order):
            alpha = self.first + (self.last - self.first) * (place / max(len(order) - 1, 1))
            ends = (
                {name: values for name, values in end.items() if layer_of(name) == layer} for end in (before, after)
            )
            state |= weighted_mean(zip((1 - alpha, alpha), ends, strict=True))
        yield step, {name: state[name] for name in after}

    def reads(self, steps: Sequence[int], candidate: int | None = None) -> frozenset[str]:
        """The last checkpoint."""
        return frozenset({checkpoint(steps[-1])})
