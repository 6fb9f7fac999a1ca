"""WiSE-FT that drops part of the change of layers which do not interpolate well.

Abdollahpoorrostam: In Search of the Successful Interpolation: On the Role of Sharpness in CLIP Generalization. NeurIPS
2024 workshop. arXiv 2410.16476. Layers whose own interpolation meets a barrier ("stragglers") are made sparse:

    b_l = max over a of L_l(a) - [(1 - a) L_l(0) + a L_l(1)]      L_l(a): validation loss where layer l alone is at
                                                                  (1 - a) theta_0 + a theta_1, all others at theta_1
    theta = theta_0 + alpha m (theta_1 - theta_0)                 m = 1; in the layers of largest b_l > 0 each entry is
                                                                  1 with probability 1 - sparsity, else 0

No code of the paper was at hand, nor what exactly makes a layer a straggler, nor whether weights or their change is
set to 0: this reading is dgbench's. Losses are those of clean source validation images. Layers are
those of :mod:`dgbench.models.layers`. Running statistics of batch normalisation are interpolated and never dropped.
Cost: for each layer an evaluation at each of the ``points`` between the ends, and one at its start; one at the end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from dgbench.algorithms.averaging.merging import Members, Merging
from dgbench.algorithms.later import torch
from dgbench.algorithms.slots import State
from dgbench.core.units import Count, Fraction


@dataclass(frozen=True)
class WiSEFTSparse(Merging):
    """Interpolation of initial and final weights; of some layers, of part of the weights alone.

    Attributes:
        alpha: 0 gives the weights before training, 1 those after it, but for what is dropped.
        sparsity: Share of the change that is dropped of a straggler; 0 is WiSE-FT.
        stragglers: How many layers at most are made sparse.
        points: How many places between the ends are looked at of each layer.
    """

    alpha: Fraction = 0.5
    sparsity: Fraction = 0.5
    stragglers: Count = 2
    points: Count = 3

    def needs(self) -> frozenset[str]:
        """Initial weights that classify."""
        return frozenset({"reference_head"})

    def merge(self, members: Members) -> State:
        """The interpolation."""
        from dgbench.models.effective import weighted_mean
        from dgbench.models.layers import layer_of

        (path,) = members.trajectories
        before, after = path.initial(), path.at(path.steps[-1])
        merged = weighted_mean([(1 - self.alpha, before), (self.alpha, after)])
        barriers = [item for item in self.barriers(members, before, after).items() if item[1] > 0]
        sparse = {layer for layer, _ in sorted(barriers, key=lambda item: -item[1])[: self.stragglers]}
        draw = members.generator()
        for name in sorted(merged):
            if layer_of(name) in sparse and merged[name].is_floating_point() and ".running_" not in name:
                dropped = torch.rand(merged[name].shape, generator=draw) < self.sparsity
                merged[name] = torch.where(dropped, before[name], merged[name])
        return merged

    def barriers(
        self, members: Members, before: State, after: State, of: Sequence[str] | None = None
    ) -> dict[str, float]:
        """b_l of each layer, at least 0, by its name; ``of`` these layers, else of all.

        Where a loss is no number, neither is the barrier.
        """
        from dgbench.models.effective import weighted_mean
        from dgbench.models.layers import layer_of, layers

        end = members.validated(after).nll
        found = {}
        for layer in layers(after) if of is None else of:
            own = [{name: state[name] for name in state if layer_of(name) == layer} for state in (before, after)]
            start = members.validated(after | own[0]).nll
            rises = [0.0]
            for place in range(1, self.points + 1):
                a = place / (self.points + 1)
                between = members.validated(after | weighted_mean([(1 - a, own[0]), (a, own[1])])).nll
                rises.append(between - ((1 - a) * start + a * end))
            found[layer] = math.nan if any(map(math.isnan, rises)) else max(rises)
        return found
