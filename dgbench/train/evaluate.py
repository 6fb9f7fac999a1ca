"""Features and scores of whole sets of images, without augmentation, in evaluation mode."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from dgbench.core.cards import Average
from dgbench.models.network import Network
from dgbench.train.scale import Scale
from dgbench.train.sources import Held, Inputs

Kind = Literal["logits", "probabilities", "values"]
"""What scores are; values are standardised."""
CHUNK = 128  # images at once: larger ones are slower on a CPU, where activations then leave the cache


@contextmanager
def evaluating(network: Network) -> Iterator[None]:
    """Evaluation mode inside, and every module's own mode again afterwards."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training


def features(
    network: Network, inputs: Inputs, rows: Tensor | None = None, progress: Callable[[int], None] = lambda images: None
) -> Tensor:
    """Features ``[n, d]`` of rows (all of them by default) on the network's device; call it while ``evaluating``.

    Never more than a chunk of the inputs is in memory, so a domain may be larger than that. ``progress`` is told of
    every chunk how many images it had.
    """
    found = []
    for chunk in torch.split(torch.arange(len(inputs)) if rows is None else rows, CHUNK):
        found.append(network.features(inputs.ready(chunk)))
        progress(len(chunk))
    return torch.cat(found)


def features_of_sets(network: Network, sets: Sequence[tuple[Inputs, Tensor]]) -> list[Tensor]:
    """As :func:`features` of the rows of each of several inputs; neighbouring sets of few images go through together.

    A pass over ten images takes a small network, or an accelerator, about as long as one over a chunk.
    """
    found: list[Tensor] = []
    for some in _chunks(sets):
        if len(some) == 1:
            found.append(features(network, *some[0]))
        else:
            ready = torch.cat([inputs.ready(rows) for inputs, rows in some])
            found += torch.split(network.features(ready), [len(rows) for _, rows in some])
    return found


def _chunks(sets: Sequence[tuple[Inputs, Tensor]]) -> Iterator[Sequence[tuple[Inputs, Tensor]]]:
    """Neighbours that together are no more than a chunk; what fits with none by itself."""
    first, images = 0, 0
    for number, (_, rows) in enumerate(sets):
        if number > first and images + len(rows) > CHUNK:
            yield sets[first:number]
            first, images = number, 0
        images += len(rows)
    if sets:
        yield sets[first:]


@dataclass(frozen=True)
class Scored:
    """Predictions on n examples, on the CPU.

    Attributes:
        prediction: Predicted class, int64 ``[n]``.
        confidence: Probability of the predicted class, ``[n]``.
        p_label: Probability of the true class, ``[n]``.
    """

    prediction: Tensor
    confidence: Tensor
    p_label: Tensor


def score(scores: Tensor, labels: Tensor, kind: Literal["logits", "probabilities"]) -> Scored:
    """What is kept of scores ``[n, C]``; probabilities that do not sum to one are normalised."""
    p = F.softmax(scores, 1) if kind == "logits" else scores / scores.sum(1, keepdim=True)
    confidence, prediction = p.max(1)
    p_label = p.gather(1, labels[:, None]).squeeze(1)
    return Scored(prediction.cpu(), confidence.cpu(), p_label.cpu())


def validated(scores: Tensor, labels: Tensor, scale: Scale | None) -> tuple[float, float]:
    """What a checkpoint reaches on held-out images: accuracy, and the mean loss, as training has it.

    Args:
        scores: Logits ``[n, C]``, or standardised values ``[n, 1]``.
        labels: Classes, or standardised values, ``[n]``.
        scale: Of values, whose accuracy is minus the root-mean-square error in the unit of the data.
    """
    if scale is None:
        scored = score(scores, labels, "logits")
        return accuracy(scored, labels), negative_log_likelihood(scored)
    error = float((scores.squeeze(1).double() - labels.double()).square().mean())
    return -scale.deviation * math.sqrt(error), error


def accuracy(scored: Scored, labels: Tensor) -> float:
    """Share of correct predictions."""
    return float((scored.prediction == labels.cpu()).double().mean())


def negative_log_likelihood(scored: Scored) -> float:
    """Mean negative log-probability of the true class, in nats; probabilities below 1e-12 count as 1e-12."""
    return float(-scored.p_label.double().clamp(min=1e-12).log().mean())


def pooled(scores: Sequence[Tensor], kind: Kind) -> tuple[Tensor, Kind]:
    """What several networks predict together, each ``[n, C]``: the mean of their probabilities, or of their values.

    Of one network it is what that says, as it is.
    """
    if len(scores) == 1:
        return scores[0], kind
    if kind == "values":
        return torch.stack(list(scores)).mean(0), kind
    p = [F.softmax(one, 1) if kind == "logits" else one / one.sum(1, keepdim=True) for one in scores]
    return torch.stack(p).mean(0), "probabilities"


def validation(network: Network, domain: Held) -> dict[str, Any]:
    """What a network says of a source domain's clean validation images; call it while ``evaluating``.

    Returns:
        ``domain``, ``accuracy``, ``nll`` and ``n``.
    """
    return judged([validation_scores(network, domain)], domain)


def validation_scores(network: Network, domain: Held) -> Tensor:
    """Logits, or standardised values, of a source domain's clean validation images."""
    return network.head(features(network, domain.inputs, domain.validation))  # type: ignore[no-any-return]


def judged(said: Sequence[Tensor], domain: Held) -> dict[str, Any]:
    """:func:`validation` of scores that are there: what several networks say is judged as what they say together."""
    scores, kind = pooled(said, "logits" if domain.scale is None else "values")
    scores = scores.clamp(min=1e-38).log() if kind == "probabilities" else scores
    labels = domain.labels[domain.validation.to(scores.device)]
    reached, loss = validated(scores, labels, domain.scale)
    return {"domain": domain.name, "accuracy": reached, "nll": loss, "n": len(labels)}


def mean(rows: Sequence[Mapping[str, Any]], name: str, average: Average) -> float:
    """Of a number in rows of :func:`validation`: over domains, or over all their images."""
    weights = [row["n"] if average == "examples" else 1 for row in rows]
    total: float = sum(weight * row[name] for weight, row in zip(weights, rows, strict=True))
    return total / sum(weights)
