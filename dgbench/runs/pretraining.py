"""The pretraining of the backbones that dgbench brings itself: a training in the store like any other.

``dgbench:vit-micro@letters`` is ``vit-micro`` trained to read the letters A to Z in type. No class is shared with
the digits.
"""

from __future__ import annotations

from dgbench.core.cards import BoardCard, SplitRules, TrainingRules
from dgbench.core.errors import UnknownNameError
from dgbench.core.recipe import compose, resolve
from dgbench.data.catalogue import load
from dgbench.models.zoo import names
from dgbench.train.spec import SHAPING, TrainingSpec

LETTERS = BoardCard(
    name="letters",
    title="Pretraining on letters",
    version=1,
    summary="Letters A to Z in the typefaces of the print domain.",
    dataset="letters",
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


def pretraining(backbone: str) -> tuple[str, TrainingSpec | None]:
    """The architecture of a backbone, and the training that its weights come from.

    Args:
        backbone: ``dgbench:NAME`` for random weights, ``dgbench:NAME@TASK`` for pretrained ones.

    Raises:
        UnknownNameError: no such task, or no such family of backbones.
    """
    architecture, at, task = backbone.partition("@")
    family, colon, name = architecture.partition(":")
    if not colon or family != "dgbench":
        raise UnknownNameError("family of backbones", family, ["dgbench"])
    if name not in names():
        raise UnknownNameError("backbone of dgbench", name, names())
    if not at:
        return architecture, None
    if task not in TASKS:
        raise UnknownNameError("pretraining task", task, TASKS)
    rules = TASKS[task]
    dataset = load(rules.dataset)
    resolved = resolve(compose("erm"), rules)
    return architecture, TrainingSpec(
        dataset=dataset.name,
        manifest=dataset.manifest,
        sources=tuple(domain.name for domain in dataset.domains),
        trial=0,
        validation=rules.split.validation,
        test=0.0,
        backbone=architecture,
        weights=None,
        reference=None,
        parts={slot: resolved.specs[slot] for slot in SHAPING},
        steps=rules.training.steps,
        checkpoints=rules.training.checkpoints,
        batch_per_domain=rules.training.batch_per_domain,
        precision=rules.training.precision,
        norm_mode=rules.training.norm_mode,
    )
