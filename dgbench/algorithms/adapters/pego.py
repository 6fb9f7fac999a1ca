"""PEGO: a group of low-rank changes, kept orthogonal to the pretrained weight and to each other.

Hu, Zhang, Qi, Shi, Gao: Learn to Preserve and Diversify: Parameter-Efficient Group with Orthogonal Regularization for
Domain Generalization. ECCV 2024. arXiv 2407.15085.

    W = W_0 + sum_n D_n        D_n = B_n A_n, n = 1..N        for the query and value matrix of every block
    penalty = sum over those matrices of   sum_n |W_0 D_n^T|   +   sum_{n<m} |D_n D_m^T|          (|.|: sum of entries)

The released code is followed: entrywise L1 of products over the input space, no normalisation, one weight for both
terms. Since ``A`` and ``B`` are thin, the products are taken as ``(W_0 A^T) B^T`` and ``B_n (A_n A_m^T) B_m^T``: the
same numbers for a hundredth of the arithmetic. At the start ``B = 0``, so the penalty and its gradient are 0. Where
``W_0`` has full rank the first term vanishes at ``D = 0`` alone: it shrinks the change rather than steering it.
Deviation: float32 weights and penalty, where the code rounds both to float16, whose sums of entries overflow.
Extension: a backbone without attention is changed in each block's pair of pointwise maps (1x1 convolutions).
"""

from __future__ import annotations

from dataclasses import dataclass

from dgbench.algorithms.later import Network, Tensor, torch
from dgbench.algorithms.slots import Adapter
from dgbench.core.units import Count, NonNegative


@dataclass(frozen=True)
class PEGO(Adapter):
    """Groups of low-rank changes are trained, with the head.

    Attributes:
        rank: Rank of each change.
        groups: N, how many changes a matrix gets.
        penalty_weight: Weight of the orthogonality penalty beside the objective.
    """

    rank: Count = 4
    groups: Count = 4
    penalty_weight: NonNegative = 1e-3

    def needs(self) -> frozenset[str]:
        """A backbone with matrices that can be changed."""
        return frozenset({"low_rank"})

    def attach(self, network: Network, domains: int) -> None:
        """Freeze the backbone and add N changes to q and v (or the pointwise pair) of every block."""
        from dgbench.models.low_rank import adapt

        adapt(network, ("q", "v"), self.rank, terms=self.groups)

    def penalty(self, network: Network) -> Tensor:
        """The weighted orthogonality penalty over all changed matrices."""
        from dgbench.models.low_rank import low_rank_deltas

        total = torch.zeros((), device=network.head.weight.device)
        for weight, delta in low_rank_deltas(network):
            total = total + non_orthogonality(weight, delta.A, delta.B)
        return self.penalty_weight * total


def non_orthogonality(weight: Tensor, A: Tensor, B: Tensor) -> Tensor:
    """``sum_n |W D_n^T| + sum_{n<m} |D_n D_m^T|`` for ``weight [o, i]``, ``A [N, r, i]``, ``B [N, o, r]``; a scalar."""
    preserve = (weight @ A.mT) @ B.mT
    n, m = torch.triu_indices(len(A), len(A), offset=1, device=A.device)
    diversify = B[n] @ (A[n] @ A[m].mT) @ B[m].mT
    return preserve.abs().sum() + diversify.abs().sum()
