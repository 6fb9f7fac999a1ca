"""``dgbench statistics``, run as a user runs it."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from comparing.called import within

import dgbench
from dgbench.api import measuring

_WHOLE = (Path(__file__).parents[2] / "docs" / "statistics.md").read_text(encoding="utf-8")
PAGE = _WHOLE.partition("## Beside the ranks")[2].partition("\n## ")[0]


def test_the_published_table_by_one_command(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = within("statistics", "--published", "domainbed", "--json", "-o", page)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    tables = {table["table"]: table for table in told["tables"]}
    assert {name: round(one["tests"]["friedman"]["chi2"], 2) for name, one in tables.items()} == {
        "iid": 27.11, "lodo": 24.04, "oracle": 22.05
    }  # fmt: skip
    assert {round(one["tests"]["critical_difference"], 1) for one in tables.values()} == {7.5}
    assert round(tables["iid"]["regret_points"], 1) == 2.2
    assert round(tables["lodo"]["regret_points"], 1) == 5.4
    assert tables["oracle"]["regret_points"] is None
    coral = next(one for one in tables["iid"]["tests"]["against"] if one["algorithm"] == "CORAL")
    assert coral["p"] == pytest.approx(0.0625)
    assert [sum(pair["p"] <= 0.05 for pair in one["tests"]["nemenyi"]) for one in tables.values()] == [0, 2, 2]
    assert page.read_text(encoding="utf-8").count('class="critical"') == 3
    shown = within("statistics", "--published", "domainbed", "--control", "CORAL")
    assert "vs CORAL" in shown.stdout
    assert "CORAL and IRM, CORAL and VREx." in shown.stdout


@pytest.fixture(scope="module")
def found(emoji: str, tmp_path_factory: pytest.TempPathFactory) -> dgbench.Statistics:
    """Of a board of submissions."""
    return dgbench.statistics(emoji, store=tmp_path_factory.mktemp("none"))


def test_a_board_says_the_same_to_programs_and_in_python(emoji: str, found: dgbench.Statistics, tmp_path: Path) -> None:
    done = within("statistics", emoji, "--store", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    track = json.loads(done.stdout)["tracks"][0]
    tests, split = found.tracks[0].tests, found.tracks[0].split
    assert tests is not None
    assert split is not None
    assert track["tests"]["mean_ranks"] == dict(tests.ranks)
    assert [one["deviation"] for one in track["variance"]["components"]] == [c.deviation for c in split.components]


def test_the_commands_of_the_page_are_understood(
    found: dgbench.Statistics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(measuring, "statistics", lambda board, **options: asked.append((board, options)) or found)
    monkeypatch.chdir(tmp_path)
    lines = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)[0].splitlines()
    done = [within(*shlex.split(line, comments=True)[1:]) for line in lines]
    assert [one.returncode for one in done] == [0] * 4, done
    assert [board for board, _ in asked] == ["quick"] * 3
    assert [options["control"] for _, options in asked] == [None, "sam", None]
    tests = found.tracks[0].tests
    assert tests is not None
    for rank in tests.ranks.values():
        assert f"{rank:.2f}" in done[0].stdout
    assert (tmp_path / "statistics.html").is_file()


def test_the_table_of_the_page_is_what_the_published_numbers_give() -> None:
    rows = re.findall(r"^\| (?:source|leave|target).*\|$", PAGE, re.M)
    for row, table in zip(rows, dgbench.published_statistics("domainbed").tables, strict=True):
        found = table.tests.friedman
        cells = [f"{found.chi2:.2f}", f"{found.p:.4f}"[1:], f"{found.f:.2f}", f"{found.f_p:.4f}"[1:]]
        cells += [str(len(table.tests.separated)), "" if table.regret is None else f"{table.regret:.1f}"]
        assert [cell.strip() for cell in row.split("|")[2:-1]] == cells


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ([], "name a board, or a publication: dgbench statistics quick, or --published domainbed"),
        (["quick", "--published", "domainbed"], "name a board, or a publication"),
        (["--published", "domainbd"], "no publication named 'domainbd'. Did you mean 'domainbed'"),
        (["--published", "domainbed", "--control", "CORALS"], "Did you mean 'CORAL'"),
        (["--published", "rfc"], "three methods on two datasets"),
    ],
)
def test_what_is_wrong_is_one_message_and_exit_code_2(asked: list[str], words: str) -> None:
    done = within("statistics", *asked)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
