"""An exported model read back: a torch module, the pictures' way to it, and a stream for predictors that learn."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from dgbench.algorithms.slots import Predictor, Source, Stream
from dgbench.core.errors import DGBenchError, shown
from dgbench.core.names import in_short
from dgbench.exported.card import BACKBONE, HEAD, MEMORY, ModelCard, read_card, tensors
from dgbench.exported.pictures import square_of
from dgbench.models.backbones import bare
from dgbench.models.consistency import CONSISTENCY
from dgbench.models.effective import load_effective
from dgbench.models.network import Backbone, Network
from dgbench.models.side import sides_of, widen
from dgbench.models.weightless import weightless
from dgbench.runs.parts import part_of

Shapes = dict[str, list[int]]


class Model(nn.Module):
    """A model that was selected on a board, in evaluation mode.

    Attributes:
        card: All that is said of it.
        classes: Their names; a score's column is a position in this tuple.
        network: Backbone and heads.
        predictor: What makes scores of features.
        scores: Whether scores are ``logits`` or ``probabilities``.
        online: Whether a prediction depends on the examples before it.
        sees_images: Whether the predictor is shown pictures, in place of their features.
        memory_features, memory_labels, memory_domains: What the predictor remembers of the training images; None where
            it remembers nothing.
    """

    memory_features: Tensor | None
    memory_labels: Tensor
    memory_domains: Tensor

    def __init__(self, card: ModelCard, network: Network, predictor: Predictor, memory: Source | None) -> None:
        super().__init__()
        self.card = card
        self.classes = card.classes
        self.network = network
        self.predictor = predictor
        if predictor.scores == "values":
            raise DGBenchError(f"an exported model says classes, and {type(predictor).__name__} predicts values")
        self.scores = predictor.scores
        self.online = predictor.track == "online"
        self.sees_images = predictor.sees == "images"
        for name in ("features", "labels", "domains"):
            self.register_buffer(f"memory_{name}", None if memory is None else getattr(memory, name))
        self.eval()

    def transform(self, picture: str | Path | Image.Image | NDArray[np.generic]) -> Tensor:
        """A picture as the network sees it: float32 ``[3, size, size]``, on the CPU.

        It is what the pictures of the board's data went through, bit for bit.

        Args:
            picture: The path of a file, a picture of Pillow, or an array as :func:`pictures.square_of` takes it.

        Raises:
            DataError: it cannot be decoded.
        """
        return self.ready(torch.from_numpy(square_of(picture, self.card.preprocessing))[None])[0]

    def ready(self, squares: Tensor) -> Tensor:
        """Squares as the network sees them: uint8 ``[n, size, size, 3]`` to float32 ``[n, 3, size, size]``."""
        statistics = self.card.preprocessing.mean, self.card.preprocessing.std
        mean, std = (torch.tensor(values, device=squares.device).view(1, 3, 1, 1) for values in statistics)
        return squares.permute(0, 3, 1, 2).contiguous().float().div_(255).sub_(mean).div_(std)

    def features(self, images: Tensor) -> Tensor:
        """Features ``[n, d]`` of transformed pictures ``[n, 3, size, size]``."""
        return self.network.features(images)

    def forward(self, images: Tensor) -> Tensor:
        """Scores ``[n, C]`` of transformed pictures ``[n, 3, size, size]``: ``logits`` or ``probabilities``.

        Raises:
            DGBenchError: the predictor learns from what it sees, so a prediction depends on those before: it has a
                :meth:`stream`.
        """
        if self.online:
            raise DGBenchError(
                f"{self.card.algorithm.title} learns from the pictures that it sees, so there is no score of one "
                "alone: take model.stream() and show it batch after batch with observe()"
            )
        return self._prepared().observe(images if self.sees_images else self.features(images))

    def stream(self) -> ImageStream:
        """A stream of batches from its beginning. Models without memory have one, too: theirs forgets everything."""
        return ImageStream(self, self._prepared())

    def _prepared(self) -> Stream:
        memory = None
        if self.memory_features is not None:
            memory = Source(self.memory_features, self.memory_labels, self.memory_domains)
        return self.predictor.prepare(self.network, memory)

    def extra_repr(self) -> str:
        """The recipe, and what it was trained on."""
        chosen = self.card.selection
        learnt = f"{chosen.dataset} ({in_short(chosen.sources)})"
        return f"{self.card.algorithm.title} on {learnt}, {len(self.classes)} classes"


class ImageStream:
    """A predictor at work on batches of pictures; no labels, no domain, no length of the stream."""

    def __init__(self, model: Model, stream: Stream) -> None:
        self._model = model
        self._stream = stream
        self.reset()

    def reset(self) -> None:
        """Forget what was seen, bit for bit."""
        self._stream.reset(0)

    def observe(self, images: Tensor) -> Tensor:
        """Scores ``[n, C]`` of transformed pictures ``[n, 3, size, size]``, which the predictor may learn from."""
        with torch.no_grad():
            if self._model.sees_images:
                return self._stream.observe(images)
            return self.observe_features(self._model.features(images))

    def observe_features(self, features: Tensor) -> Tensor:
        """The same of features ``[n, d]``.

        Raises:
            DGBenchError: the predictor is shown pictures, and changes what makes features of them.
        """
        if self._model.sees_images:
            raise DGBenchError(
                f"{self._model.card.algorithm.title} changes the network that makes features as it sees pictures: show "
                "the stream the pictures themselves, with observe()"
            )
        with torch.no_grad():
            return self._stream.observe(features)


def load(folder: Path, device: str | torch.device = "cpu") -> Model:
    """Read an exported model.

    Nothing in the folder is executed, and nothing is fetched: the card names a backbone and a predictor, which are
    looked up, and every tensor has to have the name and the shape that they ask for.

    Raises:
        DGBenchError: the folder is no exported model, or not what its card says.
        UnknownNameError: what the card names is not installed here.
    """
    card = read_card(folder)
    backbone, head = _read(tensors(folder, card, BACKBONE)), _read(tensors(folder, card, HEAD))
    with weightless():
        _refuse_strange(folder / BACKBONE, _shapes(bare(card.backbone.name).module.state_dict()), _shapes(backbone))
    built = _placed(bare(card.backbone.name), card)
    _refuse_strange(folder / HEAD, _head_shapes(built, card, head), _shapes(head))
    backbone_card = card.backbone
    network = Network(built, len(card.classes), backbone_card.unit, backbone_card.precision, backbone_card.activation)
    load_effective(network, {f"backbone.{name}": tensor for name, tensor in backbone.items()} | head)
    network.to(memory_format=torch.channels_last)
    network.requires_grad_(False)
    predictor: Predictor = part_of("predictor", card.predictor, str(folder))
    needs = predictor.needs()
    lacks = {
        "further heads": network.domain_heads is None and any("_head" in need for need in needs),
        "a consistency that was learnt": network.consistency is None and "consistency" in needs,
        "a memory": bool(predictor.needs_source) != (MEMORY in card.files),
    }
    if any(lacks.values()):
        raise DGBenchError(
            f"{folder}: the predictor '{card.predictor['part']}' needs {next(what for what in lacks if lacks[what])}, "
            "or has one that it does not need; export the model again"
        )
    memory = _memory(folder, card, network.info.dim) if predictor.needs_source else None
    return Model(card, network, predictor, memory).to(device)


def _placed(backbone: Backbone, card: ModelCard) -> Backbone:
    if backbone.dim != card.backbone.features:
        raise DGBenchError(
            f"backbone '{card.backbone.name}' has {backbone.dim} features here, the card says {card.backbone.features}"
        )
    return backbone


def _read(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
    except (SafetensorError, OSError, ValueError) as error:
        raise DGBenchError(f"{path} cannot be read ({shown(str(error), 200)}); export the model again") from error


def _shapes(state: Mapping[str, Any]) -> Shapes:
    return {name: list(tensor.shape) for name, tensor in state.items()}


def _head_shapes(built: Backbone, card: ModelCard, head: dict[str, Tensor]) -> Shapes:
    """What the heads have to be; how many domain heads there are, and how wide a side network, they say themselves."""
    classes = len(card.classes)
    if (sides := sides_of(head)) is not None:
        with weightless():
            network = Network(built, classes)
            widen(network, *sides)
        wanted = {n: shape for n, shape in _shapes(network.state_dict()).items() if not n.startswith("backbone.")}
        return wanted | _consistency(head, network.info.dim)
    wanted = {"head.weight": [classes, built.dim], "head.bias": [classes]} | _consistency(head, built.dim)
    if "domain_heads.weight" in head:
        rows = max(1, len(head["domain_heads.weight"]) // classes) * classes if head["domain_heads.weight"].dim() else 0
        wanted |= {"domain_heads.weight": [rows, built.dim], "domain_heads.bias": [rows]}
    return wanted


def _consistency(head: dict[str, Tensor], dim: int) -> Shapes:
    """What the maps of a consistency have to be; how many there are, they say themselves."""
    names = [f"{CONSISTENCY}{kind}" for kind in ("weight", "bias")]
    depth = next((len(head[name]) for name in names if name in head and head[name].dim()), None)
    return {} if depth is None else {name: [depth, dim] for name in names}


def _memory(folder: Path, card: ModelCard, dim: int) -> Source:
    found = _read(tensors(folder, card, MEMORY))
    n = len(found["features"]) if "features" in found and found["features"].dim() else 0
    _refuse_strange(folder / MEMORY, {"features": [n, dim], "labels": [n], "domains": [n]}, _shapes(found))
    labels, domains = found["labels"].long(), found["domains"].long()
    if n == 0 or not 0 <= int(labels.min()) <= int(labels.max()) < len(card.classes):
        raise DGBenchError(f"{folder / MEMORY}: labels are no classes of the card; export the model again")
    if not 0 <= int(domains.min()) <= int(domains.max()) < len(card.selection.sources):
        raise DGBenchError(f"{folder / MEMORY}: domains are no sources of the card; export the model again")
    features = found["features"].float()
    if not features.isfinite().all():
        raise DGBenchError(f"{folder / MEMORY}: features are not finite numbers; export the model again")
    return Source(features, labels, domains)


def _refuse_strange(path: Path, wanted: Shapes, found: Shapes) -> None:
    """One error that names what is missing, left over, or of another shape."""
    missing, left = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
    other = [f"'{n}' is {found[n]}, not {wanted[n]}" for n in wanted if n in found and found[n] != wanted[n]]
    problems = [f"{len(missing)} missing, as '{missing[0]}'"] if missing else []
    problems += [f"{len(left)} left over, as {left[0][:100]!r}"] if left else []
    problems += other[:1]
    if problems:
        raise DGBenchError(f"{path}: its tensors are not those of the network: {'; '.join(problems)}")
