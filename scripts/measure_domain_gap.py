"""How much is lost on a domain when it is left out of training? Same test images, same steps, same backbone.

    python scripts/measure_domain_gap.py --trials 3

For each domain of the dataset: ERM on all domains against ERM on the others, both tested on images of that domain
that neither was trained on (a fixed 30 % of every domain; font families and displays are never divided). Prints a
Markdown table with t-intervals over trials.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from dgbench.api import rules
from dgbench.core.paths import store_root
from dgbench.data.catalogue import load
from dgbench.data.splits import split
from dgbench.models.effective import load_effective
from dgbench.models.network import Network
from dgbench.models.zoo import build
from dgbench.runs.execute import do_training
from dgbench.runs.plan import make_plan
from dgbench.runs.store import Store
from dgbench.selection.statistics import Estimate, difference, estimate
from dgbench.train.evaluate import accuracy, evaluating, features, score
from dgbench.train.sources import pictures
from dgbench.train.spec import TrainingSpec
from dgbench.train.trajectory import StoredTrajectory

TEST = 0.3


def measure(spec: TrainingSpec, domains: list[str], store: Store, device: torch.device) -> dict[str, float]:
    """Accuracy of a training's last weights on the test part of some domains."""
    do_training(spec, store, device)
    trajectory = StoredTrajectory(store.folder("training", spec.id))
    data = load(spec.dataset)
    network = Network(build(spec.backbone.removeprefix("dgbench:")), len(data.classes)).to(device)
    load_effective(network, trajectory.at(trajectory.steps[-1]))
    result = {}
    for name in domains:
        domain = data.domain(name)
        rows = split(domain, data.name, spec.trial, spec.validation, spec.test).test
        labels = torch.from_numpy(domain.labels[rows]).to(device)
        with evaluating(network):
            logits = network.head(features(network, pictures(domain.inputs[rows], device)))
        result[name] = accuracy(score(logits, labels, "logits"), labels)
    return result


def cell(value: Estimate) -> str:
    """The mean, and half of its interval."""
    return f"{value.mean:.3f}" + ("" if value.margin is None else f" ± {value.margin:.3f}")


def main() -> None:
    """Train, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="dgbench:vit-micro@letters")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--store", type=Path, default=store_root())
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    store, device = Store(arguments.store), torch.device("cpu")

    board = rules("quick", algorithms=["erm"], trials=arguments.trials)
    board = board.model_copy(update={"tracks": {"inductive": arguments.backbone}})
    plan = make_plan(board)
    names = [domain.name for domain in load(board.dataset).domains]
    for training in plan.trainings.values():
        if training.dataset != board.dataset:
            do_training(training, store, device)
    prototype = next(t for t in plan.trainings.values() if t.dataset == board.dataset)
    prototype = replace(prototype, test=TEST, steps=arguments.steps, checkpoints=1)

    everything: dict[str, list[float]] = {name: [] for name in names}
    without: dict[str, list[float]] = {name: [] for name in names}
    for trial in range(arguments.trials):
        base = replace(prototype, trial=trial)
        for name, value in measure(replace(base, sources=tuple(names)), names, store, device).items():
            everything[name].append(value)
        for name in names:
            sources = tuple(other for other in names if other != name)
            without[name].append(measure(replace(base, sources=sources), [name], store, device)[name])

    print(f"ERM, {arguments.backbone}, {arguments.steps} steps, {arguments.trials} trials, 95 % t-intervals\n")
    print("| domain | all domains in training | that domain left out | gap |")
    print("|---|---|---|---|")
    for name in names:
        gap = difference([everything[name]], [without[name]])
        print(f"| {name} | {cell(estimate([everything[name]]))} | {cell(estimate([without[name]]))} | {cell(gap)} |")


if __name__ == "__main__":
    main()
