"""What a recipe asks of trainings that none can be, and why."""

from __future__ import annotations

from collections.abc import Iterable

from dgbench.algorithms.averaging.merging import Merging
from dgbench.core.cases import Case
from dgbench.core.errors import RecipeError
from dgbench.core.recipe import Recipe, Resolved
from dgbench.train.spec import TrainingSpec


def refuse_many_domains(resolved: Resolved, case: Case) -> None:
    """A part keeps weights of its own for each of more source domains than it serves."""
    for slot, part in resolved.parts.items():
        if part.most_domains is not None and len(case.sources) > part.most_domains:
            raise RecipeError(
                f"'{resolved.recipe.name}': the {slot} {type(part).__name__} keeps weights of its own for each source "
                f"domain, at most {part.most_domains}, and '{case.name}' has {len(case.sources):,}: each would learn "
                "from next to nothing. Leave it out, or let fewer domains train (in [cases] of the board)"
            )


def refuse_mute_head(resolved: Resolved) -> None:
    """A sampler hears of its own recipe's earlier training, whose shared head must have learnt something."""
    if "rfc_heads" in resolved.parts["adapter"].provides():
        raise RecipeError(
            f"recipe '{resolved.recipe.name}': the sampler {type(resolved.parts['sampler']).__name__} goes by what the "
            "head of an earlier network says, and the synthesis of RFC trains heads of its own in place of that one; "
            "take one of the two"
        )


def refuse_other_starts(recipe: Recipe, averaging: Merging, members: Iterable[TrainingSpec]) -> None:
    """What no member trains is kept once for all, and means of networks with other starts are of no use."""
    if len({(one.weights, one.reference) for one in members}) > 1:
        raise RecipeError(
            f"recipe '{recipe.name}': the averaging {type(averaging).__name__} takes the mean of trainings that start "
            "from the same weights, and its draws start from several, as each trains its own start first; take an "
            "adapter that starts all of them alike"
        )


def refuse_several(recipe: Recipe, averaging: Merging, weighs: bool) -> None:
    """What is measured of weights is measured of one network's."""
    if weighs and averaging.several:
        raise RecipeError(
            f"recipe '{recipe.name}': the averaging {type(averaging).__name__} keeps several networks, and the board's "
            "criterion looks at the weights of one; take another criterion, or a soup, which is one network"
        )
