"""Options that say who does the work, in how many processes, and into what a training is divided."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Launcher(StrEnum):
    """Who does the work."""

    local = "local"
    ray = "ray"
    slurm = "slurm"


LauncherName = Annotated[
    Launcher, typer.Option(help="who does the work: processes of this machine, a Ray cluster, or jobs of Slurm")
]
Address = Annotated[
    str | None, typer.Option(help="with --launcher ray: the cluster; $RAY_ADDRESS or this machine by default")
]
LauncherOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--launcher-option",
        metavar="NAME=VALUE",
        help="said to the launcher, as in --launcher-option partition=gpu; repeat for several",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1, help="processes in all; by default one for each CPU core, or a few for each accelerator that is used"
    ),
]
Processes = Annotated[
    int,
    typer.Option(
        "--processes-per-training",
        min=1,
        help="how many take each step of a training together, each on a device of its own where there are several",
    ),
]
MicroBatch = Annotated[
    int | None,
    typer.Option(
        "--micro-batch",
        min=1,
        help="how many images go through a network at once, where memory is short; all by default",
    ),
]
