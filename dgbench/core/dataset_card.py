"""Dataset cards: what a dataset holds, how it lies on disk, where it comes from, and who may use it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from dgbench.core.cards import AlgorithmCard, BoardCard, Card, Headline, card_names
from dgbench.core.decoding import Alpha, Decoding
from dgbench.core.errors import CardError, UnknownNameError
from dgbench.core.judged_by import OF_VALUES, Official, ValueCard, differing
from dgbench.core.names import DatasetName, Text
from dgbench.core.paths import shipped
from dgbench.core.reader_cards import Reader, Union
from dgbench.core.toml import fitted, parsed, read_toml


class DomainCard(Card):
    """One domain: how it differs from the others, and how many examples it has.

    Attributes:
        name: As results call it, and people: any line of text.
        description: What sets it apart.
        count: How many examples it must have; ``None`` where nobody has checked.
        about: Roughly how many, for estimates of time, where ``count`` is not known.
        folders: Other names that its folder, or its value in a column, may have.
        family: Domains of one family (two packs of one artist) are never on both sides of a split: when one is the
            target, the others do not train.
        without: Classes that it has no example of. Accuracy on it is over the others.
        each: Where it is many domains, the metadata field by whose values: ``train`` with ``each = "location"`` is
            ``train/location-0`` and so on. Boards that name ``train`` mean them all.
        many: How many these are; roughly, where nobody has checked.
    """

    name: Text
    description: str = ""
    count: int | None = Field(default=None, ge=1)
    about: int | None = Field(default=None, ge=1)
    folders: tuple[str, ...] = ()
    family: str | None = None
    without: tuple[Text, ...] = ()
    each: str | None = None
    many: int | None = Field(default=None, ge=2)

    @model_validator(mode="after")
    def _both(self) -> DomainCard:
        if (self.each is None) != (self.many is None):
            raise ValueError(
                f"domain '{self.name}': 'each' says by what it is many domains and 'many' how many; say both"
            )
        return self


class DataSource(Card):
    """Where some of the data comes from, and on which terms."""

    what: str
    licence: str
    citation: str


class Wording(Card):
    """How classes are said to a text tower.

    Attributes:
        templates: Sentences with ``{}`` where the class goes, or the name of a set of dgbench's: ``photo`` (one) or
            ``varied`` (a dozen, of photographs, drawings and other images).
        names: Better words for some classes.
    """

    templates: tuple[str, ...] | Literal["photo", "varied"] = "photo"
    names: dict[str, str] = Field(default_factory=dict)


class DatasetCard(Card):
    """One dataset.

    Attributes:
        name, title, summary: For the command line, and for people.
        version: Raised whenever the data or the way it is read changes.
        reader: How the data is read.
        path: Where the data lies; on cards of a user's own data. Relative to the card.
        roots: Names that the dataset's folder may have below a data root (``$DGBENCH_DATA``), tried in order; ``.`` is
            the data root itself.
        classes: Names, a label is a position in them; or how many there are, where the data names them.
        value: What is predicted, where that is a number: there are no classes then.
        domains: In the order of the dataset.
        official: How its authors judge models, where that is not by accuracy, or of values by their error.
        shared_groups: Whether a group's number means the same in all domains (one concept, drawn by several hands), so
            that a split takes the same groups everywhere.
        resize: How an image becomes a square: ``stretch`` it, or scale the short side to 8/7 and ``crop`` the centre.
        alpha, exif, bits: How its file becomes RGB; see :class:`~dgbench.core.decoding.Decoding`.
        wording: For zero-shot heads.
        licence: Terms of the dataset.
        sources: What it consists of.
        get: How to get it: one way a line, the best first.
        size: Of the download, for people.
        redistribution: Whether the data may be passed on.
        duplicates: What is known of images that occur twice.
        notes: What a reader of results has to know: things left out, known flaws.
    """

    name: DatasetName
    title: str
    version: int = Field(ge=1, default=1)
    summary: str
    reader: Reader
    path: Path | None = None
    roots: tuple[str, ...] = ()
    classes: tuple[Text, ...] | Annotated[int, Field(ge=2)] = ()
    value: ValueCard | None = None
    domains: tuple[DomainCard, ...] = Field(min_length=1)
    official: Official = Official()
    shared_groups: bool = False
    resize: Literal["stretch", "crop"] = "stretch"
    alpha: Alpha = "drop"
    exif: bool = False
    bits: int = Field(default=16, ge=8, le=16)
    wording: Wording = Wording()
    licence: str
    sources: tuple[DataSource, ...] = ()
    get: tuple[str, ...] = ()
    size: str = ""
    redistribution: str
    duplicates: str = ""
    notes: tuple[str, ...] = ()

    @field_validator("classes")
    @classmethod
    def _classes_differ(cls, classes: tuple[str, ...] | int) -> tuple[str, ...] | int:
        if isinstance(classes, tuple) and len(classes) < 2:
            raise ValueError("a dataset has at least two classes")
        return classes if isinstance(classes, int) else differing("classes", classes)

    @field_validator("domains")
    @classmethod
    def _domains_differ(cls, domains: tuple[DomainCard, ...]) -> tuple[DomainCard, ...]:
        differing("domains", tuple(domain.name for domain in domains))
        return domains

    @model_validator(mode="after")
    def _classes_or_value(self) -> DatasetCard:
        if (self.value is None) == (self.class_count == 0):
            raise ValueError("say in 'classes' which classes there are, or in 'value' which number is predicted")
        if self.value is None:
            if self.measure in OF_VALUES:
                raise ValueError(f"official.measure '{self.measure}' is about values, and the card has classes")
            return self
        if self.measure not in OF_VALUES:
            raise ValueError(
                f"official.measure '{self.measure}' is about classes, and the card has a value; take one of "
                f"{', '.join(OF_VALUES)}"
            )
        if self.reader.kind not in ("built-in", "made", "table", "arrow", "hub"):
            raise ValueError(
                f"reader.kind '{self.reader.kind}' finds classes; values stand in a column, which 'table', 'arrow' and "
                "'hub' read, or a builder makes them"
            )
        if lacking := [domain.name for domain in self.domains if domain.without]:
            raise ValueError(f"domain '{lacking[0]}' is 'without' classes, and the card has none")
        return self

    @model_validator(mode="after")
    def _findable(self) -> DatasetCard:
        if isinstance(self.reader, Union) and set(self.reader.members) != {domain.name for domain in self.domains}:
            raise ValueError("'reader.members' must say for each domain of the card, and for no other, what it is")
        for domain in self.domains:
            if isinstance(self.classes, tuple) and (strange := sorted(set(domain.without) - set(self.classes))):
                raise ValueError(f"domain '{domain.name}' is without '{strange[0]}', which is no class of the card")
            if domain.each and self.reader.kind != "wilds":
                raise ValueError(f"domain '{domain.name}': only the reader 'wilds' divides a domain by 'each'")
            if len(set(domain.without)) >= self.outputs:
                raise ValueError(f"domain '{domain.name}' is without any class; take it off the card")
        if self.official.groups and self.reader.kind not in ("table", "wilds"):
            raise ValueError(
                "'official.groups' are told apart by columns; only readers 'table' and 'wilds' look at them"
            )
        if not (self.path or self.roots or self.reader.kind in ("built-in", "hub", "union")):
            raise ValueError("a dataset on disk needs 'roots' (names of its folder) or a 'path'")
        return self

    @property
    def decoding(self) -> Decoding:
        """How the files of its pictures become RGB."""
        return _decoding(self.alpha, self.exif, self.bits)

    @property
    def class_count(self) -> int:
        """How many classes there are; 0 where a value is predicted."""
        return self.classes if isinstance(self.classes, int) else len(self.classes)

    @property
    def outputs(self) -> int:
        """How many numbers a head gives: one for each class, or the value."""
        return self.class_count or 1

    @property
    def measure(self) -> Headline:
        """What ranks, and selects, on boards of this dataset, unless their rules say another."""
        return self.official.measure or ("accuracy" if self.value is None else "rmse")

    @property
    def domain_count(self) -> int:
        """How many domains there are, those that a domain of the card stands for counted each."""
        return sum(domain.many or 1 for domain in self.domains)

    @property
    def images(self) -> str:
        """How many examples there are, for people: ``9,991``; ``~24,330`` where that is rough, ``?`` where unknown."""
        counts = [domain.count or domain.about for domain in self.domains]
        if None in counts:
            return "?"
        rough = any(domain.count is None for domain in self.domains)
        return f"{'~' if rough else ''}{sum(filter(None, counts)):,}"


OWN = Path("datasets")
"""Cards of a user's own data lie here, below the working directory."""


def dataset_names() -> tuple[str, ...]:
    """The datasets that come with dgbench, and those with a card in ``datasets/`` of the working directory."""
    return tuple(sorted({*card_names("datasets"), *_own()}))


@cache
def _decoding(alpha: Alpha, exif: bool, bits: int) -> Decoding:
    """One object for all trainings of a plan."""
    return Decoding(alpha, exif, bits)


def dataset_card(name: str) -> DatasetCard:
    """The card of a dataset: by the path of a ``.toml`` file, from the user's own ``datasets/``, or as shipped.

    Raises:
        UnknownNameError: no such card.
        CardError: the card does not fit.
    """
    if name.endswith(".toml"):
        return _read(Path(name).absolute())
    composed = unicodedata.normalize("NFC", name)
    if (own := _own().get(composed)) is not None:
        return _read(own.absolute())
    if composed in card_names("datasets"):
        return _read(shipped("datasets") / f"{composed}.toml")
    raise UnknownNameError("dataset", name, dataset_names())


def card_at(path: Path) -> AlgorithmCard | DatasetCard:
    """The card in a file: of a dataset where it says how data is read, or which domains there are.

    Raises:
        CardError: the card does not fit.
    """
    content = parsed(path)
    if {"reader", "domains"} & content.keys():
        return _placed(fitted(content, path, DatasetCard), path)
    return fitted(content, path, AlgorithmCard)


def headlines(board: BoardCard) -> dict[str, Headline]:
    """By which measure each dataset of a board ranks and selects: the official one of its card, or what the rules say.

    Raises:
        UnknownNameError: there is no card of a dataset.
        CardError: the rules name a measure of classes where values are predicted, or the other way round; or there are
            values, and further datasets.
    """
    by = board.headline
    cards = {name: dataset_card(name) for name in board.dataset}
    for name, card in cards.items():
        if by != "official" and (by in OF_VALUES) != (card.value is not None):
            of, has = ("values", "classes") if by in OF_VALUES else ("classes", "values")
            raise CardError(f"board '{board.name}': headline '{by}' is about {of}, and '{name}' has {has}")
        if card.value is not None and len(cards) > 1:
            raise CardError(
                f"board '{board.name}': '{name}' has values, so it is the only dataset of its boards: a mean over "
                "datasets of errors in other units, or of errors and shares, means nothing"
            )
    return {name: card.measure if by == "official" else by for name, card in cards.items()}


def refuse_values(names: Iterable[str], what: str) -> None:
    """Refuse datasets of which a value is predicted, for what is about classes.

    Args:
        names: Of datasets.
        what: What it is, as ``an exported model says a class and its probability``.

    Raises:
        CardError: a value is predicted of one.
        UnknownNameError: there is no such dataset.
    """
    for name in names:
        if (value := dataset_card(name).value) is not None:
            raise unsupported(f"the targets of '{name}' are values ({value.what})", what)


def unsupported(said: str, what: str) -> CardError:
    """What is raised where values are predicted, for what is about classes."""
    return CardError(f"{said}, and {what}: this is not supported yet")


def other_headlines(board: BoardCard) -> dict[str, Headline]:
    """Of the datasets of a board that it judges by another measure than what runs note, by which."""
    return {name: measure for name, measure in headlines(board).items() if measure not in ("accuracy", "rmse")}


def _own() -> dict[str, Path]:
    """The cards of a user's own data, by name; disks may take accents apart."""
    return {unicodedata.normalize("NFC", path.stem): path for path in OWN.glob("*.toml")}


@cache
def _read(path: Path) -> DatasetCard:
    return _placed(read_toml(path, DatasetCard), path)


def _placed(card: DatasetCard, path: Path) -> DatasetCard:
    """A card of that file whose data lies where it says, from there."""
    if card.path is None:
        return card
    try:
        return card.model_copy(update={"path": path.resolve().parent / card.path.expanduser()})
    except RuntimeError as error:  # a user whom this machine does not know
        raise CardError(f"{path}: path: there is no home folder as in '{card.path}'") from error
