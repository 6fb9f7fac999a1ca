"""The style of what a layer gives out, and another one in its place: shared by ITTA's two sides.

Zhou, Yang, Qiao, Xiang: Domain Generalization with MixStyle. ICLR 2021. arXiv 2104.02008.

    style of x: mean m and standard deviation s of each channel over places       normal = (x - m) / s
    restyled:   normal (a s + (1 - a) s') + a m + (1 - a) m'                    m', s' of another image, a its own share

No gradient flows through styles.
"""

from __future__ import annotations

from typing import NamedTuple

from dgbench.algorithms.later import Tensor

EPSILON = 1e-6


class Style(NamedTuple):
    """Mean and standard deviation of each channel of n images, ``[n, c]`` each, float32."""

    mean: Tensor
    deviation: Tensor

    def of(self, rows: Tensor) -> Style:
        """Those of some rows, int64 ``[m]``."""
        return Style(self.mean[rows], self.deviation[rows])


def style(x: Tensor, axis: int) -> Style:
    """Of what a layer gives out, ``[n, ...]``, with channels along an axis."""
    values = x.detach().float().movedim(axis, -1).flatten(1, -2)
    return Style(values.mean(1), (values.var(1, correction=0) + EPSILON).sqrt())


def restyled(x: Tensor, axis: int, other: Style, share: Tensor) -> Tensor:
    """The same with styles mixed with others'.

    Args:
        x: ``[n, ...]``.
        axis: Of its channels.
        other: One for each image.
        share: How much each keeps of its own, ``[n]`` in [0, 1].
    """
    shape = [len(x), *[1] * (x.ndim - 1)]
    shape[axis] = x.shape[axis]
    own = style(x, axis)
    mixed = [share[:, None] * mine + (1 - share[:, None]) * its for mine, its in zip(own, other, strict=True)]
    mean, deviation, new_mean, new_deviation = (part.view(shape) for part in (*own, *mixed))
    return ((x.float() - mean) / deviation * new_deviation + new_mean).to(x.dtype)
