"""What each program keeps is read back with its own means.

TensorBoard comes with the tests. The others run where they are installed, ``dgbench[mlflow,wandb,trackio]``, in an
environment of their own, since they hold back libraries that dgbench is tested with.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from comparing.called import within
from submissions.boards import write_board
from trackers.conftest import Told

from dgbench.runs.events import BoardEnds, Checkpoint, Event, Selected, TrainingBegins, TrainingEnds, Validated
from dgbench.trackers import named
from dgbench.trackers.sheets import Sheets

Numbers = dict[tuple[str, int], float]
"""By name and step."""


def tell(where: str, events: Iterable[Event]) -> None:
    tracker = named(where)
    for event in events:
        tracker(event)


def expected(events: list[Event], sheet: str) -> Numbers:
    """What a sheet of a training must say, by the events."""
    found: Numbers = {}
    for event in events:
        if isinstance(event, Checkpoint) and event.training == sheet:
            found["loss", event.step] = event.loss
            for domain in event.accuracy:
                found[f"accuracy/{domain}", event.step] = event.accuracy[domain]
                found[f"nll/{domain}", event.step] = event.nll[domain]
        if isinstance(event, Validated) and event.training == sheet:
            for algorithm in event.algorithms:
                for view, value in event.accuracy.items():
                    found[f"validation/{algorithm}/{view}", event.step] = value
        if isinstance(event, Selected) and sheet == "small":
            found[f"accuracy/{event.algorithm}/{event.target}", event.trial] = event.accuracy
            found[f"score/{event.algorithm}/{event.target}", event.trial] = event.score
    assert found
    return found


def begun(told: Told) -> list[TrainingBegins]:
    return [event for event in told.events if isinstance(event, TrainingBegins)]


def single(numbers: Mapping[tuple[str, int], float]) -> Any:
    """As single-precision numbers are compared."""
    return pytest.approx(numbers, rel=1e-6)


def scalars(folder: Path) -> tuple[Numbers, dict[str, str]]:
    """Numbers and texts of a folder, as TensorBoard itself reads them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(folder)).Reload()
    numbers = {(tag, event.step): event.value for tag in read.Tags()["scalars"] for event in read.Scalars(tag)}
    texts = {
        tag.removesuffix("/text_summary"): read.Tensors(tag)[-1].tensor_proto.string_val[0].decode()
        for tag in read.Tags()["tensors"]
    }
    return numbers, texts


def test_tensorboard_reads_every_number(told: Told, tmp_path: Path) -> None:
    tell(f"tensorboard:{tmp_path}", told.events)
    folders = {path.name: path for path in (tmp_path / "small").iterdir()}
    assert folders.keys() == {"small", *(event.training for event in begun(told))}
    for name, folder in folders.items():
        numbers, texts = scalars(folder)
        assert numbers == single(expected(told.events, name))
        assert texts["status"] == "ok"
    for event in begun(told):
        texts = scalars(folders[event.training])[1]
        assert texts["algorithms"] == ", ".join(event.algorithms)
        assert texts["targets"] == event.targets[0]


def test_tensorboard_keeps_hyperparameters(told: Told, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    tell(f"tensorboard:{tmp_path}", told.events)
    for event in begun(told):
        read = EventAccumulator(str(tmp_path / "small" / event.training)).Reload()
        content = read.PluginTagToContent("hparams")["_hparams_/session_start_info"]
        kept = HParamsPluginData.FromString(content).session_start_info.hparams
        assert kept["optimizer.lr"].number_value == event.hyperparameters["optimizer.lr"]
        assert kept["optimizer"].string_value == event.hyperparameters["optimizer"]
        assert kept["sources"].string_value == ", ".join(event.sources)


def test_nothing_that_is_written_names_a_path(told: Told, tmp_path: Path) -> None:
    tell(f"tensorboard:{tmp_path}", told.events)
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert str(told.store).encode() not in path.read_bytes()
            assert str(Path.cwd()).encode() not in path.read_bytes()


class Kept:
    """A program that keeps what it is given."""

    def __init__(self) -> None:
        self.said: list[tuple[Any, ...]] = []

    def open(self, board: str, name: str, settings: Mapping[str, Any], labels: Mapping[str, str]) -> str:
        self.said.append(("open", name))
        return name

    def write(self, sheet: str, step: int, numbers: Mapping[str, float]) -> None:
        self.said.append(("write", sheet, step, dict(numbers)))

    def close(self, sheet: str, status: str, cause: str) -> None:
        self.said.append(("close", sheet, status, cause))


def test_sheets_that_are_open_when_work_is_broken_off_are_closed(told: Told) -> None:
    program = Kept()
    sheets = Sheets(program)
    first, training = told.events[0], begun(told)[0]
    for event in (first, training, BoardEnds("small", "stopped", 0, 0, 0)):
        sheets(event)
    assert program.said == [
        ("open", "small"),
        ("open", training.training),
        ("close", training.training, "stopped", "the work was broken off"),
        ("close", "small", "stopped", ""),
    ]


def test_a_failed_training_is_closed_with_its_cause(told: Told) -> None:
    program = Kept()
    sheets = Sheets(program)
    training = begun(told)[0]
    for event in (told.events[0], training, TrainingEnds(training.training, "diverged", "a loss is not finite")):
        sheets(event)
    assert program.said[-1] == ("close", training.training, "diverged", "a loss is not finite")


def test_what_targets_share_is_written_once(told: Told) -> None:
    """One training that is tested on two targets validates its models once."""
    program = Kept()
    sheets = Sheets(program)
    training = begun(told)[0]
    accuracy = {"clean": 0.5}
    for event in (
        told.events[0],
        training,
        Validated(training.training, "a", ("erm",), "print", 4, accuracy),
        Validated(training.training, "b", ("erm",), "dot-matrix", 4, accuracy),
        Validated(training.training, "c", ("t3a", "swad"), "print", 4, accuracy),
    ):
        sheets(event)
    written = [said[3] for said in program.said if said[0] == "write"]
    assert written == [{f"validation/{name}/clean": 0.5} for name in ("erm", "t3a", "swad")]


def test_the_command_line_tracks(told: Told, tmp_path: Path) -> None:
    """On a board that is finished: what was selected is written, and standard output is the table's."""
    write_board(tmp_path / "small", "erm", "t3a", "sam")
    asked = ["run", "small/board.toml", "--store", told.store, "--json", "--track", "tensorboard:logs"]
    done = within(*asked, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["files"]
    assert "nothing was left to do" in done.stderr
    numbers, texts = scalars(tmp_path / "logs" / "small" / "small")
    assert numbers == single(expected(told.events, "small"))
    assert texts["criterion"] == told.rules.criterion


@pytest.mark.parametrize("where", ["sqlite:///{}/runs.db"])
def test_mlflow_reads_every_number(where: str, told: Told, tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow")
    uri = where.format(tmp_path)
    for _ in range(2):  # whoever goes on writes on the same run
        tell(f"mlflow:{uri}", told.events)
    client = mlflow.MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("small")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert runs.keys() == {"small", *(event.training for event in begun(told))}
    for name, run in runs.items():
        wanted = expected(told.events, name)
        numbers = {
            (key, metric.step): metric.value
            for key in {key for key, _ in wanted}
            for metric in client.get_metric_history(run.info.run_id, key.replace("(", "_"))
        }
        assert numbers == pytest.approx(wanted)
        assert run.info.status == "FINISHED"
    for event in begun(told):
        data = runs[event.training].data
        assert float(data.params["optimizer.lr"]) == event.hyperparameters["optimizer.lr"]
        assert data.tags["algorithms"] == ", ".join(event.algorithms)
        assert data.tags["status"] == "ok"


def test_trackio_reads_every_number(told: Told, tmp_path: Path) -> None:
    pytest.importorskip("trackio")
    code = (
        "import pickle, sys; from trackers.test_programs import tell\n"
        "tell('trackio:mine', pickle.load(open(sys.argv[1], 'rb')))"
    )
    assert elsewhere(code, told, tmp_path, TRACKIO_DIR=str(tmp_path / "trackio")) == ""
    code = (
        "import json, trackio\n"
        "from trackio.sqlite_storage import SQLiteStorage as kept\n"
        "runs = kept.get_runs('mine')\n"
        "print(json.dumps({run: [kept.get_run_config('mine', run), kept.get_logs('mine', run)] for run in runs}))"
    )
    runs = json.loads(elsewhere(code, told, tmp_path, TRACKIO_DIR=str(tmp_path / "trackio")).splitlines()[-1])
    assert runs.keys() == {"small-small", *(f"small-{event.training}" for event in begun(told))}
    for name, (config, logs) in runs.items():
        wanted = expected(told.events, name.removeprefix("small-"))
        numbers = {
            (key, row["step"]): value for row in logs for key, value in row.items() if (key, row["step"]) in wanted
        }
        assert numbers == pytest.approx(wanted)
        assert {row.get("status") for row in logs} == {None, "ok"}
        assert config["_Group"] == "small"
    for event in begun(told):
        assert runs[f"small-{event.training}"][0]["optimizer.lr"] == event.hyperparameters["optimizer.lr"]


def test_wandb_keeps_every_number_offline(told: Told, tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    code = (
        "import pickle, sys; from trackers.test_programs import tell\n"
        "tell('wandb:mine', pickle.load(open(sys.argv[1], 'rb')))"
    )
    assert elsewhere(code, told, tmp_path, WANDB_MODE="offline", WANDB_DIR=str(tmp_path)) == ""
    files = {path.stem.removeprefix("run-small-"): path for path in tmp_path.glob("wandb/*/*.wandb")}
    assert files.keys() == {"small", *(event.training for event in begun(told))}
    for name, path in files.items():
        numbers, config, exits = offline(path)
        assert numbers == pytest.approx(expected(told.events, name))
        assert exits == [0]
        content = path.read_bytes()
        assert str(Path.cwd()).encode() not in content
        assert str(told.store).encode() not in content
        assert (name == "small") or "optimizer.lr" in config


def records(content: bytes) -> Iterator[bytes]:
    """Those of a log as LevelDB writes it, after a header of seven bytes: in blocks of 32 KiB, whole and split."""
    place, begun = 7, b""
    while place < len(content):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        size, kind = int.from_bytes(content[place + 4 : place + 6], "little"), content[place + 6]
        begun += content[place + 7 : place + 7 + size]
        place += 7 + size
        if kind in (1, 4):  # whole, or the last part
            yield begun
            begun = b""


def offline(path: Path) -> tuple[Numbers, set[str], list[int]]:
    """Numbers, keys of the configuration and exit codes of a run that wandb kept on disk."""
    from wandb.proto import wandb_internal_pb2

    numbers: Numbers = {}
    config: set[str] = set()
    exits: list[int] = []
    for data in records(path.read_bytes()):
        record = wandb_internal_pb2.Record.FromString(data)
        row = {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
        numbers |= {(key, row["step"]): value for key, value in row.items() if key[0] != "_" and key != "step"}
        config |= {item.key for item in record.run.config.update}
        if record.HasField("exit"):
            exits.append(record.exit.exit_code)
    return numbers, config, exits


def elsewhere(code: str, told: Told, room: Path, **environment: str) -> str:
    """What a program prints that is given the events: these libraries keep settings of a process."""
    import pickle

    (room / "events").write_bytes(pickle.dumps(told.events))
    paths = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code, str(room / "events")],
        cwd=room,
        capture_output=True,
        text=True,
        env=os.environ | environment | {"PYTHONPATH": paths},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
