"""RFC (Bonsai): start from features that several trainings have found, each looking for what those before had not.

Zhang, Lopez-Paz, Bottou: Rich Feature Construction for the Optimization-Generalization Dilemma. ICML 2022.
arXiv 2203.15516.

    discovery    networks f_0 (ERM), f_1, ..., each trained from the start on groups that those before leave
    synthesis    one network from the start, with a head for each f_k that predicts what f_k predicts
    then         any recipe from its features, with the mean of its heads

The construction is ``networks`` trainings and a synthesis of all the board's steps, by the recipe's sampler and
optimizer, and all recipes share it that have these in common; f_0 is ERM's own training, unless a board sets
hyperparameters of adapters or objectives. The authors' rounds have numbers of steps of their own, chosen on each data
set. Draws start from constructions of their own, so there is no soup of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from dgbench.algorithms.earlier import Earlier
from dgbench.algorithms.later import Network
from dgbench.algorithms.serving import Targets
from dgbench.algorithms.slots import Adapter


@dataclass(frozen=True)
class RFC(Adapter):
    """Training from constructed features.

    Attributes:
        networks: How many networks are put together (K); the papers' "2-RFC" has 2.
        train: ``all`` weights, or the ``head`` alone.
        apart: As for the synthesis.
    """

    networks: Annotated[int, Field(ge=2)] = 2
    train: Literal["all", "head"] = "all"
    apart: Literal["mixed", "wrong"] = "mixed"

    def serves(self) -> frozenset[Targets]:
        """The groups are of images that earlier networks classify right or wrong."""
        return frozenset({"classes"})

    def starts_after(self) -> Earlier:
        """The synthesis."""
        objective = ("rfc_synthesis", {"networks": self.networks, "apart": self.apart})
        return Earlier({"adapter": ("rfc_heads", {"heads": self.networks}), "objective": objective})

    def provides(self) -> frozenset[str]:
        """Initial weights that classify."""
        return frozenset({"reference_head"})

    def freezes_backbone(self) -> bool:
        """Where the head alone is trained."""
        return self.train == "head"

    def attach(self, network: Network, domains: int) -> None:
        """Freeze the features, where they stay as they are."""
        if self.freezes_backbone():
            network.backbone.requires_grad_(False)
        else:
            network.unfreeze()
