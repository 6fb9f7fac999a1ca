"""What is predicted on a dataset where that is no class, and how its authors judge models: parts of its card."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from dgbench.core.cards import Card, Headline
from dgbench.core.names import Text

OF_VALUES: tuple[Headline, ...] = ("rmse", "worst_group_rmse", "pearson", "worst_group_pearson")
"""Headlines of datasets whose targets are values; the others are of classes."""


def differing(what: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Names, if no two are the same; else a ValueError that says what they are of."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{what} must differ; named twice: {', '.join(twice)}")
    return names


class ValueCard(Card):
    """What is predicted where that is a number and no class.

    Attributes:
        what: What the number says, for people: ``angle``.
        unit: In which it is, as it stands after a number: ``degrees``; empty where it has none.
    """

    what: Text
    unit: Annotated[str, Field(max_length=40)] = ""


class OfficialGroup(Card):
    """Examples that the dataset's authors judge models by on their own.

    Attributes:
        name: What people call it.
        where: What its examples have in the columns of the table, or the metadata fields, that tell groups apart.
        counts: Whether it is among those of which the worst is taken.
        weight: What it counts in the adjusted average: its examples in the official training part.
    """

    name: Text
    where: dict[str, str] = Field(min_length=1)
    counts: bool = True
    weight: float | None = Field(default=None, gt=0)


class Official(Card):
    """How the dataset's authors judge models.

    Attributes:
        measure: What ranks, and selects, on boards of this dataset; accuracy, or of values the root-mean-square error,
            where nothing is said.
        groups: Those of the measure ``worst_group``, and of the adjusted average. Predictions note the place of an
            example's group in this list; every example must be in one.
    """

    measure: Headline | None = None
    groups: tuple[OfficialGroup, ...] = ()

    @model_validator(mode="after")
    def _groups_differ(self) -> Official:
        differing("groups", tuple(group.name for group in self.groups))
        if len({tuple(sorted(group.where)) for group in self.groups}) > 1:
            raise ValueError("'groups' must all say 'where' by the same columns")
        if len({group.weight is None for group in self.groups}) > 1:
            raise ValueError("'groups' have a 'weight' each, or none has")
        if str(self.measure).startswith("worst_group") and not any(group.counts for group in self.groups):
            raise ValueError(f"measure '{self.measure}' needs 'groups' that count")
        return self
