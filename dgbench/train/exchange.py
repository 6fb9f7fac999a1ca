"""What processes that train together exchange, differentiable any number of times.

A tensor is either *common*, the same in every process, or *own*, of the process's own rows. A common one has, in every
process, the whole gradient of the loss; an own one has that of its rows. Four functions lead from one kind to the
other, and keep that true, so nobody who takes gradients need know of other processes:

    whose_own     common -> own       takes the process's rows            backwards: together
    together      own -> common       puts all processes' rows together   backwards: whose_own
    lent          common -> own       gives it out as it is               backwards: total
    total         own -> common       sums over the processes             backwards: lent

The derivative of each is another of them, so gradients of gradients are right as well. All of them come to one
exchange, a sum over processes, after which every process has the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from dgbench.core.errors import DGBenchError
from dgbench.train.division import Division


class GoneError(DGBenchError):
    """Another process of the training ended, or kept this one waiting for too long."""


def whose_own(among: Division, common: Tensor) -> Tensor:
    """The process's own rows of ``common [n, ...]``."""
    found: Tensor = _WhoseOwn.apply(among, common)
    return found


def together(among: Division, own: Tensor, rows: int) -> Tensor:
    """The rows of all processes, ``[rows, ...]``, from each one's own."""
    found: Tensor = _Together.apply(among, own, rows)
    return found


def lent(among: Division, common: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The same tensors, for each process to do something of its own with."""
    found: tuple[Tensor, ...] = _Lent.apply(among, *common)
    return found


def total(among: Division, own: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The sums over all processes, in one exchange."""
    found: tuple[Tensor, ...] = _Total.apply(among, *own)
    return found


def check_alike(among: Division, weights: Mapping[str, Tensor], step: int) -> None:
    """Refuse to go on where weights are not the same in all processes.

    Raises:
        DGBenchError: their sums differ.
    """
    if among.processes == 1:
        return
    sums = torch.stack([weight.detach().double().sum() for weight in weights.values()])
    least_and_most = torch.cat([-sums, sums])
    _exchange(least_and_most, dist.ReduceOp.MAX)
    least, most = least_and_most.chunk(2)
    if not torch.equal(-least, most):
        raise DGBenchError(
            f"after step {step} the {among.processes} processes of this training have weights of their own, so what "
            "they computed was not the same; take machines and devices that are alike"
        )


def _exchange(values: Tensor, operation: dist.ReduceOp.RedOpType = dist.ReduceOp.SUM) -> None:
    """In place."""
    try:
        dist.all_reduce(values, operation)
    except torch.OutOfMemoryError:  # of this process, and no word of another
        raise
    except RuntimeError as error:
        raise GoneError(f"another process of this training cannot be reached: {error}") from error


class _WhoseOwn(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, among: Division, common: Tensor) -> Tensor:
        ctx.among, ctx.rows = among, len(common)
        return common[among.rows(len(common))]

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Any:
        return None, together(ctx.among, slope, ctx.rows)


class _Together(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, among: Division, own: Tensor, rows: int) -> Tensor:
        ctx.among = among
        whole = own.new_zeros(rows, *own.shape[1:])
        whole[among.rows(rows)] = own
        _exchange(whole)
        return whole

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Any:
        return None, whose_own(ctx.among, slope), None


class _Lent(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, among: Division, *common: Tensor) -> tuple[Tensor, ...]:
        ctx.among = among
        ctx.set_materialize_grads(False)  # what was not used has no gradient, in place of one that is 0
        return tuple(each.view_as(each) for each in common)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor | None) -> Any:
        return None, *_of_those_there(total, ctx.among, slopes)


class _Total(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, among: Division, *own: Tensor) -> tuple[Tensor, ...]:
        ctx.among = among
        ctx.set_materialize_grads(False)
        flat = torch.cat([each.flatten() for each in own])
        _exchange(flat)
        parts = torch.split(flat, [each.numel() for each in own])
        return tuple(part.view(each.shape) for part, each in zip(parts, own, strict=True))

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor | None) -> Any:
        return None, *_of_those_there(lent, ctx.among, slopes)


def _of_those_there(function: Any, among: Division, slopes: Sequence[Tensor | None]) -> list[Tensor | None]:
    """A function of those slopes that are there; the others stay missing."""
    there = [slope for slope in slopes if slope is not None]
    found = iter(function(among, there) if there else ())
    return [None if slope is None else next(found) for slope in slopes]
