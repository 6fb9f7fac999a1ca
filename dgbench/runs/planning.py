"""How a board becomes a plan: every candidate in every cell, what it starts from, and what judges it."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from dgbench.core.cards import BoardCard
from dgbench.core.cases import Case, cases
from dgbench.core.dataset_card import dataset_card
from dgbench.core.elsewhere import PREFIX
from dgbench.core.errors import CardError, RecipeError
from dgbench.core.judges import JUDGES
from dgbench.core.paths import shipped
from dgbench.core.recipe import Recipe, Resolved, compose, resolve
from dgbench.data.catalogue import Outline, outline
from dgbench.runs.judges import QUESTIONS, Judge
from dgbench.runs.plan import Entry, Part, Plan
from dgbench.runs.pretraining import start
from dgbench.runs.targets import refuse_misfits
from dgbench.runs.work import work

log = logging.getLogger(__name__)


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
        CardError: the board names domains that a dataset has not, or values are to be judged as classes are, or among
            them.
    """
    refuse_misfits(board)
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
    _refuse_what_is_tested(board)
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
                first = trial * board.draws
                draws = dict(enumerate(resolved[sources][first : first + board.draws]))
                add_cell(plan, case, one, probe, trial, draw, draws)
    return plan


def at_most(board: BoardCard) -> dict[str, int]:
    """Every trial that looks at a board may ask for, of each algorithm."""
    return {compose(expression).name: board.most for expression in board.algorithms}


def _refuse_twins(recipes: list[Recipe]) -> None:
    names = [recipe.name for recipe in recipes]
    for name in names:
        if names.count(name) > 1:
            remedy = "; tell them apart by a value in parentheses, as (lr=0.01)" if PREFIX in name else ""
            raise RecipeError(f"the board lists '{name}' {names.count(name)} times{remedy}")


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


def _refuse_what_is_tested(board: BoardCard) -> None:
    """What a training sees of its target is tested only where the rules say so."""
    if "unlabelled" not in board.tracks or board.unlabelled == "tested":
        return
    if not (board.split.test or board.split.official):
        raise CardError(
            f"board '{board.name}': targets are tested whole, and on the track 'unlabelled' trainings see images of "
            "theirs; keep some for testing: set 'test' in [split] above 0; or let trainings see, without labels, the "
            "very images that are tested: write 'unlabelled = \"tested\"'"
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


def add_cell(
    plan: Plan,
    case: Case,
    resolved: Resolved,
    probe: Resolved,
    trial: int,
    draw: int,
    draws: Mapping[int, Resolved] = MappingProxyType({}),
) -> None:
    """Add a candidate to a plan: a recipe in a case and a trial, with what its training follows and what judges it.

    Args:
        plan, case, resolved, probe, trial, draw: As for :func:`dgbench.runs.work.work`.
        draws: The recipe in all draws, by their numbers; by default there is none but this one.

    Raises:
        RecipeError: the recipe does not fit the board's tracks, or their backbones, or the trainings that its criterion
            needs.
    """
    learned, draws = _learned_from(case), draws or {draw: resolved}
    done = work(plan, case, resolved, probe, trial, draw, learned, draws)
    start, recipe, resolved = done.start, resolved.recipe, done.resolved
    plan.entries.append(
        Entry(
            algorithm=recipe.name,
            title=recipe.title,
            track=resolved.track,
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
            passes=done.passes,
            hyperparameters={slot: plan.shared(spec) for slot, spec in resolved.specs.items()},
            without_effect=done.without_effect,
        )
    )
    if (kind := JUDGES.get(plan.board.criterion)) is None:
        return
    for asked in QUESTIONS[kind](case, resolved, probe, plan.datasets[case.dataset].places):
        shown = _of_source(plan.board) if asked.case.target in case.sources else "tested"
        others = {number: asked.alike(one) for number, one in draws.items()}
        judge = work(
            plan, asked.case, asked.resolved, asked.probe, trial, draw, learned, others, shown,
            weighs=asked.weighs, target=asked.case.target or case.target,
        )  # fmt: skip
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
                passes=judge.passes,
            )
        )


def _of_source(board: BoardCard) -> Part:
    """What is shown of a source domain that was left out: nobody chooses by images that are kept for testing."""
    return "validation" if board.split.test or board.split.official else "tested"


def _learned_from(case: Case) -> tuple[str, ...]:
    """What names the draws of hyperparameters, apart from the trial: cases that share a training share them, too."""
    return (case.dataset, *case.sources)
