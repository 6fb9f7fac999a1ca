"""The simulation of RSS' paper: few labelled points of two Gaussians, and many unlabelled ones of two others.

    python scripts/simulate_rss.py --seeds 5

Points of the classes -1 and 1 are normal around -mu and mu in 200 dimensions, |mu| = 1, with a standard deviation of 1,
so the best rule is right 84 % of the time. Unlabelled points are of means that are moved by |mu| / 2 in some direction.
A linear head learns from 10 or 40 labelled points alone, or with 10,000 unlabelled ones, by the objective of boards.
"""

from __future__ import annotations

import argparse
import sys

import torch
from torch import Tensor, nn

from dgbench.algorithms.objectives.rss import RSS
from dgbench.algorithms.step import Batch, Closure, Unlabelled
from dgbench.models.network import Backbone, Network

DIM, MOVED, UNLABELLED, TESTED = 200, 0.5, 10_000, 4_000
STEPS, SHOWN, RATE = 300, 512, 0.02
OBJECTIVES = {
    "labelled points alone": RSS(weight=0.0),
    "rss": RSS(),
    "rss(form=ramp)": RSS(form="ramp"),
}


def accuracy(seed: int, labelled: int, objective: RSS) -> float:
    """Of a head that was trained on a draw of points, on points of the labelled kind."""
    draw = torch.Generator().manual_seed(seed)
    mean, aside = (nn.functional.normalize(torch.randn(DIM, generator=draw), dim=0) for _ in range(2))

    def points(count: int, centre: Tensor) -> tuple[Tensor, Tensor]:
        classes = torch.randint(2, (count,), generator=draw)
        return (2 * classes - 1)[:, None] * centre + torch.randn(count, DIM, generator=draw), classes

    x, y = points(labelled, mean)
    others, _ = points(UNLABELLED, mean + MOVED * aside)
    asked, classes = points(TESTED, mean)
    network = Network(Backbone("none", nn.Identity(), DIM, 1, (0, 0, 0), (1, 1, 1)), 2)
    nn.init.zeros_(network.head.weight)
    nn.init.zeros_(network.head.bias)
    optimizer = torch.optim.AdamW(network.head.parameters(), lr=RATE, weight_decay=0.0)
    one, own = torch.zeros_like(y), torch.arange(labelled)
    for step in range(STEPS):
        shown = torch.randint(UNLABELLED, (SHOWN,), generator=draw)
        batch = Batch(x, y, one, own, sizes=(labelled,), unlabelled=Unlabelled(others[shown], shown))
        Closure(network, objective.loss, batch, step=step, steps=STEPS, domains=1)("descent")
        optimizer.step()
    with torch.no_grad():
        return float((network(asked).argmax(1) == classes).float().mean())


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description="Two Gaussians, few of whose points are labelled.")
    parser.add_argument("--seeds", type=int, default=5)
    seeds = range(parser.parse_args().seeds)
    print("| | 10 labelled points | 40 |\n| --- | ---: | ---: |")
    for name, objective in OBJECTIVES.items():
        found = [torch.tensor([accuracy(seed, labelled, objective) for seed in seeds]) for labelled in (10, 40)]
        print(f"| {name} | " + " | ".join(f"{100 * each.mean():.1f}" for each in found) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
