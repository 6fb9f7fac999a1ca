"""Steps of any recipe on a tiny network, whole or divided; for this process and for one beside it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import tiny_clip
import torch
import torch.distributed as dist
from one_layer import WIDTH, network_of
from torch import Tensor, nn

from dgbench.algorithms.step import Batch, Unlabelled
from dgbench.core.cards import CaseRules
from dgbench.core.dataset_card import Wording
from dgbench.models.network import Network
from dgbench.models.reseed import reseed
from dgbench.models.wording import Texts
from dgbench.runs.parts import parts_of
from dgbench.runs.planning import make_plan
from dgbench.runs.siblings import PATIENCE
from dgbench.train import exchange, looks
from dgbench.train.auxiliary import attach_auxiliary
from dgbench.train.division import WHOLE, Division
from dgbench.train.parts import attach
from dgbench.train.sources import Sources
from dgbench.train.spec import TrainingSpec
from dgbench.train.training import Training
from small import small_board

DOMAINS, IMAGES, CLASSES = 3, 15, 10
STEPS = (3, 4)
"""Of six: where penalties have begun, and where there are moments."""


def join(place: Path, rank: int, size: int = 2) -> None:
    """Meet the other process."""
    torch.set_num_threads(1)
    store = dist.FileStore(str(place), size)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=size, timeout=PATIENCE)


def spec_of(algorithm: str, backbone: str) -> TrainingSpec:
    """The last training of a recipe on one target, which is its own."""
    board = small_board(algorithm, backbone=backbone, steps=6)
    plan = make_plan(board.model_copy(update={"cases": {"digits": CaseRules(targets=("handwritten",))}}))
    return [spec for spec in plan.trainings.values() if spec.merged is None][-1]


def batch(spec: TrainingSpec, step: int) -> Batch:
    """Random images, five of each of three domains."""
    random = torch.Generator().manual_seed(step)
    size = spec.size
    kind = torch.float32 if spec.parts["adapter"]["part"] == "levi" else torch.float64
    x = torch.randn(IMAGES, 3, size, size, generator=random).to(kind)
    y = torch.randint(CLASSES, (IMAGES,), generator=random)
    domain = torch.arange(DOMAINS).repeat_interleave(IMAGES // DOMAINS)
    index = torch.randperm(IMAGES, generator=random)
    beside = None
    if spec.unlabelled is not None:
        beside = Unlabelled(torch.randn(5, 3, size, size, generator=random).to(kind), torch.arange(5))
    return Batch(x, y, domain, index, sizes=(IMAGES // DOMAINS,) * DOMAINS, unlabelled=beside)


def training(spec: TrainingSpec, division: Division = WHOLE, extra: nn.Module | None = None) -> Training:
    """A training before its first step, in double precision; ``extra`` is a layer more at the end of the backbone."""
    parts = parts_of(spec)
    reseed(0)
    if spec.backbone.startswith("open_clip"):
        tiny_clip.tinier()
    backbone = network_of(spec)
    if extra is not None:
        backbone = replace(backbone, module=nn.Sequential(backbone.module, copy.deepcopy(extra)))
    network = Network(backbone, CLASSES, activation=parts.adapter.activation())
    network.texts = Texts(tuple("0123456789"), Wording())
    attach(spec, parts, network)
    attach_auxiliary(spec, parts, network, [IMAGES] * DOMAINS)
    if earlier := spec.reads():
        said = [torch.randn(5 if spec.unlabelled else IMAGES, CLASSES)]
        parts.objective.hear(network, [], [], [said * (1 if spec.unlabelled else DOMAINS)] * len(earlier))
    if spec.parts["adapter"]["part"] != "levi":  # whose network casts what it hears to float32
        network.double()
    sources = cast("Sources", SimpleNamespace(device=torch.device("cpu")))
    return Training(spec, parts, network, sources, Path(), (), division=division)


def weights(
    spec: TrainingSpec, division: Division = WHOLE, steps: Sequence[int] = STEPS, extra: nn.Module | None = None
) -> dict[str, Tensor]:
    """All that a training consists of after some steps: weights, statistics, what the objective keeps."""
    at_work = training(spec, division, extra)
    for step in steps:
        at_work.take(step, batch(spec, step))
    return {name: tensor.detach().clone() for name, tensor in at_work.network.state_dict().items()}


def drawn(spec: TrainingSpec, division: Division, share: float) -> tuple[list[list[bool]], list[float]]:
    """Which features random layers left in three passes over images that are all alike, and what torch draws then."""
    at_work = training(spec, division, nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Dropout(share)))
    torch.manual_seed(7)
    x = torch.ones(4, 3, spec.size, spec.size).double()
    look = looks.look_by(division, at_work.network)
    passes = [look(at_work.network.looked_into, x)[0] != 0 for _ in range(3)]
    return torch.cat(passes).tolist(), torch.rand(2).tolist()


def slopes(among: Division) -> list[Tensor]:
    """The gradient of a function of what is common, ``[IMAGES, 4]``, through every exchange, and that of its length.

    In one process nothing is exchanged: there it is the function as it is written.
    """
    random = torch.Generator().manual_seed(3)
    common, seen = (torch.randn(IMAGES, 4, generator=random).double() for _ in range(2))
    common.requires_grad_()
    rows, several = among.rows(IMAGES), among.processes > 1
    own = exchange.whose_own(among, common) if several else common
    cubes = exchange.together(among, own**3 * seen[rows], IMAGES) if several else own**3 * seen
    (given,) = exchange.lent(among, [common]) if several else (common,)
    squares = [(seen[rows] @ given.T).pow(2).sum(0)]
    (summed,) = exchange.total(among, squares) if several else squares
    (slope,) = torch.autograd.grad((cubes.sum(1) * summed.sin()).sum(), common, create_graph=True)
    return [slope.detach(), *torch.autograd.grad(slope.pow(2).sum(), common)]


def moving(spec: TrainingSpec) -> TrainingSpec:
    """The same where statistics of normalisation move."""
    return replace(spec, norm_mode="train")
