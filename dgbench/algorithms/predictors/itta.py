"""ITTA, the predicting side: maps after each stage of the network move until images say the same in other styles.

Chen, Zhang, Song, Shan, Liu: Improved Test-Time Adaptation for Domain Generalization. CVPR 2023. arXiv 2304.04494.
Code: liangchen527/ITTA.

    z = f(x), z' = f(x) in a mixed style, both with T_k after the k-th of four stages      T_k a = g_k * a + o_k
    loss = mean C(z' - z)^2       Adam on g and o, from 1 and 0, before the batch is predicted from f(x) with T

C are the maps that the objective ``itta`` has learnt; it and the network stay. Styles are mixed as in training, with
partners among the last ``bank`` images of the stream, those of the batch among them. Sees images; a batch takes two
forward and two backward passes for each of its ``steps``, and a forward pass more. State: the maps with their moments,
and the styles of ``bank`` images at two stages.

Deviations: ``g`` and ``o`` have a number for each channel, so they do not depend on the size of images. In the released
code, ``compat="released"``, they have one for each place and channel, T is five such maps with ReLU between them, which
are the identity where nothing is below 0, as behind a ReLU; the loss is multiplied by 1e-6, which under Adam is
nothing but a smaller step where gradients are tiny; and partners are those of the batch alone, so that with batches of
one, which is how it was evaluated, z' is z up to rounding, and nothing moves. It is never reset there, and dropout is
on. The stages are four blocks, evenly spaced, of a network that has known ones. Which image is mixed with which, and
where, is drawn the same in every stream, and after every reset: episodes, of one batch each, all draw alike.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

from dgbench.algorithms.later import Network, Tensor, torch
from dgbench.algorithms.objectives.itta import BETA
from dgbench.algorithms.objectives.mixing import symmetric_beta
from dgbench.algorithms.predictors.descent import Descent
from dgbench.algorithms.predictors.learning_head import Timing
from dgbench.algorithms.slots import Ground, Predictor, Source, Stream, Track
from dgbench.algorithms.styles import Style, restyled, style
from dgbench.core.errors import RecipeError
from dgbench.core.seeds import seed as named_seed
from dgbench.core.units import Count, NonNegative

RELEASED_DEPTH, RELEASED_FACTOR = 5, 1e-6
ROUNDING = 1e-10
"""A loss that is no larger is what rounding leaves of an image that is mixed with itself."""


@dataclass(frozen=True)
class ITTA(Predictor):
    """Consistency between styles, of maps between stages.

    Attributes:
        lr: Learning rate of Adam; where it is 0 nothing moves.
        steps: Updates a batch.
        bank: Among how many past images partners are drawn.
        timing: Whether a batch's scores are those ``before`` its last update, or ``after`` it, as published.
        compat: ``released`` does as the released code does.
    """

    lr: NonNegative = 1e-3
    steps: Count = 1
    bank: Count = 512
    timing: Timing = "after"
    compat: Literal["none", "released"] = "none"
    scores: ClassVar[Literal["logits", "probabilities", "values"]] = "logits"
    sees: ClassVar[Literal["features", "images"]] = "images"

    def needs(self) -> frozenset[str]:
        """What measures consistency, and stages."""
        return frozenset({"consistency", "levels"})

    def acts_on(self) -> frozenset[Ground]:
        """Without features that moved in training there is nothing that has learnt what is consistent."""
        return frozenset({"moving features"})

    @property
    def track(self) -> Track:
        """``online`` unless nothing moves."""
        return "online" if self.lr else "inductive"

    @property
    def passes(self) -> float:
        """Two forth and two back for each step."""
        return 6.0 * self.steps + (self.timing == "after")

    def prepare(self, network: Network, source: Source | None) -> Stream:
        """A stream with maps of its own.

        Raises:
            RecipeError: the network has learnt no consistency.
        """
        if network.consistency is None:
            raise RecipeError("ITTA minimises a consistency that is learnt in training: take the objective 'itta'")
        return _Adapting(network, self)


Change = Callable[[int, Tensor], Tensor]
"""What becomes of what the first or the second stage gives out: its number, from 0, and the output."""


class _Adapting(Stream):
    def __init__(self, network: Network, settings: ITTA) -> None:
        from dgbench.models.levels import stages

        self.network, self.settings = network, settings
        self.released = settings.compat == "released"
        self.stages = stages(network)
        like = network.head.weight
        self.bank = [
            Style(*(like.new_zeros(settings.bank, stage.channels) for _ in Style._fields)) for stage in self.stages[:2]
        ]
        self.descent: Descent | None = None
        self.batches = self.images = 0

    def reset(self, seed: int) -> None:
        """The network as it was trained, and no past images."""
        self.batches = self.images = 0
        if self.descent is not None:
            self.descent.reset()

    def observe(self, images: Tensor) -> Tensor:
        """Logits ``[b, C]`` of normalised images ``[b, 3, h, w]``."""
        if self.descent is None:
            self.descent = Descent(self._identity(images[:1]), self.settings.lr)
        maps, drawing = self.network.consistency, named_seed("itta", self.batches)
        assert maps is not None
        host, generator = random.Random(drawing), torch.Generator().manual_seed(drawing)
        for update in range(self.settings.steps):
            with torch.enable_grad():
                weights = [weight.clone().requires_grad_() for weight in self.descent.weights]
                plain = self._features(weights, images, _as_it_is if update else self._remember)
                if not update:
                    self.images += len(images)
                other = self._features(weights, images, self._restyling(images, host, generator))
                apart = maps(other - plain)
                loss = RELEASED_FACTOR * apart if self.released else apart
                slopes = torch.autograd.grad(loss, weights, allow_unused=True, materialize_grads=True)
            self.descent.step(slopes, apart.detach() > ROUNDING)
        self.batches += 1
        before = self.settings.timing == "before"
        found = plain.detach() if before else self._features(self.descent.weights, images, _as_it_is)
        scores: Tensor = self.network.head(found)
        return scores

    def _features(self, weights: Sequence[Tensor], images: Tensor, change: Change) -> Tensor:
        """Features ``[b, d]`` with maps after every stage, whose output goes through ``change`` before."""
        from dgbench.models.levels import changing

        def through(number: int, made: Tensor) -> Tensor:
            found = change(number, made) if number < len(self.bank) else made
            for depth, (scale, shift) in enumerate(zip(*weights[2 * number : 2 * number + 2], strict=True)):
                found = scale * (found.relu() if depth else found) + shift
            return found.to(made.dtype)

        with changing([(stage, partial(through, number)) for number, stage in enumerate(self.stages)]):
            return self.network.features(images)

    def _identity(self, image: Tensor) -> list[Tensor]:
        """Scales and shifts of the maps after each stage, ``[D, ...]``, as they begin."""
        from dgbench.models.levels import changing

        shapes: list[tuple[int, ...]] = [
            (stage.channels, 1, 1) if stage.axis == 1 else (stage.channels,) for stage in self.stages
        ]
        if self.released:
            found: dict[int, Tensor] = {}
            hearing = [(stage, partial(found.setdefault, number)) for number, stage in enumerate(self.stages)]
            with changing(hearing):
                self.network.features(image)
            shapes = [tuple(found[number].shape[1:]) for number in range(len(self.stages))]
        depth = RELEASED_DEPTH if self.released else 1
        ones = [self.network.head.weight.new_ones(depth, *shape) for shape in shapes]
        return [each for one in ones for each in (one, torch.zeros_like(one))]

    def _remember(self, number: int, made: Tensor) -> Tensor:
        """Let the styles of a batch take the places of the oldest."""
        size = self.settings.bank
        first = max(0, len(made) - size)  # of so many, the last ones alone
        places = torch.arange(self.images + first, self.images + len(made), device=made.device) % size
        for held, joining in zip(self.bank[number], style(made, self.stages[number].axis), strict=True):
            held[places] = joining[first:]
        return made

    def _restyling(self, images: Tensor, host: random.Random, generator: torch.Generator) -> Change:
        """What mixes styles at one of the stages."""
        place, count = host.randrange(len(self.bank)), min(self.images, self.settings.bank)
        share = symmetric_beta(BETA, generator, len(images)).float().to(images.device)
        if self.released:
            partner = torch.randperm(len(images), generator=generator)
        else:
            partner = (count * torch.rand(len(images), generator=generator)).long()
        partner = partner.to(images.device)

        def change(number: int, made: Tensor) -> Tensor:
            if number != place:
                return made
            axis = self.stages[number].axis
            known = style(made, axis) if self.released else self.bank[number]
            return restyled(made, axis, known.of(partner), share)

        return change


def _as_it_is(number: int, made: Tensor) -> Tensor:
    return made
