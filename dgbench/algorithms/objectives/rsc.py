"""RSC: the features that decide most are muted, so that others have to learn.

Huang, Wang, Xing, Huang: Self-Challenging Improves Cross-Domain Generalization. ECCV 2020. arXiv 2007.02454.

    g_i = gradient of example i's own logit in its features: W_{y_i}
    muted features: those whose g is above its 1 - feature_share quantile within the example
    challenged examples: those whose own probability falls by more than the 1 - batch_share quantile over the batch
    loss = mean_i CE(head(phi_i without what is muted, if i is challenged), y_i)

As in DomainBed ``g`` is signed, quantiles are interpolated, and what is left is not scaled up. With a linear head ``g``
depends on the class alone: the mask of an example is that of its class. Deviation: what lies *above* a quantile is
muted, where DomainBed mutes what lies at it, too; so shares of 0 are ERM, and equal gradients mute nothing instead of
everything.

Cost: one forward and one backward pass, and the head twice more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from dgbench.algorithms.later import Tensor, torch
from dgbench.algorithms.slots import Objective
from dgbench.algorithms.step import Forward
from dgbench.core.units import Fraction


@dataclass(frozen=True)
class RSC(Objective):
    """Cross-entropy of features some of which are muted.

    Attributes:
        feature_share: Share of the features that are muted.
        batch_share: Share of the examples whose features are.
    """

    feature_share: Fraction = 1 / 3
    batch_share: Fraction = 1 / 3

    def compares_domains(self) -> bool:
        """Who is challenged is settled in the whole batch: of one domain it may be nobody."""
        return True

    def loss(self, forward: Forward) -> Tensor:
        """Mean over the examples."""
        phi, head = forward.features, forward.network.head
        with torch.no_grad():
            mask = self.mask(forward)
        return replace(forward, logits=head(phi * mask)).cross_entropy.mean()

    def mask(self, forward: Forward) -> Tensor:
        """1 for what stays and 0 for what is muted, ``[n, d]``."""
        phi, y, head = forward.features, forward.batch.y[:, None], forward.network.head
        decides = head.weight > head.weight.quantile(1 - self.feature_share, 1, keepdim=True)
        kept = (~decides).to(phi.dtype)[forward.batch.y]
        own = forward.logits.softmax(1).gather(1, y)
        fall = own - head(phi * kept).softmax(1).gather(1, y)
        challenged = fall > fall.quantile(1 - self.batch_share)
        return torch.where(challenged, kept, torch.ones_like(kept))
