"""How a board becomes a plan: every candidate in every cell, what it starts from, and what judges it."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType

from dgbench.core import registry
from dgbench.core.backbone_name import UNTOLD
from dgbench.core.cards import BoardCard
from dgbench.core.cases import Case, cases
from dgbench.core.dataset_card import dataset_card
from dgbench.core.errors import CardError, RecipeError
from dgbench.core.judges import JUDGES
from dgbench.core.paths import shipped
from dgbench.core.recipe import STANDARD, Recipe, Resolved, compose, describe, reduce, resolve
from dgbench.core.registry import ELSEWHERE, Slot
from dgbench.core.spec import Spec, identity
from dgbench.data.catalogue import Outline, outline
from dgbench.models.wording import templates_of
from dgbench.runs.judges import QUESTIONS, Judge
from dgbench.runs.plan import Entry, Part, Plan, RunSpec
from dgbench.runs.pretraining import Start, start
from dgbench.train.spec import SHAPING, ZERO_SHOT, TrainingSpec

log = logging.getLogger(__name__)

OF_BACKBONE = {
    "low_rank": "matrices that low-rank adapters can change (attention, or 1x1 convolutions)",
    "text": "a text tower",
}
"""What only a backbone can provide to a part."""


def make_plan(
    board: BoardCard,
    *,
    fetch: bool = False,
    reading: Callable[[str, int, int], None] = lambda name, done, total: None,
    trials: Mapping[str, int] = MappingProxyType({}),
) -> Plan:
    """The plan of a board.

    Args:
        board: The rules.
        fetch: Whether published weights that are not on this machine are fetched and built-in data is built, since the
            plan is to be carried out. Without them a plan can be counted, not run.
        reading: Is told how many pictures of a dataset have been built or looked at, and how many there are.
        trials: Of algorithms that have more than the board gives to all, by name, how many.

    Raises:
        RecipeError, UnknownNameError: a recipe of the board cannot be composed or does not fit the backbone.
        CardError: the board names domains that a dataset has not.
    """
    datasets = {name: outline(name, build=fetch, progress=partial(reading, name)) for name in board.dataset}
    cards = {name: dataset_card(name) for name in board.dataset}
    plan = Plan(board, cards, datasets, cases(board, {name: known.places for name, known in datasets.items()}))
    fetch = fetch and not plan.absent  # what cannot run needs no weights
    plan.starts |= {backbone: start(backbone, fetch=fetch, reading=reading) for backbone in set(board.tracks.values())}
    for report in dict.fromkeys(one.report for one in plan.starts.values() if one.report):
        log.warning("%s", report)
    recipes = [compose(expression) for expression in board.algorithms]
    _refuse_twins(recipes)
    _refuse_strangers(board, recipes)
    _refuse_seen_groups(board, datasets)
    _say_unused_splits(board, datasets)
    probe = resolve(compose("linear_probe"), board)
    for recipe in recipes:
        cells = list(itertools.product(range(trials.get(recipe.name, board.trials)), range(board.draws)))
        resolved: dict[tuple[str, ...], list[Resolved]] = {}
        for case in plan.cases:
            sources = _learned_from(case)
            if sources not in resolved:
                resolved[sources] = [resolve(recipe, board, trial=t, draw=d, sources=sources) for t, d in cells]
            for (trial, draw), one in zip(cells, resolved[sources], strict=True):
                add_cell(plan, case, one, probe, trial, draw)
    return plan


def at_most(board: BoardCard) -> dict[str, int]:
    """Every trial that looks at a board may ask for, of each algorithm."""
    return {compose(expression).name: board.most for expression in board.algorithms}


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


def _refuse_seen_groups(board: BoardCard, datasets: dict[str, Outline]) -> None:
    """Where domains share their groups, a target tested whole would show what was trained on, in another style."""
    for name, known in datasets.items():
        if known.shared_groups and not (board.split.test or board.split.official):
            raise CardError(
                f"board '{board.name}': the domains of '{name}' show the same things in different styles; keep some "
                "from all training: set 'test' in [split] above 0, or 'official = true'"
            )


def _say_unused_splits(board: BoardCard, datasets: dict[str, Outline]) -> None:
    """Who gives their own data splits expects them to be used."""
    rules = shipped("leaderboards") / board.name / "board.toml"
    for name, known in datasets.items():
        if known.official and not board.split.official and dataset_card(name).path is not None:
            log.warning(
                "'%s' comes with splits of its own; the board '%s' draws others, as on all data. To train, select and "
                "test on its own, run a copy of %s with 'official = true' below [split]",
                *(name, board.name, rules if rules.is_file() else "the board's file"),
            )


def add_cell(plan: Plan, case: Case, resolved: Resolved, probe: Resolved, trial: int, draw: int) -> None:
    """Add a candidate to a plan: a recipe in a case and a trial, with what its training starts from and what judges it.

    Raises:
        RecipeError: the recipe does not fit the board's tracks, or their backbones, or the trainings that its criterion
            needs.
    """
    learned = _learned_from(case)
    done = _work(plan, case, resolved, probe, trial, draw, learned)
    start, recipe, resolved = done.start, resolved.recipe, done.resolved
    plan.entries.append(
        Entry(
            algorithm=recipe.name,
            title=recipe.title,
            track=resolved.parts["predictor"].track,
            backbone=start.shown,
            pretrained_on=start.past,
            target=case.name,
            dataset=case.dataset,
            sources=case.sources,
            domain=case.target,
            trial=trial,
            draw=draw,
            training=done.training,
            run=done.run,
            families=tuple(sorted(done.families)),
            passes=resolved.parts["optimizer"].passes,
            hyperparameters=resolved.specs,
            without_effect=done.without_effect,
        )
    )
    if (kind := JUDGES.get(plan.board.criterion)) is None:
        return
    for asked in QUESTIONS[kind](case, resolved, probe, plan.datasets[case.dataset].places):
        shown = _of_source(plan.board) if asked.case.target in case.sources else "tested"
        judge = _work(plan, asked.case, asked.resolved, asked.probe, trial, draw, learned, shown, asked.weighs)
        plan.judges.append(
            Judge(
                algorithm=recipe.name,
                target=case.name,
                trial=trial,
                draw=draw,
                dataset=case.dataset,
                split=kind,
                domains=asked.domains,
                views=asked.views,
                training=judge.training,
                run=judge.run,
                averaging=judge.resolved.specs["averaging"],
                passes=judge.resolved.parts["optimizer"].passes,
            )
        )


@dataclass(frozen=True)
class _Work:
    """A training and a run of a plan.

    Attributes:
        training, run: Their ids.
        start: What the backbone starts from.
        resolved: The recipe, of parts that have an effect.
        families: Those of shifts that training images went through, also those of the head that it starts from.
        without_effect: Which parts have none.
    """

    training: str
    run: str
    start: Start
    resolved: Resolved
    families: frozenset[str]
    without_effect: str


def _work(
    plan: Plan,
    case: Case,
    resolved: Resolved,
    probe: Resolved,
    trial: int,
    draw: int,
    learned: tuple[str, ...],
    shown: Part = "tested",
    weighs: bool = False,
) -> _Work:
    """Add the training and the run of a recipe in a case and a trial to a plan.

    Args:
        plan, case, resolved, probe, trial, draw: As for :func:`add_cell`.
        learned: What names the draw: what the candidate learns from, also where the case is that of a judge.
        shown: Which images of the target are predicted.
        weighs: Whether the run looks at weights.
    """
    board, recipe = plan.board, resolved.recipe
    track = resolved.parts["predictor"].track
    if track not in board.tracks:
        raise RecipeError(
            f"'{recipe.name}' belongs to the track '{track}', which the board '{board.name}' does not have"
        )
    start = plan.starts[board.tracks[track]]
    if recipe.whole:
        start = _of_its_own(start, resolved)
    for slot, part in resolved.parts.items():
        for need in sorted((part.needs() & OF_BACKBONE.keys()) - start.provides):
            raise RecipeError(
                f"'{recipe.name}': the {slot} {type(part).__name__} needs {OF_BACKBONE[need]}, which "
                f"{board.tracks[track]} has not"
            )
    there = _grounds(board, case, resolved, start)
    resolved, without_effect = reduce(resolved, board, there, trial=trial, draw=draw, sources=learned)
    known = plan.datasets[case.dataset]
    _refuse_many_domains(resolved, case)
    training = TrainingSpec(
        dataset=case.dataset,
        manifest=known.manifest or f"absent: {case.dataset}",
        sources=case.sources,
        trial=trial,
        validation=board.split.validation,
        test=board.split.test,
        official=board.split.official,
        size=start.size,
        resize=plan.cards[case.dataset].resize,
        decoding=plan.cards[case.dataset].decoding,
        backbone=start.backbone,
        weights=plan.add(start.training) if start.training else start.weights,
        pretrained_on=start.pretrained_on,
        reference=None,
        parts=_shaping(resolved),
        steps=board.training.steps,
        checkpoints=board.training.checkpoints,
        batch_per_domain=board.training.batch_per_domain,
        precision=board.training.precision,
        norm_mode=board.training.norm_mode,
    )
    if board.selection.average != "domains":
        training = replace(training, average=board.selection.average)
    few = board.training.domains_per_step
    if few is not None and few < len(case.sources):
        if recipe.whole:
            raise RecipeError(
                f"'{recipe.name}' is given the images of every source domain in every step, and the board "
                f"'{board.name}' shows {few} of {len(case.sources):,}"
            )
        training = replace(training, domains_per_step=few, domains_drawn=board.training.domains_drawn)
    if recipe.whole:
        training = replace(training, precision="float32", norm_mode="train")  # which are its own affair
    families: frozenset[str] = resolved.parts["sampler"].families()
    head = resolved.parts["adapter"].initial_head()
    if head == "zero_shot":
        wording = plan.cards[case.dataset].wording
        said = {"templates": list(templates_of(wording)), "names": wording.names}
        training = replace(training, reference=ZERO_SHOT + identity(said))
    elif head == "linear_probe":
        families |= probe.parts["sampler"].families()
        training = replace(training, reference=plan.add(replace(training, parts=_shaping(probe))))
    run = RunSpec(
        plan.add(training),
        resolved.specs["averaging"],
        _plain() if weighs else resolved.specs["predictor"],
        case.target,
        board.selection.views_per_domain,
        shown,
        weighs,
    )
    plan.runs.setdefault(run.id, run)
    return _Work(training.id, run.id, start, resolved, families, without_effect)


def _plain() -> Spec:
    """The predictor where weights are looked at: whatever predicts otherwise does not change them."""
    name = STANDARD["predictor"]
    return describe("predictor", name, registry.load("predictor", name)())


def _of_its_own(start: Start, resolved: Resolved) -> Start:
    """What a whole algorithm from elsewhere starts from: its own network, at the size of the track's images."""
    name = f"{ELSEWHERE}:{resolved.specs['objective']['algorithm']}"
    said = resolved.recipe.whole.pretrained_on if resolved.recipe.whole else None
    past = said or UNTOLD
    return Start(name, name, start.size, frozenset(), None, None, None, past)


def _refuse_many_domains(resolved: Resolved, case: Case) -> None:
    for slot, part in resolved.parts.items():
        if part.most_domains is not None and len(case.sources) > part.most_domains:
            raise RecipeError(
                f"'{resolved.recipe.name}': the {slot} {type(part).__name__} keeps weights of its own for each source "
                f"domain, at most {part.most_domains}, and '{case.name}' has {len(case.sources):,}: each would learn "
                "from next to nothing. Leave it out, or let fewer domains train (in [cases] of the board)"
            )


def _of_source(board: BoardCard) -> Part:
    """What is shown of a source domain that was left out: nobody chooses by images that are kept for testing."""
    return "validation" if board.split.test or board.split.official else "tested"


def _learned_from(case: Case) -> tuple[str, ...]:
    """What names the draws of hyperparameters, apart from the trial: cases that share a training share them, too."""
    return (case.dataset, *case.sources)


def _grounds(board: BoardCard, case: Case, resolved: Resolved, start: Start) -> frozenset[str]:
    """What there is for parts to act on, in the trainings of a case."""
    moving = not resolved.parts["adapter"].freezes_backbone()
    return frozenset(
        ground
        for ground, there in {
            "moving features": moving,
            "several domains": len(case.sources) > 1,
            "batch statistics": moving and board.training.norm_mode == "train" and "batch_statistics" in start.provides,
        }.items()
        if there
    )


def _shaping(resolved: Resolved) -> dict[Slot, Spec]:
    return {slot: resolved.specs[slot] for slot in SHAPING}
