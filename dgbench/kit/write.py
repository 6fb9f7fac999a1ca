"""What a method of another code base needs of a board: lists of examples by name, pictures, and no target label.

    kit/
      board.json                      classes, cases with their folders, trials, draws, checkpoints, criterion, ...
      <case>/trial0.csv               part, domain, view, sample_id, label, picture
      pictures/<dataset>/<domain>/<sample_id>.png
      shifted/<dataset>/<domain>/<trial>/<family>/<sample_id>.png

``part`` is ``train``, ``validation`` or ``target``; the target comes twice, in an order of its own under the view
``again``, so that what is predicted in both can be compared. On a board with that track ``unlabelled`` are the pictures
of the target that may be learned from, without labels. Pictures are squares as the networks of the board see them.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dgbench.core.cards import BoardCard
from dgbench.core.cases import Case
from dgbench.core.dataset_card import dataset_card
from dgbench.core.errors import CardError, StoreError
from dgbench.core.files import whole_folder, write_json
from dgbench.core.names import file_name
from dgbench.core.seeds import generator
from dgbench.data.cache.views import Shifted
from dgbench.data.catalogue import load
from dgbench.data.disk.locate import locate
from dgbench.data.domain import Dataset, Images
from dgbench.data.samples import sample_names
from dgbench.data.splits import Rows, split, untested
from dgbench.runs.pretraining import start
from dgbench.selection.criteria import ranking
from dgbench.selection.predictions import AGAIN
from dgbench.submissions.asked import Asked

COLUMNS = ("part", "domain", "view", "sample_id", "label", "picture")

_ROWS = 256
"""Pictures that are read at once."""


def write_kit(board: BoardCard, out: Path, *, told: Callable[[str], None] = lambda what: None) -> Path:
    """Write the kit of a board; it is whole or absent.

    Args:
        board: Its rules.
        out: A folder that is not there yet.
        told: Is told what is written.

    Raises:
        StoreError: something is there.
        CardError: labels of the target would be needed to show it as the board does.
        DataError: a dataset of the board is not on this machine.
    """
    if out.exists():
        raise StoreError(f"{out} is there already; choose another folder, or remove it")
    if board.stream_mode == "by_class":
        raise CardError(
            f"board '{board.name}': stream_mode: pictures of the target are shown one class after the other, which a "
            "kit, where they have no labels, cannot say; models from elsewhere have no place on this board"
        )
    asked = Asked.of(board)
    for name in board.dataset:
        if not asked.at_hand(name):
            locate(dataset_card(name))
    sides = {start(backbone).size for backbone in board.tracks.values()}
    datasets = {name: load(name, max(sides)) for name in board.dataset}
    with whole_folder(out) as folder:
        write_json(folder / "board.json", _about(asked, datasets))
        for name, dataset in datasets.items():
            for domain in dataset.domains:
                told(f"{name}: {domain.name}")
                place = folder / "pictures" / file_name(name) / file_name(domain.name)
                _pictures(domain.inputs, sample_names(domain, np.arange(len(domain))), place)
        for case in asked.cases.values():
            for trial in range(board.trials):
                told(f"{case.name}, trial {trial}")
                _list(asked, case, trial, datasets[case.dataset], folder)
    return out


def _about(asked: Asked, datasets: dict[str, Dataset]) -> dict[str, Any]:
    board = asked.board
    return {
        "board": board.name,
        "version": board.version,
        "rules": asked.rules,
        "classes": {name: list(dataset.classes) for name, dataset in datasets.items()},
        "cases": [
            {
                "name": c.name,
                "folder": file_name(c.name),
                "dataset": c.dataset,
                "sources": c.sources,
                "target": c.target,
            }
            for c in asked.cases.values()
        ],
        "trials": board.trials,
        "draws": board.draws,
        "stream_batch": board.stream_batch,
        "stream_mode": board.stream_mode,
        "checkpoints": list(asked.steps()),
        "criterion": board.criterion,
    }


def _list(asked: Asked, case: Case, trial: int, dataset: Dataset, folder: Path) -> None:
    """Write the list of a case and trial, and the shifted validation images that the board's criterion asks for."""
    needed = asked.streams(case, frozenset(), ranking(asked.board.criterion, asked.board.name))
    views = sorted({view for part, _, view in needed if part == "validation"}, key=lambda view: (view != "clean", view))
    path = folder / file_name(case.name) / f"trial{trial}.csv"
    path.parent.mkdir(exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for part, domain, view, rows in _streams(asked, case, trial, dataset, views):
            known = dataset.domain(domain)
            names = sample_names(known, rows)
            place = Path("pictures", file_name(dataset.name), file_name(domain))
            if view not in ("clean", AGAIN):
                place = Path("shifted", file_name(dataset.name), file_name(domain), str(trial), view)
                if not (folder / place).is_dir():
                    _pictures(Shifted(dataset, domain, rows, view), names, folder / place)
            labels = [""] * len(rows) if part in ("target", "unlabelled") else known.labels[rows].tolist()
            for name, label in zip(names, labels, strict=True):
                writer.writerow((part, domain, view, name, label, (place / f"{name}.png").as_posix()))


def _streams(
    asked: Asked, case: Case, trial: int, dataset: Dataset, views: list[str]
) -> Iterator[tuple[str, str, str, Rows]]:
    rules = asked.board.split
    for source in case.sources:
        parts = split(dataset, source, trial, rules.validation, rules.test, rules.official)
        yield "train", source, "clean", parts.train
        for view in views:
            shifted = view != "clean"
            yield "validation", source, view, asked.rows("validation", dataset, source, trial, shifted=shifted)
    asked_for = asked.rows("target", dataset, case.target, trial, shifted=False)
    if "unlabelled" in asked.board.tracks:
        own = (dataset, case.target, trial, rules.validation, rules.test, rules.official)
        yield "unlabelled", case.target, "clean", asked_for if asked.board.unlabelled == "tested" else untested(*own)
    yield "target", case.target, "clean", asked_for
    yield "target", case.target, AGAIN, generator("again", *case.sources, case.target, trial).permutation(asked_for)


def _pictures(images: Images, names: list[str], place: Path) -> None:
    place.mkdir(parents=True)
    for first in range(0, len(names), _ROWS):
        rows = np.arange(first, min(first + _ROWS, len(names)), dtype=np.int64)
        for row, picture in zip(rows, images[rows], strict=True):
            Image.fromarray(picture).save(place / f"{names[row]}.png")
