"""What a criterion is: which records count, what is averaged over them, and what must be there for that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import polars as pl

from dgbench.core.judges import JUDGES, Judges

Need = Literal[
    "held-out images",
    "shifted images",
    "fold trainings",
    "domain trainings",
    "weights",
    "predictions",
    "every score",
    "target images",
    "target labels",
]
NEEDS: Mapping[Need, str] = {
    "held-out images": "labelled images of the training domains that no training saw",
    "shifted images": "some of these, changed by shifts of image families",
    "fold trainings": "further trainings without the shift families of one fold each, where a board asks for them",
    "domain trainings": "further trainings without one source domain each, and the labels of that domain",
    "weights": "the weights of each candidate, looked at while they are there, where a board asks for it",
    "predictions": "what was predicted of single images, which a store has of its own runs",
    "every score": "the scores of all classes, which are kept where there are at most a hundred",
    "target images": "images of the target, without their labels",
    "target labels": "the labels of the target, which nobody has when choosing",
}
"""What a criterion may need, in plain words."""

CLEAN = pl.col("view") == "clean"
"""Images as they are."""
UNSEEN = ~CLEAN & ~pl.col("trained").list.contains(pl.col("view"))
"""Images under the shift families that no candidate trained with."""


@dataclass(frozen=True)
class Criterion:
    """A way to choose a model.

    The score is the mean over domains of the mean over views, of the records that count, unless ``least`` or
    ``indicator`` say otherwise. Higher is better.

    Attributes:
        name: As boards name it.
        title: As readers see it.
        description: In plain words.
        needs: What must be there.
        keep: The records of its :attr:`split` that count: an expression over ``split``, ``domain``, ``view``,
            ``accuracy``, ``nll``, ``n``, and ``trained``, the list of shift families that any of the candidates trained
            with.
        last: Whether the last step of each run is its only candidate.
        value: What is averaged, one number for each record.
        least: ``domain``: the lowest of the domains' means counts; ``view``: the lowest of the means over domains that
            views have.
        indicator: The score where it is more than a mean of records: an expression over the columns of
            :data:`dgbench.selection.records.INDICATORS`, and over ``score``, that mean, of candidates that are compared
            with each other. The records that count are then those of the images that it is about.
        lacking: Why that may not be known where predictions are at hand.
        classes: Whether it is about classes, and their probabilities: of predicted values there is no such score.
    """

    name: str
    title: str
    description: str
    needs: tuple[Need, ...] = ("held-out images",)
    keep: pl.Expr = field(compare=False, default_factory=lambda: CLEAN)
    last: bool = False
    value: pl.Expr = field(compare=False, default_factory=lambda: pl.col("accuracy"))
    least: Literal["domain", "view"] | None = None
    indicator: pl.Expr | None = field(compare=False, default=None)
    lacking: str = ""
    classes: bool = False

    @property
    def judges(self) -> Judges | None:
        """What it has judge its candidates beside their own runs, if anything."""
        return JUDGES.get(self.name)

    @property
    def split(self) -> str:
        """Which records it sees. Those of the target are no other's; who looks at weights sees the candidate's own."""
        if self.uses_target:
            return "target"
        return "validation" if self.judges in (None, "weights") else self.judges

    @property
    def uses_target(self) -> bool:
        """Whether it reads the labels of the target domain. Such a criterion never ranks."""
        return "target labels" in self.needs

    @property
    def uses_unlabelled_target(self) -> bool:
        """Whether it looks at the target's images without their labels. It never ranks beside those that do not."""
        return "target images" in self.needs

    @property
    def ranks(self) -> bool:
        """Whether a board may be ranked by it: nothing of the target is seen."""
        return not (self.uses_target or self.uses_unlabelled_target)

    @property
    def said(self) -> str:
        """How the score comes from the views that count, for whoever looks at these."""
        if self.indicator is not None:
            return "computed from weights" if self.judges == "weights" else "computed from single predictions"
        return {
            None: "the mean over domains of the mean over these views",
            "domain": "the lowest of the means over these views that domains have",
            "view": "the lowest of the means over domains that these views have",
        }[self.least]
