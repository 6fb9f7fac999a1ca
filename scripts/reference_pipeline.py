"""One training as the field's reference benchmark, DomainBed, does it: written from what it does, without its code.

    python scripts/reference_pipeline.py --data_dir DATA --algorithm ERM --dataset PACS --test_envs 0 \\
        --steps 6 --checkpoint_freq 300 --output_dir OUT

The options are the reference's own (``python -m domainbed.scripts.train``), so one can be timed in place of the other.
What costs time is as there:

* a process for each training, which imports everything and reads the list of files;
* images are opened, decoded and transformed one at a time by PIL, in worker processes: eight for each loader, and a
  loader for each training environment and for both parts of every environment, 88 in all on PACS. They start before
  the first step, live to the end, and work ahead of what is asked of them;
* validation images of training environments go through the transform that training images go through;
* float32, Adam, gradients of gradients by autograd (IRM);
* at step 0, after every ``checkpoint_freq`` steps and at the last, every image of every environment is predicted, in
  batches of 64.

A ResNet-18 with the statistics of its normalisation frozen; its weights are random, as nothing is learnt here. Other
than there, accuracies are the only thing written: no model is saved.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, Sampler, Subset
from torchvision import datasets, models, transforms

HOLDOUT, EVALUATED, WORKERS, BATCH, SIZE = 0.2, 64, 8, 32, 224
"""Share held out of each environment, images in a batch of an evaluation, workers of a loader, images of each training
environment in a step, pixels."""
_NORMALISE = (transforms.ToTensor(), transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))


def plain(size: int) -> Callable[[object], Tensor]:
    """What images of the test environment go through."""
    return transforms.Compose([transforms.Resize((size, size)), *_NORMALISE])


def augmented(size: int) -> Callable[[object], Tensor]:
    """What images of training environments go through."""
    return transforms.Compose(
        [
            transforms.RandomResizedCrop(size, scale=(0.7, 1.0)),
            transforms.RandomHorizontalFlip(),
            transforms.ColorJitter(0.3, 0.3, 0.3, 0.3),
            transforms.RandomGrayscale(),
            *_NORMALISE,
        ]
    )


class Endless(Sampler[list[int]]):
    """Batches, over and over: workers never come to an end, and so start once."""

    def __init__(self, batches: BatchSampler) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[list[int]]:
        while True:
            yield from self.batches


def stream(part: Dataset, batch: int, workers: int, *, train: bool) -> Iterator[list[Tensor]]:
    """Batches without end. Workers start here: drawn with replacement to train, each image once in a round if not."""
    batches = BatchSampler(RandomSampler(part, replacement=train), min(batch, len(part)), drop_last=train)
    return iter(DataLoader(part, batch_sampler=Endless(batches), num_workers=workers))


class Part:
    """A part of an environment that is evaluated."""

    def __init__(self, name: str, part: Dataset, workers: int) -> None:
        self.name = name
        self.images = len(part)
        self.batches = stream(part, EVALUATED, workers, train=False)

    def accuracy(self, network: nn.Module) -> float:
        """Of a network, on all images of the part."""
        right = 0
        with torch.no_grad():
            for _ in range(-(-self.images // EVALUATED)):
                x, y = next(self.batches)
                right += int((network(x).argmax(1) == y).sum())
        return right / self.images


def environments(folder: Path, test: int, size: int) -> list[tuple[Dataset, Dataset]]:
    """Of each environment the part that is trained on and the part that is held out."""
    found = []
    for number, domain in enumerate(sorted(path for path in folder.iterdir() if path.is_dir())):
        transform = plain(size) if number == test else augmented(size)
        images = datasets.ImageFolder(str(domain), transform)
        rows = torch.randperm(len(images), generator=torch.Generator().manual_seed(number)).tolist()
        held = int(HOLDOUT * len(rows))
        found.append((Subset(images, rows[held:]), Subset(images, rows[:held])))
    return found


def parts(folder: Path, test: int, size: int, workers: int) -> list[Part]:
    """All that a checkpoint looks at."""
    return [
        Part(f"env{number}_{kind}", part, workers)
        for number, pair in enumerate(environments(folder, test, size))
        for kind, part in zip(("in", "out"), pair, strict=True)
    ]


def resnet18(classes: int) -> nn.Module:
    """A network with frozen statistics, which evaluates as it trains."""
    return models.resnet18(weights=None, num_classes=classes).eval()


def risk(logits: list[Tensor], labels: list[Tensor]) -> Tensor:
    """Cross-entropy over all environments."""
    return F.cross_entropy(torch.cat(logits), torch.cat(labels))


def irm_penalty(logits: list[Tensor], labels: list[Tensor]) -> Tensor:
    """Mean over environments of the product of two halves' gradients in a scale of the logits, by autograd."""
    scale = torch.ones((), requires_grad=True)
    found = []
    for z, y in zip(logits, labels, strict=True):
        halves = [F.cross_entropy(z[half::2] * scale, y[half::2]) for half in (0, 1)]
        first, second = (torch.autograd.grad(loss, scale, create_graph=True)[0] for loss in halves)
        found.append(first * second)
    return torch.stack(found).mean()


OBJECTIVES: dict[str, Callable[[list[Tensor], list[Tensor]], Tensor]] = {
    "ERM": risk,
    "IRM": lambda logits, labels: risk(logits, labels) + irm_penalty(logits, labels),
}


def main() -> None:
    """Train, evaluate, and write a line for each checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir", type=Path, required=True)
    parser.add_argument("--algorithm", choices=OBJECTIVES, default="ERM")
    parser.add_argument("--dataset", required=True, help="a folder of the data's: environments, classes, images")
    parser.add_argument("--test_envs", type=int, default=0)
    parser.add_argument("--hparams", type=json.loads, default={}, help="JSON: batch_size of an environment")
    parser.add_argument("--trial_seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=5001)
    parser.add_argument("--checkpoint_freq", type=int, default=300)
    parser.add_argument("--output_dir", type=Path, required=True)
    parser.add_argument("--size", type=int, default=SIZE, help="pixels; only here")
    parser.add_argument("--workers", type=int, default=WORKERS, help="of each loader; only here")
    asked = parser.parse_args()
    torch.manual_seed(asked.trial_seed)
    folder, test = asked.data_dir / asked.dataset, asked.test_envs
    asked.output_dir.mkdir(parents=True, exist_ok=True)

    batch = asked.hparams.get("batch_size", BATCH)
    training = [
        stream(part, batch, asked.workers, train=True)
        for number, (part, _) in enumerate(environments(folder, test, asked.size))
        if number != test
    ]
    evaluated = parts(folder, test, asked.size, asked.workers)
    classes = sum(path.is_dir() for path in next(path for path in folder.iterdir() if path.is_dir()).iterdir())
    network = resnet18(classes)
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-5)
    for step in range(asked.steps):
        clock = time.perf_counter()
        batches = [next(one) for one in training]
        labels = [y for _, y in batches]
        logits = list(network(torch.cat([x for x, _ in batches])).split([len(y) for y in labels]))
        loss = OBJECTIVES[asked.algorithm](logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        line = {"step": step, "loss": loss.item(), "step_time": time.perf_counter() - clock}
        if step % asked.checkpoint_freq == 0 or step == asked.steps - 1:
            clock = time.perf_counter()
            line |= {f"{part.name}_acc": part.accuracy(network) for part in evaluated}
            line |= {"images": sum(part.images for part in evaluated), "eval_time": time.perf_counter() - clock}
            with (asked.output_dir / "results.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(line, sort_keys=True) + "\n")
    (asked.output_dir / "done").write_text("done", encoding="utf-8")


if __name__ == "__main__":
    main()
