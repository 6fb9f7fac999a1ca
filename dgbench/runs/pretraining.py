"""The pretraining of the backbones that dgbench brings itself: a training in the store like any other.

``dgbench:vit-micro@letters`` is ``vit-micro`` trained to read the letters A to Z in type. No class is shared with
the digits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from dgbench.core.backbone_name import BackboneName, parse
from dgbench.core.backbone_options import spelt
from dgbench.core.cards import BoardCard, SplitRules, TrainingRules
from dgbench.core.decoding import AS_LOADERS
from dgbench.core.errors import DGBenchError, UnknownNameError
from dgbench.core.recipe import compose, resolve
from dgbench.data.catalogue import outline
from dgbench.models.backbones import facts, settled
from dgbench.models.backbones.facts import Facts, told
from dgbench.train.spec import SHAPING, TrainingSpec

LETTERS = BoardCard(
    name="letters",
    title="Pretraining on letters",
    version=1,
    summary="Letters A to Z in the typefaces of the print domain.",
    dataset=("letters",),
    tracks={"inductive": "dgbench:vit-micro"},
    trials=1,
    criterion="source",
    algorithms=("erm",),
    split=SplitRules(validation=0.1),
    training=TrainingRules(steps=800, checkpoints=1, batch_per_domain=32),
    hyperparameters={
        "optimizer.lr": 5e-3,
        "optimizer.weight_decay": 0.05,
        "optimizer.schedule": "cosine",
        "optimizer.warmup": 0.1,
        "sampler.augmentation": "crop",
    },
)
TASKS = {"letters": LETTERS}


@dataclass(frozen=True)
class Start:
    """What a training starts from.

    Attributes:
        backbone: Canonical name, without what it was trained on by dgbench itself; own weights by their content.
        shown: What boards call it: without the path of own weights, which is a matter of one machine.
        size: Side of its input, in pixels.
        provides: What it offers to parts.
        training: The training in the store that its weights come from, if there is one.
        weights: ``sha256:...`` of published or own weights; None for random ones.
        pretrained_on: The data of published weights. What somebody says of their own weights is no part of a training's
            identity, and stands in ``past`` alone.
        past: What its weights have learnt from, in words; empty for random weights.
        checkpointing: Whether its activations are computed again in the backward pass. That changes no number, and so
            no training's identity.
        report: What was found in the file of own weights, in words; empty for others.
    """

    backbone: str
    shown: str
    size: int
    provides: frozenset[str]
    training: TrainingSpec | None
    weights: str | None
    pretrained_on: str | None
    past: str
    checkpointing: bool = False
    report: str = ""


def start(
    backbone: str, *, fetch: bool = False, reading: Callable[[str, int, int], None] = lambda name, done, total: None
) -> Start:
    """What a backbone's name stands for.

    Args:
        backbone: As ``dgbench:vit-micro``, ``dgbench:vit-micro@letters``, ``efficientnet-lite0(size=64)``,
            ``timm:NAME.TAG``, ``open_clip:NAME/TAG`` or ``timm:NAME(weights=PATH, pretrained_on=WORDS)``.
        fetch: Whether published weights that are not on this machine are fetched, for their hash, and the data of a
            task is built; else its card is believed, where that was not built before.
        reading: Is told how many pictures of a dataset have been built, and how many there are.

    Raises:
        UnknownNameError: no such family, backbone, option or task.
        DGBenchError: the weights cannot be fetched; own weights do not fit, or nobody says what they learnt from.
    """
    name = parse(backbone)
    if name.weights is not None:
        return _own(name, fetch)
    architecture = name.without_task()
    known = facts(architecture.canonical, fetch)
    task = _task(architecture.canonical, known.size, name.task, fetch, reading) if name.task else None
    past = TASKS[name.task].summary.rstrip(".") if name.task else known.pretrained_on or ""
    origin = (known.weights, known.pretrained_on, past)
    offered = _offered(known) if task is None else known.provides
    return Start(architecture.canonical, backbone, known.size, offered, task, *origin, name.checkpointing)


def _offered(known: Facts) -> frozenset[str]:
    """What a backbone offers to parts: its network does, and the classifier that its weights came with."""
    return known.provides | ({"head"} if known.head else frozenset())


def _own(name: BackboneName, fetch: bool) -> Start:
    """A start from own weights."""
    by_content = settled(name)
    if by_content.pretrained_on is None:
        said = replace(name, pretrained_on="ImageNet-1k").canonical
        raise DGBenchError(
            f"backbone '{name.canonical}': say what its weights were pretrained on, for the board shows it: {said}; "
            "or pretrained_on=unknown, and the board warns that nobody told"
        )
    known = facts(by_content.canonical, fetch)
    backbone = replace(by_content, under=known.under, pretrained_on=None).canonical
    report = f"{known.report}; images are normalised with normalize={spelt(by_content.normalize)}"
    origin = (known.weights, None, told(by_content.pretrained_on))
    return Start(
        backbone, name.shown(str(known.weights)), known.size, _offered(known), None, *origin, name.checkpointing, report
    )


def _task(
    architecture: str, size: int, task: str, build: bool, reading: Callable[[str, int, int], None]
) -> TrainingSpec:
    if task not in TASKS:
        raise UnknownNameError("pretraining task", task, TASKS)
    rules = TASKS[task]
    known = outline(rules.dataset[0], build=build, progress=partial(reading, rules.dataset[0]))
    resolved = resolve(compose("erm"), rules)
    assert known.manifest is not None, "pretraining data is built in"
    return TrainingSpec(
        dataset=known.name,
        manifest=known.manifest,
        sources=tuple(domain.name for domain in known.domains),
        trial=0,
        validation=rules.split.validation,
        test=0.0,
        official=False,
        size=size,
        resize="stretch",
        decoding=AS_LOADERS,
        backbone=architecture,
        weights=None,
        pretrained_on=None,
        reference=None,
        parts={slot: resolved.specs[slot] for slot in SHAPING},
        steps=rules.training.steps,
        checkpoints=rules.training.checkpoints,
        batch_per_domain=rules.training.batch_per_domain,
        precision=rules.training.precision,
        norm_mode=rules.training.norm_mode,
    )
