"""How many pictures an exported model's network and predictor are shown at once, with a predictor that notes it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dgbench.exported.card import Preprocessing
from dgbench.exported.model import Model
from dgbench.exported.predict import predictions
from dgbench.train.evaluate import CHUNK

PICTURES = 300


class Noting:
    """In the place of a model: the class of a picture is told by its colour; batches are noted."""

    classes = tuple(map(str, range(10)))
    scores = "logits"
    network = nn.Linear(1, 1)

    def __init__(self, stream_batch: int, sees_images: bool) -> None:
        seen = Preprocessing(size=2, resize="stretch", mean=(0, 0, 0), std=(1, 1, 1), alpha="black", exif=False, bits=8)
        algorithm = SimpleNamespace(stream_batch=stream_batch, stream_mode="per_target")
        self.card = SimpleNamespace(preprocessing=seen, algorithm=algorithm)
        self.sees_images = sees_images
        self.looked: list[int] = []
        self.shown: list[int] = []

    def stream(self) -> Noting:
        return self

    def ready(self, squares: Tensor) -> Tensor:
        return squares.permute(0, 3, 1, 2).float()

    def features(self, images: Tensor) -> Tensor:
        self.looked.append(len(images))
        return images.mean((2, 3))

    def observe(self, images: Tensor) -> Tensor:
        assert self.sees_images
        self.shown.append(len(images))
        return self._said(images.mean((2, 3)))

    def observe_features(self, features: Tensor) -> Tensor:
        assert not self.sees_images
        self.shown.append(len(features))
        return self._said(features)

    def _said(self, colours: Tensor) -> Tensor:
        return torch.nn.functional.one_hot(colours[:, 0].long() % 10, 10).float()


@pytest.mark.parametrize("sees_images", [False, True])
@pytest.mark.parametrize("batch", [1, 7, 32, 128, 200, 1000])
def test_batches_are_those_of_one_stream_whatever_the_chunks(batch: int, sees_images: bool, tmp_path: Path) -> None:
    """Pictures that cannot be read are in no batch, and every answer stands at its picture."""
    model = Noting(batch, sees_images)
    colours = [number % 251 for number in range(PICTURES)]
    given: list[np.ndarray | Path] = [np.full((3, 3, 3), colour, np.uint8) for colour in colours]
    missing = (0, 5, 130, len(given) + 3)
    for place in missing:
        given.insert(place, tmp_path / f"{place}.png")
    found = list(predictions(cast("Model", model), given))
    assert [at for at, one in enumerate(found) if one.error] == list(missing)
    assert [one.label for one in found if not one.error] == [str(colour % 10) for colour in colours]
    whole, rest = divmod(PICTURES, batch)
    assert model.shown == [batch] * whole + [rest] * bool(rest)
    assert model.looked == ([] if sees_images else [CHUNK, CHUNK, PICTURES - 2 * CHUNK])
