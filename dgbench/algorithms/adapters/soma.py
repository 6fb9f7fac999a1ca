"""SoMA: the least singular components of the pretrained weights are trained, all else of these weights is frozen.

Yun, Chae, Lee, Ro: SoMA: Singular Value Decomposed Minor Components Adaptation for Domain Generalizable Representation
Learning. CVPR 2025. arXiv 2412.04077. Code: ysj9909/SoMA.

    W = U S V'      B_0 = U_r sqrt(S_r)      A_0 = sqrt(S_r) V_r'       of the r least singular values
    W_res = W - B_0 A_0 frozen               W_res + B A trained, from B_0 A_0

for the query, key, value, output and both MLP matrices of every block but the first third, which is frozen whole; q, k
and v are taken apart before they are decomposed. Biases of these layers are trained, embeddings and norms are not. With
``major`` components it is PiSSA (Meng, Wang, Zhang. NeurIPS 2024. arXiv 2404.02948).

Weight decay pulls ``B A`` to 0, that is towards W without these components and not towards W; the released code lets it
fall to almost 0 along a cosine, which no optimizer here does, so a weight decay of 0 is closest to its end. Where W has
singular values of 0, the factors and all their gradients are 0 and stay so. Attaching takes a decomposition of every
matrix: some seconds for a ViT-B. Deviation: as released the code's default would take the largest components, by a
randomised decomposition; its configurations ask for the least. Extension: a backbone without attention is changed in
each block's pair of pointwise maps (1x1 convolutions).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from dgbench.algorithms.later import Network, Role, nn
from dgbench.algorithms.slots import Adapter
from dgbench.core.units import Count

TARGETS: tuple[Role, ...] = ("q", "k", "v", "out", "fc1", "fc2")


@dataclass(frozen=True)
class SoMA(Adapter):
    """Some singular components are trained, with biases and the head.

    Attributes:
        rank: r, how many components of each matrix.
        component: Those of the least singular values (``minor``), of the largest (``major``), or ``random`` ones.
        start: Share of the blocks, from the input on, that are frozen whole.
    """

    rank: Count = 16
    component: Literal["minor", "major", "random"] = "minor"
    start: Annotated[float, Field(ge=0, lt=1)] = 1 / 3

    def needs(self) -> frozenset[str]:
        """A backbone with matrices that can be changed."""
        return frozenset({"low_rank"})

    def attach(self, network: Network, domains: int) -> None:
        """Freeze the backbone and make components and biases trainable."""
        from dgbench.models.low_rank import SpectralDelta, changeable, put, weight_of

        count = max((matrix.block + 1 for matrix in network.info.matrices), default=0)
        chosen = changeable(network, TARGETS, first_block=int(self.start * count))
        network.backbone.requires_grad_(False)
        for matrix in chosen:
            weight = weight_of(network.backbone, matrix)
            put(network.backbone, matrix, SpectralDelta(weight, self.rank, rows=matrix.rows, component=self.component))
            name = matrix.parameter.replace("weight", "bias")
            bias = getattr(network.backbone.get_submodule(matrix.module), name, None)
            if isinstance(bias, nn.Parameter) and not network.info.freezes(f"{matrix.module}.{name}"):
                bias.requires_grad_()
