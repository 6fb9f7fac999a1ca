"""The command line: as a process where that makes a difference, else within this one, which is quick."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
from comparing.called import within

import dgbench as dgbench_package
from dgbench import __version__
from dgbench.core.cards import board_names, card_names
from dgbench.core.paths import shipped
from dgbench.core.registry import BUILT_IN, SLOTS


def dgbench(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "dgbench.cli", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=os.environ | {"COLUMNS": "200"},
    )


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def message(done: subprocess.CompletedProcess[str]) -> str:
    """What is on stderr beside the trace of imports."""
    return "\n".join(line for line in done.stderr.splitlines() if not line.startswith("import time:"))


def imported(done: subprocess.CompletedProcess[str]) -> set[str]:
    return {
        line.rpartition("|")[2].strip().partition(".")[0]
        for line in done.stderr.splitlines()
        if line.startswith("import time:")
    }


def test_list_names_everything_and_imports_no_torch() -> None:
    done = dgbench("list")
    assert done.returncode == 0, message(done)
    parts = [f"{slot}.{name}" for slot in SLOTS for name in BUILT_IN[slot]]
    for name in [*card_names("algorithms"), *card_names("datasets"), *board_names(), *parts]:
        assert name in done.stdout
    assert {"pydantic", "rich", "typer"} <= imported(done)
    assert not imported(done) & {"torch", "torchvision", "timm", "kornia", "sklearn", "scipy", "polars"}


def test_one_strange_file_spoils_no_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be read is named in a warning, and the rest is listed; to ask for it gives its error."""
    folder = tmp_path / "datasets"
    folder.mkdir()
    (folder / "latin.toml").write_bytes(b"name = '\xe9'")
    (folder / "deep.toml").write_text("x = " + "[" * 100_000)
    (folder / "empty.toml").touch()
    (folder / "folder.toml").mkdir()
    (folder / "circle.toml").symlink_to("circle.toml")
    (folder / "nowhere.toml").symlink_to("absent")
    os.mkfifo(folder / "pipe.toml")
    (folder / os.fsdecode(b"\xff.toml")).touch()
    done = dgbench("list", "datasets", cwd=tmp_path)
    assert done.returncode == 0, message(done)
    for name in card_names("datasets"):
        assert name in done.stdout
    warnings = message(done).splitlines()
    assert len(warnings) == 8
    monkeypatch.chdir(tmp_path)
    for name in ("latin", "deep", "empty", "folder", "circle", "nowhere", "pipe"):
        (warning,) = [line for line in warnings if f"{name}.toml" in line]
        shown = within("show", name)
        assert shown.returncode == 2
        assert shown.stderr == f"dgbench: {warning.removeprefix('left out: ')}\n"


def test_list_answers_within_a_second() -> None:
    """Of a processor, since the machine may be busy with something else."""

    def spent() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    def taken() -> float:
        before = spent()
        subprocess.run([sys.executable, "-m", "dgbench.cli", "list"], capture_output=True, check=True)
        return spent() - before

    assert any(taken() < 1.0 for _ in range(3)), "of three times the best"


@pytest.mark.parametrize("name", ["sam", "bang", "adanpc", "digits", "quick", "emoji", "adapter.pego", "criterion.atc"])
def test_show_tells_what_is_known(name: str) -> None:
    done = within("show", name)
    assert done.returncode == 0, done.stderr
    assert name.rpartition(".")[2] in done.stdout
    if name in card_names("algorithms"):
        for word in ("paper", "licence", "track", "needs", "hyperparameter", "allowed", "search"):
            assert word in done.stdout
    if name in card_names("datasets"):
        assert "licence" in done.stdout


@pytest.mark.parametrize("card", ["algorithms/sam.toml", "datasets/letters.toml"])
def test_a_card_that_is_shown_by_its_path_is_read_once(
    card: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _, file = card.partition("/")
    text = (shipped(folder) / file).read_text(encoding="utf-8")
    (tmp_path / file).write_text(text, encoding="utf-8")
    by_name = within("show", file.removesuffix(".toml"), "--json")
    read, loads = [], tomllib.loads

    def noted(given: str) -> dict[str, Any]:
        read.append(given)
        return loads(given)

    monkeypatch.setattr(tomllib, "loads", noted)
    by_path = within("show", tmp_path / file, "--json")
    assert json.loads(by_path.stdout) == json.loads(by_name.stdout)
    assert read.count(text) == 1


def test_list_in_a_pipe_is_a_record_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = within("list").stdout.splitlines()
    assert {line.split("\t")[0] for line in lines} == {"algorithms", "datasets", "boards", "parts", "published"}
    assert len(lines) == sum(
        len(within("list", kind).stdout.splitlines())
        for kind in ("algorithms", "datasets", "boards", "parts", "published")
    )
    monkeypatch.setenv("COLUMNS", "20")
    (sam,) = [line for line in within("list", "algorithms").stdout.splitlines() if line.startswith("sam\t")]
    assert sam.split("\t")[1] == "2021"


def test_json_says_what_the_tables_say() -> None:
    listed = json.loads(within("list", "--json").stdout)
    assert [row["name"] for row in listed["algorithms"]] == list(card_names("algorithms"))
    assert json.loads(within("show", "pego", "--json").stdout)["paper"]["year"] == 2024
    rho = json.loads(within("show", "optimizer.sam", "--json").stdout)["hyperparameters"]["rho"]
    assert rho == {"default": 0.05, "allowed": "number >= 0"}
    criterion = json.loads(within("show", "criterion.calibration", "--json").stdout)
    assert (criterion["needs"], criterion["ranks"]) == (["held-out images", "predictions"], True)
    plan = json.loads(
        within(
            "plan", "own", "-d", "digits", "-a", "erm", "-a", "coral", "--trials", "1", "--draws", "1", "--json"
        ).stdout
    )
    assert (plan["runs"], plan["trainings_alone"], plan["trainings_used"]) == (4, 8, 4)
    assert plan["without_effect"][0]["equals"] == ["erm"]


@pytest.mark.parametrize(
    "verb",
    [[], ["list"], ["show"], ["plan"], ["run"], ["leaderboard"], ["select"], ["data"], ["data", "new"], ["cache"]],
)
def test_help_is_a_short_option_and_loses_no_word(verb: list[str]) -> None:
    done = within(*verb, "-h")
    assert done.returncode == 0
    assert "..." not in done.stdout.replace("[ARGS]...", "").replace("[OPTIONS]...", ""), "a sentence is cut"
    if "--store" in done.stdout:
        assert "$DGBENCH_STORE or ./store by default" in " ".join(done.stdout.split())


def test_the_version() -> None:
    assert within("--version").stdout == f"dgbench {__version__}\n"


def test_the_shell_can_complete(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    assert "dgbench" in within("--show-completion", "bash").stdout


PUBLIC = (
    "add_submission", "build_site", "check_submission", "compare", "criteria", "deploy", "diagnose", "examine",
    "explain", "export", "for_people", "leaderboard", "load", "make_submission", "make_submissions", "plan", "power",
    "predict", "predictions", "publish_board", "publish_model", "published", "published_statistics", "ranking",
    "records", "reliance", "reproduce", "rules", "run", "select", "statistics", "submission_from_predictions", "trust",
    "verify", "write_kit",
)  # fmt: skip


def test_the_package_shows_its_public_functions() -> None:
    functions = {name for name in dir(dgbench_package) if name.islower()}
    assert functions == {"__version__", *PUBLIC}
    assert {"Leaderboard", "Comparison", "DGBenchError"} <= set(dir(dgbench_package)), "and what they give and raise"


BAD_CARD = 'name = "bad"\ntitle = "Bad"\nsummary = "s"\n[recipe.optimiser]\npart = "sam"\n'
BAD_BOARD = 'name = "bad"\ntitle = "Bad"\nversion = 1\nsummary = "s"\ndataset = "digits"\ntrial = 3\n'


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "adampc"], ["adampc", "Did you mean 'adanpc'"]),
        (["list", "algorithm"], ["algorithm"]),
        (["plan", "quik"], ["no board named 'quik'", "Did you mean 'quick'"]),
        (["run", "quick", "-a", "smm"], ["no algorithm named 'smm'", "Did you mean"]),
        (["plan", "quick", "-a", "sam(rhoo=1)"], ["rhoo", "Did you mean"]),
        (["plan", "quick", "-a", "sam(rho=-1)"], ["optimizer.rho", "greater than or equal to 0"]),
        (["plan", "quick", "-a", "sam + udim"], ["two parts for the slot 'optimizer'"]),
        (
            ["plan", "quick", "-a", "bad.toml"],
            ["bad.toml", "recipe.optimiser", "Did you mean 'optimizer'", "paper: missing"],
        ),
        (["plan", "worse.toml"], ["worse.toml", "trial: unknown field", "Did you mean 'trials'"]),
        (["plan", "absent.toml"], ["absent.toml", "cannot be read"]),
        (["leaderboard", "wilds"], ["holds nothing of 'wilds'", "dgbench run"]),
        (["plan", "quick", "--device", "gpu"], ["gpu"]),
        (["run", "quick", "-a", "erm", "--trials", "0"], ["--trials", "greater than or equal to 1"]),
        (["run", "quick", "--criterion", "oracle"], ["reads target labels", "augmented"]),
        (["run", "quick", "--criterion", "sauce"], ["no criterion named 'sauce'", "Did you mean 'source'"]),
        (["leaderboard", "quick", "--metric", "nll", "-o", "x"], ["--metric", "leave out --out"]),
        (["leaderboard", "quick", "--format", "xml"], ["xml", "eee"]),
        (["publish", "board", "quik", "-o", "x"], ["no board named 'quik'", "Did you mean 'quick'"]),
        (["publish", "model", "absent", "-o", "x"], ["absent", "is no exported model"]),
        (["published", "pakcs"], ["no dataset with published numbers named 'pakcs'", "Did you mean 'pacs'"]),
        (["rn"], ["rn"]),
    ],
)
def test_what_is_wrong_is_one_message_and_exit_code_2(
    arguments: list[str], words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bad.toml").write_text(BAD_CARD)
    (tmp_path / "worse.toml").write_text(BAD_BOARD)
    monkeypatch.chdir(tmp_path)
    done = within(*arguments)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.toml", "worse.toml"]


def test_plan_shows_what_shares_a_training() -> None:
    done = within("plan", "quick", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert "erm, ema, swad, adanpc, t3a" in done.stdout
    assert "216 runs (0 finished) are served by 168 trainings; one for each algorithm would be 216" in done.stdout
    assert "169 trainings in all (0 finished)" in done.stdout
    assert "within a factor of two" in done.stdout


@pytest.mark.parametrize("verb", ["run", "leaderboard"])
def test_a_store_that_cannot_be_written_is_one_message(verb: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = within(verb, "quick", "-a", "erm", "--store", "file/store", folder=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    if verb == "run":
        assert "file/store" in done.stderr
        assert "cannot be written" in done.stderr
        assert "--store or DGBENCH_STORE" in done.stderr


def test_ctrl_c_stops_at_once_and_leaves_nothing_that_looks_finished(tmp_path: Path) -> None:
    text = (shipped("leaderboards") / "quick" / "board.toml").read_text(encoding="utf-8")
    text = text.replace('name = "quick"', 'name = "mine"').replace("steps = 100", "steps = 4000")
    text = text.replace("@letters", "").replace("validation = 0.1", "validation = 0.02")
    text += "[selection]\nviews_per_domain = 1\n"
    (tmp_path / "mine.toml").write_text(text, encoding="utf-8")
    asked = ["run", "mine.toml", "-a", "erm", "--trials", "1", "--device", "cpu", "--workers", "1"]
    command = [sys.executable, "-m", "dgbench.cli", *asked]  # as users have it, and its worker
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob("store/trainings/*/spec.json")) and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, said
    assert "what is finished is kept" in said
    assert list(tmp_path.glob("store/trainings/*/spec.json"))
    assert not list(tmp_path.glob("store/trainings/*/done.json"))
