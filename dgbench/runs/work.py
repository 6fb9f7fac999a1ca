"""What a recipe comes to in a case and a trial: trainings, each after those that it follows, and a run.

A part may read other trainings than the one that it shapes, and says how these differ from it (``Part.earlier``). They
are planned like any other, found by the same content, and their ids stand in what identifies the part here. So whatever
two recipes have in common before they part ways is one training, and one without such parts has the id that it had.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from dgbench.algorithms.averaging.merging import Merging
from dgbench.algorithms.earlier import Earlier
from dgbench.core import registry
from dgbench.core.backbone_name import UNTOLD
from dgbench.core.cards import BoardCard
from dgbench.core.cases import Case
from dgbench.core.composition import UNLABELLED, check_passes, passes_of
from dgbench.core.errors import RecipeError
from dgbench.core.recipe import STANDARD, Recipe, Resolved, build_part, describe, reduce
from dgbench.core.registry import ELSEWHERE, Slot
from dgbench.core.spec import Spec, canonical, identity
from dgbench.models.wording import templates_of
from dgbench.runs import as_is
from dgbench.runs.plan import Part, Plan, RunSpec
from dgbench.runs.pretraining import Start
from dgbench.runs.refusals import refuse_many_domains, refuse_mute_head, refuse_other_starts, refuse_several
from dgbench.runs.targets import fitted
from dgbench.train.spec import SHAPING, TRAININGS, ZERO_SHOT, OfTarget, TrainingSpec

OF_BACKBONE = {
    "low_rank": "matrices that low-rank adapters can change (attention, or 1x1 convolutions)",
    "levels": "blocks or stages that can be looked into",
    "text": "a text tower",
    "head": "weights that came with a classifier (published ones of timm, or a file of yours that has it)",
}
"""What only a backbone can provide to a part."""


@dataclass(frozen=True)
class Work:
    """A training and a run of a plan.

    Attributes:
        training, run: Their ids.
        start: What the backbone starts from.
        resolved: The recipe, of parts that have an effect.
        families: Those of shifts that training images went through, also those of trainings that it follows.
        without_effect: Which parts have none.
    """

    training: str
    run: str
    start: Start
    resolved: Resolved
    families: frozenset[str]
    without_effect: str

    @property
    def passes(self) -> float:
        """Of a step, as :func:`passes_of` counts them."""
        return passes_of(self.resolved.parts)


def work(
    plan: Plan,
    case: Case,
    resolved: Resolved,
    probe: Resolved,
    trial: int,
    draw: int,
    learned: tuple[str, ...],
    draws: Mapping[int, Resolved],
    shown: Part = "tested",
    *,
    weighs: bool = False,
    target: str = "",
) -> Work:
    """Add the training and the run of a recipe in a case and a trial to a plan, with all trainings that come before.

    Args:
        plan: Grows.
        case: What is learned from, and what is tested on.
        resolved: The recipe.
        probe: The recipe of the head that it may start from.
        trial, draw: Which.
        learned: What names the draw: what the candidate learns from, also where the case is that of a judge.
        draws: The recipe in all draws that may be merged, this one among them.
        shown: Which images of the target are predicted.
        weighs: Whether the run looks at weights.
        target: Whose images a training may see without labels; by default, that of the case.

    Raises:
        RecipeError: the recipe does not fit the board's tracks, or their backbones.
    """
    board, recipe = plan.board, resolved.recipe
    track = resolved.track
    if track not in board.tracks:
        why = ": it learns from unlabelled images of its target" if track == "unlabelled" else ""
        raise RecipeError(
            f"'{recipe.name}' belongs to the track '{track}', which the board '{board.name}' does not have{why}"
        )
    start = _start(plan, resolved)
    for slot, part in resolved.parts.items():
        for need in sorted((part.needs() & OF_BACKBONE.keys()) - start.provides):
            raise RecipeError(
                f"'{recipe.name}': the {slot} {type(part).__name__} needs {OF_BACKBONE[need]}, which "
                f"{board.tracks[track]} has not"
            )
    resolved, without_effect, draws = in_effect(plan, case, resolved, trial, draw, learned, draws)
    resolved, probe = (fitted(one, plan.cards[case.dataset]) for one in (resolved, probe))
    refuse_many_domains(resolved, case)
    base = _base(plan, case, trial, start, recipe)
    if named := target or case.target:
        base = replace(base, unlabelled=OfTarget(named, shown if board.unlabelled == "tested" else "untested"))
    if not resolved.parts["adapter"].takes_steps:
        base = as_is.without_steps(base)
    averaging = resolved.parts["averaging"]
    if isinstance(averaging, Merging):
        refuse_several(recipe, averaging, weighs)
        found: dict[str, TrainingSpec] = {}
        families = frozenset[str]()
        members = [(replace(base, order=order), draws[number]) for number, order in averaging.members(draw, [*draws])]
        for known, shaping in [*members, *_further(base, resolved, averaging)]:
            member, seen = _training(plan, known, shaping, probe)
            found[member.id] = member
            families |= seen
        refuse_other_starts(recipe, averaging, found.values())
        first = next(iter(found.values()))
        merged = {**resolved.specs["averaging"], TRAININGS: list(found)}
        training = replace(first, checkpoints=1, merged=merged)
    else:
        training, families = _training(plan, base, resolved, probe)
    run = RunSpec(
        plan.add(training),
        plan.shared(resolved.specs["averaging"]),
        plan.shared(_plain() if weighs else resolved.specs["predictor"]),
        case.target,
        board.selection.views_per_domain,
        shown,
        weighs,
        board.stream_batch,
        board.among,
        "per_target" if resolved.parts["predictor"].track == "inductive" else board.stream_mode,
    )
    plan.runs.setdefault(run.id, run)
    return Work(training.id, run.id, start, resolved, families, without_effect)


def _further(base: TrainingSpec, resolved: Resolved, averaging: Merging) -> Iterator[tuple[TrainingSpec, Resolved]]:
    """What is merged beside a recipe's own trainings: what they have in common with it, and what shapes them."""
    for one in averaging.earlier():
        shaped, _ = as_is.bare(_shaped_by(resolved, one))
        yield base if shaped.parts["adapter"].takes_steps else as_is.without_steps(base), shaped


def in_effect(
    plan: Plan,
    case: Case,
    resolved: Resolved,
    trial: int,
    draw: int,
    learned: tuple[str, ...],
    draws: Mapping[int, Resolved],
) -> tuple[Resolved, str, dict[int, Resolved]]:
    """A recipe without the parts that have no effect in a case, a sentence about those, and all draws without theirs.

    What there is to act on may differ between draws (one freezes the backbone), so each loses its own parts. Whether
    they are several trainings shows when these are gone. Where nothing is merged, other draws stay as they are.

    Args:
        plan, case, resolved, trial, draw, learned, draws: As for :func:`work`.
    """
    board, start = plan.board, _start(plan, resolved)
    resolved, idle = as_is.bare(resolved)
    averaging = resolved.parts["averaging"]

    def bare(number: int, one: Resolved, also: frozenset[str]) -> tuple[Resolved, str]:
        there = _grounds(board, case, one, start) | also
        return reduce(one, board, there, trial=trial, draw=number, sources=learned)

    merges = isinstance(averaging, Merging)
    several: frozenset[str] = frozenset({"several draws"} if merges else ())
    others = dict(draws)
    if merges:
        others = {n: fitted(bare(n, one, several)[0], plan.cards[case.dataset]) for n, one in draws.items()}
    if "several draws" in averaging.acts_on() and len({_shape(one) for one in others.values()}) < 2:
        several = frozenset()
    left, lacking = bare(draw, resolved, several)
    return left, "; ".join(filter(None, (idle, lacking))), others


def _shape(resolved: Resolved) -> str:
    """What tells trainings of a case and a trial apart."""
    return canonical({slot: resolved.specs[slot] for slot in SHAPING})


def _start(plan: Plan, resolved: Resolved) -> Start:
    """What the backbone of a recipe starts from, on a track that the board has."""
    start = plan.starts[plan.board.tracks[resolved.track]]
    return _of_its_own(start, resolved) if resolved.recipe.whole else start


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


def _base(plan: Plan, case: Case, trial: int, start: Start, recipe: Recipe) -> TrainingSpec:
    """What all trainings of a recipe in a case and a trial have in common; no part shapes it yet.

    Raises:
        RecipeError: a whole algorithm is to see a few of many domains.
    """
    board, card = plan.board, plan.cards[case.dataset]
    base = TrainingSpec(
        dataset=case.dataset,
        manifest=plan.datasets[case.dataset].manifest or f"absent: {case.dataset}",
        sources=case.sources,
        trial=trial,
        validation=board.split.validation,
        test=board.split.test,
        official=board.split.official,
        size=start.size,
        resize=card.resize,
        decoding=card.decoding,
        backbone=start.backbone,
        weights=plan.add(start.training) if start.training else start.weights,
        pretrained_on=start.pretrained_on,
        reference=None,
        parts={},
        steps=board.training.steps,
        checkpoints=board.training.checkpoints,
        batch_per_domain=board.training.batch_per_domain,
        precision=board.training.precision,
        norm_mode=board.training.norm_mode,
        average=board.selection.average,
    )
    few = board.training.domains_per_step
    if recipe.whole:
        base = replace(base, precision="float32", norm_mode="train")  # which are its own affair
    if few is not None and few < len(case.sources):
        if recipe.whole:
            raise RecipeError(
                f"'{recipe.name}' is given the images of every source domain in every step, and the board "
                f"'{board.name}' shows {few} of {len(case.sources):,}"
            )
        return replace(base, domains_per_step=few, domains_drawn=board.training.domains_drawn)
    return base


def _training(
    plan: Plan, base: TrainingSpec, resolved: Resolved, probe: Resolved, steps: float = 1.0
) -> tuple[TrainingSpec, frozenset[str]]:
    """Add a training, after those that it follows; itself, and the families that images of any of them went through.

    Args:
        plan: Grows.
        base: What it has in common with others of its case and trial, and what it may see of the target.
        resolved: What shapes it.
        probe: What shapes the head that it may start from.
        steps: How many it takes, as a share of all.
    """
    families: frozenset[str] = resolved.parts["sampler"].families()
    parts: dict[Slot, Spec] = {}
    for slot in SHAPING:
        parts[slot], ids = plan.shared(resolved.specs[slot]), []
        for one in resolved.parts[slot].earlier():
            if slot == "sampler":
                refuse_mute_head(resolved)
            before, seen = _training(plan, base, _shaped_by(resolved, one), probe, steps * one.steps)
            ids.append(before.id)
            families |= seen
        if ids:
            parts[slot] = {**parts[slot], TRAININGS: ids}
    training = replace(base, parts=parts, unlabelled=_seen(base, resolved))
    if steps != 1.0:
        training = replace(training, steps=max(1, round(steps * base.steps)), checkpoints=1)
    if (start := resolved.parts["adapter"].starts_after()) is not None:
        before, seen = _training(plan, replace(base, order=0), _shaped_by(resolved, start), probe)
        families |= seen
        training = replace(training, weights=before.id, reference=before.id)
    head = resolved.parts["adapter"].initial_head()
    if head == "zero_shot":
        wording = plan.cards[base.dataset].wording
        said = {"templates": list(templates_of(wording)), "names": wording.names}
        training = replace(training, reference=ZERO_SHOT + identity(said))
    elif head == "pretrained":
        training = replace(training, reference=as_is.own_head(base.backbone, plan.datasets[base.dataset].names))
    elif head == "linear_probe":
        reference, seen = _training(plan, replace(base, order=0), probe, probe)
        families |= seen
        training = replace(training, reference=reference.id)
    plan.add(training)
    return training, families


def _seen(base: TrainingSpec, resolved: Resolved) -> OfTarget | None:
    """What a training sees of its target: nothing, unless its objective learns from it."""
    if UNLABELLED not in resolved.parts["objective"].needs():
        return None
    if base.unlabelled is None:
        raise RecipeError(
            f"'{resolved.recipe.name}' learns from unlabelled images of a target, and a model of all domains has none; "
            "take another algorithm, or export the model of one target"
        )
    return base.unlabelled


def _shaped_by(resolved: Resolved, earlier: Earlier) -> Resolved:
    """A recipe with other parts in some slots.

    Raises:
        RecipeError: they do not go with the rest.
    """
    parts, specs = dict(resolved.parts), dict(resolved.specs)
    for slot, (name, hyperparameters) in earlier.parts.items():
        parts[slot] = build_part(slot, name, dict(hyperparameters), f"recipe '{resolved.recipe.name}'")
        specs[slot] = describe(slot, name, parts[slot])
    check_passes(resolved.recipe.name, parts)
    return Resolved(resolved.recipe, parts, specs)


def _grounds(board: BoardCard, case: Case, resolved: Resolved, start: Start) -> frozenset[str]:
    """What there is for parts to act on, in the training of a recipe in a case; of other draws nothing is said."""
    adapter, by_batch = resolved.parts["adapter"], "batch_statistics" in start.provides
    moving = not adapter.freezes_backbone()
    inside = moving and "side" not in adapter.provides()  # a side network moves in place of its backbone
    return frozenset(
        ground
        for ground, there in {
            "moving features": moving,
            "several domains": len(case.sources) > 1,
            "batch statistics": inside and board.training.norm_mode == "train" and by_batch,
            "normalisation": "normalisation" in start.provides,
            "normalisation by batch": by_batch,
        }.items()
        if there
    )
