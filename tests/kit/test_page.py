"""The page *Submit from another code base* runs as it stands there, the model where there is no torch."""

from __future__ import annotations

import csv
import importlib.metadata
import json
import re
import shutil
import subprocess
import venv
from pathlib import Path

import polars as pl
import pytest
from comparing.called import Done, within
from sites.made import few_cards
from submissions.boards import write_board

import dgbench
from dgbench.api.boards import rules
from dgbench.core.errors import CardError, RecordError, StoreError
from dgbench.submissions.asked import Asked

PAGE = (Path(__file__).parents[2] / "docs" / "submit-from-anywhere.md").read_text(encoding="utf-8")
BOARD = "quick/board.toml"


def needed(*names: str) -> set[str]:
    """Packages, and what they need in turn."""
    found: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            asked = (one for one in importlib.metadata.requires(name) or () if "extra ==" not in one)
            pending += [re.split(r"[^\w.-]", one, maxsplit=1)[0].lower() for one in asked]
    return found


def environment(folder: Path) -> Path:
    """A virtual environment with scikit-learn and Pillow, linked from this one, and nothing else; its Python."""
    venv.create(folder, with_pip=False)
    (site,) = folder.glob("lib/python*/site-packages")
    for name in needed("scikit-learn", "pillow"):
        files = importlib.metadata.files(name) or []
        for top in {file.parts[0] for file in files if file.parts[0] not in ("..", "__pycache__")}:
            there = Path(str(files[0].locate())).parents[len(files[0].parts) - 1] / top
            (site / top).symlink_to(there)
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the page leaves behind."""
    room = tmp_path_factory.mktemp("anywhere")
    write_board(room / "quick", "erm")
    (script,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (room / "model.py").write_text(script)
    python = environment(room / "venv")
    without = subprocess.run([python, "-c", "import torch"], capture_output=True, text=True)
    assert "No module named 'torch'" in without.stderr
    (block,) = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines():
        program, *words = line.partition("#")[0].split()
        words = [BOARD if word == "quick" else word for word in words]
        words += ["--board", BOARD] if words[:2] == ["submit", "check"] else []
        if program == "dgbench":
            done: Done | subprocess.CompletedProcess[str] = within(*words, folder=room)
        else:
            done = subprocess.run([str(python), *words], cwd=room, capture_output=True, text=True)
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
        if words[:2] == ["submit", "check"]:
            (room / "said.txt").write_text(done.stdout)
    return room


def test_the_page_makes_a_submission_that_passes(room: Path) -> None:
    said = (room / "said.txt").read_text()
    assert "pixels@1: good; self-reported" in said
    marked = set(re.findall(r"^([EW]\d\d)  marked", said, re.M))
    assert marked <= set(re.findall(r"^\| ([EW]\d\d) \|", PAGE, re.M)), "the page says which checks mark it"
    assert {"E02", "W13"} <= marked
    assert "E10" not in marked, "the target was predicted in both orders"
    into = room / "submissions"
    dgbench.add_submission(room / "out" / "pixels@1", board=str(room / BOARD), into=into)
    (entry,) = dgbench.leaderboard(rules(str(room / BOARD)), store=room / "none", submissions=into).entries
    assert (entry.title, entry.level, entry.backbone) == ("Pixels", "self-reported", "none")
    assert 0.2 < entry.accuracy.mean < 1


def test_the_kit_tells_no_target_label_and_what_dgbench_would_do(room: Path) -> None:
    asked = Asked.of(rules(str(room / BOARD)))
    about = json.loads((room / "kit" / "board.json").read_text())
    for case in about["cases"]:
        with (room / "kit" / case["folder"] / "trial0.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        for part in ("target", "unlabelled"):
            assert {row["label"] for row in rows if row["part"] == part} == {""}
            assert {row["domain"] for row in rows if row["part"] == part} == {case["target"]}
        assert case["target"] not in {row["domain"] for row in rows if row["part"] in ("train", "validation")}
        for domain in case["sources"]:
            wanted = asked.examples("validation", "digits", domain, 0)
            assert wanted is not None
            names = {row["sample_id"] for row in rows if (row["part"], row["domain"]) == ("validation", domain)}
            trained = {row["sample_id"] for row in rows if (row["part"], row["domain"]) == ("train", domain)}
            assert names == set(wanted["sample"])
            assert not names & trained
        assert len({row["view"] for row in rows if row["part"] == "validation"}) == 11
        assert all((room / "kit" / row["picture"]).is_file() for row in rows)
    with pytest.raises(StoreError, match="is there already"):
        dgbench.write_kit(str(room / BOARD), room / "kit")
    by_class = dgbench.rules(str(room / BOARD)).model_copy(update={"stream_mode": "by_class"})
    with pytest.raises(CardError, match="stream_mode: pictures of the target are shown one class after the other"):
        dgbench.write_kit(by_class, room / "other")
    assert not (room / "other").exists()


def _spoil(room: Path, to: Path, change: str) -> Path:
    """The tables of the page, one of them spoilt."""
    folder = Path(shutil.copytree(room / "mine", to / "mine"))
    path = sorted(folder.glob("*/*.csv"))[0]
    lines = path.read_text().splitlines()
    match change:
        case "a row less":
            del lines[5]
        case "a row twice":
            lines.append(lines[-1])
        case "no probabilities":
            lines = [",".join(line.split(",")[:3]) for line in lines]
        case "a class, too":
            lines = [f"{line},{'class' if n == 0 else 3}" for n, line in enumerate(lines)]
        case "classes that there are not":
            lines = [
                ",".join([*line.split(",")[:3], "class" if n == 0 else str(n % 11)]) for n, line in enumerate(lines)
            ]
        case "halves of classes":
            lines = [",".join([*line.split(",")[:3], "class" if n == 0 else "1.5"]) for n, line in enumerate(lines)]
        case "no number":
            lines[4] = ",".join([*lines[4].split(",")[:-1], "nan"])
        case "too much":
            lines[4] = ",".join([*lines[4].split(",")[:-1], "0.9"])
        case "a stranger":
            lines.append("0" * 16 + lines[-1][16:])
        case "a name":
            path.rename(path.with_name("predictions.csv"))
        case "another case":
            path.parent.rename(path.parent.with_name("nowhere"))
        case "no table":
            shutil.rmtree(path.parent)
            for other in folder.iterdir():
                if other.is_dir():
                    shutil.rmtree(other)
    if path.is_file():
        path.write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("a row less", "1 examples of the validation of .* are missing"),
        ("a row twice", "are double"),
        ("no probabilities", "the column 'p_0' is missing; there must be sample_id, view, and p_0, p_1, ... or class"),
        ("a class, too", "there is 'p_0', and 'class', too"),
        ("classes that there are not", "a class is its place in the list of board.json, a whole number from 0 to 9"),
        ("halves of classes", "a class is its place in the list of board.json"),
        ("no number", "sum to 1 in every row"),
        ("too much", "sum to 1 in every row"),
        ("a stranger", "1 rows are of no example that is asked for"),
        ("a name", r"predictions\.csv: expected CASE/trial0-draw0-step4\.csv"),
        ("another case", "with CASE one of print, dot-matrix"),
        ("no table", "there is no table"),
    ],
)
def test_a_table_that_does_not_fit_is_named_and_leaves_nothing(
    change: str, says: str, room: Path, tmp_path: Path
) -> None:
    folder = _spoil(room, tmp_path, change)
    with pytest.raises(RecordError, match=says):
        dgbench.submission_from_predictions(str(room / BOARD), folder, tmp_path / "out")
    assert not list(tmp_path.glob("out/*"))


def _with_classes(room: Path, folder: Path) -> Path:
    """What the model of the page predicted, as classes alone."""
    shutil.copytree(room / "mine", folder)
    for path in folder.glob("*/*.csv"):
        table = pl.read_csv(path, schema_overrides={"sample_id": pl.String})
        chances = table.select(pl.selectors.starts_with("p_"))
        classes = pl.Series("class", chances.to_numpy().argmax(1))
        table.select("sample_id", "domain", "view", classes).write_csv(path)
    return folder


def test_classes_alone_make_a_submission_without_likelihoods(room: Path, tmp_path: Path) -> None:
    """From tables to the site: the same accuracies as with probabilities, and what needs these says that it does."""
    board, home = tmp_path / "quick" / "board.toml", tmp_path / "quick" / "submissions"
    board.parent.mkdir()
    shutil.copy(room / BOARD, board)
    made = dgbench.submission_from_predictions(str(board), _with_classes(room, tmp_path / "mine"), tmp_path / "out")
    checked = dgbench.check_submission(made, board=str(board), store=tmp_path / "none")
    assert checked.good
    found = {verdict.code: verdict for verdict in checked.verdicts}
    assert found["E04"].reasons == ("2 runs have classes alone: likelihoods and calibration are not known",)
    assert found["E10"].outcome == "passed"
    dgbench.add_submission(made, board=str(board), into=home)

    shown = dgbench.leaderboard(str(board), store=tmp_path / "none")
    (entry,) = shown.entries
    dgbench.add_submission(room / "out" / "pixels@1", board=str(room / BOARD), into=tmp_path / "others")
    (sure,) = dgbench.leaderboard(str(room / BOARD), store=tmp_path / "none", submissions=tmp_path / "others").entries
    assert entry.accuracy == sure.accuracy
    assert (entry.nll, sure.nll is None) == (None, False)
    with pytest.raises(StoreError, match=r"'source_nll' scores by likelihoods, and of 'pixels@1' .* only classes were"):
        dgbench.leaderboard(str(board), criterion="source_nll", store=tmp_path / "none")
    with few_cards:
        assert dgbench.build_site(tmp_path / "site", [str(board)], store=tmp_path / "none") > 1
    pages = [path.read_text(encoding="utf-8") for path in (tmp_path / "site").glob("boards/quick/**/*.html")]
    assert not [page for page in pages if re.search(r">\s*-?nan\b", page, re.IGNORECASE)]
    assert any("only classes were predicted" in page for page in pages)


def test_where_likelihoods_choose_classes_alone_are_refused_with_the_reason(room: Path, tmp_path: Path) -> None:
    board = rules(str(room / BOARD), criterion="source_nll")
    mine = _with_classes(room, tmp_path / "mine")
    for path in mine.glob("*/*.csv"):
        pl.read_csv(path).filter(pl.col("view").is_in(["clean", "again"])).write_csv(path)
    with pytest.raises(StoreError, match="only classes were predicted"):
        dgbench.submission_from_predictions(board, mine, tmp_path / "out")
    assert not list(tmp_path.glob("out/*"))
