"""The cases of a board: which domains train, and which one is tested.

An algorithm has one cell in every case and trial. A case is named after what is tested; where that does not say what
trained, the name says it too: ``photo > sketch``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dgbench.core.cards import BoardCard
from dgbench.core.errors import CardError, did_you_mean


@dataclass(frozen=True)
class Place:
    """A domain as far as cases go: its name, its family, and the domain of the card that it is part of."""

    name: str
    family: str | None = None
    part_of: str | None = None

    def among(self, names: Sequence[str]) -> bool:
        """Whether rules that give these names mean it."""
        return self.name in names or (self.part_of is not None and self.part_of in names)


@dataclass(frozen=True)
class Case:
    """One question: trained on ``sources``, how good is a model on ``target``?"""

    name: str
    dataset: str
    sources: tuple[str, ...]
    target: str


def cases(board: BoardCard, domains: Mapping[str, Sequence[Place]]) -> list[Case]:
    """The cases of a board, in its order.

    Args:
        board: The rules.
        domains: The domains of each dataset, in its order.

    Raises:
        CardError: the board names a domain that the dataset has not, or a case has nothing to train on.
    """
    found = [case for dataset in board.dataset for case in _cases(board, dataset, domains[dataset])]
    if not found:
        raise CardError(f"board '{board.name}': there is no case; its datasets have too few domains")
    names = [case.name for case in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise CardError(f"board '{board.name}': two cases are called '{twice[0]}'; give a domain another name")
    return found


def _cases(board: BoardCard, dataset: str, places: Sequence[Place]) -> Iterator[Case]:
    names = list(dict.fromkeys(name for place in places for name in (place.name, place.part_of) if name))
    rules = board.cases.get(dataset)
    for given in (rules.sources, rules.targets) if rules else ():
        for name in given:
            if name not in names:
                raise CardError(
                    f"board '{board.name}': cases.{dataset}: there is no domain '{name}'.{did_you_mean(name, names)}"
                )
    pool = [place for place in places if not (rules and rules.sources) or place.among(rules.sources)]
    tested = [place for place in places if not (rules and rules.targets) or place.among(rules.targets)]
    prefix = f"{dataset}/" if len(board.dataset) > 1 else ""
    if board.protocol == "fixed":
        sources = tuple(place.name for place in pool)
        for target in tested:
            if target.name in sources:
                raise CardError(f"board '{board.name}': cases.{dataset}: '{target.name}' is both source and target")
            yield Case(f"{prefix}{target.name}", dataset, sources, target.name)
    elif board.protocol == "single-source":
        for source in pool:
            for target in tested:
                if not kin(source, target):
                    name = f"{prefix}{source.name} > {target.name}"
                    yield Case(name, dataset, (source.name,), target.name)
    else:
        for target in tested:
            sources = tuple(place.name for place in pool if not kin(place, target))
            if not sources:
                raise CardError(f"board '{board.name}': nothing is left to train on when '{target.name}' is left out")
            yield Case(f"{prefix}{target.name}", dataset, sources, target.name)


def kin(one: Place, other: Place) -> bool:
    """The same domain, or two of one family: never on both sides."""
    return one.name == other.name or (one.family is not None and one.family == other.family)
