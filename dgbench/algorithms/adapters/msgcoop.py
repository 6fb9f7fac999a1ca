"""MSGCoOp: several prompts side by side, drawn to what is said of the classes and away from each other.

Wang, Sun, Du, Huang: MSGCoOp: Multiple Semantic-Guided Context Optimization for Few-Shot Learning. 2025.
arXiv 2507.21786.

    row_c = exp(logit_scale) * mean_n t_nc        t_nc = unit(text([V_n] [class c] [.])), n = 1..N
    penalty = g (1 - mean_c cos(mean_n t_nc, d_c)) + v mean_c mean_{n<m} cos(t_nc, t_mc)^2

``d_c`` is the mean of what the frozen tower says of a class in all sentences of the data's wording, where the paper has
four descriptions by a language model. Cost: images as for a linear probe, and twice the text tower, forth and back, on
N C texts. Needs a text tower. Where papers and code part ways: the code starts all prompts from the same words, so they
get the same gradient and stay equal for ever (``jitter = 0``); here each starts a little aside. The code's first term
takes texts before they have length one.
"""

from __future__ import annotations

from dataclasses import dataclass

from dgbench.algorithms.adapters.coop import CoOp
from dgbench.algorithms.later import F, Network, Tensor, torch
from dgbench.core.units import Count, NonNegative


@dataclass(frozen=True)
class MSGCoOp(CoOp):
    """Several prompts are trained.

    Attributes:
        contexts: N.
        guidance: g, the weight of the distance from what is said of the classes.
        diversity: v, the weight of what prompts have in common.
        jitter: Standard deviation of the normal numbers that are added to each prompt at the start.
    """

    contexts: Count = 4
    guidance: NonNegative = 8.0
    diversity: NonNegative = 1.0
    jitter: NonNegative = 0.02

    def attach(self, network: Network, domains: int) -> None:
        """Freeze the backbone, and let the head follow from the prompts."""
        from dgbench.models.texts import prompt, prompts

        network.backbone.requires_grad_(False)
        words = prompts(prompt(network, self.context, self.contexts, guided=True))
        if self.jitter:
            with torch.no_grad():
                words.add_(self.jitter * torch.randn(words.shape).to(words))

    def penalty(self, network: Network) -> Tensor:
        """Guidance and diversity, weighted; a scalar."""
        from dgbench.models.texts import rows_of

        rows = rows_of(network)
        units = rows.units()
        away = 1 - F.cosine_similarity(units.mean(0), rows.said, dim=-1).mean()
        return self.guidance * away + self.diversity * alike(units)


def alike(units: Tensor) -> Tensor:
    """``mean_c mean_{n<m} cos(t_nc, t_mc)^2`` of ``[N, C, d]``, of length one; 0 where there is one text."""
    terms = len(units)
    if terms == 1:
        return units.new_zeros(())
    squares = torch.einsum("ncd,mcd->cnm", units, units).square()
    return squares.triu(1).sum() / (len(squares) * terms * (terms - 1) / 2)
