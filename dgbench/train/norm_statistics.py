"""Statistics of batch normalisation for weights that no training step has seen, such as averages.

An average of running means and variances is not what the averaged weights would have gathered. The released code of
SWAD (J. Cha et al., NeurIPS 2021) re-estimates them on training batches; so does ``torch.optim.swa_utils.update_bn``
(P. Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization", UAI 2018).
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn

from dgbench.models.network import Network
from dgbench.train.evaluate import evaluating

SHARE = 10
"""One batch for so many training steps: 500 in a training of 5,000, as SWAD's code takes."""
FEWEST = 10
"""Batches at least."""


def batches_for(steps: int) -> int:
    """How many batches the statistics of a training with so many steps are estimated on."""
    return max(FEWEST, steps // SHARE)


def recompute(network: Network, batches: Iterable[Tensor]) -> None:
    """Replace running statistics by their plain mean over batches, in place; weights stay, and dropout is off.

    Args:
        network: Any number of its layers normalise by the batch.
        batches: Normalised images ``[n, 3, h, w]`` on the network's device.
    """
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.track_running_stats]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    with evaluating(network):
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # torch's way to say: the mean over all batches
            norm.train()
        try:
            for x in batches:
                network.features(x)
        finally:
            for norm, momentum in zip(norms, momenta, strict=True):
                norm.momentum = momentum
