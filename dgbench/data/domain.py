"""What a dataset is: domains of (input, label, group)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[Any]
"""What is to be predicted of each example, ``[n]``: class numbers, int64, or values, float64."""


class Images(Protocol):
    """uint8 images ``[n, height, width, 3]`` by row: an array, a memory-mapped one, or files decoded when asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n, height, width, 3)``."""

    def __len__(self) -> int:
        """How many there are."""

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The images of some rows, ``[len(rows), height, width, 3]``."""


@dataclass(frozen=True)
class Domain:
    """The examples of one domain, in a fixed order; an example's row is its index everywhere.

    Attributes:
        name: The domain's name, unique in its dataset.
        inputs: Images as uint8 ``[n, height, width, 3]``.
        labels: Class numbers, int64 ``[n]``, or values, float64 ``[n]``.
        groups: Examples with one group number (one font family, one display) never part ways in a split, int64 ``[n]``.
        official: ``train``, ``validation`` or ``test`` for each example, where the dataset comes with splits.
        judged: The official group of each example, by its place on the card, int64 ``[n]``; None where there is none.
            Models are judged by it; splits do not look at it.
        contents: What examples are named by (:mod:`dgbench.data.samples`), uint64 ``[n]``; by the pixels of ``inputs``
            where it is not given.
        part_of: The domain of the card that this is one of, where the card's is many.
    """

    name: str
    inputs: Images
    labels: Labels
    groups: NDArray[np.int64]
    official: NDArray[np.str_] | None = None
    contents: NDArray[np.uint64] | None = None
    judged: NDArray[np.int64] | None = None
    part_of: str | None = None

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Dataset:
    """Domains that share their classes, or the value that is predicted.

    Attributes:
        name: The card's name.
        classes: Class names; a label is a position in this tuple. None where labels are values.
        domains: In the card's order.
        manifest: SHA-256 over every domain's name and content; two datasets with one manifest are the same data. What
            was done to the images on the way (resizing) is no part of it.
        shared_groups: Whether a group's number means the same in all domains.
        form: What was done to the images on the way, as ``224-stretch``; empty where nothing was. With the manifest it
            says what the images are.
    """

    name: str
    classes: tuple[str, ...]
    domains: tuple[Domain, ...]
    manifest: str
    shared_groups: bool = False
    form: str = ""

    def domain(self, name: str) -> Domain:
        """The domain of that name; raises KeyError when there is none."""
        return self._by_name[name]

    @property
    def outputs(self) -> int:
        """How many numbers a head gives: one for each class, or the value."""
        return len(self.classes) or 1

    @cached_property
    def validated(self) -> frozenset[str]:
        """Those of the card's domains that are many, of which some have an official part to validate on."""
        return frozenset(
            domain.part_of
            for domain in self.domains
            if domain.part_of and domain.official is not None and (domain.official == "validation").any()
        )

    @cached_property
    def _by_name(self) -> dict[str, Domain]:
        return {domain.name: domain for domain in self.domains}
