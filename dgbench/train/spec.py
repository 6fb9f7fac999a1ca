"""What identifies a training: everything that changes its weights, and nothing else."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Literal

from dgbench.core.cards import Average, DomainDraw
from dgbench.core.decoding import Decoding
from dgbench.core.pieces import checkpoint, every
from dgbench.core.precision import Precision
from dgbench.core.registry import Slot
from dgbench.core.seeds import seed_below
from dgbench.core.spec import Spec, identity

SCHEMA = "dgbench.training/4"
"""Its number is raised whenever weights change that no part's version stands for: by the loop, splits, or backbones."""

ZERO_SHOT = "zero-shot:"
"""Opens a reference to a head made of class names."""

OWN_HEAD = "own-head:"
"""Opens a reference to the head that the backbone's weights came with."""

TRAININGS = "trainings"
"""Under this name the description of a part says which other trainings it reads, by their ids."""

SHAPING: tuple[Slot, ...] = ("sampler", "adapter", "objective", "optimizer")
"""The slots that shape a training. Averaging and prediction come after it and share it."""


_IN_ORDER = frozenset({"order", "augment", "step", "objective", "domains", "unlabelled", "augment unlabelled"})
"""What is drawn apart for trainings that differ in the order of what they see alone."""


@dataclass(frozen=True)
class OfTarget:
    """Images of a target that a training sees without their labels.

    Attributes:
        domain: The target.
        part: Which of them: its training part, which is ``untested``; or the very ones that are predicted, ``tested``
            or, by a judge, ``validation``.
    """

    domain: str
    part: Literal["untested", "tested", "validation"]


@dataclass(frozen=True)
class TrainingSpec:
    """The meaning of a training; the target domain is no part of it, unless it sees unlabelled images of that.

    Attributes:
        dataset: Name of the dataset.
        manifest: Its SHA-256.
        sources: Source domains, in the order that numbers them.
        trial: Number of the repetition. With the domain it draws the split; with all sources it draws everything else.
        validation: Share of each source domain kept for validation.
        test: Share of each domain kept from everything, the same in all trials; 0 where whole domains are tested.
        official: Whether the dataset's own train and validation parts are taken in place of drawn ones.
        size: Side of the square images, in pixels.
        resize: How they became square: ``stretch`` or ``crop``.
        decoding: How files became RGB.
        backbone: Its canonical name, as ``dgbench:vit-micro`` or ``timm:vit_tiny_patch16_224(size=96)``.
        weights: Where the backbone's initial weights come from: the id of a training, the ``sha256:...`` of published
            weights, or None for random ones.
        pretrained_on: The data of published weights.
        reference: What the head starts from: the id of a training, ``zero-shot:...`` with the hash of the wording,
            ``own-head:...`` with the hash of which of its rows are taken, or None for random numbers.
        parts: Name, version and all hyperparameters of the part in each of the shaping slots, and the ids of other
            trainings that it reads.
        steps: Number of optimizer steps; 0 for a model as it is.
        checkpoints: How many checkpoints are taken, evenly spaced; the last is the end.
        batch_per_domain: Images of each source domain that a step sees.
        precision: Of every forward pass, also on images that are only looked at; weights and heads are float32.
        norm_mode: ``frozen`` keeps normalisation statistics as they were pretrained, ``train`` moves them.
        domains_per_step: How many of the source domains a step sees; None where it sees all of them.
        domains_drawn: How these are drawn.
        average: Over what validation is averaged, where a part looks at it (SWAD; UDIM).
        order: Which of several trainings that differ in batches, augmentation and dropout, and start from the same
            weights.
        merged: Where no step is taken: the averaging part that makes the last weights from those of other trainings,
            and their ids; what else stands here is that of the first of them.
        unlabelled: Which images of its target it sees without labels; None where its objective needs none.
    """

    dataset: str
    manifest: str
    sources: tuple[str, ...]
    trial: int
    validation: float
    test: float
    official: bool
    size: int
    resize: Literal["stretch", "crop"]
    decoding: Decoding
    backbone: str
    weights: str | None
    pretrained_on: str | None
    reference: str | None
    parts: dict[Slot, Spec]
    steps: int
    checkpoints: int
    batch_per_domain: int
    precision: Precision
    norm_mode: Literal["train", "frozen"]
    domains_per_step: int | None = None
    domains_drawn: DomainDraw = "uniform"
    average: Average = "domains"
    order: int = 0
    merged: Spec | None = None
    unlabelled: OfTarget | None = None

    def spec(self) -> Spec:
        """As plain JSON; where all source domains are seen in every step, nothing is said of drawing them.

        Nor is anything said of averages over domains, of the first order, of trainings that are merged, or of images
        of the target, where there are none.
        """
        unsaid = {"domains_per_step", "domains_drawn"} if self.domains_per_step is None else set()
        unsaid |= {"average"} if self.average == "domains" else set()
        unsaid |= {name for name in ("order", "merged", "unlabelled") if not getattr(self, name)}
        said = [one.name for one in fields(self) if one.name not in unsaid]
        return {
            "schema": SCHEMA,
            **{name: getattr(self, name) for name in said},
            "sources": list(self.sources),
            "decoding": self.decoding.spec(),
            "parts": {slot: self.parts[slot] for slot in SHAPING},
            **({} if self.unlabelled is None else {"unlabelled": asdict(self.unlabelled)}),
        }

    @cached_property
    def id(self) -> str:
        """The training's name in the store."""
        return identity(self.spec())

    def seed(self, purpose: str, *of: str | int) -> int:
        """Seed of something that a training draws: ``"head"``, ``"order"`` of a domain, dropout of a ``"step"``, ...

        All algorithms that learn from the same sources in a trial draw the same, so they can be compared in pairs. Any
        two trainings from other sources draw apart: what a trial's targets share is no chance that counts twice.
        """
        order = (f"order {self.order}",) if self.order and purpose in _IN_ORDER else ()
        return seed_below((purpose, self.dataset, *self.sources, self.trial, *order), *of)

    @property
    def domains_in_step(self) -> int:
        """How many source domains a step sees."""
        return self.domains_per_step or len(self.sources)

    @property
    def batch(self) -> int:
        """Images in a step, those without labels among them."""
        return self.batch_per_domain * (self.domains_in_step + (self.unlabelled is not None))

    @property
    def shown(self) -> tuple[str, ...]:
        """The domains whose images its steps see."""
        return self.sources if self.unlabelled is None else (*self.sources, self.unlabelled.domain)

    def starts_from(self) -> tuple[str, ...]:
        """The trainings that the network before the first step is made of."""
        given = (self.weights, self.reference)
        return tuple(id_ for id_ in given if id_ is not None and not id_.startswith(("sha256:", ZERO_SHOT, OWN_HEAD)))

    def reads(self) -> tuple[str, ...]:
        """The trainings that it reads while it is done, and never after: its parts name them, or it merges them."""
        specs = self.parts.values() if self.merged is None else [self.merged]
        return tuple(dict.fromkeys(id_ for spec in specs for id_ in spec.get(TRAININGS, ())))

    def follows(self) -> tuple[str, ...]:
        """All trainings that come before this one."""
        return tuple(dict.fromkeys((*self.starts_from(), *self.reads())))

    def own(self) -> tuple[str, ...]:
        """The trainings before this one that are part of it: those that it reads, and rounds that it goes on from.

        A head that many recipes start from is no such training, nor is a backbone's pretraining.
        """
        given = self.starts_from()
        return tuple(dict.fromkeys((*self.reads(), *(id_ for id_ in given if self.weights == self.reference))))

    def checkpoint_steps(self) -> tuple[int, ...]:
        """Steps after which a checkpoint is taken, ascending."""
        if not self.steps:
            return (0,)
        every = self.steps // self.checkpoints
        return tuple(range(every, self.steps + 1, every))

    def pieces(self) -> frozenset[str]:
        """All of its way that it can record."""
        steps = self.checkpoint_steps()
        return every(steps) if self.merged is None and self.steps else frozenset({checkpoint(steps[-1])})

    @staticmethod
    def read(spec: Spec) -> TrainingSpec:
        """The reverse of :meth:`spec`."""
        given = {key: value for key, value in spec.items() if key != "schema"}
        read = {"sources": tuple(given["sources"]), "decoding": Decoding(**given["decoding"])}
        if "unlabelled" in given:
            read["unlabelled"] = OfTarget(**given["unlabelled"])
        return TrainingSpec(**(given | read))
