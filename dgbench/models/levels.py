"""Places in a backbone on the way to its features: what some of its blocks give out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import groupby, takewhile
from typing import Any, TypeVar

from torch import Tensor, nn

from dgbench.models.network import Backbone, Level, Matrix, Network

T = TypeVar("T")


def levels(info: Backbone, module: nn.Module, most: int) -> tuple[Level, ...]:
    """Up to ``most`` blocks, evenly spaced, the last one among them; none where no blocks are known.

    Args:
        info: Says where the blocks are.
        module: The backbone as it is now; an adapter may have changed its weights.
        most: How many.
    """
    blocks = [list(matrices) for _, matrices in groupby(info.matrices, lambda matrix: matrix.block)]
    return tuple(_level(module, block) for block in _spaced(blocks, most))


def _spaced(all_of_them: Sequence[T], most: int) -> list[T]:
    """Up to ``most``, evenly spaced, the last one among them."""
    count = min(most, len(all_of_them))
    return [all_of_them[-(-(place + 1) * len(all_of_them) // count) - 1] for place in range(count)]


@dataclass(frozen=True)
class Stage:
    """A place in a network whose output can be changed.

    Attributes:
        module: Whose.
        channels: How many numbers it has at each place.
        axis: Which of its axes they are along: 1 of maps, -1 of tokens.
    """

    module: nn.Module
    channels: int
    axis: int


def stages(network: Network, most: int = 4) -> tuple[Stage, ...]:
    """Up to ``most`` places, evenly spaced: blocks, or of a network without known ones what timm calls its stages.

    They are in what an image goes through with gradients: of a network beside a frozen backbone, in that.
    """
    if network.side is not None:
        return _staged(network.side.small, most)
    known = levels(network.info, network.backbone, most)
    found = (Stage(network.backbone.get_submodule(one.module), one.channels, one.axis) for one in known)
    return tuple(found) or _staged(network.backbone, most)


def told_stages(module: nn.Module) -> list[Mapping[str, Any]]:
    """What a network says of its stages, as timm's do; nothing, where it says nothing."""
    told: Any = getattr(module, "feature_info", None) or []
    return list(getattr(told, "info", told))


def _staged(module: nn.Module, most: int) -> tuple[Stage, ...]:
    chosen = _spaced(told_stages(module), most)
    return tuple(Stage(module.get_submodule(one["module"]), one["num_chs"], 1) for one in chosen)


@contextmanager
def changing(changes: Sequence[tuple[Stage, Callable[[Tensor], Tensor]]]) -> Iterator[None]:
    """Let what stages give out go through functions, for as long as this lasts."""
    with ExitStack() as hooks:
        for stage, change in changes:
            hook = stage.module.register_forward_hook(lambda module, given, made, change=change: change(made))
            hooks.callback(hook.remove)
        yield


def _level(module: nn.Module, block: Sequence[Matrix]) -> Level:
    """The innermost module with all matrices of a block, whose output is as long as that of the last matrix."""
    paths = [matrix.module.split(".") for matrix in block]
    shared = [names[0] for names in takewhile(lambda names: len(set(names)) == 1, zip(*paths, strict=False))]
    last = getattr(module.get_submodule(block[-1].module), block[-1].parameter)
    return Level(".".join(shared), len(last), 1 if last.ndim == 4 else -1)
