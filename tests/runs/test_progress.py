import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from dgbench.runs.progress import Log, Outlook, Terminal, for_people


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
