"""The plan of a board: which runs it consists of, and the fewest trainings that serve them.

A training is identified by the slots that shape it. ERM, EMA, SWAD, T3A and AdaNPC on one cell differ only in what
comes after training, so their runs name the same training, and it is done once.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from dgbench.core.cards import BoardCard
from dgbench.core.errors import RecipeError
from dgbench.core.recipe import Recipe, Resolved, compose, resolve
from dgbench.core.registry import Slot
from dgbench.core.shift_families import VIEWS_VERSION
from dgbench.core.spec import Spec, identity
from dgbench.data.catalogue import load
from dgbench.data.domain import Dataset
from dgbench.models.zoo import provides
from dgbench.runs.pretraining import pretraining
from dgbench.train.spec import SHAPING, TrainingSpec

STREAM_BATCH = 32
"""Images that a predictor is shown at once."""


@dataclass(frozen=True)
class RunSpec:
    """What identifies a run: a training, which of its weights, how predictions are made, and on which target.

    Attributes:
        training: The training's id.
        averaging, predictor: Name, version and all hyperparameters of the parts.
        target: The target domain.
    """

    training: str
    averaging: Spec
    predictor: Spec
    target: str

    def spec(self) -> Spec:
        """As plain JSON."""
        return {
            "schema": "dgbench.run/1",
            **self.__dict__,
            "stream": {"batch": STREAM_BATCH, "order": "permuted by trial"},
            "views": VIEWS_VERSION,
        }

    @property
    def id(self) -> str:
        """The run's name in the store."""
        return identity(self.spec())


@dataclass(frozen=True)
class Entry:
    """One candidate in one cell of the board: an algorithm with one draw, on one target, in one trial."""

    algorithm: str
    title: str
    track: str
    backbone: str
    target: str
    trial: int
    draw: int
    training: str
    run: str
    families: tuple[str, ...]
    passes: float
    hyperparameters: dict[Slot, Spec]

    def row(self) -> dict[str, Any]:
        """As plain JSON."""
        return {**self.__dict__, "families": list(self.families)}


@dataclass(frozen=True)
class Sharing:
    """Algorithms that live on the same trainings, and how many trainings and runs those are."""

    algorithms: tuple[str, ...]
    trainings: int
    runs: int


@dataclass
class Plan:
    """Everything a board needs, each piece of work once.

    Attributes:
        board: The rules.
        manifest: SHA-256 of the board's dataset.
        entries: Every candidate in every cell.
        trainings: By id, each after those it starts from.
        runs: By id.
    """

    board: BoardCard
    manifest: str
    entries: list[Entry] = field(default_factory=list)
    trainings: dict[str, TrainingSpec] = field(default_factory=dict)
    runs: dict[str, RunSpec] = field(default_factory=dict)

    def passes(self) -> dict[str, float]:
        """Forward-and-backward passes that a step of each training costs."""
        return {entry.training: entry.passes for entry in self.entries}

    def sharing(self) -> list[Sharing]:
        """Which algorithms live on the same trainings; the largest groups first."""
        users: dict[str, tuple[str, ...]] = {}
        for entry in self.entries:
            others = users.get(entry.training, ())
            users[entry.training] = others if entry.algorithm in others else (*others, entry.algorithm)
        groups: dict[tuple[str, ...], list[str]] = {}
        for training in self.trainings:
            groups.setdefault(users.get(training, ("(pretraining)",)), []).append(training)
        rows = [
            Sharing(algorithms, len(ids), len({entry.run for entry in self.entries if entry.training in set(ids)}))
            for algorithms, ids in groups.items()
        ]
        return sorted(rows, key=lambda row: -len(row.algorithms))

    def _add(self, training: TrainingSpec) -> str:
        self.trainings.setdefault(training.id, training)
        return training.id


def make_plan(board: BoardCard) -> Plan:
    """The plan of a board.

    Raises:
        RecipeError, UnknownNameError: a recipe of the board cannot be composed or does not fit the backbone.
        DataError: the board's dataset is not there.
    """
    dataset = load(board.dataset)
    plan = Plan(board, dataset.manifest)
    recipes = [compose(expression) for expression in board.algorithms]
    _refuse_twins(recipes)
    _refuse_strangers(board, recipes)
    for recipe in recipes:
        for target in (domain.name for domain in dataset.domains):
            for trial in range(board.trials):
                for draw in range(board.draws):
                    _add_cell(plan, dataset, recipe, target, trial, draw)
    return plan


def _refuse_twins(recipes: list[Recipe]) -> None:
    names = [recipe.name for recipe in recipes]
    for name in names:
        if names.count(name) > 1:
            raise RecipeError(f"the board lists '{name}' {names.count(name)} times")


def _refuse_strangers(board: BoardCard, recipes: list[Recipe]) -> None:
    """An override for a card that no recipe uses is a slip of the pen."""
    used = {card for recipe in recipes for card in recipe.cards} | {"linear_probe"}
    for card in board.overrides:
        if card not in used:
            compose(card)  # an unknown name is reported with the closest known one


def _add_cell(plan: Plan, dataset: Dataset, recipe: Recipe, target: str, trial: int, draw: int) -> None:
    board = plan.board
    resolved = resolve(recipe, board, trial=trial, draw=draw)
    track = resolved.parts["predictor"].track
    if track not in board.tracks:
        raise RecipeError(
            f"'{recipe.name}' belongs to the track '{track}', which the board '{board.name}' does not have"
        )
    backbone = board.tracks[track]
    architecture, pretrained = pretraining(backbone)
    offered = provides(architecture.removeprefix("dgbench:"))
    for slot, part in resolved.parts.items():
        if "attention" in part.needs() - offered:
            raise RecipeError(
                f"'{recipe.name}': the {slot} {type(part).__name__} needs attention, which {backbone} has not"
            )
    training = TrainingSpec(
        dataset=dataset.name,
        manifest=dataset.manifest,
        sources=tuple(domain.name for domain in dataset.domains if domain.name != target),
        trial=trial,
        validation=board.split.validation,
        test=0.0,
        backbone=architecture,
        weights=plan._add(pretrained) if pretrained else None,
        reference=None,
        parts=_shaping(resolved),
        steps=board.training.steps,
        checkpoints=board.training.checkpoints,
        batch_per_domain=board.training.batch_per_domain,
        precision=board.training.precision,
        norm_mode=board.training.norm_mode,
    )
    if resolved.parts["adapter"].reference_head():
        probe = resolve(compose("linear_probe"), board)
        training = replace(training, reference=plan._add(replace(training, parts=_shaping(probe))))
    run = RunSpec(plan._add(training), resolved.specs["averaging"], resolved.specs["predictor"], target)
    plan.runs.setdefault(run.id, run)
    plan.entries.append(
        Entry(
            algorithm=recipe.name,
            title=recipe.title,
            track=track,
            backbone=backbone,
            target=target,
            trial=trial,
            draw=draw,
            training=training.id,
            run=run.id,
            families=tuple(sorted(resolved.parts["sampler"].families())),
            passes=resolved.parts["optimizer"].passes,
            hyperparameters=resolved.specs,
        )
    )


def _shaping(resolved: Resolved) -> dict[Slot, Spec]:
    return {slot: resolved.specs[slot] for slot in SHAPING}
