"""The last blocks are trained, those before them are frozen.

Yosinski, Clune, Bengio, Lipson: How transferable are features in deep neural networks? NeurIPS 2014. arXiv 1411.1792.

Everything is trained from the first of the last ``blocks`` blocks on, in the order in which the network names its
weights: these blocks, a norm layer after them, and the head. What comes before (patch and position embeddings, stem,
earlier blocks) stays as it was pretrained. A block is the first numbered module on the path of a matrix that adapters
know, or of any weight where they know none (``dgbench/models/layers.py``). Running statistics of frozen batch
normalisation move as the board's ``norm_mode`` says.
"""

from __future__ import annotations

from dataclasses import dataclass

from dgbench.algorithms.later import Network
from dgbench.algorithms.slots import Adapter
from dgbench.core.errors import RecipeError
from dgbench.core.units import Count


@dataclass(frozen=True)
class LastBlocks(Adapter):
    """Fine-tuning of the end of a network.

    Attributes:
        blocks: How many blocks are trained; where the network has fewer, all of them.
    """

    blocks: Count = 4

    def attach(self, network: Network, domains: int) -> None:
        """Freeze what comes before.

        Raises:
            RecipeError: the backbone has no numbered blocks.
        """
        from dgbench.models.layers import blocks, layer_of

        names = [name for name, _ in network.backbone.named_parameters()]
        numbered = list(dict.fromkeys(layer_of(matrix.name) for matrix in network.info.matrices)) or blocks(names)
        if not numbered:
            raise RecipeError(f"'{network.info.name}' has no numbered blocks, of which the last could be trained")
        network.unfreeze()
        first = numbered[max(0, len(numbered) - self.blocks)]
        for name, parameter in network.backbone.named_parameters():
            if layer_of(name) == first:
                return
            parameter.requires_grad_(False)
