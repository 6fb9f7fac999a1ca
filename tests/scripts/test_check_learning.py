"""What is said of algorithms that learn: whom it is said of, by what numbers, and that the page has them all."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest
from measured_pages import BEGIN, END
from scripts_loaded import load_script
from submissions.boards import write_board

from dgbench.core.cards import board_card
from in_process import carry_out

script = load_script("check_learning")
ROW = re.compile(r"^\| `([^`]+)` \| ([-\d.e+]*) \| ([-\d.e+]*)( \*)? \| ([\d.]+)( \*)? \|$", re.MULTILINE)


@pytest.fixture(scope="module")
def page() -> str:
    text: str = script.PAGE.read_text(encoding="utf-8")
    return text


@pytest.fixture(scope="module")
def served() -> list[str]:
    return list(script.served())


def test_every_card_that_the_backbone_serves_is_trained(served: list[str]) -> None:
    assert set(board_card(script.BOARD).algorithms) <= set(served)
    assert {"divdis", "tent", "ensemble"} <= set(served), "all tracks, and what is merged"
    assert not {"coop", "zero_shot", "flyp", "as_is"} & set(served), "no text tower, and no head of its own"


def test_the_page_has_a_row_of_each_of_them(page: str, served: list[str]) -> None:
    assert [row[1] for row in ROW.finditer(page)] == served == sorted(served)


def test_marks_are_where_numbers_say_so_and_each_is_explained(page: str) -> None:
    marked = set()
    for name, start, end, risen, source, missed in (row.groups() for row in ROW.finditer(page)):
        assert bool(risen) == (start != "" and float(end) >= float(start))
        assert bool(missed) == (float(source) <= script.ENOUGH)
        marked |= {name} if risen or missed else set()
    after = page.split(END)[1]
    assert marked == set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.+?) \|", after, re.MULTILINE))))


def test_losses_are_means_over_two_checkpoints_of_one_row_a_domain() -> None:
    rows = [
        {"step": step, "loss": loss, "domain": domain}
        for step, loss in ((10, 4.0), (20, 2.0), (30, 9.0), (40, 1.0), (50, 0.5))
        for domain in "ab"
    ]
    assert script.losses(pl.DataFrame(rows)) == (3.0, 0.75)
    merged = pl.DataFrame({"step": [50, 50], "loss": [None, None]}, schema_overrides={"loss": pl.Float64})
    assert script.losses(merged) == (None, None)


@pytest.mark.parametrize(
    ("learnt", "row"),
    [
        (script.Learnt("erm", 2.3, 0.25, 0.95), "| `erm` | 2.3 | 0.25 | 0.950 |"),
        (script.Learnt("iga", 2.3, 3.0, 0.1), "| `iga` | 2.3 | 3 * | 0.100 * |"),
        (script.Learnt("soup", None, None, 0.9), "| `soup` |  |  | 0.900 * |"),
    ],
)
def test_what_does_not_hold_is_marked(learnt: script.Learnt, row: str) -> None:
    assert learnt.row == row


def test_it_trains_and_says_what_became_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def in_this_process(rules, store, **_):
        carry_out(rules, store)
        return type("Summary", (), {"failed": {}})

    monkeypatch.setattr(script.dgbench, "run", in_this_process)
    monkeypatch.setattr(script, "BOARD", write_board(tmp_path / "small", "erm", targets=("print",)))
    monkeypatch.setattr(script, "CHECKPOINTS", 4)
    asked = ["-a", "erm", "-a", "t3a", "--steps", "4", "--store", str(tmp_path / "store")]
    assert script.main(asked) == 0
    printed = capsys.readouterr().out
    rows = {row[1]: row for row in ROW.finditer(printed)}
    assert list(rows) == ["erm", "t3a"]
    assert rows["erm"].group(2, 3) == rows["t3a"].group(2, 3), "one training"
    assert 1.5 < float(rows["erm"][2]) < 3.5
    page = tmp_path / "page.md"
    stays = "| `sam` | 1 | 0.5 | 0.950 |"
    page.write_text(f"before\n{BEGIN}\nold\n{stays}\n| `erm` | old |\n{END}\nafter\n", encoding="utf-8")
    monkeypatch.setattr(script, "PAGE", page)
    script.main([*asked, "--write"])
    text = page.read_text(encoding="utf-8")
    assert "old" not in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    written = [rows["erm"].group(), stays, rows["t3a"].group()]
    assert [row.group() for row in ROW.finditer(text)] == written, "what was not asked for stays"
