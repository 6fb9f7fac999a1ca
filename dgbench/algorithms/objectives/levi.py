"""The loss of LEVI: each head's own, in place of that of their mean.

Roh, Liu, Gui, Yuan, Tang, Whang, Liu, Bi, Hong, Chi, Zhao: LEVI: Generalizable Fine-tuning via Layer-wise Ensemble of
Different Views. ICML 2024. arXiv 2402.04644.

    loss = mean_k mean_i CE(g_k(x_i), y_i)

The paper says that intermediate representations share a loss and not how their losses are put together; this is one
reading, and cross-entropy, which is that of the mean of the heads, is another: any objective goes with the adapter.
"""

from __future__ import annotations

from dataclasses import dataclass

from dgbench.algorithms.later import Tensor
from dgbench.algorithms.serving import Targets
from dgbench.algorithms.slots import Objective
from dgbench.algorithms.step import Forward


@dataclass(frozen=True)
class LEVILoss(Objective):
    """The mean of the heads' cross-entropies."""

    def needs(self) -> frozenset[str]:
        """The heads."""
        return frozenset({"side"})

    def serves(self) -> frozenset[Targets]:
        """Classes."""
        return frozenset({"classes"})

    def compares_domains(self) -> bool:
        """It does not."""
        return False

    def loss(self, forward: Forward) -> Tensor:
        """A scalar, at least 0."""
        from dgbench.models.side import members

        scores = members(forward.network, forward.features).log_softmax(2)
        return -(scores * forward.batch.targets(scores.shape[2])[:, None]).sum(2).mean()
