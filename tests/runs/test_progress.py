import io
import re

from rich.console import Console

from dgbench.runs.launch import Unit
from dgbench.runs.plan import make_plan
from dgbench.runs.progress import Log, Terminal, for_people
from small import small_board


def _unit() -> Unit:
    return Unit(next(iter(make_plan(small_board("erm")).trainings.values())), ())


def test_the_log_says_what_is_done_at_work_and_to_go() -> None:
    stream = io.StringIO()
    log = Log(stream, every=0)
    log.start(2, 4)
    log.running(2)
    log.advance(1, 2, _unit())
    log.advance(1, 2, _unit())
    log.stop()
    first, *lines = stream.getvalue().splitlines()
    assert first == "to do: 2 trainings, 4 runs"
    assert re.search(r"trainings 1/2, runs 2/4, 2 at work, about 0:0\d to go", lines[0])
    assert "trainings 2/2, runs 4/4" in lines[1]


def test_the_log_keeps_quiet_between_lines_but_says_the_end() -> None:
    stream = io.StringIO()
    log = Log(stream, every=1e9)
    log.start(3, 0)
    for _ in range(3):
        log.advance(1, 0, _unit())
    assert len(stream.getvalue().splitlines()) == 2


def test_the_terminal_shows_both_bars() -> None:
    stream = io.StringIO()
    bars = Terminal(Console(file=stream, force_terminal=True, width=120))
    bars.start(2, 4)
    bars.running(1)
    bars.advance(2, 4, _unit())
    bars.stop()
    assert "2/2" in stream.getvalue()
    assert "4/4" in stream.getvalue()
    assert "1 at work" in stream.getvalue()


def test_without_a_terminal_there_are_lines() -> None:
    assert isinstance(for_people(io.StringIO()), Log)
