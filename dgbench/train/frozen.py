"""What a backbone makes of some images of a dataset, without any training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from dgbench.core.backbone_name import parse
from dgbench.core.errors import DGBenchError
from dgbench.core.seeds import seed
from dgbench.data.catalogue import squares
from dgbench.models.backbones import build
from dgbench.models.network import Network, placed
from dgbench.train.evaluate import evaluating, features
from dgbench.train.sources import Pixels


def frozen_features(
    backbone: str,
    dataset: str,
    rows: Mapping[str, NDArray[np.int64]],
    device: str,
    progress: Callable[[], None] = lambda: None,
) -> dict[str, NDArray[np.float32]]:
    """Features ``[n, d]`` of some images of each domain.

    Random weights are the same each time.

    Args:
        backbone: By its name.
        dataset: By its name.
        rows: Which images, by domain.
        device: Where they are computed.
        progress: Is called after each domain.

    Raises:
        UnknownNameError: there is no such dataset or backbone.
        DataError: the dataset is not on this machine, or a picture is damaged.
        DGBenchError: weights cannot be had, or boards train them.
    """
    name = parse(backbone)
    if name.task is not None:
        raise DGBenchError(
            f"backbone '{backbone}': boards pretrain it on '{name.task}' themselves, so there are no weights by that "
            "name; take one with published weights, such as efficientnet-lite0, or weights of your own"
        )
    where = torch.device(device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed("frozen", name.canonical))
        network = placed(Network(build(name), classes=1), where)
    return dict(_each(network, dataset, rows, where, progress))


def _each(
    network: Network,
    dataset: str,
    rows: Mapping[str, NDArray[np.int64]],
    device: torch.device,
    progress: Callable[[], None],
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    for domain in squares(dataset, network.info.size):
        if domain.name in rows:
            inputs = Pixels(domain.inputs, network.info, device, resident=False)
            with evaluating(network):
                found = features(network, inputs, torch.from_numpy(rows[domain.name]))
            yield domain.name, found.cpu().numpy()
            progress()
