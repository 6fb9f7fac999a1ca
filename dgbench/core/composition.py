"""Whether the parts of a recipe go together, on which track it is ranked, and what a step costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dgbench.core.errors import RecipeError, did_you_mean
from dgbench.core.registry import Slot, Track
from dgbench.core.shift_families import FAMILIES

UNLABELLED = "unlabelled_target"
"""What an objective needs that learns from images of the target, without their labels."""


def track_of(parts: Mapping[Slot, Any]) -> Track:
    """The track of some parts of a recipe; without a predictor, that of the plain one."""
    if any(UNLABELLED in part.needs() for part in parts.values()):
        return "unlabelled"
    return parts["predictor"].track if "predictor" in parts else "inductive"


def passes_of(parts: Mapping[Slot, Any]) -> float:
    """Forward-and-backward passes of the network that a step costs, in all views of its images; 0 without steps.

    Args:
        parts: Those that shape a training.
    """
    if not parts["adapter"].takes_steps:
        return 0.0
    objective = parts["objective"]
    return float(parts["sampler"].views * (parts["optimizer"].passes * objective.passes + objective.further_passes))


def check(recipe: str, parts: Mapping[Slot, Any]) -> None:
    """Refuse parts that do not go together.

    Args:
        recipe: Its name.
        parts: One for each slot.

    Raises:
        RecipeError: they do not.
    """
    _check_needs(recipe, parts)
    check_passes(recipe, parts)
    _check_families(recipe, parts["sampler"].families())


def _check_needs(recipe: str, parts: Mapping[Slot, Any]) -> None:
    """Every part's needs that other parts must meet; what the backbone provides is checked where it is known."""
    provided = frozenset().union(*(part.provides() for part in parts.values())) | {
        "low_rank",
        "levels",
        "text",
        "head",
        UNLABELLED,
    }
    remedies = {
        "domain_heads": "take the adapter 'domain_heads'",
        "mean_head": "take the adapter 'mtl'",
        "rfc_heads": "take the adapter 'rfc', which trains it first",
        "divdis_heads": "take the adapter 'divdis'",
        "reference_head": "take an adapter that starts from a head that works, as full(head='linear_probe')",
        "zero_shot_head": "take an adapter that starts from class names, as full(head='zero_shot')",
        "bounded_features": "take the adapter 'bounded'",
        "consistency": "take the objective 'itta', which learns it",
        "edge_views": "take the sampler 'edge_views'",
        "text_head": "take an adapter whose head stays made of texts, as 'both_towers' or 'clip_lora'",
    }
    for slot, part in parts.items():
        for need in sorted(part.needs() - provided):
            raise RecipeError(
                f"recipe '{recipe}': the {slot} {type(part).__name__} needs {need.replace('_', ' ')}, which no "
                f"part provides; {remedies.get(need, 'choose another part')}"
            )


def check_passes(recipe: str, parts: Mapping[Slot, Any]) -> None:
    """Where an optimizer shows an objective some domains at a time, one that compares them all would do nothing."""
    optimizer, objective = parts["optimizer"], parts["objective"]
    if optimizer.takes_apart and UNLABELLED in objective.needs():
        raise RecipeError(
            f"recipe '{recipe}': the optimizer {type(optimizer).__name__} takes each batch apart by domain, and "
            f"the objective {type(objective).__name__} also learns from unlabelled images, which are of none of them; "
            "take one of the two"
        )
    if optimizer.takes_apart and objective.compares_domains():
        raise RecipeError(
            f"recipe '{recipe}': the optimizer {type(optimizer).__name__} takes each batch apart by domain, and "
            f"the objective {type(objective).__name__} compares the domains of a batch; take one of the two"
        )


def _check_families(recipe: str, families: frozenset[str]) -> None:
    """A sampler that misspells a family would have strict validation hold out nothing."""
    for family in sorted(families - set(FAMILIES)):
        raise RecipeError(
            f"recipe '{recipe}': its sampler declares the shift family '{family}', which there is not."
            f"{did_you_mean(family, FAMILIES)}"
        )
