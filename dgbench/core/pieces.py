"""What a training's way is made of, piece by piece: the weights that averaging works on, each by a name.

A piece is a file ``weights/<name>.safetensors`` of a training:

    000040              the weights after 40 steps, at a checkpoint
    000040-mean         their mean over the steps since the checkpoint before
    ema-0.99            their bias-corrected exponential average, at the end
    candidate-ID-000040 what the averaging part of that identity made of several pieces, as the candidate of step 40
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dgbench.core.spec import Spec, identity

DECAYS = (0.9, 0.99, 0.999)
"""Decays of the exponential averages that a training can record."""
FOLDER, SUFFIX = "weights/", ".safetensors"
_MEAN = "-mean"
INITIAL = "initial"
"""The weights before the first step. Earlier versions kept them with every training; now they are built again."""


def checkpoint(step: int) -> str:
    """The weights after so many steps."""
    return f"{step:06d}"


def segment(step: int) -> str:
    """The mean of the weights since the checkpoint before."""
    return f"{step:06d}{_MEAN}"


def is_segment(name: str) -> bool:
    """Whether a piece is a :func:`segment`."""
    return name.endswith(_MEAN)


def exponential(decay: float) -> str:
    """The exponential average of the weights."""
    return f"ema-{decay}"


def every(steps: Sequence[int]) -> frozenset[str]:
    """All that a training with checkpoints after these steps can record."""
    return frozenset((*map(checkpoint, steps), *map(segment, steps), *map(exponential, DECAYS)))


def candidate(averaging: Spec, step: int) -> str:
    """What an averaging part, described with its hyperparameters, made of several pieces for a step."""
    return f"candidate-{identity(averaging)}-{step:06d}"


def step_of(name: str) -> int:
    """The step of a :func:`candidate`."""
    return int(name.rpartition("-")[2])


def file(name: str) -> str:
    """Where a piece lies in the folder of its training."""
    return f"{FOLDER}{name}{SUFFIX}"


def pieces(files: Iterable[str]) -> frozenset[str]:
    """The names of the pieces among the files of a training."""
    return frozenset(
        name.removeprefix(FOLDER).removesuffix(SUFFIX)
        for name in files
        if name.startswith(FOLDER) and name.endswith(SUFFIX)
    )
