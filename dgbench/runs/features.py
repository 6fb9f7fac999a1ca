"""Features of frozen backbones, computed once and kept in the store.

A recipe that leaves the backbone and the images alone sees the same features in every step, trial and draw. So they are
extracted once for each (backbone and its weights, preprocessing, dataset, domain, view), and every head trains on them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cached_property
from hashlib import sha256

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dgbench.core.files import whole
from dgbench.core.provenance import revision
from dgbench.core.seals import seal
from dgbench.core.spec import Spec, identity
from dgbench.data.domain import Images
from dgbench.models.network import Network
from dgbench.runs.store import BusyError, Store
from dgbench.train.evaluate import evaluating, features
from dgbench.train.sources import Pixels
from dgbench.train.spec import TrainingSpec


class FeatureBank:
    """The features of one backbone on one dataset.

    Args:
        training: Says which backbone, weights, dataset and preprocessing.
        store: Where features are kept.
        device: Where they are computed and wanted.
        build: Makes the network; called only if something is missing.
    """

    def __init__(
        self, training: TrainingSpec, store: Store, device: torch.device, build: Callable[[], Network]
    ) -> None:
        self.training = training
        self.store = store
        self.device = device
        self._build = build

    @cached_property
    def _network(self) -> Network:
        return self._build()

    def spec(self, domain: str, view: str, rows: NDArray[np.int64] | None) -> Spec:
        """What identifies a set of features."""
        training = self.training
        return {
            "schema": "dgbench.features/2",
            "manifest": training.manifest,
            "size": training.size,
            "resize": training.resize,
            "decoding": training.decoding.spec(),
            "domain": domain,
            "view": view,
            "rows": None if rows is None else sha256(rows.astype("<i8").tobytes()).hexdigest(),
            "backbone": training.backbone,
            "weights": training.weights,
            "drawn": training.seed("init", training.backbone) if training.weights is None else None,
        }

    def get(
        self,
        domain: str,
        view: str,
        images: Callable[[], Images],
        rows: NDArray[np.int64] | None = None,
        progress: Callable[[int], None] = lambda images: None,
    ) -> Tensor:
        """Features ``[n, d]`` on the device.

        Args:
            domain: Name of the domain.
            view: ``clean``, or a shift family.
            images: Gives the images, if their features are missing.
            rows: Which rows of the domain the images are; all of them by default.
            progress: Is told of every so many images that they are done.

        Raises:
            BusyError: another process is extracting them.
            DamagedError: what is stored is not what was written.
        """
        spec = self.spec(domain, view, rows)
        with self.store.claim("features", spec) as folder:
            if folder is not None:
                clock = time.perf_counter()
                inputs = Pixels(images(), self._network.info, self.device, resident=False)
                with evaluating(self._network):
                    extracted = features(self._network, inputs, progress=progress)
                with whole(folder / "features.npy") as temporary, temporary.open("wb") as file:
                    np.save(file, extracted.float().cpu().numpy())
                seconds = round(time.perf_counter() - clock, 3)
                note = {"seconds": seconds, "device": self.device.type}
                seal(folder, note | {"torch": torch.__version__, "dgbench": revision()})
        path = self.store.file("features", identity(spec), "features.npy")
        return torch.from_numpy(np.load(path, allow_pickle=False)).to(self.device)

    def all(self, wanted: dict[str, Callable[[], Images]]) -> dict[str, Tensor]:
        """Clean features of whole domains; those that another process is at come last.

        Raises:
            BusyError: another process is still extracting one of them.
        """
        found: dict[str, Tensor] = {}
        busy: BusyError | None = None
        for domain, images in wanted.items():
            try:
                found[domain] = self.get(domain, "clean", images)
            except BusyError as error:
                busy = error
        if busy is not None:
            raise busy
        return found
