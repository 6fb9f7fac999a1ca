"""Which further trainings and runs judge a candidate, where the board's criterion has such: of what, by which parts.

A judge is planned, done, stored and shared as any training with its run; it is only never ranked. Where it would come
to what a candidate is itself, it is that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from dgbench.core import registry
from dgbench.core.cases import Case, Place, kin
from dgbench.core.errors import CardError, RecipeError
from dgbench.core.judges import Judges
from dgbench.core.recipe import Resolved, describe
from dgbench.core.registry import Slot
from dgbench.core.shift_families import FOLDS
from dgbench.core.spec import Spec


@dataclass(frozen=True)
class Question:
    """What is asked of one judge.

    Attributes:
        case: What it learns from, and what it is tested on; no target where validation images are enough.
        resolved: Its recipe.
        probe: That of the head that it may start from.
        domains, views: What counts of what it predicts of these domains: images under these views.
        weighs: Whether it looks at weights.
        alike: Changes the recipe in other draws as it was changed in this one, where several draws are merged.
    """

    case: Case
    resolved: Resolved
    probe: Resolved
    domains: tuple[str, ...]
    views: tuple[str, ...]
    weighs: bool = False
    alike: Callable[[Resolved], Resolved] = lambda resolved: resolved


class OfCandidate:
    """What is about one candidate in one cell of a board."""

    algorithm: str
    target: str
    trial: int
    draw: int

    @property
    def candidate(self) -> tuple[str, str, int, int]:
        """Algorithm, target, trial and draw."""
        return self.algorithm, self.target, self.trial, self.draw


@dataclass(frozen=True)
class Judge(OfCandidate):
    """A training and a run that judge a candidate in its place.

    Attributes:
        algorithm, target, trial, draw: The candidate.
        dataset: Of which both learn.
        split: What the records call its judgement: the kind of such trainings.
        domains, views: As for :class:`Question`.
        training, run: Their ids.
        averaging: The run's averaging part, as it is described.
        passes: Forward-and-backward passes of a step of its training.
    """

    algorithm: str
    target: str
    trial: int
    draw: int
    dataset: str
    split: Judges
    domains: tuple[str, ...]
    views: tuple[str, ...]
    training: str
    run: str
    averaging: Spec
    passes: float

    def row(self) -> dict[str, Any]:
        """As plain JSON."""
        return {**self.__dict__, "domains": list(self.domains), "views": list(self.views)}


def folds(case: Case, resolved: Resolved, probe: Resolved, places: Sequence[Place]) -> Iterator[Question]:
    """For each fold of the shift families: the recipe without these, on validation images under these.

    Raises:
        RecipeError: training images go through families that cannot be left out.
    """
    for fold in FOLDS:
        left, head = _without(resolved, fold), probe
        if resolved.parts["adapter"].initial_head() == "linear_probe":
            head = _without(probe, fold)
        alone = left is not resolved or head is not probe
        asked = replace(case, target="") if alone else case
        yield Question(asked, left, head, case.sources, fold, alike=partial(_without, fold=fold))


def domains(case: Case, resolved: Resolved, probe: Resolved, places: Sequence[Place]) -> Iterator[Question]:
    """For each source domain: the recipe on the others, tested on it. Domains of one family are left out together.

    Raises:
        CardError: nothing is left to learn from.
    """
    of = {place.name: place for place in places}
    for held in case.sources:
        rest = tuple(name for name in case.sources if not kin(of[name], of[held]))
        if not rest:
            raise CardError(
                f"leave-one-domain-out validation leaves nothing to learn from for target '{case.name}': without "
                f"'{held}' none of its source domains is left ({', '.join(case.sources)}). Select by another criterion"
            )
        yield Question(replace(case, sources=rest, target=held), resolved, probe, (held,), ("clean",))


def weights(case: Case, resolved: Resolved, probe: Resolved, places: Sequence[Place]) -> Iterator[Question]:
    """The candidate's own training, whatever predicts, looked at on clean validation images."""
    yield Question(replace(case, target=""), resolved, probe, case.sources, ("clean",), weighs=True)


def _without(resolved: Resolved, fold: tuple[str, ...]) -> Resolved:
    """A recipe whose training images go through none of some families; itself where they do not anyway."""
    sampler = resolved.parts["sampler"]
    trained = sampler.families()
    if not trained & set(fold):
        return resolved
    left = sampler.without(frozenset(fold))
    if left is None:
        name = resolved.specs["sampler"]["part"]
        raise RecipeError(
            f"'kfold' has no judge for '{resolved.recipe.name}' under {', '.join(sorted(trained & set(fold)))}: its "
            f"sampler '{name}' trains with {', '.join(sorted(trained))}, and cannot leave these out alone. Take the "
            "sampler 'crafted', or select by 'augmented', which holds them out"
        )
    slot: Slot = "sampler"
    described = describe(slot, registry.name_of(left), left)
    return Resolved(resolved.recipe, resolved.parts | {slot: left}, resolved.specs | {slot: described})


Ask = Callable[[Case, Resolved, Resolved, Sequence[Place]], Iterator[Question]]
QUESTIONS: Mapping[Judges, Ask] = {"folds": folds, "domains": domains, "weights": weights}
"""By the kind of judges, what is asked of those of a candidate: by its case, its recipe, that of the head which
it may start from, and the domains of the dataset."""
