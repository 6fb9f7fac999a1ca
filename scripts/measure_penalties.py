"""How much less do closed forms of penalties on a linear head add to a step than what they replace?

    python scripts/measure_penalties.py
    python scripts/measure_penalties.py --sizes 512x7 2048x65 --domains 3 --batch 32

For features and a head of a size, the loss of an objective and its gradients in features and head are computed by the
part of dgbench and by the published way: IRM and HGP differentiate twice, the Hessian's diagonal is estimated with 300
probes for each domain and for the mean, and Fishr takes the gradient of every example, one by one or at once. So is the
plain risk. The ways take turns on one thread, in one process; what counts is the least CPU time of each. A ratio says
how many times as much as the closed form the published way takes, and how many times as much it adds to the plain risk.
But for the estimate, both must give the same loss.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dgbench.algorithms.objectives.cross_entropy import CrossEntropy
from dgbench.algorithms.objectives.fishr import Fishr
from dgbench.algorithms.objectives.hessian_diagonal import HessianDiagonal
from dgbench.algorithms.objectives.hgp import HGP
from dgbench.algorithms.objectives.irm import IRM
from dgbench.algorithms.slots import Objective
from dgbench.algorithms.step import Batch, Forward
from dgbench.models.network import Backbone, Network

PROBES = 300
Loss = Callable[[Forward], Tensor]


def a_pass(dim: int, classes: int, domains: int, batch: int) -> Forward:
    """Random features that can be differentiated in, in a random head; as long as features after a ReLU are."""
    torch.manual_seed(0)
    network = Network(Backbone("none", nn.Identity(), dim, 1, (0, 0, 0), (1, 1, 1)), classes)
    n = domains * batch
    features = torch.randn(n, dim).relu().requires_grad_()
    domain = torch.arange(domains).repeat_interleave(batch)
    given = Batch(features, torch.randint(classes, (n,)), domain, torch.arange(n), sizes=(batch,) * domains)
    return Forward(network, given, features, network.head(features), step=1, steps=1, domains=domains)


def risks(forward: Forward) -> Iterator[Tensor]:
    """Each domain's, with a graph."""
    for logits, y in zip(forward.split(forward.logits), forward.split(forward.batch.y), strict=True):
        yield F.cross_entropy(logits, y)


def gradient(risk: Tensor, forward: Forward) -> list[Tensor]:
    """In the head, with a graph."""
    return list(torch.autograd.grad(risk, list(forward.network.head.parameters()), create_graph=True))


def distance(a: list[Tensor], b: list[Tensor]) -> Tensor:
    """Squared, over all tensors."""
    return torch.stack([(x - y).square().sum() for x, y in zip(a, b, strict=True)]).sum()


def irm(forward: Forward) -> Tensor:
    """The gradient in a scale of the logits, on two halves of each domain."""
    penalties = []
    for logits, y in zip(forward.split(forward.logits), forward.split(forward.batch.y), strict=True):
        scale = torch.ones((), requires_grad=True)
        halves = [F.cross_entropy(logits[half::2] * scale, y[half::2]) for half in (0, 1)]
        one, other = (torch.autograd.grad(half, scale, create_graph=True)[0] for half in halves)
        penalties.append(one * other)
    return torch.stack(list(risks(forward))).mean() + IRM().penalty_weight * torch.stack(penalties).mean()


def hgp(forward: Forward) -> Tensor:
    """Gradients, and Hessians along them as the norm times the gradient of the norm."""

    def both(risk: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        slope = gradient(risk, forward)
        norm = torch.stack([s.square().sum() for s in slope]).sum().sqrt()
        return slope, [norm * g for g in gradient(norm, forward)]

    return _aligned(forward, both, HGP().hessian_weight, HGP().gradient_weight)


def hutchinson(forward: Forward) -> Tensor:
    """Gradients, and diagonals by probes, fresh ones each time."""

    def both(risk: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        slope = gradient(risk, forward)
        weights = list(forward.network.head.parameters())
        diagonal = [torch.zeros_like(w) for w in weights]
        for _ in range(PROBES):
            signs = [torch.randint_like(w, 2) * 2 - 1 for w in weights]
            products = torch.autograd.grad(slope, weights, signs, create_graph=True)
            diagonal = [d + z * h / PROBES for d, z, h in zip(diagonal, signs, products, strict=True)]
        return slope, diagonal

    return _aligned(forward, both, HessianDiagonal().hessian_weight, HessianDiagonal().gradient_weight)


def _aligned(
    forward: Forward, both: Callable[[Tensor], tuple[list[Tensor], list[Tensor]]], curved: float, straight: float
) -> Tensor:
    found = list(risks(forward))
    mean = torch.stack(found).mean()
    slope, second = ([t.detach() for t in part] for part in both(mean))
    terms = []
    for risk in found:
        own_slope, own_second = both(risk)
        terms.append(curved * distance(own_second, second) + straight * distance(own_slope, slope))
    return mean + torch.stack(terms).mean()


def fishr_one_by_one(forward: Forward) -> Tensor:
    """The variances of the gradients of all examples, a backward pass for each."""
    head, found = forward.network.head, []
    for phi, y in zip(forward.features, forward.batch.y, strict=True):
        found.append(gradient(F.cross_entropy(head(phi)[None], y[None]), forward))
    return _varying(forward, [torch.stack(slopes) for slopes in zip(*found, strict=True)])


def fishr_at_once(forward: Forward) -> Tensor:
    """The same from vectorised gradients, as BackPACK gives them."""
    weights = dict(forward.network.head.named_parameters())

    def loss(weights: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(torch.func.functional_call(forward.network.head, weights, (x[None],)), y[None])

    every = torch.func.vmap(torch.func.grad(loss), (None, 0, 0))(weights, forward.features, forward.batch.y)
    return _varying(forward, list(every.values()))


def _varying(forward: Forward, gradients: list[Tensor]) -> Tensor:
    stacks = [torch.stack([g.var(0, correction=0) for g in forward.split(values)]) for values in gradients]
    spread = torch.stack([(v - v.mean(0)).square().sum() for v in stacks]).sum() / forward.domains
    return forward.cross_entropy.mean() + Fishr().penalty_weight * spread


PUBLISHED: dict[str, tuple[Objective, Loss]] = {
    "IRM": (IRM(anneal=0), irm),
    "Fishr, one by one": (Fishr(anneal=0, decay=0), fishr_one_by_one),
    "Fishr, at once": (Fishr(anneal=0, decay=0), fishr_at_once),
    "HGP": (HGP(), hgp),
    "Hessian diagonal": (HessianDiagonal(), hutchinson),
}


def seconds(loss: Loss, forward: Forward) -> float:
    """Of this thread, for the loss and its gradients from the features on."""
    head = forward.network.head
    start = time.thread_time()
    value = loss(replace(forward, logits=head(forward.features)))
    torch.autograd.grad(value, [forward.features, head.weight, head.bias])
    return time.thread_time() - start


def least(ways: Sequence[Loss], forward: Forward, budget: float) -> list[float]:
    """Seconds of each way, which take turns until a budget of seconds is spent, at least two."""
    best = [seconds(way, forward) for way in ways]
    for _ in range(max(1, round(budget / sum(best)))):
        best = [min(before, seconds(way, forward)) for before, way in zip(best, ways, strict=True)]
    return best


def main() -> None:
    """A row for each objective and size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=["512x7", "2048x65"], help="features x classes")
    parser.add_argument("--domains", type=int, default=3)
    parser.add_argument("--batch", type=int, default=32, help="examples of each domain")
    parser.add_argument("--seconds", type=float, default=3.0, help="to spend on each row")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print("                                      milliseconds                ratio")
    print(f"{'objective':18}{'D':>6}{'C':>5}{'plain':>9}{'dgbench':>9}{'published':>11}{'whole':>8}{'added':>8}")
    for size in given.sizes:
        dim, classes = map(int, size.split("x"))
        forward = a_pass(dim, classes, given.domains, given.batch)
        for name, (part, published) in PUBLISHED.items():
            part.attach(forward.network, [given.batch] * given.domains)
            if published is not hutchinson:
                torch.testing.assert_close(part.loss(forward), published(forward), rtol=1e-4, atol=1e-6)
            plain, ours, theirs = least([CrossEntropy().loss, part.loss, published], forward, given.seconds)
            times = f"{plain * 1e3:9.2f}{ours * 1e3:9.2f}{theirs * 1e3:11.2f}"
            ratios = f"{theirs / ours:8.1f}{(theirs - plain) / (ours - plain):8.1f}"
            print(f"{name:18}{dim:6}{classes:5}{times}{ratios}", flush=True)


if __name__ == "__main__":
    main()
