"""What is no record of the reference is refused by file, line and field; nothing is read as anything but data."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sweeps.made import record, write_job

from dgbench.cli import main
from dgbench.core.errors import RecordError, StoreError
from dgbench.sweeps.read import LONGEST, read_sweep

GOOD = {"env0_in_acc": 0.5, "env0_out_acc": 0.5, "env1_in_acc": 1.0, "env1_out_acc": 0}


def line(**accuracies: Any) -> dict[str, Any]:
    return record("Toy", "ERM", [0], 0, 0, 100, GOOD | accuracies)


def args(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda content: content["args"].update(changes)


def without(*keys: str) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        *way, last = keys
        for key in way:
            content = content[key]
        del content[last]

    return change


def put(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda content: content.update(changes)


WRONG: list[tuple[Callable[[dict[str, Any]], None], list[str]]] = [
    (without("args"), ["args: missing", "no record of DomainBed's training script"]),
    (put(args=[1]), ["args: expected an object"]),
    (without("hparams"), ["hparams: missing"]),
    (put(hparams="{}"), ["hparams: expected an object", "'{}'"]),
    (without("step"), ["step: missing"]),
    (put(step=1.5), ["step: expected a whole number", "1.5"]),
    (put(step=-1), ["step: expected a whole number"]),
    (put(step=10**30), ["step: expected a whole number"]),
    (without("args", "dataset"), ["args.dataset: missing"]),
    (args(algorithm=""), ["args.algorithm: expected a name"]),
    (args(dataset=["PACS"]), ["args.dataset: expected a name"]),
    (args(trial_seed=True), ["args.trial_seed: expected a whole number", "True"]),
    (without("args", "hparams_seed"), ["args.hparams_seed: missing"]),
    (args(test_envs=0), ["args.test_envs: expected a list", "2 domains"]),
    (args(test_envs=[]), ["args.test_envs"]),
    (args(test_envs=[2]), ["args.test_envs", "[2]"]),
    (args(test_envs=[0, 0]), ["args.test_envs"]),
    (args(test_envs=[0, 1]), ["args.test_envs", "some of the 2 domains"]),
    (args(test_envs=["0"]), ["args.test_envs"]),
    (without("env1_in_acc"), ["env1_in_acc: missing"]),
    (without("env0_out_acc"), ["env0_out_acc: missing"]),
    (put(env3_in_acc=0.5), ["env2_out_acc: missing", "'env3_in_acc'"]),
    (put(env0_in_acc=1.5), ["env0_in_acc: expected an accuracy in [0, 1]", "1.5"]),
    (put(env0_in_acc=float("inf")), ["env0_in_acc: expected an accuracy"]),
    (put(env1_out_acc=None), ["env1_out_acc: expected an accuracy", "None"]),
    (put(env1_out_acc="0.5"), ["env1_out_acc: expected an accuracy"]),
]


@pytest.mark.parametrize(("change", "words"), WRONG, ids=[words[0] for _, words in WRONG])
def test_a_wrong_field_is_named_with_its_file_and_line(
    change: Callable[[dict[str, Any]], None], words: list[str], tmp_path: Path
) -> None:
    wrong = line()
    change(wrong)
    place = write_job(tmp_path, [line(), wrong])
    with pytest.raises(RecordError) as caught:
        read_sweep(tmp_path)
    for word in (f"{place / 'results.jsonl'}, line 2: ", *words):
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text", [b"{", b"\xff\n", b"[" * 100_000 + b"\n", b"[]\n", b"7\n", b"\n", b"{}\n", b"9" * 5000 + b"\n"]
)
def test_what_is_no_json_object_is_refused(text: bytes, tmp_path: Path) -> None:
    place = write_job(tmp_path, [line()])
    with (place / "results.jsonl").open("ab") as file:
        file.write(text)
    with pytest.raises(RecordError, match=r"results\.jsonl, line 2: "):
        read_sweep(tmp_path)


def test_a_line_that_was_cut_off_is_left_out_of_an_unfinished_job_alone(tmp_path: Path) -> None:
    place = write_job(tmp_path, [line(), line()], done=False, name="job")
    path = place / "results.jsonl"
    path.write_text(path.read_text()[:-1])
    assert (len(read_sweep(tmp_path).jobs[0].steps), read_sweep(tmp_path).cut) == (2, ()), "only the end is missing"
    path.write_text(path.read_text()[:-20])
    assert (len(read_sweep(tmp_path).jobs[0].steps), read_sweep(tmp_path).cut) == (1, ("job",))
    (place / "done").touch()
    with pytest.raises(RecordError, match="line 2: is no JSON; mend the line"):
        read_sweep(tmp_path)


def test_a_folder_holds_one_job_and_a_dataset_one_number_of_domains(tmp_path: Path) -> None:
    other = line()
    other["args"]["trial_seed"] = 1
    place = write_job(tmp_path, [line(), other])
    with pytest.raises(RecordError, match=r"line 2: args: are those of another job than in line 1"):
        read_sweep(tmp_path)
    (place / "results.jsonl").write_text(json.dumps(line()) + "\n")
    write_job(tmp_path, [line(env2_in_acc=0.5, env2_out_acc=0.5)], name="third")
    with pytest.raises(RecordError, match=r"'Toy' has 2 domains in .+ and 3 in third|'Toy' has 3 domains in third"):
        read_sweep(tmp_path)


def test_what_holds_no_sweep_is_said(tmp_path: Path) -> None:
    for folder, word in ((tmp_path / "absent", "is no folder"), (tmp_path, "--output_dir")):
        with pytest.raises(StoreError, match=word):
            read_sweep(folder)


def test_what_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = write_job(tmp_path, [line()])

    def refused(path: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(StoreError, match=f"{place}/results.jsonl: cannot be read .Permission denied"):
        read_sweep(tmp_path)


def test_no_pipe_is_waited_for_and_no_endless_line_read(tmp_path: Path) -> None:
    place = write_job(tmp_path, [line()])
    path = place / "results.jsonl"
    path.write_bytes(b" " * (LONGEST + 1))
    with pytest.raises(RecordError, match="line 1: has more than"):
        read_sweep(tmp_path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(RecordError, match="is no file"):
        read_sweep(tmp_path)
    path.unlink()
    path.symlink_to(write_job(tmp_path.parent / "elsewhere", [line()]) / "results.jsonl")
    with pytest.raises(RecordError, match="is no file"):
        read_sweep(tmp_path)


@pytest.mark.parametrize("protocol", ["dgbench", "domainbed"])
def test_the_command_says_it_in_one_message_and_ends_with_2(
    protocol: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_job(tmp_path / "sweep", [line(env0_in_acc=2)], name="job")
    csv = tmp_path / "out.csv"
    words = ["import", "domainbed", str(tmp_path / "sweep"), "--protocol", protocol, "--csv", str(csv)]
    monkeypatch.setattr("sys.argv", ["dgbench", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    assert (ended.value.code, said.out, said.err.count("\n"), csv.exists()) == (2, "", 1, False)
    assert "job/results.jsonl, line 1: env0_in_acc: expected an accuracy in [0, 1], or NaN, got 2" in said.err


def test_names_that_would_act_are_written_out(tmp_path: Path) -> None:
    sly = line()
    sly["args"]["algorithm"] = "ERM\x1b[31m"
    write_job(tmp_path, [sly])
    assert read_sweep(tmp_path).jobs[0].algorithm == "ERM\\x1b[31m"
