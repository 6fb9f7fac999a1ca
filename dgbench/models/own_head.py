"""The head that a backbone's weights came with: a linear classifier, of which a dataset's classes take their rows.

    row_c = the classifier's row for the class that the dataset calls c        logits of all other rows are left out

A classifier of timm's published weights is one of ImageNet's classes (1,000, or one of its larger lists), whose names
and WordNet ids timm knows. A class of a dataset is found by either, or by any one of its synonyms, in whichever
spelling, unless two classes share it ("crane"). A file of one's own names no classes: its rows are those of ImageNet
where there are so many and all classes are found among them, else as many as the dataset has classes, in their order.

That the head is linear in the features is not believed but seen: on noise, the network with its classifier must give
what the rows make of its features. Networks of which that is not so (several heads, a norm layer behind the features
that a backbone gives) have no head here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor, nn

from dgbench.core.backbone_name import parse
from dgbench.core.errors import DGBenchError, did_you_mean
from dgbench.data.disk.naming import Names, plain, some
from dgbench.models.backbones import build, facts, with_classifier
from dgbench.models.network import Network

CLOSE = 1e-3
"""How far logits may be from those of the whole network, in units of their spread."""


@cache
def rows(backbone: str, classes: tuple[str, ...]) -> tuple[int, ...]:
    """Which rows of a backbone's own head are those of some classes, in their order.

    Raises:
        DGBenchError: it has no head, or one of the classes is not among its classes.
    """
    count = facts(backbone, fetch=False).head
    if count is None:
        raise DGBenchError(f"'{backbone}' has no head of its own")
    names = _names(count)
    in_order = parse(backbone).weights is not None and count == len(classes)
    if in_order and (names is None or None in _found(names, classes)):
        return tuple(range(count))
    if names is None:
        raise DGBenchError(
            f"the head of '{backbone}' has {count} classes, which nobody names, and there are {len(classes)} here; a "
            "head of one's own has as many as the dataset, in the order of its card, or the 1,000 of ImageNet"
        )
    found = _found(names, classes)
    if unknown := [name for name, row in zip(classes, found, strict=True) if row is None]:
        whole, parts = _called(names)
        raise DGBenchError(
            f"the head of '{backbone}' knows {count:,} classes of ImageNet, and no one of them is called "
            f"{some(unknown)}.{did_you_mean(unknown[0], [*whole.exact, *parts.exact])} Call the classes on the "
            "dataset's card as ImageNet does, by a name or by a WordNet id, or train a head: linear_probe"
        )
    return tuple(row for row in found if row is not None)


def own_head(backbone: str, classes: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Weight ``[C, d]`` and bias ``[C]`` of a backbone's own head for some classes, on the CPU.

    Raises:
        DGBenchError: as :func:`rows`; or the head is not linear in the features, or its weights cannot be had.
    """
    taken = torch.tensor(rows(backbone, tuple(classes)))
    whole, layer = with_classifier(backbone)
    given = whole.get_submodule(layer).state_dict()
    weight = given["weight"].flatten(1).clone()
    bias = given["bias"].clone() if "bias" in given else torch.zeros(len(weight))
    _refuse_other(backbone, whole, weight, bias)
    return weight[taken], bias[taken]


def set_own_head(network: Network, backbone: str, classes: Sequence[str]) -> None:
    """Give a network the head that the weights of a backbone came with, in place; raises as :func:`own_head`."""
    weight, bias = own_head(backbone, classes)
    with torch.no_grad():
        network.head.weight.copy_(weight)
        network.head.bias.copy_(bias)


def _refuse_other(backbone: str, whole: nn.Module, weight: Tensor, bias: Tensor) -> None:
    """Refuse a network that does anything but the head between its features and its logits."""
    plain_one = build(backbone)
    x = torch.randn(2, 3, plain_one.size, plain_one.size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features, logits = plain_one.module.eval()(x), whole.eval()(x)
    linear = weight.shape[1] == features.shape[1] and isinstance(logits, Tensor)
    if linear:
        expected = features @ weight.T + bias
        linear = bool((logits - expected).abs().max() <= CLOSE * logits.std())
    if not linear:
        raise DGBenchError(
            f"'{backbone}' has a classifier that is no linear map of its features, so it has no head of its own here; "
            "take another network, or train a head: linear_probe"
        )


def _found(names: Sequence[tuple[str, str]], classes: Sequence[str]) -> list[int | None]:
    """The row of each class; None for one that nothing of ImageNet is called."""
    whole, parts = _called(names)
    return [row if (row := whole.number(name)) is not None else parts.number(name) for name in classes]


@cache
def _names(count: int) -> tuple[tuple[str, str], ...] | None:
    """WordNet id and names of ImageNet's classes, where there are so many; None where no list has as many."""
    from timm.data import ImageNetInfo, infer_imagenet_subset

    kind = infer_imagenet_subset({"num_classes": count})
    if kind is None:
        return None
    info = ImageNetInfo(kind)
    return tuple((id_, info.index_to_description(i)) for i, id_ in enumerate(info.label_names()))


def _called(names: Sequence[tuple[str, str]]) -> tuple[Names, Names]:
    """What a class of ImageNet is called, its id among that; and one by one its synonyms, but for those of two classes.

    ``missile`` is the class that is called so, and not the one that is ``projectile, missile``.
    """
    ids = [(word, row) for row, (id_, words) in enumerate(names) for word in (id_, f"{words} ({id_})", words)]
    single = [(one.strip(), row) for row, (_, words) in enumerate(names) for one in words.split(",")]
    return _unshared(ids), _unshared(single)


def _unshared(said: Sequence[tuple[str, int]]) -> Names:
    owners = Counter(key for key, _ in {(plain(word), row) for word, row in said})
    return Names.of((word, row) for word, row in said if owners[plain(word)] == 1)
