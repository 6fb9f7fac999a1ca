"""What an exported model says of pictures is what its run said of them, and no picture spoils the others."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from comparing.called import within
from nursery import python
from PIL import Image

import dgbench
from dgbench.core.dataset_card import dataset_card
from dgbench.core.errors import DataError, DGBenchError
from dgbench.core.seals import read_sealed, write_sealed
from dgbench.data.catalogue import load as load_dataset
from dgbench.exported.choose import Choice, chosen
from dgbench.exported.predict import predictions
from dgbench.exported.write import write
from dgbench.train.evaluate import CHUNK
from exported_boards import SHAPES, Ran, target


def export(ran: Ran, algorithm: str, folder: Path) -> tuple[Choice, Path]:
    choice = chosen(ran.board, algorithm, ran.store, criterion="augmented")
    write(choice, ran.store, folder)
    return choice, folder


def by_row(ran: Ran, choice: Choice) -> pl.DataFrame:
    """The run's predictions of the target, in the order of the domain's rows."""
    stored = pl.read_parquet(ran.store.file("run", choice.entry.run, "predictions.parquet"))
    rows = stored.filter((pl.col("split") == "target") & (pl.col("step") == choice.step)).sort("index")
    return rows.select("prediction", "confidence")


def stream_order(choice: Choice, n: int) -> list[int]:
    training = choice.plan.trainings[choice.entry.training]
    seed = training.seed("stream", choice.entry.domain, "clean")
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed)).tolist()  # type: ignore[no-any-return]


def said(frame: pl.DataFrame, classes: tuple[str, ...]) -> pl.DataFrame:
    assert frame["error"].null_count() == frame.height
    numbers = [classes.index(name) for name in frame["class"]]
    return pl.DataFrame({"prediction": pl.Series(numbers, dtype=pl.Int16), "confidence": frame["confidence"]})


def cli(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [python(), "-m", "dgbench.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8")


@pytest.mark.parametrize("algorithm", SHAPES)
def test_files_of_the_target_get_what_the_run_said(algorithm: str, shapes: Ran, tmp_path: Path) -> None:
    """In the order of the data. A predictor that learns is shown them in the order of its run, so other pictures share
    a batch of the network than in the run, which is seen in last bits; ``test_export`` has the same batches."""
    choice, folder = export(shapes, algorithm, tmp_path / "model")
    root = dataset_card(shapes.board.dataset[0]).path
    assert root is not None
    expected = by_row(shapes, choice)
    files = sorted((root / "wood").glob("*/*"))
    if dgbench.load(folder).online:
        order = stream_order(choice, len(files))
        found = said(dgbench.predict(folder, [files[row] for row in order], device="cpu"), ("dot", "line"))
        assert found["prediction"].equals(expected[order]["prediction"])
        np.testing.assert_allclose(found["confidence"], expected[order]["confidence"], rtol=1e-5)
        return
    frame = dgbench.predict(folder, root / "wood", device="cpu")
    assert frame["picture"].to_list() == list(map(str, files)), "a folder is read in the order of its paths"
    assert said(frame, ("dot", "line")).equals(expected), "to the last bit"


@pytest.mark.parametrize("algorithm", ["erm", "drm", "linear_probe", "wise_ft", "t3a"])
def test_arrays_get_what_the_run_said(algorithm: str, digits: Ran, tmp_path: Path) -> None:
    """Many chunks, and a last one that is not full."""
    choice, folder = export(digits, algorithm, tmp_path / "model")
    domain, rows = target(choice)
    images = domain.inputs[rows]
    order = stream_order(choice, len(images)) if algorithm == "t3a" else list(range(len(images)))
    frame = dgbench.predict(folder, [images[row] for row in order], device="cpu")
    assert said(frame, tuple("0123456789")).equals(by_row(digits, choice)[order])


def test_a_model_of_an_episodic_board_forgets_before_each_batch(digits: Ran, tmp_path: Path) -> None:
    _, folder = export(digits, "t3a", tmp_path / "model")
    images = list(load_dataset("digits", 16).domain("print").inputs[np.arange(64)])
    alone = dgbench.predict(folder, images[32:], device="cpu")["confidence"]
    assert not np.allclose(dgbench.predict(folder, images, device="cpu")["confidence"][32:], alone, rtol=1e-5)
    card = read_sealed(folder / "card.json")
    card["algorithm"]["stream_mode"] = "episodic"
    write_sealed(folder / "card.json", card)
    np.testing.assert_allclose(dgbench.predict(folder, images, device="cpu")["confidence"][32:], alone, rtol=1e-5)


def test_a_transform_gives_what_the_pipeline_gives(shapes: Ran, tmp_path: Path) -> None:
    """From a path, from Pillow and from an array; transparent, turned, cropped; nothing that was given changes."""
    _, folder = export(shapes, "erm", tmp_path / "model")
    model = dgbench.load(folder)
    card = dataset_card(shapes.board.dataset[0])
    assert card.path is not None
    squares = np.array(load_dataset(shapes.board.dataset[0], 32).domain("wood").inputs[np.arange(26)])
    mean, std = (
        np.array(values, np.float32)[:, None, None]
        for values in (model.card.preprocessing.mean, model.card.preprocessing.std)
    )
    for row, path in enumerate(sorted((card.path / "wood").glob("*/*"))):
        expected = torch.from_numpy((squares[row].transpose(2, 0, 1).astype(np.float32) / 255 - mean) / std)
        with Image.open(path) as image:
            before = image.copy()
            for given in (path, str(path), image):
                assert torch.equal(model.transform(given), expected), path
            assert image.tobytes() == before.tobytes()
        if "exif" not in before.info:
            assert torch.equal(model.transform(np.asarray(before)), expected)


def test_what_is_no_picture_is_said(shapes: Ran, tmp_path: Path) -> None:
    model = dgbench.load(export(shapes, "erm", tmp_path / "model")[1])
    for array in (np.zeros((4, 4, 2), np.uint8), np.zeros((4, 4)), np.zeros((0, 4), np.uint8)):
        with pytest.raises(DataError, match="is no image"):
            model.transform(array)
    with pytest.raises(DataError, match="no agreed range"):
        model.transform(Image.new("F", (4, 4)))
    with pytest.raises(DataError, match=r"absent\.png"):
        model.transform(tmp_path / "absent.png")
    with pytest.raises(DGBenchError, match="no such picture or folder"):
        dgbench.predict(model, tmp_path / "absent.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DGBenchError, match="no picture lies"):
        dgbench.predict(model, tmp_path / "empty")


def test_pictures_that_cannot_be_read_spoil_nothing(digits: Ran, tmp_path: Path) -> None:
    """The others get the answers, and share the chunks, that they have without them."""
    _, folder = export(digits, "erm", tmp_path / "model")
    model = dgbench.load(folder)
    inputs = load_dataset("digits", 16).domain("print").inputs
    good = list(inputs[np.arange(CHUNK + 40)])
    bad: list[str | Path] = [tmp_path / "gone.png", tmp_path / "text.png", tmp_path / "pipe.png"]
    (tmp_path / "text.png").write_text("no picture")
    os.mkfifo(tmp_path / "pipe.png")
    mixed = [*good[:3], bad[0], *good[3:130], *bad[1:], *good[130:]]
    found = list(predictions(model, mixed))
    assert [number for number, one in enumerate(found) if one.error] == [3, 131, 132]
    alone = list(predictions(model, good))
    pairs = [(one.label, one.confidence) for one in found if one.error is None]
    assert pairs == [(one.label, one.confidence) for one in alone]
    assert torch.get_num_threads() > 0
    assert [one.picture for one in found[:4]] == ["picture 0", "picture 1", "picture 2", str(bad[0])]


def test_the_command_names_classes_and_what_it_could_not_read(shapes: Ran, tmp_path: Path) -> None:
    _, folder = export(shapes, "erm", tmp_path / "model")
    pictures = tmp_path / "my pictures"
    (pictures / "sub").mkdir(parents=True)
    for name in ("a  b.png", "tab\there.jpg", "sub/ünï.PNG", os.fsdecode(b"\xff.png")):
        Image.new("RGB", (9, 7), (200, 10, 10)).save(pictures / name, "PNG")
    (pictures / "broken.png").write_bytes(b"\x89PNG broken")
    (pictures / "notes.txt").touch()
    (pictures / "phone.heic").touch()
    (tmp_path / "no suffix").write_bytes((pictures / "a  b.png").read_bytes())
    done = cli("predict", folder, pictures, tmp_path / "no suffix", "--csv", tmp_path / "out.csv")
    assert done.returncode == 1, done.stderr
    assert "broken.png cannot be decoded" in done.stderr
    assert "1 of 6 pictures could not be read" in done.stderr
    assert "1 .heic is not read" in done.stderr
    assert "Traceback" not in done.stderr
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = {Path(row["picture"]).name for row in rows}
    assert names == {"a  b.png", "tab\there.jpg", "ünï.PNG", "\\udcff.png", "no suffix"}
    assert {row["class"] for row in rows} <= {"dot", "line"}
    assert len({row["confidence"] for row in rows}) == 1, "they show the same"
    printed = within("predict", folder, pictures / "sub")
    assert printed.returncode == 0, printed.stderr
    path, label, confidence = printed.stdout.rstrip("\n").split("\t")
    assert (Path(path).name, label) == ("ünï.PNG", rows[0]["class"])
    assert float(confidence) == pytest.approx(float(rows[0]["confidence"]), abs=1e-4)
    answer = json.load(io.StringIO(within("predict", folder, pictures / "sub", "--json").stdout))
    assert answer[0]["confidence"] == pytest.approx(float(rows[0]["confidence"]), rel=1e-5)
    nowhere = within("predict", tmp_path, pictures)
    assert nowhere.returncode == 2
    assert "this is no exported model" in nowhere.stderr
    assert len(nowhere.stderr.splitlines()) == 1
