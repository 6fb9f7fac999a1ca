"""SWAD: the mean of the weights after every step of the valley of the validation loss.

Cha, Chun, Lee, Cho, Park, Lee, Park: SWAD: Domain Generalization by Seeking Flat Minima. NeurIPS 2021.
arXiv 2102.08604.

Checkpoints cut the training into segments; the validation loss at its end is a segment's loss. With the checkpoints
as the clock:

    start      the first segment whose loss none of the next ``converge - 1`` undercuts
    threshold  (1 + ratio) * mean loss of those ``converge`` segments
    end        the last segment within the threshold before ``tolerance`` in a row are above it

The result is the mean over the valley's segments, each the mean of its steps. When the loss never converges it is the
last segment's mean, as in the released code.

Deviations from the released code, which ``legacy_double_count`` brings back: it counts some segments twice or three
times (the starting one nearly always); it reaches back before the start to segments within the threshold, but for the
first of them; and when training ends soon after the start it takes in segments from before the valley, whatever
their loss. Beyond that, its first segment is the single evaluation at step 0, and here the first stretch of training.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from dgbench.algorithms.averaging.averaged import Averaged
from dgbench.algorithms.slots import State, Trajectory
from dgbench.core import pieces
from dgbench.core.units import Count, NonNegative


@dataclass(frozen=True)
class SWAD(Averaged):
    """Dense average over the loss valley.

    Attributes:
        converge: Patience at the start, in segments (N_s).
        tolerance: Patience at the end, in segments (N_e); at least ``converge``.
        ratio: How far above the loss at the start the valley reaches, as a share of it (r).
        legacy_double_count: Weigh the segments as the released code does.
        statistics: As in :class:`Averaged`; the released code recomputes.
    """

    converge: Count = 3
    tolerance: Count = 6
    ratio: NonNegative = 0.3
    legacy_double_count: bool = False
    statistics: Literal["average", "recompute"] = field(default="recompute", kw_only=True)

    def __post_init__(self) -> None:
        if self.tolerance < self.converge:
            raise ValueError(f"tolerance ({self.tolerance}) must be at least converge ({self.converge})")

    def candidates(self, trajectory: Trajectory) -> Iterator[tuple[int, State]]:
        """One candidate; its step is the valley's last."""
        from dgbench.models.effective import weighted_mean

        losses = [trajectory.validation_loss(step) for step in trajectory.steps]
        counts = (released_counts if self.legacy_double_count else valley_counts)(
            losses, self.converge, self.tolerance, self.ratio
        )
        taken = [(count, step) for count, step in zip(counts, trajectory.steps, strict=True) if count]
        yield taken[-1][1], weighted_mean((count, trajectory.segment(step)) for count, step in taken)

    def reads(self, steps: Sequence[int], candidate: int | None = None) -> frozenset[str]:
        """The means between checkpoints: where the valley lies is known at the end."""
        return frozenset(map(pieces.segment, steps))


def valley_counts(losses: Sequence[float], converge: int, tolerance: int, ratio: float) -> list[int]:
    """Weight of each segment, 1 inside the valley and 0 outside; only the last where there is no valley."""
    start = convergence(losses, converge)
    if start is None:
        return [0] * (len(losses) - 1) + [1]
    threshold = (1 + ratio) * sum(losses[start : start + converge]) / converge
    end = start
    for segment in range(start, len(losses)):
        if losses[segment] <= threshold:
            end = segment
        elif segment - end == tolerance:
            break
    return [int(start <= segment <= end) for segment in range(len(losses))]


def released_counts(losses: Sequence[float], converge: int, tolerance: int, ratio: float) -> list[int]:
    """How often the released code counts each segment.

    It keeps the last ``tolerance`` segments in a queue. On convergence it back-fills from the queue's front; from then
    on it counts the front segment at every checkpoint, new or not; at the end it counts what is left in the queue.
    """
    start = convergence(losses, converge)
    if start is None:
        return [0] * (len(losses) - 1) + [1]
    threshold = (1 + ratio) * sum(losses[start : start + converge]) / converge
    counts: Counter[int] = Counter()
    converged = start + converge - 1

    front = max(0, converged - tolerance + 1)
    reach = range(front, min(front + tolerance - converge, converged) + 1)
    above = [segment for segment in reach if losses[segment] > threshold]
    counts.update(range(above[-1] + 2 if above else front + 1, reach.stop))

    for now in range(converged + 1, len(losses)):
        front = max(0, now - tolerance + 1)
        if front < start:
            continue
        if min(losses[front : now + 1]) > threshold:
            break
        counts[front] += 1
    else:
        front = max(0, len(losses) - tolerance)
        within = [segment for segment in range(front + 1, len(losses)) if losses[segment] <= threshold]
        counts.update(range(front + 1, within[-1] + 1 if within else 0))
    if not counts:
        counts[start] = 1
    return [counts[segment] for segment in range(len(losses))]


def convergence(losses: Sequence[float], converge: int) -> int | None:
    """The first segment whose loss is the least of ``converge`` in a row that it opens, or None."""
    for segment in range(len(losses) - converge + 1):
        if losses[segment] == min(losses[segment : segment + converge]):
            return segment
    return None
