"""The network of a whole algorithm from elsewhere: an object of its class, of which logits are asked."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dgbench.core.elsewhere import PREFIX, Whole, code, load
from dgbench.core.errors import RecipeError
from dgbench.models.backbones.facts import IMAGENET
from dgbench.models.network import Backbone, Network


def sow(seed: int) -> None:
    """Seed the generators that are global: those of Python, of NumPy, and of torch on all devices."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


class Elsewhere(Network):
    """An object of a class with DomainBed's interface. Its *features* are the logits that it predicts.

    Args:
        whole: Which class, and its hyperparameters.
        size: Side of the images, in pixels.
        classes, domains: How many there are.
        seed: What is global is seeded with it before the object is made.
        device: Where it works.

    Raises:
        RecipeError: the class may not be imported, has changed, is no module of torch, or cannot be made.
    """

    def __init__(self, whole: Whole, size: int, classes: int, domains: int, seed: int, device: torch.device) -> None:
        nn.Module.__init__(self)
        self.called = f"{PREFIX}{whole.algorithm}"
        self.info = Backbone(self.called, nn.Identity(), classes, size, *IMAGENET)
        self.classes = classes
        self.unit_features = False
        self.activation = "identity"
        self.precision = "float32"
        self.backbone = _made(whole, self.called, (size, classes, domains, seed)).to(device)
        self.shapes = {f"backbone.{name}": p.shape for name, p in self.backbone.named_parameters()}
        self.first = {f"backbone.{name}": b.detach().clone() for name, b in self.backbone.named_buffers()}
        self.add_module("head", nn.Identity())
        self.domain_heads = None
        self.auxiliary = nn.Module()
        self.consistency = None
        self.levels = ()
        self.again: Callable[[], Elsewhere] = partial(Elsewhere, whole, size, classes, domains, seed, device)
        """One that nothing has happened to."""

    @property
    def algorithm(self) -> Any:
        """The object."""
        return self.backbone

    def features(self, x: Tensor) -> Tensor:
        """Logits ``[n, C]`` of normalised images, which lie in memory as DomainBed's loaders give them.

        Raises:
            RecipeError: what the class predicts is something else.
        """
        logits = self.algorithm.predict(x.contiguous())
        if not isinstance(logits, Tensor) or logits.shape != (len(x), self.classes):
            what = f"the shape {list(logits.shape)}" if isinstance(logits, Tensor) else f"a {type(logits).__name__}"
            raise RecipeError(
                f"'{self.called}': predict(x) gave {what} for {len(x)} images, not logits of {self.classes} classes"
            )
        return logits.float()

    def tensors(self) -> dict[str, Tensor]:
        """The parameters and buffers that there were when the object was made, each once.

        A buffer of another shape than then (one that was empty, say) counts as it was: whoever looks whether
        predictions follow from these tensors sees whether it matters.

        Raises:
            RecipeError: a parameter is gone, or has another shape.
        """
        now = {f"backbone.{n}": t for n, t in (*self.backbone.named_parameters(), *self.backbone.named_buffers())}
        for name, shape in self.shapes.items():
            if name not in now or now[name].shape != shape:
                raise RecipeError(
                    f"'{self.called}': the parameter '{name.removeprefix('backbone.')}' went, or came to be of another "
                    "shape; what there is when the object is made must stay, or nobody can load its weights"
                )
        alike = {name for name, first in self.first.items() if name in now and now[name].shape == first.shape}
        return {name: now[name] for name in self.shapes} | {
            name: now[name] if name in alike else first for name, first in self.first.items()
        }

    def load(self, state: dict[str, Tensor]) -> None:
        """Take weights, in place; names and shapes are those of :meth:`tensors`."""
        own = self.tensors()
        if own.keys() != state.keys():
            raise RecipeError(
                f"'{self.called}' has other parameters and buffers than were stored: {own.keys() ^ state}"
            )
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(state[name])


def _made(whole: Whole, called: str, given: tuple[int, int, int, int]) -> nn.Module:
    size, classes, domains, seed = given
    of = load(whole.algorithm)
    if code(whole.algorithm) != whole.code:
        raise RecipeError(f"the code of '{called}' is not what this was planned with; plan again")
    if not issubclass(of, nn.Module):
        raise RecipeError(f"'{called}' is no torch.nn.Module, so nobody knows what its weights are")
    sow(seed)
    try:
        made: nn.Module = of((3, size, size), classes, domains, copy.deepcopy(whole.hparams))
    except Exception as error:
        raise RecipeError(
            f"'{called}' cannot be made with hparams = {whole.hparams}: {type(error).__name__}: {error}. A card "
            "says what they are: (card=mine.toml)"
        ) from error
    for name, tensor in (*made.named_parameters(), *made.named_buffers()):
        if nn.parameter.is_lazy(tensor):
            raise RecipeError(
                f"'{called}': how large '{name}' is only its first images would tell (as of nn.LazyLinear); give its "
                "size when the object is made, or nobody knows what its weights are"
            )
    return made
