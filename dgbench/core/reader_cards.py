"""The readers of dataset cards: one for each way in which datasets lie, told apart by ``kind``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from dgbench.core.cards import Card
from dgbench.core.names import Text


def _registered(builder: str) -> str:
    if ":" in builder:
        raise ValueError(
            "a card names a builder that dgbench or an installed package registers, as 'digits', and no function; a "
            "package registers its own in the entry-point group dgbench.builders"
        )
    return builder


Builder = Annotated[str, AfterValidator(_registered)]
"""A function that makes data, by the name that it is registered under (``core.registry``): no file names code."""
Encoding = Literal[
    "utf-8", "utf-16", "utf-32", "cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "latin-1", "koi8-r", "gb18030",
    "big5", "shift_jis", "euc_jp", "euc_kr",
]  # fmt: skip
"""Encodings of text in which tables are found."""


class BuiltIn(Card):
    """Data that ``builder`` makes from installed packages: it takes nothing and returns the dataset.

    Attributes:
        manifest: SHA-256 that ``built_with`` gives.
        built_with: Versions of the packages that decide the bytes.
        fetches: Whether the builder fetches what it needs where that is not on this machine.
    """

    kind: Literal["built-in"]
    builder: Builder
    manifest: str = Field(pattern=r"^[0-9a-f]{64}$")
    built_with: dict[str, str]
    fetches: bool = False


class Made(Card):
    """Data that ``builder`` makes from files that the user has: it takes the folder and returns the dataset.

    Attributes:
        options: Further keyword arguments of the builder, of the types that it declares.
    """

    kind: Literal["made"]
    builder: Builder
    options: dict[str, str | int | float | bool] = Field(default_factory=dict)


class Tree(Card):
    """Images in folders.

    Attributes:
        layouts: Patterns of an image's path below the root, tried in order, as ``{domain}/{class}`` or
            ``{domain}/{split}/{class}`` or ``images/{domain}/{class}``; folders of images come last.
            Other places are ``*`` (any name) and ``{corruption}`` with ``{severity}``, the domain ``fog-3``. They may
            stand amid text, as ``v2-{domain}``. A last level that ends with ``.*`` is the name of the images, as
            ``{domain}/{split}/*_{class}.*``.
        lists: Pattern of files that list images, as ``splits/{domain}_{split}_kfold.txt``: lines of path and label.
            Where they are, they decide which images there are, and their split and label.
        first_label: The number of the first class in those lists.
        ignore: Paths in those lists that are known to be wrong.
        order: Whether class folders sort as text or as numbers.
        names: A list of names that the class folders stand for: ``imagenet`` for the 1,000 WordNet ids.
        splits: Folder names of official splits and what they mean, as ``{crossval = "validation"}``.
    """

    kind: Literal["tree"]
    layouts: tuple[str, ...] = Field(min_length=1)
    lists: str | None = None
    first_label: int = 0
    ignore: tuple[str, ...] = ()
    order: Literal["text", "number"] = "text"
    names: Literal["imagenet"] | None = None
    splits: dict[str, Literal["train", "validation", "test"]] = Field(default_factory=dict)


class Table(Card):
    """Images listed in a table of text, one row each: a CSV file, or (``.jsonl``) lines of JSON objects.

    Attributes:
        file: The table, relative to the root.
        separator: What stands between its cells.
        encoding: Of its text. A byte order mark is read over.
        image, label, domain: Columns; a label is a class name or, where the card names the classes, its number.
        split, group: Columns, where there are such.
        folder: Where relative image paths start, relative to the root.
        splits: Values of the split column and what they mean.
    """

    kind: Literal["table"]
    file: str
    separator: Literal[",", ";", "\t", "|"] = ","
    encoding: Encoding = "utf-8"
    image: str = "image"
    label: str = "label"
    domain: str = "domain"
    split: str | None = None
    group: str | None = None
    folder: str = "."
    splits: dict[str, Literal["train", "validation", "test"]] = Field(default_factory=dict)


class Encoded(Card):
    """Tables that hold their images, as the package ``datasets`` reads them; they come in parts (its splits).

    Attributes:
        image: A column of encoded images, or of paths of image files.
        label, domain: Columns. Without a domain column each part is a domain.
        split, group: Columns, where there are such. Without one of splits, parts of usual names are official.
        splits: Values of the split column, or names of parts, and what they mean.
    """

    image: str = "image"
    label: str = "label"
    domain: str | None = None
    split: str | None = None
    group: str | None = None
    splits: dict[str, Literal["train", "validation", "test"]] = Field(default_factory=dict)


class Hub(Encoded):
    """A dataset of the Hugging Face hub: Parquet or image folders, columns by name.

    Attributes:
        id: As ``owner/name``.
        revision: A commit, so that the data cannot change.
    """

    kind: Literal["hub"]
    id: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    revision: str


class Arrow(Encoded):
    """Parquet files on disk, or a folder that ``save_to_disk`` of the package ``datasets`` wrote.

    Attributes:
        file: A Parquet file below the root; else the root is a folder of them, or what ``save_to_disk`` wrote. Files
            that differ in nothing but the numbers at the end (``train-00000-of-00002.parquet``) are one part.
    """

    kind: Literal["arrow"]
    file: str | None = None


def _of_three_channels(dataset: str) -> str:
    if dataset == "poverty":
        raise ValueError(
            "the images of 'poverty' (PovertyMap) have eight channels, seven bands of Landsat and lights at night, and "
            "dgbench reads pictures of three: red, green, blue. Make arrays of three of them, and a builder of these"
        )
    return dataset


class Wilds(Card):
    """A dataset of the package ``wilds``.

    Attributes:
        dataset: As ``wilds.get_dataset`` calls it.
        version: The version whose folder is expected.
        domain: The metadata field whose values are the domains, or ``split``: each of ``train`` (with the in-domain
            parts), ``val`` and ``test`` is a domain, as in sets with hundreds of small groups.
        group: The metadata field of groups that never part ways in a split.
    """

    kind: Literal["wilds"]
    dataset: Annotated[str, AfterValidator(_of_three_channels)]
    version: str
    domain: str
    group: str | None = None


class Arrays(Card):
    """Corrupted images as arrays, ``<corruption>.npy`` of five severities after each other and ``labels.npy``.

    The domain ``clean`` comes from the uncorrupted dataset in ``clean_roots``; a domain ``fog-3`` is severity 3.
    """

    kind: Literal["arrays"]
    per_severity: int = Field(ge=1)
    clean_roots: tuple[str, ...] = ()


class Union(Card):
    """Domains of other datasets that have the same classes.

    Attributes:
        members: For each domain of this card the one that it is, as ``dataset/domain``.
    """

    kind: Literal["union"]
    members: dict[Text, Annotated[Text, Field(pattern=r"^[^/]+/.+$")]] = Field(min_length=2)


Reader = Annotated[BuiltIn | Made | Tree | Table | Hub | Arrow | Wilds | Arrays | Union, Field(discriminator="kind")]
