"""What objectives share that keep something of every image of the source domains: where each one has its place."""

from __future__ import annotations

from collections.abc import Sequence

from dgbench.algorithms.later import Network, Tensor, torch
from dgbench.algorithms.step import Forward


def number(network: Network, examples: Sequence[int]) -> None:
    """Note in ``network.auxiliary`` where the images of each domain begin among all, the domains one after the other.

    Args:
        network: As an objective attaches to it.
        examples: How many images each source domain has.
    """
    counts = torch.tensor([0, *examples[:-1]], device=network.head.weight.device)
    network.auxiliary.register_buffer("starts", counts.cumsum(0))


def places(forward: Forward) -> Tensor:
    """The place of each example of a batch among all images, int64 ``[n]``."""
    return forward.network.auxiliary.get_buffer("starts")[forward.batch.source] + forward.batch.index


def keep(network: Network, name: str, pools: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    """Write into a buffer ``[N, ...]`` of ``network.auxiliary`` what is known of the images that train.

    Args:
        network: With the buffer.
        name: Of the buffer.
        pools: Rows of each domain, int64 ``[n_d]`` on the CPU.
        values: What is known of them, ``[n_d, ...]`` each on the CPU.
    """
    buffer, starts = network.auxiliary.get_buffer(name), network.auxiliary.get_buffer("starts")
    for start, pool, known in zip(starts, pools, values, strict=True):
        buffer[start + pool.to(buffer.device)] = known.to(buffer)
