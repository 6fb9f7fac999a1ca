"""DivDis, the disambiguating side: one of several heads predicts, or their mean.

Lee, Yao, Finn: Diversify and Disambiguate: Learning From Underspecified Data. ICLR 2023. arXiv 2202.03418.

The paper chooses the head by the labels of a few target images, those on which the heads disagree most. That is to
select by target labels, which nothing that is ranked here does; so the head is chosen that is right most often on the
held-out images of the source domains, the mean over these, and of several that are the first. Where sources cannot tell
heads apart, neither can this choice: a head can be named by its number, and two recipes that do so share the training.
The number of the head that is chosen is read back from an accelerator once, before the first batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from dgbench.algorithms.adapters.divdis import heads_of, logits_of_heads
from dgbench.algorithms.later import F, Network, Tensor
from dgbench.algorithms.slots import Predictor, Source, Stream
from dgbench.core.errors import RecipeError


@dataclass(frozen=True)
class DivDisChoice(Predictor):
    """Probabilities of a head.

    Attributes:
        choice: The best head on source ``validation`` images; the ``mean`` of the probabilities of all; or the head of
            a number, from 0.
    """

    choice: Literal["validation", "mean"] | Annotated[int, Field(ge=0, lt=64)] = "validation"
    scores: ClassVar[Literal["logits", "probabilities", "values"]] = "probabilities"
    needs_source: ClassVar[bool | Literal["validation"]] = "validation"

    def needs(self) -> frozenset[str]:
        """The heads; where one is named, that there are so many."""
        return frozenset({"divdis_heads" if isinstance(self.choice, str) else f"divdis_head_{self.choice}"})

    def prepare(self, network: Network, source: Source | None) -> Stream:
        """A stream that remembers nothing; ``source`` holds validation images.

        Raises:
            RecipeError: the network has fewer heads.
        """
        if isinstance(self.choice, int) and self.choice >= (there := heads_of(network)):
            raise RecipeError(f"predictor.choice: there are {there} heads, counted from 0, got {self.choice}")
        if self.choice != "validation":
            return _OfHead(network, self.choice)
        assert source is not None
        right = (logits_of_heads(network, source.features).argmax(2) == source.labels[:, None]).double()
        return _OfHead(network, int(source.mean(right).argmax()))


class _OfHead(Stream):
    def __init__(self, network: Network, choice: int | Literal["mean"]) -> None:
        self.network = network
        self.choice = choice

    def reset(self, seed: int) -> None:
        """There is no state."""

    def observe(self, features: Tensor) -> Tensor:
        """Probabilities ``[b, C]``."""
        told = F.softmax(logits_of_heads(self.network, features), -1)
        return told.mean(1) if self.choice == "mean" else told[:, self.choice]
