"""Features of frozen backbones, computed once and kept in the store.

A recipe that leaves the backbone and the images alone sees the same features in every step, trial and draw. So they are
extracted once for each (backbone and its weights, preprocessing, dataset, domain, view), and every head trains on them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dgbench.core.in_use import use
from dgbench.core.provenance import revision
from dgbench.core.seals import DONE, seal
from dgbench.core.shift_families import VIEWS_VERSION
from dgbench.core.spec import Spec, identity
from dgbench.data.domain import Images
from dgbench.data.pixels.npy import head
from dgbench.models.backbones import bare
from dgbench.models.network import Backbone, Network
from dgbench.models.weightless import weightless
from dgbench.runs.feature_shelf import shelf
from dgbench.runs.stamps import Stamp, stamp
from dgbench.runs.store import BusyError, Store
from dgbench.train.evaluate import evaluating, features
from dgbench.train.sources import Pixels
from dgbench.train.spec import TrainingSpec

_FILE = "features.npy"
_NOTES = 4096
"""Bytes that the seal of features takes, at most."""
_SMALL, _MANY = 2**21, 64
"""Bytes of features that stay in memory once they are read, and how many such sets: dozens of trainings that follow one
another in a process ask for the same, and to read them takes longer than to predict from them."""
_at_hand: dict[tuple[Path, torch.device, Stamp | None], Tensor] = {}
"""By where they lie, where they are wanted, and the stamp of the file: what has changed is read again."""


def room_for(images: int, features: int) -> int:
    """Bytes that the features of so many images take, at most."""
    return len(head((images, features), np.dtype(np.float32))) + 4 * images * features + _NOTES


@cache
def outlined(backbone: str) -> Backbone:
    """What is to be known of a backbone, without its network, which is built without weights or room for them."""
    with weightless():
        return replace(bare(backbone), module=nn.Identity())


def dimension(backbone: str) -> int:
    """How many features a backbone gives of an image."""
    return outlined(backbone).dim


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
            "schema": "dgbench.features/3",
            "manifest": training.manifest,
            "size": training.size,
            "resize": training.resize,
            "decoding": training.decoding.spec(),
            "domain": domain,
            "view": view,
            "views": None if view == "clean" else VIEWS_VERSION,
            "rows": None if rows is None else sha256(rows.astype("<i8").tobytes()).hexdigest(),
            "backbone": training.backbone,
            "weights": training.weights,
            "precision": training.precision,
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
            DiskError: the store cannot be written, or may not take as much.
        """
        spec = self.spec(domain, view, rows)
        mark = self.store.folder("features", identity(spec)) / DONE
        path = mark.with_name(_FILE)
        known = path, self.device, stamp(path)
        if known in _at_hand:
            shelf(self.store).used(mark)
            return _at_hand[known]
        while True:
            with self.store.claim("features", spec) as folder:
                if folder is not None:
                    found = self._extract(folder, images(), progress)
                    break
            try:
                with use(mark):  # so that nobody takes it away to make room
                    path = self.store.file("features", identity(spec), _FILE)
                    found = torch.from_numpy(np.load(path, allow_pickle=False))
                    break
            except FileNotFoundError:  # somebody has just done so
                continue
        shelf(self.store).used(mark)
        found = found.to(self.device)
        if known[-1] is not None and found.nbytes <= _SMALL:
            while len(_at_hand) >= _MANY:
                del _at_hand[next(iter(_at_hand))]
            _at_hand[known] = found
        return found

    def _extract(self, folder: Path, images: Images, progress: Callable[[int], None]) -> Tensor:
        """Compute them and write them; on the CPU."""
        clock = time.perf_counter()
        inputs = Pixels(images, self._network.info, self.device, resident=False)
        with evaluating(self._network):
            extracted = features(self._network, inputs, progress=progress).float().cpu()
        array = extracted.numpy()
        header = head(array.shape, array.dtype)
        size = len(header) + array.nbytes
        with shelf(self.store).file(folder / _FILE, size, _NOTES) as temporary, temporary.open("rb+") as file:
            file.write(header)
            file.write(np.ascontiguousarray(array).data)
        note = {"seconds": round(time.perf_counter() - clock, 3), "device": self.device.type}
        seal(folder, note | {"torch": torch.__version__, "dgbench": revision()})
        return extracted

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
