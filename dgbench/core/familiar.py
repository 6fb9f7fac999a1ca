"""What pretraining knows well: images of a dataset that a backbone may have seen, or seen the like of.

``leaderboards/<board>/familiar/<name>.toml``, beside the rules of a board::

    dataset = "digits"
    backbone = "dgbench:vit-micro@letters"
    why = "It was pretrained on letters in the typefaces of this domain."
    domains = ["print"]        # or: classes = ["cat", "dog"]; or: samples = ["0123456789abcdef", ...]

It changes no accuracy and no rank: a board can be looked at by accuracy inside of all that is listed, and outside.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from dgbench.core.cards import Card
from dgbench.core.dataset_card import DatasetCard, dataset_card
from dgbench.core.errors import CardError, did_you_mean
from dgbench.core.names import DatasetName, Text
from dgbench.core.toml import read_toml

Sample = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]


class FamiliarCard(Card):
    """Images that some pretraining knows well.

    Attributes:
        dataset: Whose images.
        backbone: Whose pretraining, as boards name it.
        why: How that is known, for readers.
        domains, classes: Names, as the dataset's card has them: all images of these are meant.
        samples: Names of single images: :mod:`dgbench.data.samples`. Exactly one of the three is given.
    """

    dataset: DatasetName
    backbone: Annotated[str, Field(min_length=1, max_length=200)]
    why: Annotated[str, Field(min_length=1, max_length=1000)]
    domains: Annotated[tuple[Text, ...], Field(min_length=1)] | None = None
    classes: Annotated[tuple[Text, ...], Field(min_length=1)] | None = None
    samples: Annotated[tuple[Sample, ...], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _one_list(self) -> FamiliarCard:
        given = [name for name in ("domains", "classes", "samples") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"exactly one of 'domains', 'classes' and 'samples' says which images; got {given or 'none'}"
            )
        return self


def familiar_cards(folder: Path) -> tuple[FamiliarCard, ...]:
    """The lists in a folder, by the names of their files; none where there is no folder.

    Raises:
        CardError: one cannot be read, or names what its dataset does not have.
        UnknownNameError: there is no such dataset.
    """
    found = []
    for path in sorted(folder.glob("*.toml")):
        card = read_toml(path, FamiliarCard)
        _check(card, dataset_card(card.dataset), path)
        found.append(card)
    return tuple(found)


def _check(card: FamiliarCard, dataset: DatasetCard, path: Path) -> None:
    if card.classes is not None and isinstance(dataset.classes, int):
        raise CardError(f"{path}: classes: the card of '{dataset.name}' does not name its classes; list 'samples'")
    classes = () if isinstance(dataset.classes, int) else dataset.classes
    for field, known in (("domains", [domain.name for domain in dataset.domains]), ("classes", classes)):
        for name in getattr(card, field) or ():
            if name not in known:
                raise CardError(f"{path}: {field}: '{dataset.name}' has no '{name}'.{did_you_mean(name, known)}")
