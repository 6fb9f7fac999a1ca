"""D-BAT: networks trained one after the other, each to disagree on the target with those before it.

Pagliardini, Jaggi, Fleuret, Karimireddy: Agree to Disagree: Diversity through Disagreement for Better Transferability.
ICLR 2023. arXiv 2202.04414.

    loss of network m = CE + alpha mean_{j<m} mean_u -log( p_j (1 - p_m) + p_m (1 - p_j) + 1e-7 )

over unlabelled images u of the target, with ``p_j`` and ``p_m`` the probabilities of one class: that which network j
predicts, or network m (``at``). The first network is plain cross-entropy, which is ERM's own training; each one after
it reads all before it, and the last is what predicts. What earlier networks say of the images is computed once, when a
training begins, so a step is two passes, over labelled and unlabelled images, however many there are before it.

Deviations: earlier networks see the unlabelled images without augmentation, where the authors' see them as the step
does; all networks start from the same weights and see the same batches. The paper's ensemble, the mean of all
networks' probabilities, is not formed: what is ranked is the last network alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from dgbench.algorithms.earlier import Earlier, Said
from dgbench.algorithms.later import F, Network, Tensor, torch
from dgbench.algorithms.slots import Objective
from dgbench.algorithms.step import Forward
from dgbench.core.composition import UNLABELLED
from dgbench.core.units import NonNegative


@dataclass(frozen=True)
class DBAT(Objective):
    """Cross-entropy, and agreement with earlier networks on the target.

    Attributes:
        networks: How many there are with this one (m).
        agreement: alpha, what it counts to agree.
        at: Of which class probabilities are compared: that of the ``earlier`` network, or the network's ``own``.
    """

    networks: Annotated[int, Field(ge=2, le=16)] = 2
    agreement: NonNegative = 1.0
    at: Literal["earlier", "own"] = "earlier"

    def needs(self) -> frozenset[str]:
        """Images to disagree on."""
        return frozenset({UNLABELLED})

    def earlier(self) -> tuple[Earlier, ...]:
        """The networks before it; all but the first read those before them."""
        objectives = [
            ("dbat", {"networks": m, "agreement": self.agreement, "at": self.at}) for m in range(2, self.networks)
        ]
        return tuple(Earlier({"objective": one}) for one in [("cross_entropy", {}), *objectives])

    def hear(self, network: Network, pools: Sequence[Tensor], labels: Sequence[Tensor], said: Sequence[Said]) -> None:
        """Note the probabilities that earlier networks give to the images of the target, ``[u, m - 1, C]``."""
        told = torch.stack([F.softmax(each[-1], 1) for each in said], 1)
        network.auxiliary.register_buffer("earlier", told.to(network.head.weight))

    def loss(self, forward: Forward) -> Tensor:
        """A scalar, at least 0 but for what 1e-7 is in a logarithm."""
        assert forward.batch.unlabelled is not None
        told = forward.network.auxiliary.get_buffer("earlier")[forward.batch.unlabelled.index]
        own = F.softmax(forward.network.head(forward.unlabelled), 1)[:, None].expand_as(told)
        at = (told if self.at == "earlier" else own).argmax(2, keepdim=True)
        alike = agreement(told.gather(2, at), own.gather(2, at)).mean()
        return forward.cross_entropy.mean() + self.agreement * alike


def agreement(earlier: Tensor, own: Tensor) -> Tensor:
    """``-log(p (1 - q) + q (1 - p) + 1e-7)`` of two probabilities of one class, of any shape: least where they part."""
    return -(earlier * (1 - own) + own * (1 - earlier) + 1e-7).log()
