"""COOkeD: a trained classifier, a zero-shot one and a linear probe predict together.

Humblot-Renaux, Franchi, Escalera, Moeslund: COOkeD: Ensemble-based OOD detection in the era of zero-shot CLIP.
ICCV workshops 2025. arXiv 2507.22576. Code: glhr/COOkeD.

    P(c | x) = 1/3 (p_trained(c | x) + p_zero-shot(c | x) + p_probe(c | x))

The trained classifier is what the recipe is without this part, from any adapter that starts from class names. The
zero-shot one is the model before its first step, and the probe a linear head on its frozen features, from class names
as well, with the sampler and the optimizer of the recipe: the trainings of ``zero_shot`` and of
``linear_probe(head="zero_shot")``, which a board that has these shares. Each predicts with a predictor of its own,
whichever the recipe has. The paper detects images of unknown classes by how sure P is; here it is a classifier.

Needs a text tower, and features that move. Cost: the trainings of classifier and probe; to predict takes three passes.
Deviations: a board has one backbone for all, so the classifier is a fine-tuned CLIP, where the paper trains another
network, and features have length one for all three, where its probe takes them as they are; its scale of similarities
is 100, here the one that CLIP learned. What stays, what is exported and what looks at weights is as for an ensemble.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dgbench.algorithms.averaging.merging import Members, Merging
from dgbench.algorithms.earlier import Earlier
from dgbench.algorithms.slots import Ground, State


@dataclass(frozen=True)
class COOkeD(Merging):
    """Three classifiers."""

    several: ClassVar[bool] = True

    def needs(self) -> frozenset[str]:
        """A classifier that starts where the zero-shot one is."""
        return frozenset({"zero_shot_head"})

    def acts_on(self) -> frozenset[Ground]:
        """Else the classifier is the probe."""
        return frozenset({"moving features"})

    def earlier(self) -> tuple[Earlier, ...]:
        """The zero-shot classifier, and the probe."""
        plain = ("cross_entropy", dict[str, object]())
        return (
            Earlier({"adapter": ("as_is", {"head": "zero_shot"})}),
            Earlier({"adapter": ("linear_probe", {"head": "zero_shot"}), "objective": plain}),
        )

    def merge(self, members: Members) -> State:
        """All of them; what a training does not move is what all start from."""
        from dgbench.models.effective import beside

        trained, *others = members.trajectories
        return beside([trained.initial() | one.at(one.steps[-1]) for one in (trained, *others)])
