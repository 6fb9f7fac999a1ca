"""Dataset cards: what a dataset holds, where it comes from, who may use it, and which bytes it must be."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from dgbench.core.cards import Card, Name, card_names, read_toml
from dgbench.core.errors import UnknownNameError
from dgbench.core.paths import shipped

Target = Annotated[str, Field(pattern=r"^[\w.]+:\w+$")]
"""A function, as ``module:function``."""


class DomainCard(Card):
    """One domain: how it differs from the others, and how many examples it has."""

    name: Name
    description: str
    count: int = Field(ge=1)


class DataSource(Card):
    """Where some of the data comes from, and on which terms."""

    what: str
    licence: str
    citation: str


class DatasetCard(Card):
    """One dataset.

    Attributes:
        name, title, summary: For the command line, and for people.
        version: Raised whenever the builder makes other data.
        kind: ``built-in`` data is made by ``builder`` from installed packages.
        builder: Takes nothing, returns the dataset.
        classes: A label is a position in this tuple.
        domains: In the order of the dataset.
        licence: Terms of the dataset as it is built.
        sources: What it is built from.
        redistribution: Whether the built data may be passed on.
        manifest: SHA-256 that ``built_with`` gives.
        built_with: Versions of the packages that decide the bytes.
        notes: What a reader of results has to know: duplicates, things left out, known flaws.
    """

    name: Name
    title: str
    version: int = Field(ge=1)
    summary: str
    kind: Literal["built-in"]
    builder: Target
    classes: tuple[str, ...] = Field(min_length=2)
    domains: tuple[DomainCard, ...] = Field(min_length=1)
    licence: str
    sources: tuple[DataSource, ...] = Field(min_length=1)
    redistribution: str
    manifest: str = Field(pattern=r"^[0-9a-f]{64}$")
    built_with: dict[str, str]
    notes: tuple[str, ...] = ()

    @field_validator("classes")
    @classmethod
    def _classes_differ(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        return _unique("classes", classes)

    @field_validator("domains")
    @classmethod
    def _domains_differ(cls, domains: tuple[DomainCard, ...]) -> tuple[DomainCard, ...]:
        _unique("domains", tuple(domain.name for domain in domains))
        return domains


def _unique(what: str, names: tuple[str, ...]) -> tuple[str, ...]:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{what} must differ; named twice: {', '.join(twice)}")
    return names


@cache
def dataset_card(name: str) -> DatasetCard:
    """The card of a dataset that comes with dgbench.

    Raises:
        UnknownNameError: no such card.
        CardError: the card does not fit.
    """
    path: Path = shipped("datasets") / f"{name}.toml"
    if name not in card_names("datasets"):
        raise UnknownNameError("dataset", name, card_names("datasets"))
    return read_toml(path, DatasetCard)
