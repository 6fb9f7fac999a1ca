"""Heads that stay made of texts: their rows follow from a text tower, or its prompts, while these are trained.

    row_c = exp(logit_scale) * mean_n unit(text(s_nc))        n = 1..N sentences about class c

The tower is a parametrisation of the head's weight, as a low-rank change is of a matrix. So whatever keeps, averages,
interpolates or exports weights has the rows that the texts have come to, in a plain network without a text tower; what
is averaged are rows, not words. On features of length one the logits are the model's own.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from dgbench.core.errors import RecipeError
from dgbench.models.network import Network
from dgbench.models.wording import Texts, sentences, spoken
from dgbench.models.zero_shot import class_embeddings, embedded, text_tower


class Prompted(nn.Module):
    """A token embedding whose first words, after the mark that opens a text, are vectors of their own.

    Attributes:
        context: ``[N, M, w]``: M words for each of N texts about every class.
    """

    def __init__(self, embedding: nn.Module, context: Tensor) -> None:
        super().__init__()
        self.embedding = embedding
        self.context = nn.Parameter(context)

    def forward(self, tokens: Tensor) -> Tensor:
        """``[N * C, L, w]`` of tokens ``[N * C, L]``, context by context."""
        words: Tensor = self.embedding(tokens)
        terms, length, _ = self.context.shape
        context = self.context.repeat_interleave(len(tokens) // terms, 0)
        return torch.cat([words[:, :1], context.to(words), words[:, 1 + length :]], 1)


class TextRows(nn.Module):
    """What a text tower says of the classes, as the rows of a head; everything is frozen.

    Attributes:
        tower: The model without its image tower.
        tokens: int64 ``[N * C, L]``, text by text.
        said: Each class's direction, ``[C, d]`` of length one, where :func:`prompt` was asked for it.
    """

    tokens: Tensor
    said: Tensor

    def __init__(self, model: Any, tokens: Tensor, classes: int) -> None:
        super().__init__()
        model.visual, model.logit_bias = None, None
        self.tower = model.requires_grad_(False)
        self.classes = classes
        self.register_buffer("tokens", tokens)

    def units(self) -> Tensor:
        """What is made of each text, of length one: ``[N, C, d]``."""
        read: Tensor = self.tower.encode_text(self.tokens)
        return F.normalize(read, dim=-1).view(-1, self.classes, read.shape[1])

    def forward(self, weight: Tensor) -> Tensor:
        """The rows, ``[C, d]``; nothing is left of what they were."""
        rows: Tensor = self.tower.logit_scale.exp() * self.units().mean(0)
        return rows


def read_texts(network: Network) -> TextRows:
    """Let a head be what the text tower says of the classes, by the first sentence of the wording; all of it is frozen.

    Raises:
        DGBenchError: the backbone has no text tower.
        ValueError: the head was not made of texts.
    """
    texts = _texts(network)
    model, read = text_tower(network.info.name)
    tokens = read([of_class[0] for of_class in sentences(texts.classes, texts.wording)])
    return _put(network, TextRows(model, tokens, len(texts.classes)))


def prompt(network: Network, words: str, contexts: int = 1, guided: bool = False) -> TextRows:
    """Let a head be what the text tower says of ``{words} {class}.``, N times; the words are vectors, and trainable.

    Args:
        words: What every text opens with.
        contexts: N. All start from the same words.
        guided: Whether what the tower makes of all sentences of the wording is kept beside: unit, mean, unit.

    Raises:
        RecipeError: a text is too long for the tower.
        DGBenchError, ValueError: as :func:`read_texts`.
    """
    texts = _texts(network)
    model, read = text_tower(network.info.name)
    length = len(read.encode(words))
    said = [f"{words} {spoken(name, texts.wording.names)}." for name in texts.classes]
    tokens = read(said)
    longest = max(said, key=lambda text: len(read.encode(text)))
    if (needed := len(read.encode(longest)) + 2) > (room := tokens.shape[1]):  # or the class would be cut off
        raise RecipeError(
            f"adapter.context: '{longest}' takes {needed} places in a text, and '{network.info.name}' reads {room}; "
            "take fewer words"
        )
    rows = TextRows(model, tokens.repeat(contexts, 1), len(texts.classes))
    if guided:
        with torch.no_grad():
            directions = class_embeddings(embedded(model.eval(), read, sentences(texts.classes, texts.wording)))
        rows.register_buffer("said", directions)
    owner = getattr(model, "text", model)
    context = owner.token_embedding(tokens[:1])[:, 1 : 1 + length].detach()
    owner.token_embedding = Prompted(owner.token_embedding, context.repeat(contexts, 1, 1))
    return _put(network, rows)


def prompts(rows: TextRows) -> nn.Parameter:
    """The trainable words of :func:`prompt`, ``[N, M, w]``."""
    owner: Any = getattr(rows.tower, "text", rows.tower)
    context: nn.Parameter = owner.token_embedding.context
    return context


def rows_of(network: Network) -> TextRows:
    """What makes the head of a network whose head is made of texts."""
    head: Any = network.head
    found: TextRows = head.parametrizations.weight[0]
    return found


def _texts(network: Network) -> Texts:
    if network.texts is None:
        raise ValueError("the head of this network was not made of texts: Adapter.initial_head() must be 'zero_shot'")
    return network.texts


def _put(network: Network, rows: TextRows) -> TextRows:
    network.head.requires_grad_(False)
    parametrize.register_parametrization(network.head, "weight", rows.to(network.head.weight.device))
    return rows
