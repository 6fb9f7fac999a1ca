"""How the images of a step go through the network where they are divided: in micro-batches, or among processes.

Whatever an objective, an optimizer or an adapter's penalty makes of features, it makes of those of all images, in every
process alike. So nothing but the way from images to features is divided, and every recipe is exact that takes its
gradients by torch's autograd.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from dgbench.algorithms.look import Look, Run, Seen, at_once
from dgbench.core.errors import RecipeError
from dgbench.core.seeds import seed
from dgbench.models.network import Network
from dgbench.models.norms import by_batch
from dgbench.train.common_norms import normalise_together
from dgbench.train.division import Division
from dgbench.train.exchange import lent, together, whose_own


def look_by(division: Division, network: Network) -> Look:
    """How a network, its modes set, looks at images.

    Raises:
        RecipeError: layers normalise by the batch, and there are micro-batches.
    """
    look: Look = at_once
    if division.micro_batch is not None:
        if any(layer.training for layer in by_batch(network)):
            raise RecipeError(BY_BATCH.format(network.info.name))
        look = MicroBatches(division.micro_batch)
    if division.processes > 1:
        normalise_together(network, division)
        look = Shares(division, network, look)
    return look


BY_BATCH = (
    "layers of '{}' normalise by the batch, and with micro-batches (--micro-batch) none of them sees a whole one: "
    'share steps among processes (--processes-per-training), let rules say norm_mode = "frozen", or take another'
)


class MicroBatches:
    """Some images at a time: twice forward and once back, since nothing but features is kept from the first time.

    Args:
        size: How many images at most.
    """

    def __init__(self, size: int) -> None:
        self.size = size

    def __call__(self, run: Run, x: Tensor) -> Seen:
        """What ``run`` gives of all images."""
        features, inner = zip(
            *(checkpoint(run, some, use_reentrant=False) for some in torch.split(x, self.size)), strict=True
        )
        return torch.cat(features), tuple(map(torch.cat, zip(*inner, strict=True)))


class Shares:
    """Each process its own rows; what they give is put together.

    Args:
        among: The processes.
        network: With the weights that are lent to the process's own rows.
        look: How a process looks at its rows.
    """

    def __init__(self, among: Division, network: Network, look: Look) -> None:
        self.among = among
        self.network = network
        self.look = look

    def __call__(self, run: Run, x: Tensor) -> Seen:
        """What ``run`` gives of all images."""
        weights = {name: p for name, p in self.network.named_parameters() if p.requires_grad}
        own = dict(zip(weights, lent(self.among, list(weights.values())), strict=True))
        looking = _Looking(self.network, lambda rows: self.look(run, rows))
        with self._drawing_apart(x.device):
            seen: Seen = torch.func.functional_call(looking, own, (whose_own(self.among, x),))
        features, inner = seen
        rows = len(x)
        return together(self.among, features, rows), tuple(together(self.among, each, rows) for each in inner)

    @contextmanager
    def _drawing_apart(self, device: torch.device) -> Iterator[None]:
        """Let random layers draw something else in each process, and all that comes after the same in all."""
        generator = torch.default_generator if device.type == "cpu" else torch.cuda.default_generators[_index(device)]
        common = generator.get_state()
        generator.manual_seed(seed("process", self.among.rank, blake2b(common.numpy().tobytes()).hexdigest()))
        before = generator.get_state()
        try:
            yield
            drew = not torch.equal(before, generator.get_state())
        finally:
            generator.set_state(common)
        if drew:  # the next pass of the step is to draw anew
            torch.rand((), device=device, generator=generator)


class _Looking(nn.Module):
    """A network whose weights ``functional_call`` can replace while something looks into it."""

    def __init__(self, network: Network, look: Run) -> None:
        super().__init__()
        self.forward = look
        for name, child in network.named_children():
            self.add_module(name, child)


def _index(device: torch.device) -> int:
    return torch.cuda.current_device() if device.index is None else device.index
