"""Recipes: algorithms composed from cards, and their hyperparameters resolved to exact values.

``compose("sam + adanpc")`` puts the parts of two cards together; ``resolve`` fills the open slots with the board's
defaults and checks every hyperparameter against the part's own declaration.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from dgbench.core import elsewhere, registry
from dgbench.core.cards import AlgorithmCard, BoardCard, PartChoice, algorithm_card
from dgbench.core.composition import check, track_of
from dgbench.core.errors import RecipeError, did_you_mean, shown
from dgbench.core.registry import SLOTS, Slot, Track
from dgbench.core.seeds import generator
from dgbench.core.space import Space
from dgbench.core.spec import Spec

STANDARD: dict[Slot, str] = {
    "sampler": "balanced",
    "adapter": "full",
    "objective": "cross_entropy",
    "optimizer": "adamw",
    "averaging": "last",
    "predictor": "argmax",
}
"""The part of a slot that neither a card nor the board fills."""


@dataclass(frozen=True)
class Recipe:
    """An algorithm before its hyperparameters are fixed.

    Attributes:
        name: As written, normalised: ``sam + adanpc``, ``wise_ft(alpha=0.3)``.
        title: For people.
        cards: Names of the cards it was composed from.
        slots: The parts that the cards name.
        search: Search space by ``slot.hyperparameter``.
        settings: Values that the expression sets, by ``slot.hyperparameter`` or by the bare name.
        whole: The class that it names, where it is a whole algorithm from elsewhere.
    """

    name: str
    title: str
    cards: tuple[str, ...]
    slots: dict[Slot, PartChoice]
    search: dict[str, Space] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    whole: elsewhere.Named | None = None

    def described(self) -> Spec:
        """What the recipe asks for, as plain JSON."""
        return {
            "slots": {slot: choice.model_dump(mode="json") for slot, choice in self.slots.items()},
            "search": {key: space.model_dump(mode="json") for key, space in self.search.items()},
            "settings": self.settings,
        }


@dataclass(frozen=True)
class Resolved:
    """A recipe with every hyperparameter fixed.

    Attributes:
        recipe: Where it comes from.
        parts: One instance a slot.
        specs: For each slot the part's name, version and all its hyperparameters: what identities are made of.
    """

    recipe: Recipe
    parts: dict[Slot, Any]
    specs: dict[Slot, Spec]

    @property
    def track(self) -> Track:
        """Where it is ranked: by what it is told of the target, the most that any of its parts is told."""
        return track_of(self.parts)


_LONGEST = 1000
"""Characters of an expression. Boards hold them, and boards come from others."""
_TERM = re.compile(r"^\s*(?P<card>[\w./:-]+)\s*(?:\((?P<settings>.*)\))?\s*$")


def compose(expression: str) -> Recipe:
    """Read a recipe such as ``pego + sam + adanpc``, ``wise_ft(alpha=0.3)`` or ``domainbed:my_module:MyAlgorithm``.

    Raises:
        RecipeError: two cards fill one slot differently, or the expression cannot be read.
        UnknownNameError: there is no such card.
    """
    if len(expression) > _LONGEST or not expression.isprintable():
        raise RecipeError(f"cannot read {shown(expression)}: expected card names joined by '+'")
    names, titles, cards = [], [], []
    slots: dict[Slot, PartChoice] = {}
    owner: dict[Slot, str] = {}
    search: dict[str, Space] = {}
    settings: dict[str, Any] = {}
    whole: elsewhere.Named | None = None
    for term in expression.split("+"):
        match = _TERM.match(term)
        if match is None:
            raise RecipeError(f"cannot read '{term.strip()}' in '{expression}': expected card names joined by '+'")
        given = _read_settings(match["settings"], term)
        card: AlgorithmCard | elsewhere.Named
        if match["card"].startswith(elsewhere.PREFIX):
            card = whole = elsewhere.named(match["card"], given)
            filled, set_here = card.slots, card.settings
            given.pop("card", None)
        else:
            card = algorithm_card(match["card"])
            filled, set_here = card.recipe.filled(), given
            cards.append(card.name)
        for slot, choice in filled.items():
            if slot in slots and slots[slot] != choice:
                raise RecipeError(
                    f"'{expression}' has two parts for the slot '{slot}': {slots[slot].part} (from {owner[slot]}) and "
                    f"{choice.part} (from {card.name}); a recipe takes one part for each slot"
                )
            slots[slot], owner[slot] = choice, card.name
        search |= card.search
        settings |= set_here
        inside = ", ".join(f"{key}={value}" for key, value in given.items())
        names.append(card.name + (f"({inside})" if inside else ""))
        titles.append(card.title + (f" ({inside})" if inside else ""))
    return Recipe(" + ".join(names), " + ".join(titles), tuple(cards), slots, search, settings, whole)


def _read_settings(text: str | None, term: str) -> dict[str, Any]:
    if not text or not text.strip():
        return {}
    settings: dict[str, Any] = {}
    for pair in text.split(","):
        key, equals, value = (piece.strip() for piece in pair.partition("="))
        if not (key and equals and value):
            raise RecipeError(f"cannot read '{pair.strip()}' in '{term.strip()}': expected hyperparameter=value")
        try:
            settings[key] = tomllib.loads(f"value = {value}")["value"]
        except (tomllib.TOMLDecodeError, RecursionError):
            settings[key] = value
    return settings


_CHECKED: dict[type[Any], TypeAdapter[Any]] = {}


def build_part(slot: Slot, name: str, hyperparameters: dict[str, Any], where: str) -> Any:
    """One part with checked hyperparameters.

    Raises:
        RecipeError: an unknown hyperparameter, or a value outside its range; ``where`` opens the message.
    """
    part = registry.load(slot, name)
    if part not in _CHECKED:
        _CHECKED[part] = TypeAdapter(part)
    try:
        return _CHECKED[part].validate_python(hyperparameters)
    except ValidationError as error:
        known = [f.name for f in dataclasses.fields(part)]
        problems = []
        for problem in error.errors():
            key = str(problem["loc"][0]) if problem["loc"] else name
            if problem["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
                problems.append(f"{slot} '{name}' has no hyperparameter {shown(key)}.{did_you_mean(key, known)}")
            else:
                problems.append(f"{slot}.{key}: {problem['msg']}, got {shown(problem['input'])}")
        raise RecipeError(f"{where}: " + "; ".join(problems)) from error


def describe(slot: Slot, name: str, part: Any) -> Spec:
    """What identifies a part: its name, its version and every hyperparameter."""
    return {"part": name, "version": part.version, **dataclasses.asdict(part)}


def space_of(recipe: Recipe, board: BoardCard) -> dict[str, Space]:
    """The search spaces of a recipe on a board; the card's own space wins over the board's."""
    return board.search | recipe.search


def drawn(space: Space, key: str, draw: int, sources: tuple[str, ...], trial: int) -> Any:
    """The value of a hyperparameter in a draw; the arguments are those of :func:`resolve`, and ``key`` is its name."""
    return space.at(generator("draw", draw, *sources, trial, key).random())


def resolve(
    recipe: Recipe, board: BoardCard, *, trial: int = 0, draw: int = 0, sources: tuple[str, ...] = ()
) -> Resolved:
    """Fix every hyperparameter of a recipe.

    A value comes from the first of these that sets it: the expression, the draw (from draw 1 on; draw 0 is the
    recipe's own values), the board's overrides for a card, the card, the board's values for all, the part itself.

    A draw depends on (draw, sources, trial, name of the hyperparameter) alone: two algorithms that share a
    hyperparameter try the same values, a new hyperparameter never shifts the draws of another, and a lucky draw helps
    no other target than those that its training serves.

    Args:
        recipe: What to resolve.
        board: Its rules.
        trial: Number of the repetition.
        draw: Number of the set of hyperparameters.
        sources: What is learned from: a dataset, and domains of it.

    Raises:
        RecipeError: a hyperparameter that no part has, or a value out of range.
    """
    where = f"recipe '{recipe.name}'"
    defaults = board.defaults.filled()
    choices = {slot: recipe.slots.get(slot) or defaults.get(slot) or PartChoice(part=STANDARD[slot]) for slot in SLOTS}
    fields = {slot: [f.name for f in dataclasses.fields(registry.load(slot, c.part))] for slot, c in choices.items()}
    if recipe.whole:
        fields["objective"] = []  # what the class is, nobody sets; its own hyperparameters are apart
    values: dict[Slot, dict[str, Any]] = {slot: {} for slot in SLOTS}
    _refuse_unknown([*board.hyperparameters, *board.search], where=f"board '{board.name}'")
    hparams: dict[str, Any] = {}
    searched = [f"{slot}.{name}" for slot in recipe.slots for name in fields[slot]]
    for key in recipe.search:
        if key not in searched and not (recipe.whole and key.startswith(elsewhere.HPARAMS)):
            raise RecipeError(f"{where}: its card searches '{key}', which it has not.{did_you_mean(key, searched)}")

    def put(source: dict[str, Any], *, strict: bool, origin: str) -> None:
        for key, value in source.items():
            if recipe.whole and key.startswith(elsewhere.HPARAMS):
                hparams[key.removeprefix(elsewhere.HPARAMS)] = value
                continue
            slots = [s for s in SLOTS if key == f"{s}.{key.rpartition('.')[2]}" or "." not in key]
            owners = [s for s in slots if key.rpartition(".")[2] in fields[s]]
            if strict and len(owners) != 1:
                if owners:
                    written = " or ".join(f"'{owner}.{key}'" for owner in owners)
                    problem = f"belongs to the {' and the '.join(owners)}; write {written}"
                else:
                    everything = [f"{s}.{name}" if "." in key else name for s in SLOTS for name in fields[s]]
                    problem = f"is no hyperparameter of this recipe.{did_you_mean(key, everything)}"
                raise RecipeError(f"{where}: '{key}' ({origin}) {problem}")
            for owner in owners:
                values[owner][key.rpartition(".")[2]] = value

    put(board.hyperparameters, strict=False, origin="board")
    for slot, choice in choices.items():
        values[slot] |= choice.hyperparameters
    for card in recipe.cards:
        put(board.overrides.get(card, {}), strict=True, origin="the board's overrides")
    if draw > 0:
        for key, space in space_of(recipe, board).items():
            put({key: drawn(space, key, draw, sources, trial)}, strict=False, origin="search")
    put(recipe.settings, strict=True, origin="the expression")
    if recipe.whole:
        values["objective"]["hparams"] = {**values["objective"]["hparams"], **hparams}

    parts = {slot: build_part(slot, choice.part, values[slot], where) for slot, choice in choices.items()}
    specs = {slot: describe(slot, choices[slot].part, parts[slot]) for slot in SLOTS}
    check(recipe.name, parts)
    return Resolved(recipe, parts, specs)


def reduce(
    resolved: Resolved,
    board: BoardCard,
    there: frozenset[str],
    *,
    trial: int = 0,
    draw: int = 0,
    sources: tuple[str, ...] = (),
) -> tuple[Resolved, str]:
    """A recipe without the parts that have no effect, and a sentence about those that go.

    Such a part gives way to what is left of it, mostly the plain part of its slot. So the recipe has the identity of
    the one that it equals, its work is done once, and nobody reads two results where there is one.

    Args:
        resolved: The recipe.
        board: Sets the plain part's hyperparameters.
        there: Which of the grounds that parts act on are there.
        trial, draw, sources: Which the recipe was resolved for.
    """
    parts, specs, said = dict(resolved.parts), dict(resolved.specs), []
    for slot, part in resolved.parts.items():
        lacking = sorted(part.acts_on() - there)
        if not lacking:
            continue
        name, left = specs[slot]["part"], part.reduced()
        while type(left) is type(part) and left.acts_on() - there:
            left = left.reduced()
        if type(left) is type(part):
            parts[slot], specs[slot] = left, describe(slot, name, left)
            continue
        said.append(f"the {slot} '{name}' acts on {' and '.join(lacking)}, which this training has not")
        if left is not None:
            parts[slot], specs[slot] = left, describe(slot, registry.name_of(left), left)
        else:
            bare = Recipe("plain", "plain", (), {slot: PartChoice(part=STANDARD[slot])})
            plain = resolve(bare, board, trial=trial, draw=draw, sources=sources)
            parts[slot], specs[slot] = plain.parts[slot], plain.specs[slot]
    return Resolved(resolved.recipe, parts, specs), "; ".join(said)


def _refuse_unknown(keys: Iterable[str], where: str) -> None:
    """A board speaks of all parts at once, so its keys need not fit this recipe; but some part must have them."""
    for key in keys:
        slot, _, name = key.partition(".")
        if slot not in SLOTS:
            raise RecipeError(
                f"{where}: {shown(key)} names no slot; write slot.hyperparameter.{did_you_mean(slot, SLOTS)}"
            )
        known = _fields_of_slot(slot)
        if name not in known:
            raise RecipeError(f"{where}: no {slot} part has a hyperparameter {shown(name)}.{did_you_mean(name, known)}")


@functools.cache
def _fields_of_slot(slot: Slot) -> frozenset[str]:
    parts = (registry.load(slot, name) for name in registry.targets(slot))
    return frozenset(field.name for part in parts for field in dataclasses.fields(part))
