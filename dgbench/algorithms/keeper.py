"""What an objective keeps between steps, in the network.

Weights of domains, running statistics, past predictions, a discriminator: they live in ``network.auxiliary``, where
they are saved and resumed with the network. :meth:`Keeper.attach` puts them there, the loss reads them, and they move
once a step by what the step's first pass showed, however many passes the optimizer takes: buffers by
:meth:`Keeper.remember`, weights down :meth:`Keeper.auxiliary_loss`. All passes of a step see them as the step before
left them.
"""

from __future__ import annotations

from collections.abc import Sequence

from dgbench.algorithms.earlier import Said
from dgbench.algorithms.later import Network, Tensor
from dgbench.algorithms.step import Forward


class Keeper:
    """Keeps nothing, unless its methods say otherwise."""

    @property
    def further_passes(self) -> float:
        """Forward-and-backward passes that what is kept costs once in each step; one forth alone is a third."""
        return 0.0

    def attach(self, network: Network, examples: Sequence[int]) -> None:
        """Add to ``network.auxiliary`` what is kept between steps: buffers, and modules.

        Random numbers come from torch's global generator on the CPU, which the loop has seeded.

        Args:
            network: With its adapter attached, on its device, before the first step.
            examples: How many rows each source domain has, those of validation included: ``batch.index`` is below it.
        """

    def leave(self, network: Network) -> None:
        """Add to the network what stays part of it when it predicts, since a predictor reads it.

        Its weights learn as those of ``network.auxiliary`` do, and are averaged as the network's own.

        Args:
            network: With its adapter attached.
        """

    def hear(self, network: Network, pools: Sequence[Tensor], labels: Sequence[Tensor], said: Sequence[Said]) -> None:
        """Note in ``network.auxiliary`` what earlier trainings say; called once after :meth:`attach`, if there are any.

        Args:
            network: As attached.
            pools, labels: The rows of each domain that train, and their classes, int64 ``[n_d]`` on the CPU.
            said: By each of the trainings that the objective asks for (``earlier``), in their order.
        """

    def remember(self, forward: Forward) -> None:
        """Move buffers in ``network.auxiliary`` in place, once a step, by a pass that has no graph.

        The network's weights have moved since the pass: features and logits are those of before. Where the optimizer
        took the batch apart there was no such pass: one is made now, with the weights as they have become.
        """

    def auxiliary_loss(self, forward: Forward) -> Tensor:
        """What weights in ``network.auxiliary`` minimise, those that require gradients: a scalar.

        The pass is that of :meth:`remember`, so nothing reaches the network; no loss of the network's reaches these.
        """
        raise NotImplementedError(f"{type(self).__name__} attaches weights and does not say what they minimise")

    def auxiliary_rate(self) -> float:
        """Their learning rate, as a multiple of the network's; all else is as for the network's weights."""
        return 1.0

    def auxiliary_steps(self) -> int:
        """How many steps they take in each step of the network, on the features of its first pass."""
        return 1
