"""Predictions as WILDS takes them: the numbers of a plain loop over them, and files that do not fit."""

from __future__ import annotations

import csv
import json
import math
import os
import re
import shlex
import statistics
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from comparing.called import within
from scipy import stats
from wilds_made import FOLDERS, write_set

from dgbench.core.dataset_card import dataset_card
from dgbench.core.errors import DataError, DGBenchError, RecordError, StoreError
from dgbench.data.disk.parts import parts
from dgbench.sweeps.wilds import notes, read_predictions

pytest.importorskip("wilds")


def write(
    folder: Path, dataset: str, split: str, seed: int, classes: Sequence[object], epoch: str = "_epoch:best_pred"
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{dataset}_split:{split}_seed:{seed}{epoch}.csv"
    path.write_text("".join(f"{each}\n" for each in classes))
    return path


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for predictions, beside miniatures of every set."""
    for name in FOLDERS:
        write_set(name, tmp_path / "data", 3)
    monkeypatch.setenv("DGBENCH_DATA", str(tmp_path / "data"))
    (tmp_path / "DIR").mkdir()
    return tmp_path / "DIR"


def worst(labels: Sequence[int], predicted: Sequence[int], groups: Sequence[object]) -> float:
    shares = []
    for group in set(groups):
        rows = [row for row, own in enumerate(groups) if own == group]
        shares.append(sum(labels[row] == predicted[row] for row in rows) / len(rows))
    return min(shares)


def macro_f1(labels: Sequence[int], predicted: Sequence[int]) -> float:
    found = []
    for k in set(labels):
        hits = sum(label == k == guess for label, guess in zip(labels, predicted, strict=True))
        precision = hits / predicted.count(k) if predicted.count(k) else 0.0  # type: ignore[attr-defined]
        recall = hits / labels.count(k)  # type: ignore[attr-defined]
        found.append(2 * precision * recall / (precision + recall) if hits else 0.0)
    return sum(found) / len(found)


def rows_of(name: str, root: Path, split: str) -> list[dict[str, str]]:
    """The rows of a part, straight from the table of the archive."""
    table = "rgb_metadata.csv" if name == "fmow" else "metadata.csv"
    with (root / f"{name}_v{FOLDERS[name]}" / table).open() as file:
        rows = list(csv.DictReader(file))
    if name == "fmow":
        later = {"val": ("val", "2014"), "test": ("test", "2016")}[split]
        return [row for row in rows if (row["split"], row["timestamp"][:4]) == later]
    return [row for row in rows if row["split"] == {"test": "2" if name == "waterbirds" else "test"}[split]]


def test_the_table_is_that_of_a_plain_loop(here: Path) -> None:
    """Every number but the interval from the archive's own rows, in its order; the interval from scipy's t."""
    draw, expected = np.random.default_rng(0), {}
    regions = {"KEN": "Africa", "DEU": "Europe", "IND": "Asia", "BRA": "Americas", "AUS": "Oceania", "XXX": ""}
    for name, split in (("iwildcam", "test"), ("fmow", "test"), ("fmow", "val"), ("waterbirds", "test")):
        rows = rows_of(name, here.parent / "data", split)
        categories = {"airport": 0, "dam": 12, "zoo": 61}
        labels = [categories[row["category"]] if name == "fmow" else int(row["y"]) for row in rows]
        for method, right in (("good", 0.9), ("better/one", 0.95)):
            values = []
            for seed in range(3):
                predicted = [y if draw.random() < right else int(draw.choice(labels)) for y in labels]
                write(here / method, name, split, seed, predicted)
                if name == "iwildcam":
                    values.append(macro_f1(labels, predicted))
                elif name == "waterbirds":
                    values.append(worst(labels, predicted, [(row["y"], row["place"]) for row in rows]))
                else:
                    kept = [at for at, row in enumerate(rows) if row["country_code"] != "XXX"]
                    own = [regions[rows[at]["country_code"]] for at in kept]
                    values.append(worst([labels[at] for at in kept], [predicted[at] for at in kept], own))
            expected[name, method, split] = values
    found = read_predictions(here)
    assert [(cell.dataset, cell.method, cell.split) for cell in found.cells] == [
        ("fmow", "better/one", "val"), ("fmow", "better/one", "test"),
        ("fmow", "good", "val"), ("fmow", "good", "test"),
        ("iwildcam", "better/one", "test"), ("iwildcam", "good", "test"),
        ("waterbirds", "better/one", "test"), ("waterbirds", "good", "test"),
    ]  # fmt: skip
    for cell in found.cells:
        values = expected[cell.dataset, cell.method, cell.split]
        official = dataset_card(cell.dataset).official.measure
        assert next(iter(cell.values)) == official
        assert cell.values[official] == pytest.approx(values)
        mean = cell.estimate(official)
        assert mean is not None
        assert mean.mean == pytest.approx(statistics.mean(values))
        deviation = cell.deviation(official)
        assert deviation == pytest.approx(statistics.stdev(values))
        if mean.margin:
            assert mean.margin == pytest.approx(stats.t.ppf(0.975, 2) * statistics.stdev(values) / math.sqrt(3))
    assert not [*notes(found)], "there is all that the leaderboards ask for"
    printed = within("import", "wilds", here)
    assert printed.returncode == 0, printed.stderr
    assert "Waterbirds, by accuracy on the worst group" in printed.stdout
    assert "iWildCam2020-WILDS, by macro F1" in printed.stdout


def test_what_is_left_out_or_lacks_is_said(here: Path) -> None:
    part = parts(dataset_card("camelyon17"))["val"]
    for seed in (0, 2):
        for epoch in ("_epoch:best_pred", "_epoch:last_pred"):
            write(here, "camelyon17", "val", seed, [f"{label}.0" for label in part.labels], epoch)
    write(here, "amazon", "test", 0, [1, 2])
    with pytest.raises(
        RecordError, match=r"epoch:best_pred\.csv of the same split and seed, too; say which epoch counts"
    ):
        read_predictions(here)
    told = within("import", "wilds", here, "--epoch", "best", "--json")
    said = json.loads(told.stdout)
    assert said["notes"] == [
        "Left out: 1 files of amazon, which dgbench does not read.",
        "Left out: 2 files of other epochs.",
        "., camelyon17, val: seeds 0, 2; the leaderboard of WILDS asks for 0 to 9.",
    ]
    (row,) = said["rows"]
    assert (row["measure"], row["mean"], row["low"], row["seeds"]) == ("accuracy", 1.0, None, 2)


WRONG: list[tuple[str, list[object], str]] = [
    (
        "test",
        [0, 1, "7"],
        r"line 3: expected a predicted class, a whole number from 0 to 1, got '7'; count classes from 0",
    ),
    ("test", ["y_pred", 0], r"line 1: .* got 'y_pred'; there is no header"),
    ("test", ["0,1"], r"line 1: .* got '0,1'; there is no header, and no second column"),
    ("test", ["-1"], r"line 1: .* got '-1'"),
    ("test", ["0.5"], r"line 1: .* got '0\.5'"),
    ("test", ["__import__('os').abort()"], r"line 1: "),
    ("test", ["0" * 5000], r"line 1: .*\.\.\."),
    ("test", [0, 1], r"has 2 predictions, and the split 'test' of 'camelyon17' has 12 examples; predict the whole"),
    ("test", [0] * 500, r"has more than \d+ predictions, and the split"),
    ("tset", [0], r"no split 'tset'\. Did you mean 'test'"),
]


@pytest.mark.parametrize(("split", "classes", "what"), WRONG)
def test_a_file_that_does_not_fit_is_named_with_line_and_remedy(
    here: Path, split: str, classes: list[object], what: str
) -> None:
    path = write(here, "camelyon17", split, 0, classes)
    with pytest.raises(RecordError, match=what) as caught:
        read_predictions(here)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_folders_without_anything_to_read(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused: list[tuple[Path, type[DGBenchError], str]] = [
        (here / "none", StoreError, "is no folder"),
        (here, StoreError, "has no file that is called DATASET_split:SPLIT_seed:NUMBER_epoch:EPOCH_pred.csv"),
    ]
    for folder, error, what in refused:
        with pytest.raises(error, match=what):
            read_predictions(folder)
    write(here, "amazon", "test", 0, [1])
    with pytest.raises(StoreError, match="has predictions of amazon; dgbench reads those of camelyon17, fmow"):
        read_predictions(here)
    write(here, "fmow", "test", 0, [1], "_epoch:last_pred")
    with pytest.raises(StoreError, match="no file of the epoch 'best', and 1 of others"):
        read_predictions(here, "best")
    monkeypatch.setenv("DGBENCH_DATA", str(here))
    with pytest.raises(DataError, match="'fmow' is not here"):
        read_predictions(here)
    (here / "fmow_split:test_fold:A_pred.csv").write_text("1")
    with pytest.raises(RecordError, match="rename it; it should be fmow_split:SPLIT_seed:NUMBER"):
        read_predictions(here)
    assert within("import", "wilds", here).returncode == 2


def test_a_pipe_is_no_file(here: Path) -> None:
    os.mkfifo(here / "camelyon17_split:test_seed:0_epoch:best_pred.csv")
    with pytest.raises(StoreError, match="is no plain file; take it away"):
        read_predictions(here)


def test_the_commands_of_the_page_run_in_their_order(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "docs" / "import.md").read_text(encoding="utf-8")
    monkeypatch.chdir(here.parent)
    for name in FOLDERS:
        for split, part in parts(dataset_card(name)).items():
            write(here, name, split, 0, part.labels.tolist())
            assert split == "train" or re.search(rf"\| `{name}` .*`{split}`", page), "the page names every split"
    _, block = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    for line in block.splitlines():
        done = within(*shlex.split(line, comments=True)[1:])
        assert done.returncode == 0, done.stderr
        assert "FMoW-WILDS, by accuracy on the worst group" in done.stdout
    assert len((here.parent / "out.csv").read_text().splitlines()) == 1 + 4 + 2 * 5 + 2 * 5 + 3 * 3
    assert {path.name for path in here.parent.iterdir()} == {"DIR", "data", "out.csv"}, "nothing is put into a store"
