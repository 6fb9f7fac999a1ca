"""Zero-shot heads: a linear classifier whose rows are what a text tower makes of sentences about each class.

    u_c = unit(mean_t unit(text(t(c))))        row_c = exp(logit_scale) * u_c        bias = 0

Radford, Kim, Hallacy, Ramesh, Goh, Agarwal, Sastry, Askell, Mishkin, Clark, Krueger, Sutskever: Learning Transferable
Visual Models From Natural Language Supervision. ICML 2021. arXiv 2103.00020. On features of length one its logits are
the model's own. The scale is part of the weights, and so is trained and averaged with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dgbench.core.backbone_name import parse
from dgbench.core.dataset_card import Wording
from dgbench.core.errors import DGBenchError
from dgbench.models.network import Network
from dgbench.models.wording import Texts, sentences

AT_ONCE = 256
"""Sentences that the text tower reads at once."""


def zero_shot_head(backbone: str, classes: Sequence[str], wording: Wording) -> Tensor:
    """The rows ``[C, d]`` of the head, on the CPU.

    Args:
        backbone: A name of the family ``open_clip``.
        classes: Names of the C classes.
        wording: How they are said.

    Raises:
        DGBenchError: the backbone has no text tower, or the wording does not fit the classes.
    """
    from dgbench.models.backbones import facts

    said = tuple(map(tuple, sentences(classes, wording)))
    weights = facts(backbone, fetch=False).weights
    return _rows(backbone, said) if weights is None else _kept(backbone, weights, said)


def _rows(backbone: str, said: Sequence[Sequence[str]]) -> Tensor:
    model, read = text_tower(backbone)
    with torch.no_grad():
        rows: Tensor = model.eval().logit_scale.exp() * class_embeddings(embedded(model, read, said))
    return rows


@lru_cache(maxsize=4)
def _kept(backbone: str, weights: str, said: tuple[tuple[str, ...], ...]) -> Tensor:
    """Rows of weights that are no random numbers, for a training and each of its runs; ``weights`` is the digest of
    those that lie there now."""
    return _rows(backbone, said)


def text_tower(backbone: str) -> tuple[Any, Any]:
    """The model of a backbone, both towers, on the CPU, and what turns sentences into tokens, int64 ``[n, L]``.

    Raises:
        DGBenchError: the backbone has no text tower.
    """
    from dgbench.models.backbones import facts, open_clip

    if "text" not in facts(backbone, fetch=False).provides:
        raise DGBenchError(
            f"a head made of texts needs a text tower, which '{backbone}' has not; take an 'open_clip:' backbone such "
            "as 'open_clip:ViT-B-16/openai'"
        )
    name = parse(backbone)
    return open_clip.towers(name), _tokenizer(name.architecture)


def _tokenizer(architecture: str) -> Any:
    import open_clip

    return _made(architecture, repr(open_clip.get_model_config(architecture)))


@lru_cache(maxsize=1)
def _made(architecture: str, config: str) -> Any:
    """Reading its vocabulary took longer than all else that a small tower does with a few sentences.

    Args:
        architecture: Of open_clip.
        config: What stands under that name now: it can be given another meaning.
    """
    import open_clip

    return open_clip.get_tokenizer(architecture)


def embedded(model: Any, read: Any, said: Sequence[Sequence[str]]) -> Tensor:
    """What the text tower makes of T sentences about each of C classes, ``[C, T, d]``; not normalised."""
    tokens = read([sentence for of_class in said for sentence in of_class])
    parts = [model.encode_text(part) for part in tokens.split(AT_ONCE)]
    return torch.cat(parts).view(len(said), -1, parts[0].shape[1])


def class_embeddings(embedded: Tensor) -> Tensor:
    """``[C, d]`` of length one, from embeddings ``[C, T, d]`` of T sentences a class: unit, mean, unit."""
    return F.normalize(F.normalize(embedded, dim=-1).mean(1), dim=-1)


def set_zero_shot_head(network: Network, backbone: str, classes: Sequence[str], wording: Wording) -> None:
    """Give a network the zero-shot head of a backbone, in place; of features that are stored the network has none.

    Raises:
        ValueError: the network's features do not have unit length.
        DGBenchError: as :func:`zero_shot_head`.
    """
    if not network.unit_features:
        raise ValueError("a zero-shot head wants features of length one: Network(..., unit_features=True)")
    network.texts = Texts(tuple(classes), wording)
    with torch.no_grad():
        network.head.weight.copy_(zero_shot_head(backbone, classes, wording))
        network.head.bias.zero_()
