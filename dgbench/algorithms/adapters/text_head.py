"""What adapters share whose head follows from texts for as long as it is trained."""

from __future__ import annotations

from dgbench.algorithms.heads import Head
from dgbench.algorithms.slots import Adapter


class TextHead(Adapter):
    """The head is what a text tower says of the classes, in every pass anew (``models/texts.py``)."""

    def initial_head(self) -> Head:
        """Class names."""
        return "zero_shot"

    def provides(self) -> frozenset[str]:
        """A head that works, and stays made of texts."""
        return super().provides() | {"text_head"}
