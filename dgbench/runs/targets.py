"""Recipes and rules against what is predicted: classes, or values."""

from __future__ import annotations

from dataclasses import replace

from dgbench.algorithms.serving import Targets
from dgbench.core.cards import BoardCard
from dgbench.core.dataset_card import DatasetCard, headlines
from dgbench.core.errors import CardError, RecipeError
from dgbench.core.recipe import Resolved, describe
from dgbench.core.registry import Slot, name_of
from dgbench.selection import criteria
from dgbench.selection.measures import headline

WITH_CLASSES: dict[Slot, str] = {
    "sampler": "it draws images by them",
    "adapter": "its heads are made of them",
    "objective": "its loss is one of their probabilities",
    "optimizer": "it looks at the gradients of a cross-entropy",
    "averaging": "it tells weights apart by them",
    "predictor": "it gives each a score",
}
"""What parts of a slot need classes for."""


def fitted(resolved: Resolved, card: DatasetCard) -> Resolved:
    """A recipe on a dataset: where a value is predicted, plain parts give way to those that do the same there.

    Raises:
        RecipeError: a part needs classes where there is a value, or the other way round.
    """
    if card.value is None:
        _refuse(resolved, "classes", f"the targets of '{card.name}' are classes")
        return resolved
    _refuse(resolved, "values", f"the targets of '{card.name}' are values ({card.value.what})")
    parts = {slot: part.on_values() for slot, part in resolved.parts.items()}
    others = {slot: describe(slot, name_of(part), part) for slot, part in parts.items() if part != resolved.parts[slot]}
    return replace(resolved, parts=parts, specs=resolved.specs | others)


def _refuse(resolved: Resolved, targets: Targets, said: str) -> None:
    for slot, part in resolved.parts.items():
        if targets not in part.serves():
            needed = "values" if targets == "classes" else f"classes: {WITH_CLASSES[slot]}"
            raise RecipeError(f"'{resolved.recipe.name}': {said}, and the {slot} {type(part).__name__} needs {needed}")


def refuse_misfits(board: BoardCard) -> None:
    """Refuse rules that judge values as classes are judged, or the other way round.

    Raises:
        CardError: the headline is about the others, a dataset of values is one of several, validation on values is
            averaged over examples, or values are to be among, or shown by, classes.
        RecipeError: the criterion needs classes, and there are values.
    """
    by = headline(headlines(board))
    if by.of == "values" and board.selection.average == "examples":
        raise CardError(
            f"board '{board.name}': selection: average: '{by.name}' of all images is no mean of those of domains; "
            'write average = "domains", or leave it out'
        )
    if by.of == "values" and board.among != "all":
        raise CardError(f"board '{board.name}': among: values have no classes that are present; leave it out")
    if by.of == "values" and board.stream_mode == "by_class":
        raise CardError(f"board '{board.name}': stream_mode: values have no classes to be shown one after the other")
    criteria.refuse_misfit(criteria.get(board.criterion), by, board.name)
