"""How large the networks of trainings are. They are built to see it, without memory for weights; the cache keeps it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING

from dgbench.algorithms.slots import Objective
from dgbench.core.backbone_name import BackboneName, parse
from dgbench.core.known import known, versions
from dgbench.core.provenance import code
from dgbench.core.spec import canonical
from dgbench.core.units import Count
from dgbench.models.backbones import LIBRARIES, build
from dgbench.models.backbones.packages import PACKAGES
from dgbench.runs.parts import elsewhere, on_features, parts_of
from dgbench.train.spec import TRAININGS, TrainingSpec

if TYPE_CHECKING:
    from dgbench.models.network import Backbone

_FLOAT = 4
_HEADER = 100
"""Bytes that a file of weights has beside each tensor."""


@dataclass(frozen=True)
class Shape:
    """Of the network of a training.

    Attributes:
        moving: Bytes of one piece of its way.
        state: Bytes that it resumes from, without running averages.
        features: Length of a feature.
    """

    moving: Count
    state: Count
    features: Count


def shapes(
    trainings: Mapping[str, TrainingSpec], classes: Mapping[str, int], examples: Callable[[str, str], int]
) -> dict[str, Shape]:
    """The shapes of the networks of trainings, by id.

    Args:
        trainings: By id.
        classes: How many the datasets have, by name.
        examples: How many a domain has, by the names of its dataset and its own.
    """
    of: dict[str, str] = {}
    texts: dict[str, str] = {}  # each once: they are long, and many trainings have networks of one shape
    wanted = {}
    for id_, training in trainings.items():
        of_sources = [examples(training.dataset, source) for source in training.sources]
        text = _of(training, classes[training.dataset], of_sources)
        of[id_] = texts.setdefault(text, text)
        wanted[of[id_]] = partial(_measured, training, classes[training.dataset], of_sources)
    found = known("shapes/1", Shape, wanted)
    return {id_: found[key] for id_, key in of.items()}


def _of(training: TrainingSpec, classes: int, examples: list[int]) -> str:
    """All that the shape of its network depends on."""
    adapter, sampler, objective = (
        canonical({name: value for name, value in training.parts[slot].items() if name != TRAININGS})
        for slot in ("adapter", "sampler", "objective")
    )
    if elsewhere(parts_of(training)) is not None:
        versioned = f"{versions(*LIBRARIES)}, dgbench {code('models')}"
        return f"{objective} of {training.size} px, {classes} classes, {len(training.sources)} domains, {versioned}"
    kind = type(parts_of(training).objective)
    attaches = kind.attach is not Objective.attach or kind.leave is not Objective.leave
    kept = f"{objective} of {examples}, " if attaches else ""
    return (
        f"{_bare(parse(training.backbone)).canonical}, {classes} classes, {len(training.sources)} domains, {adapter}, "
        f"{sampler}, {kept}{versions(*LIBRARIES)}, dgbench {code('algorithms', 'models', 'train')}"
    )


def _measured(training: TrainingSpec, classes: int, examples: list[int]) -> Shape:
    import torch  # all of them here, as what is known takes no torch
    from torch import nn

    from dgbench.core.dataset_card import Wording
    from dgbench.models.network import Network
    from dgbench.models.weightless import weightless
    from dgbench.models.wording import Texts
    from dgbench.train.auxiliary import attach_auxiliary
    from dgbench.train.parts import attach
    from dgbench.train.trajectory import initial

    if (whole := elsewhere(parts_of(training))) is not None:
        from dgbench.models.elsewhere import Elsewhere

        made = Elsewhere(whole, training.size, classes, len(training.sources), 0, torch.device("cpu"))
        held = sum(tensor.numel() for tensor in made.tensors().values())
        return Shape(_FLOAT * held + _HEADER * len(made.tensors()), _FLOAT * 3 * held, classes)
    parts, backbone = parts_of(training), _backbone(_bare(parse(training.backbone)))
    module = nn.Identity() if on_features(parts) else copy.deepcopy(backbone.module)  # adapters change it
    with weightless():
        network = Network(replace(backbone, module=module), classes)
        network.texts = Texts(tuple(map(str, range(classes))), Wording())  # what is said changes no shape
        attach(training, parts, network)
        attach_auxiliary(training, parts, network, examples)
    moving = initial(network).moving
    trained = sum(p.numel() for p in network.parameters() if p.requires_grad)
    held = sum(tensor.numel() for tensor in network.state_dict().values())
    return Shape(
        moving=_FLOAT * sum(tensor.numel() for tensor in moving.values()) + _HEADER * len(moving),
        state=_FLOAT * (held + 2 * trained),
        features=backbone.dim,
    )


@cache
def _backbone(name: BackboneName) -> Backbone:
    from dgbench.models.weightless import weightless

    with weightless():
        return build(name)


def _bare(name: BackboneName) -> BackboneName:
    """The network of a name without published weights: what packages carry are networks of timm."""
    if name.family == "packaged":
        return BackboneName("timm", PACKAGES[name.architecture].architecture, size=name.size, freeze=name.freeze)
    return BackboneName(name.family, name.architecture, size=name.size, freeze=name.freeze)
