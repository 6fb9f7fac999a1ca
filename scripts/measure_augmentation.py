"""How many images a second does one core augment, and are they distributed as they should be?

    python scripts/measure_augmentation.py

Ways from the same JPEG files, 227 x 227 pixels as PACS has them, to DomainBed's augmented batches, normalised:

* ``item``: each image is decoded and transformed by torchvision on PIL images, in this process;
* ``loader``: the same, in the workers of a torch DataLoader;
* ``batch``: images come from a memory-mapped array, decoded once, and dgbench augments whole batches on one thread.

They run in turns, with freed memory kept as dgbench's workers keep it. What counts is the CPU time of all processes.
Starting the workers and decoding once are not counted.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from draw_pacs_like import SIDE, draw
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision import transforms

from dgbench.core.memory import keep_freed_memory
from dgbench.data.augment.domainbed import domainbed
from dgbench.models.network import Backbone
from dgbench.train.sources import Pixels

SIZE, BATCH = 224, 32
BACKBONE = Backbone("any", nn.Identity(), 1, SIZE, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

REFERENCE = transforms.Compose(
    [
        transforms.RandomResizedCrop(SIZE, scale=(0.7, 1.0)),
        transforms.RandomHorizontalFlip(),
        transforms.ColorJitter(0.3, 0.3, 0.3, 0.3),
        transforms.RandomGrayscale(),
        transforms.ToTensor(),
        transforms.Normalize(BACKBONE.mean, BACKBONE.std),
    ]
)


class Files(Dataset[Tensor]):
    """JPEG files, decoded and transformed one at a time."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> Tensor:
        with Image.open(self.paths[row]) as image:
            return REFERENCE(image.convert("RGB"))


def decode(paths: list[Path], cache: Path) -> NDArray[np.uint8]:
    """All images in one memory-mapped array, ``[n, 227, 227, 3]``."""
    images = np.lib.format.open_memmap(cache, "w+", np.uint8, (len(paths), SIDE, SIDE, 3))
    for row, path in enumerate(paths):
        images[row] = np.asarray(Image.open(path).convert("RGB"))
    images.flush()
    return images


def cpu() -> float:
    """CPU seconds of this process and of the children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def loader(dataset: Dataset[Tensor], workers: int) -> Iterable[Tensor]:
    """One epoch of batches from worker processes."""
    return DataLoader(dataset, BATCH, shuffle=True, num_workers=workers)


def batches(inputs: Pixels, seed: int) -> Iterable[Tensor]:
    """One epoch of batches from the array of decoded images."""
    generator = torch.Generator().manual_seed(seed)
    for rows in torch.randperm(len(inputs), generator=generator).split(BATCH):
        yield domainbed(inputs.take(rows), generator, (SIZE, SIZE), inputs.normal)


def timed(epoch: Callable[[], Iterable[Tensor]]) -> tuple[float, float]:
    """CPU and wall seconds of an epoch."""
    start, wall = cpu(), time.perf_counter()
    for _ in epoch():
        pass
    return cpu() - start, time.perf_counter() - wall


def statistics(epoch: Iterable[Tensor]) -> NDArray[np.float64]:
    """Of each augmented image, in [0, 1]: mean and deviation of each channel, and the mean saturation, ``[n, 7]``."""
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (BACKBONE.mean, BACKBONE.std))
    rows = []
    for batch in epoch:
        x = batch * std + mean
        colour = (x.amax(1) - x.amin(1)).mean((1, 2))[:, None]
        rows.append(torch.cat((x.mean((2, 3)), x.std((2, 3)), colour), 1))
    return torch.cat(rows).double().numpy()


def report_speed(files: Files, inputs: Pixels, repeats: int, workers: list[int]) -> None:
    """Print medians of all repeats, and the ratio to each number of workers with its range."""
    first = Subset(files, range(min(BATCH, len(files) // 2)))
    ours: list[tuple[float, float]] = []
    peers: dict[int, list[tuple[float, float]]] = {number: [] for number in workers}
    alone: list[tuple[float, float]] = []
    timed(lambda: batches(inputs, 0))
    for repeat in range(repeats):
        seconds = timed(lambda: (first[row] for row in range(len(first))))
        alone.append((seconds[0] / len(first), seconds[1] / len(first)))
        for number in workers:
            start = timed(lambda number=number: loader(first, number))
            whole = timed(lambda number=number: loader(files, number))
            new = len(files) - len(first)
            peers[number].append(tuple((w - s) / new for w, s in zip(whole, start, strict=True)))  # type: ignore[arg-type]
            seconds = timed(lambda repeat=repeat: batches(inputs, repeat))
            ours.append((seconds[0] / len(inputs), seconds[1] / len(inputs)))
    print(f"\n{'':24} {'CPU ms/image':>12} {'images/s/core':>14} {'images/s':>9}   times as fast per core (range)")
    _line("item, 1 thread", alone, _against(alone, ours[:: len(workers)]))
    for number, times in peers.items():
        note = _against(times, ours[workers.index(number) :: len(workers)])
        _line(f"loader, {number} worker{'s' * (number > 1)}", times, note)
    _line("batch, 1 thread", ours, "")


def _against(peer: list[tuple[float, float]], ours: list[tuple[float, float]]) -> str:
    ratios = [theirs[0] / own[0] for theirs, own in zip(peer, ours, strict=True)]
    return f"batch against this: {np.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def _line(name: str, times: list[tuple[float, float]], note: str) -> None:
    used, wall = np.median(times, 0)
    print(f"{name:24} {1000 * used:12.3f} {1 / used:14.0f} {1 / wall:9.0f}   {note}".rstrip())


def report_agreement(files: Files, inputs: Pixels, epochs: int) -> None:
    """Print the means of some statistics over augmented images, and their distance in standard errors."""
    first = np.concatenate([statistics(DataLoader(files, BATCH)) for _ in range(epochs)])
    second = np.concatenate([statistics(batches(inputs, 100 + epoch)) for epoch in range(epochs)])
    error = np.sqrt(first.var(0) / len(first) + second.var(0) / len(second))
    names = [f"{what} of {colour}" for what in ("mean", "deviation") for colour in ("red", "green", "blue")]
    print(f"\n{len(first)} images each, in [0, 1] {'':3} {'loader':>18} {'batch':>18}   distance / its error")
    for name, a, b, e in zip([*names, "max - min of colours"], first.T, second.T, error, strict=True):
        values = [f"{v.mean():.4f} ± {v.std():.4f}" for v in (a, b)]
        print(f"{name:28} {values[0]:>18} {values[1]:>18}   {(b.mean() - a.mean()) / e:+.2f}")


def main() -> None:
    """Draw pictures, then print speed and agreement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--epochs", type=int, default=4, help="for the agreement")
    parser.add_argument("--quick", action="store_true", help="96 images, 3 repeats, 1 epoch")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.images, arguments.repeats, arguments.epochs = 96, 3, 1
    torch.set_num_threads(1)
    keep_freed_memory()
    torch.manual_seed(0)
    random = np.random.Generator(np.random.PCG64(0))
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{row}.jpg" for row in range(arguments.images)]
        for path in paths:
            draw(random).save(path, quality=90)
        files = Files(paths)
        images = decode(paths, Path(folder) / "images.npy")
        inputs = Pixels(images, BACKBONE, torch.device("cpu"), resident=False)
        kilobytes = np.mean([path.stat().st_size for path in paths]) / 1000
        print(
            f"{len(paths)} JPEG files, {SIDE} x {SIDE}, {kilobytes:.1f} kB each; batches of {BATCH} at {SIZE} x {SIZE}"
        )
        report_speed(files, inputs, arguments.repeats, sorted({1, os.cpu_count() or 1}))
        report_agreement(files, inputs, arguments.epochs)


if __name__ == "__main__":
    main()
