"""DRM, the training side: one head for each source domain beside the shared head.

Zhang, Wang, Liang, Zhang, Yu, Wang, Tao, Xie: Domain-Specific Risk Minimization for Domain Generalization. KDD 2023.
arXiv 2208.08661.

    loss = (1/M) sum_e 1/2 [ mean_{i in e} CE(h_e(phi_i), y_i) + mean_{i in e} CE(h_0(phi_i), y_i) ]

The released code runs the backbone once for each domain; one pass over all domains gives the same unless batch
statistics normalise. How the heads are weighted at test time is the predictor's part.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from dgbench.algorithms.later import Tensor, torch
from dgbench.algorithms.slots import Objective
from dgbench.algorithms.step import Forward


@dataclass(frozen=True)
class DRM(Objective):
    """Risk of each example's own domain head and of the shared head, in equal shares."""

    def needs(self) -> frozenset[str]:
        """Heads to train."""
        return frozenset({"domain_heads"})

    def loss(self, forward: Forward) -> Tensor:
        """A scalar, at least 0. A domain head learns from its own domain only, the shared head from all."""
        everyone = torch.arange(len(forward.batch), device=forward.features.device)
        own = forward.network.domain_logits(forward.features)[everyone, forward.batch.source]
        return (forward.domain_risks() + replace(forward, logits=own).domain_risks()).mean() / 2
