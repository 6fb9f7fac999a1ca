"""A local mean teacher: predictions stay near those of a mean of the network's own last steps.

After the idea of self-distillation in OGEN: Zang, Goh, Susskind, Huang: Overcoming the Pitfalls of Vision-Language
Model Finetuning for OOD Generalization. ICLR 2024. arXiv 2401.15914.

    loss = mean_i CE_i + w mean_i KL(p_teacher(. | x_i) || p(. | x_i))
    teacher_t = teacher_{t-1} + (weights_t - teacher_{t-1}) / m_t      m_t = ceil(window t)      t = 1, 2, ..., T

So the teacher reaches over the last ``m_t`` steps, a share of the way so far: ``window`` is the paper's ``m_max`` as a
share of all steps. Where that is 1 the teacher is the plain mean of all weights so far; where ``m_t`` is 1 it is the
network as it stands. It sees the same augmented images in evaluation mode.

This is not OGEN, which also makes up features of unknown classes; of its distillation the released code has the
network and no loss. Deviations: the schedule is linear; a mean that forgets stands for one over stored weights, so that
there is one copy. Adapters' factors are averaged, not what they come to. Cost: two forward passes and one backward
pass; under SAM the teacher sees a batch once. Memory for the teacher.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, cast

from pydantic import Field

from dgbench.algorithms.later import F, Network, Tensor, torch
from dgbench.algorithms.slots import Objective
from dgbench.algorithms.step import Forward
from dgbench.core.units import NonNegative


@dataclass(frozen=True)
class LocalMeanTeacher(Objective):
    """Cross-entropy plus the divergence from what the teacher says.

    Attributes:
        weight: w.
        window: Over which share of the way so far the teacher's weights are a mean.
    """

    weight: NonNegative = 1.0
    window: Annotated[float, Field(gt=0, le=1)] = 0.1

    @property
    def further_passes(self) -> float:
        """The teacher sees the batch."""
        return 1 / 3

    def attach(self, network: Network, examples: Sequence[int]) -> None:
        """The teacher, which starts as the network."""
        network.auxiliary.add_module("teacher", copy.deepcopy(network).requires_grad_(False))

    def loss(self, forward: Forward) -> Tensor:
        """A scalar, at least 0."""
        teacher = cast("Network", forward.network.auxiliary.get_submodule("teacher").eval())

        def said() -> Tensor:
            with torch.no_grad():
                return F.log_softmax(teacher(forward.batch.x), 1)

        told = forward.batch.once(("teacher", id(teacher)), said)
        apart = F.kl_div(forward.log_probabilities, told, reduction="batchmean", log_target=True)
        return forward.cross_entropy.mean() + self.weight * apart

    def remember(self, forward: Forward) -> None:
        """Move the teacher towards the weights, and statistics, that the step has come to."""
        now = forward.network.state_dict()
        means = forward.network.auxiliary.get_submodule("teacher").state_dict()
        moving = [name for name, mean in means.items() if mean.is_floating_point()]
        share = 1 / reach(self.window, forward.step + 1)
        torch._foreach_lerp_([means[name] for name in moving], [now[name] for name in moving], share)


def reach(window: float, step: int) -> int:
    """Over how many of the last steps the teacher is a mean after so many, at least 1."""
    return max(1, math.ceil(round(window * step, 9)))  # 30 times 0.1 is a little more than 3
