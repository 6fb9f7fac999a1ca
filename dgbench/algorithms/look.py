"""How the images of a pass go through the network: all at once, or divided (``train/looks.py``)."""

from __future__ import annotations

from collections.abc import Callable

from dgbench.algorithms.later import Tensor

Seen = tuple[Tensor, tuple[Tensor, ...]]
"""Features of images, ``[n, d]``, and what the backbone gave out at each of the network's levels."""
Run = Callable[[Tensor], Seen]
"""One run of the network over images, ``[n, ...]``."""
Look = Callable[[Run, Tensor], Seen]


def at_once(run: Run, x: Tensor) -> Seen:
    """All images in one run."""
    return run(x)
