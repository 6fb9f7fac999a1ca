"""LEVI: a small network, trained from scratch, joins a frozen backbone at several of its levels.

Roh, Liu, Gui, Yuan, Tang, Whang, Liu, Bi, Hong, Chi, Zhao: LEVI: Generalizable Fine-tuning via Layer-wise Ensemble of
Different Views. ICML 2024. arXiv 2402.04644.

    a_k = GELU(J_k [LN(h_k), z])        g_k = W_k a_k + b        prediction: mean_k g_k

``h_k`` is what the k-th of some blocks of the frozen backbone gives out, its mean over places, and for the last k the
backbone's features; ``z`` is what the small network makes of the image (``models/side.py``). Trained are the small
network, the joining layers and the heads. Cost: one forward pass of the backbone, and the small network forth and back.

No code was released, and the paper has more than one task: which blocks, the joining layers' width and form, and a
small network of 53 thousand weights are dgbench's choice. All learns at the recipe's rate, and heads share a bias.
"""

from __future__ import annotations

from dataclasses import dataclass

from dgbench.algorithms.later import Network
from dgbench.algorithms.slots import Adapter
from dgbench.core.units import Count


@dataclass(frozen=True)
class LEVI(Adapter):
    """The backbone is frozen, and what it sees is joined with what a small network sees.

    Attributes:
        blocks: How many blocks are joined, at most, evenly spaced; the features come beside them.
        width: How many numbers each join gives.
    """

    blocks: Count = 3
    width: Count = 256

    def provides(self) -> frozenset[str]:
        """A head that is the mean of several."""
        return frozenset({"side"})

    def attach(self, network: Network, domains: int) -> None:
        """Freeze the backbone; the small network, the joins and the head are new."""
        from dgbench.models.side import widen

        network.backbone.requires_grad_(False)
        widen(network, self.blocks, self.width)
