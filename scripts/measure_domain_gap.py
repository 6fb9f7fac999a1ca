"""How much is lost on a domain when it is left out of training? Same test images, same steps, same backbone.

    python scripts/measure_domain_gap.py --trials 3
    python scripts/measure_domain_gap.py --board emoji-scratch --trials 2 --steps 200

For each target of a board: ERM on its sources and the target itself against ERM on its sources alone, both tested on
images of the target that neither was trained on (a fixed share of every domain; groups are never divided). Prints a
Markdown table with t-intervals over trials.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch

from dgbench.api.boards import rules
from dgbench.core.paths import store_root
from dgbench.core.pieces import checkpoint
from dgbench.data.splits import tested
from dgbench.models.effective import load_effective
from dgbench.runs.execute import do_training
from dgbench.runs.parts import parts_of
from dgbench.runs.planning import make_plan
from dgbench.runs.setting import Setting, stored
from dgbench.runs.store import Store
from dgbench.selection.statistics import Estimate, difference, estimate
from dgbench.train.evaluate import accuracy, evaluating, features, score
from dgbench.train.spec import TrainingSpec

TEST = 0.3
"""Share of every domain that is tested, on boards that test whole domains."""


def measure(spec: TrainingSpec, target: str, store: Store, device: torch.device) -> float:
    """Accuracy of a training's last weights on the test part of a domain."""
    last = checkpoint(spec.steps)
    do_training(spec, store, device, keep={last}, enough=lambda pieces: last in pieces)
    setting = Setting(spec, parts_of(spec), store, device)
    network = setting.initial_network()
    load_effective(network, stored(spec, store, device).at(spec.steps))
    domain = setting.dataset.domain(target)
    rows = tested(setting.dataset, target, spec.trial, spec.validation, spec.test, spec.official)
    labels = torch.from_numpy(domain.labels[rows]).to(device)
    with evaluating(network):
        inputs = setting.inputs(target, "clean", lambda: domain.inputs)
        logits = network.head(features(network, inputs, torch.from_numpy(rows)))
    return accuracy(score(logits, labels, "logits"), labels)


def cell(value: Estimate) -> str:
    """The mean, and half of its interval."""
    return f"{value.mean:.3f}" + ("" if value.margin is None else f" ± {value.margin:.3f}")


def main() -> None:
    """Train, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--board", default="quick")
    parser.add_argument("--backbone", help="in place of the board's own")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--store", type=Path, default=store_root())
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    store, device = Store(arguments.store), torch.device("cpu")

    board = rules(arguments.board, algorithms=["erm"], trials=1)
    backbone = arguments.backbone or board.tracks["inductive"]
    plan = make_plan(board.model_copy(update={"tracks": {"inductive": backbone}}))
    entries = {entry.training: entry for entry in plan.entries}
    for training in plan.trainings.values():
        if training.id not in entries:
            do_training(training, store, device)

    print(f"ERM, {backbone}, {arguments.steps} steps, {arguments.trials} trials, 95 % t-intervals\n")
    print("| domain | also trained on | left out | gap |")
    print("|---|---|---|---|")
    for id_, entry in entries.items():
        spec = replace(plan.trainings[id_], steps=arguments.steps, checkpoints=1)
        spec = replace(spec, test=spec.test or TEST)
        together, without = [], []
        for trial in range(arguments.trials):
            alone = replace(spec, trial=trial)
            without.append(measure(alone, entry.domain, store, device))
            together.append(
                measure(replace(alone, sources=(*alone.sources, entry.domain)), entry.domain, store, device)
            )
        gap = difference([together], [without])
        print(
            f"| {entry.target} | {cell(estimate([together]))} | {cell(estimate([without]))} | {cell(gap)} |", flush=True
        )


if __name__ == "__main__":
    main()
