"""The page *Follow a run in a tracker* says what is so, and its lines run."""

import re
from pathlib import Path
from typing import Any

import pytest
from trackers.conftest import Told

import dgbench
from dgbench.api import boards
from dgbench.runs import events
from dgbench.trackers import NAMES

PAGE = (Path(__file__).parents[2] / "docs" / "track.md").read_text(encoding="utf-8")


def test_the_tracker_of_the_page_runs(
    told: Told, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(board: str, trackers: list[Any]) -> None:
        assert board == "quick"
        boards.run(told.rules, store=told.store, device="cpu", trackers=trackers)

    monkeypatch.setattr(dgbench, "run", run, raising=False)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    assert list(Path("logs/small/small").iterdir()), "what the page's other tracker wrote"
    for event in told.events:
        names["tracker"](event)
    lines = capsys.readouterr().out.splitlines()
    shown = [event for event in told.events if isinstance(event, (events.Checkpoint, events.TrainingEnds))]
    assert [line.split()[0] for line in lines] == [event.training for event in shown]


def test_the_page_names_every_event_in_the_order_in_which_they_come() -> None:
    kinds = [kind.__name__ for kind in events.Event.__args__]  # type: ignore[attr-defined]
    assert ", ".join(f"`{kind}`" for kind in kinds[:-1]) + f" and `{kinds[-1]}`" in PAGE


def test_the_page_names_every_tracker() -> None:
    assert sorted(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == sorted(NAMES)
    assert set(re.findall(r"--track (\w+)", PAGE)) == set(NAMES)
