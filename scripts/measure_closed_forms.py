"""How much faster the closed form of a penalty on the head is than gradients taken example by example.

    python scripts/measure_closed_forms.py

Fishr's variances of a batch of three domains, with the gradient of their sum of squares: by the closed form of the
package, by a backward pass for each example, and by torch's vectorised gradients (``torch.func``), on one core.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import grad, vmap

from dgbench.algorithms.objectives.fishr import variances
from dgbench.algorithms.step import Batch, Forward
from dgbench.models.network import Backbone, Network

DOMAINS, PER_DOMAIN = 3, 32
SIZES = ((512, 7), (2048, 65))
"""Features and classes: of a ResNet-18 on PACS, of a ResNet-50 on OfficeHome."""
REPEATS = 7


def passed(dim: int, classes: int) -> Forward:
    """A pass over random features."""
    network = Network(Backbone("none", nn.Identity(), dim, 1, (0, 0, 0), (1, 1, 1)), classes)
    domain = torch.arange(DOMAINS).repeat_interleave(PER_DOMAIN)
    x = torch.randn(len(domain), dim, requires_grad=True)
    y, sizes = torch.randint(classes, (len(domain),)), (PER_DOMAIN,) * DOMAINS
    batch = Batch(x, y, domain, torch.arange(len(domain)), sizes=sizes)
    return Forward(network, batch, x, network.head(x), 0, 1, DOMAINS)


def one_by_one(forward: Forward) -> Tensor:
    """The same variances, ``[M, C, d + 1]``, by a backward pass for each example."""
    head, found = forward.network.head, []
    for phi, y in zip(forward.features, forward.batch.y, strict=True):
        loss = F.cross_entropy(head(phi)[None], y[None])
        weight, bias = torch.autograd.grad(loss, [head.weight, head.bias], create_graph=True)
        found.append(torch.cat([weight, bias[:, None]], 1))
    return _variances(torch.stack(found))


def vectorised(forward: Forward) -> Tensor:
    """The same, from all gradients at once."""
    head = forward.network.head

    def loss(weights: tuple[Tensor, Tensor], phi: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(F.linear(phi, *weights)[None], y[None])

    weight, bias = vmap(grad(loss), in_dims=(None, 0, 0))((head.weight, head.bias), forward.features, forward.batch.y)
    return _variances(torch.cat([weight, bias[..., None]], 2))


def _variances(gradients: Tensor) -> Tensor:
    return torch.stack([part.var(0, correction=0) for part in gradients.split(PER_DOMAIN)])


def seconds(make: Callable[[Forward], Tensor], dim: int, classes: int) -> float:
    """Of the variances and a backward pass through them; the median of some."""
    taken = []
    for _ in range(REPEATS + 2):
        forward = passed(dim, classes)
        started = time.thread_time()  # what else is at work on the machine leaves it as it is
        make(forward).square().sum().backward()  # type: ignore[no-untyped-call]
        taken.append(time.thread_time() - started)
    return median(taken[2:])


def main() -> None:
    """Print a row for each size."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print("| features | classes | closed form | one by one | times as long | vectorised | times as long |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for dim, classes in SIZES:
        forward = passed(dim, classes)
        closed, row = seconds(variances, dim, classes), ""
        for other in (one_by_one, vectorised):
            torch.testing.assert_close(variances(forward), other(forward), rtol=1e-3, atol=1e-6)
            taken = seconds(other, dim, classes)
            row += f" {1e3 * taken:.1f} ms | {taken / closed:.0f} |"
        print(f"| {dim} | {classes} | {1e3 * closed:.2f} ms |{row}")


if __name__ == "__main__":
    main()
