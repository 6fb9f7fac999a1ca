import io
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

import dgbench
from dgbench.core.errors import StoreError
from dgbench.core.visible import visible
from dgbench.runs.notebook import InNotebook
from dgbench.runs.outlook import HowFar, Outlook
from dgbench.runs.progress import Calls, Log, Progress, Silent, Terminal, for_people, told
from small import small_board


def test_the_log_says_what_is_done_failed_at_work_and_to_go() -> None:
    stream = io.StringIO()
    log = Log(stream, every=0)
    log.start({"views": 300, "trainings": 2, "runs": 4})
    log.running(2)
    log.advance("views", 100, 2.0)
    log.advance("views", 200, 4.0)
    log.advance("trainings", 0.5, 10.0)
    log.advance("trainings", 0.5, 10.0)
    log.advance("runs", 2, 6.0)
    log.fail("trainings", 1)
    log.fail("runs", 2)
    log.stop()
    first, *lines = stream.getvalue().splitlines()
    assert first == "to do: 300 shifted images, 2 trainings, 4 runs"
    assert re.fullmatch(r"\[0:00\] views 100/300, trainings 0/2, runs 0/4, 2 at work", lines[0])
    assert "views 300/300, trainings 0/2, runs 0/4" in lines[2]
    assert "trainings 1/2, runs 2/4, 2 at work, about 0:13 to go" in lines[4], "20 s + 2 * 3 s, by two workers"
    assert re.fullmatch(r"\[0:00\] views 300/300, trainings 1/2 \(1 failed\), runs 2/4 \(2 failed\)", lines[-1])


def test_the_log_keeps_quiet_between_lines_but_says_the_end() -> None:
    stream = io.StringIO()
    log = Log(stream, every=1e9)
    log.start({"trainings": 3})
    for _ in range(3):
        log.advance("trainings", 1, 1.0)
    assert len(stream.getvalue().splitlines()) == 2


def test_what_must_be_done_again_does_not_count() -> None:
    outlook = Outlook({"trainings": 2})
    outlook.advance("trainings", 0.75, 3.0)
    outlook.advance("trainings", -0.75, None)
    assert outlook.counts("trainings") == (0, 2)
    assert outlook.remaining() == pytest.approx(8.0), "what was learnt of the pace stays"


@given(st.lists(st.floats(0.01, 100), min_size=2, max_size=30), st.integers(1, 8))
def test_time_to_go_is_exact_where_the_pace_is_even(seconds: list[float], workers: int) -> None:
    """A stage at an even pace and one that was over at once: what is left takes what is left, among the workers."""
    outlook = Outlook({"features": 100, "runs": len(seconds)})
    outlook.workers = workers
    outlook.advance("features", 100, None)
    assert outlook.remaining() is None
    pace = seconds[0]
    for number in range(1, len(seconds) + 1):
        outlook.advance("runs", 1, pace)
        assert outlook.remaining() == pytest.approx((len(seconds) - number) * pace / workers)


def test_the_terminal_shows_all_bars() -> None:
    stream = io.StringIO()
    bars = Terminal(Console(file=stream, force_terminal=True, width=120))
    bars.reading("pets", 3, 10)
    bars.start({"views": 1000, "trainings": 2, "runs": 4})
    bars.running(1)
    bars.advance("views", 1000, 4.0)
    bars.advance("trainings", 1, 1.0)
    bars.fail("trainings", 1)
    bars.advance("runs", 2, 0.5)
    bars.stop()
    for said in ("3/10", "1,000/1,000", "1/2", "1 failed", "2/4", "1 at work, about 0:00 to go"):
        assert said in stream.getvalue(), said


def test_without_a_terminal_there_are_lines() -> None:
    assert isinstance(for_people(io.StringIO()), Log)


def test_a_function_is_told_how_far_a_plan_is() -> None:
    heard: list[HowFar] = []
    calls = told(heard.append)
    assert isinstance(calls, Calls)
    calls.reading("pets", 3, 10)
    calls.start({"trainings": 2, "runs": 4})
    calls.running(2)
    calls.advance("trainings", 0.5, 10.0)
    calls.fail("trainings", 1)
    calls.stop()
    reading, start, running, advance, fail, stop = heard
    assert (reading.reading, dict(reading.todo), reading.remaining) == (("pets", 3, 10), {}, None)
    assert (start.reading, dict(start.todo), dict(start.done)) == (
        None,
        {"trainings": 2, "runs": 4},
        {"trainings": 0, "runs": 0},
    )
    assert (running.running, advance.done["trainings"], fail.failed["trainings"]) == (2, 0.5, 1)
    assert start.done["trainings"] == 0, "what was said stays as it was said"
    assert [each.stopped for each in heard] == [False] * 5 + [True]
    assert stop.running == 0


def test_who_is_told_is_what_was_given() -> None:
    log = Log(io.StringIO())
    assert told(log) is log
    assert isinstance(told(None), Silent)
    assert all(isinstance(each, Progress) for each in (Silent(), log, InNotebook(), Calls(print)))


def test_a_run_tells_a_function_also_that_it_failed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def launch(plan: object, store: object, *, progress: Progress, **rest: object) -> None:
        progress.start({"runs": 1})
        raise StoreError("the disk went away")

    monkeypatch.setattr("dgbench.runs.launch.launch", launch)
    heard: list[dgbench.HowFar] = []
    with pytest.raises(StoreError, match="went away"):
        dgbench.run(small_board("erm"), store=tmp_path, progress=heard.append)
    assert [(dict(each.todo), each.stopped) for each in heard if each.todo] == [
        ({"runs": 1}, False),
        ({"runs": 1}, True),
    ]


@pytest.fixture
def displayed(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """Every state of the one display that a notebook has."""
    states: list[dict[str, str]] = []

    class Handle:
        def update(self, content: dict[str, str], raw: bool) -> None:
            states.append(content)

    def display(content: dict[str, str], raw: bool, display_id: bool) -> Handle:
        assert not states, "a second display"
        states.append(content)
        return Handle()

    module: Any = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=None))
    monkeypatch.setitem(sys.modules, "IPython", module)
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=display))
    return states


def test_a_notebook_has_one_display_that_changes(displayed: list[dict[str, str]]) -> None:
    shows = for_people()
    assert isinstance(shows, InNotebook)
    shows.every = 0
    shows.reading("<b>\x1b[31m", 3, 10)
    shows.start({"views": 300, "trainings": 2, "runs": 4})
    shows.running(2)
    shows.advance("views", 300, 3.0)
    shows.advance("trainings", 1, 10.0)
    shows.fail("trainings", 1)
    shows.advance("runs", 2, 6.0)
    middle = displayed[-1]
    shows.fail("runs", 2)
    shows.stop()
    assert visible("<b>\x1b[31m") in displayed[0]["text/plain"]
    assert "&lt;b&gt;" in displayed[0]["text/html"]
    assert "\x1b" not in displayed[0]["text/html"]
    assert middle["text/plain"].splitlines() == [
        "views 300/300", "trainings 1/2 1 failed", "runs 2/4 2 at work, about 0:03 to go",
    ]  # fmt: skip
    assert displayed[-1]["text/plain"].splitlines()[-1] == "runs 2/4 2 failed, in 0:00"
    assert displayed[-1]["text/html"].count("<progress") == 3


def test_where_nothing_was_to_be_done_a_notebook_shows_nothing(displayed: list[dict[str, str]]) -> None:
    for_people().stop()
    assert not displayed


def test_a_stream_that_is_named_gets_lines_in_a_notebook_too(displayed: list[dict[str, str]]) -> None:
    assert isinstance(for_people(io.StringIO()), Log)
