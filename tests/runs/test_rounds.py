"""Rounds of trials: when they begin, when they end, and that nothing which is finished is lost."""

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from board.test_until import AT_FIRST, SKILLS, made

import dgbench
from dgbench.api import boards
from dgbench.api.rounds import Rounds
from dgbench.board.recompute import command
from dgbench.board.until import Round
from dgbench.core.cards import BoardCard, CaseRules, SelectionRules
from dgbench.core.errors import CardError, DGBenchError, UnknownNameError
from dgbench.core.rules import rules_identity
from dgbench.runs.failures import Failure
from dgbench.runs.index import grown, index
from dgbench.runs.launch import Summary, units_of
from dgbench.runs.plan import Plan
from dgbench.runs.store import Store
from dgbench.runs.todo import todo
from dgbench.submissions.asked import Asked
from dgbench.submissions.check import read
from small import small_board


class Work:
    """A board that is run in no time: a plan is how many trials algorithms have.

    Attributes:
        done: The plans that were carried out.
        said: What was told of each round.
    """

    def __init__(self, seconds: float = 60.0, took: float = 60.0, fails: int | None = None) -> None:
        self.seconds, self.took, self.fails = seconds, took, fails
        self.done: list[dict[str, int]] = []
        self.said: list[Round] = []

    def do(self, plan: Plan) -> Summary:
        self.done.append(cast("Any", plan).trials)
        failed = {"training": cast("Failure", SimpleNamespace(status="failed"))} if len(self.done) == self.fails else {}
        return Summary(4, 4, self.took, failed)

    def run(self, skills: Mapping[str, float], budget: float | None = None) -> Summary:
        card = SimpleNamespace(algorithms=tuple(skills), most=5, trials=2)
        rounds = Rounds(
            cast("BoardCard", card),
            plan=lambda trials: cast("Plan", SimpleNamespace(trials=dict(trials))),
            cost=lambda plan: self.seconds,
            do=self.do,
            board=lambda: made(skills, {**dict.fromkeys(skills, 2), **self.done[-1]}),
            looked=self.said.append,
        )
        return rounds.run({}, budget)


def test_rounds_go_on_while_something_is_within_reach_and_every_algorithm_keeps_what_it_has() -> None:
    work = Work()
    summary = work.run(SKILLS)
    assert len(work.done) == len(work.said) == summary.trainings // 4 > 1
    for before, after in zip(work.done, work.done[1:], strict=False):
        assert all(after[name] >= trials for name, trials in before.items())
    assert [one.stop for one in work.said[:-1]] == [None] * (len(work.said) - 1)
    assert work.said[-1].stop in ("settled", "equal", "most")
    assert [dict(one.look.trials) for one in work.said] == [{**AT_FIRST, **plan} for plan in work.done]


def test_one_that_leads_needs_one_round() -> None:
    work = Work()
    work.run({**SKILLS, "drm": 0.9})
    assert [one.stop for one in work.said] == ["settled"]


def test_no_round_begins_that_does_not_fit_into_the_budget() -> None:
    never = Work(seconds=3700.0)
    with pytest.raises(DGBenchError, match="takes about 62 min, and the budget is 60 min; nothing was begun"):
        never.run(SKILLS, budget=1.0)
    assert never.done == []
    first = Work(seconds=1800.0, took=4 * 1800.0)  # four times as long as was estimated, so the next will be, too
    first.run(SKILLS, budget=1.0)
    assert len(first.done) == 1
    assert first.said[0].stop == "budget"
    assert first.said[0].seconds == pytest.approx(7200)
    quick = Work(seconds=1800.0, took=1.0)
    quick.run(SKILLS, budget=1.0)
    assert len(quick.done) > 1


def test_trainings_that_fail_end_the_rounds() -> None:
    work = Work(fails=1)
    assert work.run(SKILLS).failed
    assert [one.stop for one in work.said] == ["failed"]


def test_what_rounds_need_is_said_before_anything_is_done(tmp_path: Path) -> None:
    with pytest.raises(DGBenchError, match="there are none: add --until separated"):
        dgbench.run("quick", store=tmp_path, budget=1.0)
    with pytest.raises(CardError, match=r"'quick' give every algorithm 3 trials.*'looks = \[5, 8\]' in a copy"):
        dgbench.run("quick", store=tmp_path, until="separated")
    with pytest.raises(UnknownNameError, match="separated"):
        dgbench.run(dgbench.rules("quick", looks=[4]), store=tmp_path, until=cast("Any", "seperated"))
    with pytest.raises(DGBenchError, match="hours above 0"):
        dgbench.run(dgbench.rules("quick", looks=[4]), store=tmp_path, until="separated", budget=0)
    assert list(tmp_path.iterdir()) == []


def test_looks_are_rules_and_boards_without_them_are_what_they_were() -> None:
    quick = dgbench.rules("quick")
    assert rules_identity(quick) == "e739cb005472ddd9"  # as before there were looks
    looked = dgbench.rules("quick", looks=[5, 8])
    assert (looked.trials, looked.looks, looked.most, quick.most) == (3, (5, 8), 8, 3)
    assert rules_identity(looked) != rules_identity(quick)
    assert dgbench.rules(looked, trials=3) == quick  # so many as are asked for are looked at once
    for wrong in ([3, 5], [5, 5], [8, 5]):
        with pytest.raises(CardError, match="numbers of trials above 'trials'"):
            dgbench.rules("quick", looks=wrong)
    assert command(looked) == "dgbench run quick --trials 3 --looks 5 --looks 8 --until separated"


def _small() -> BoardCard:
    board = small_board("erm", "linear_probe", steps=2, checkpoints=1)
    case = {"digits": CaseRules(sources=("print", "dot-matrix"), targets=("seven-segment",))}
    few = board.model_copy(update={"cases": case, "selection": SelectionRules(views_per_domain=1)})
    return dgbench.rules(few, looks=[2])


def _in_process(plan: Plan, store: Store, **rest: Any) -> Summary:
    """As :func:`dgbench.runs.launch.launch`, without workers."""
    store.write_index(plan.board, index(plan, store.keep(plan.board)))
    units = units_of(plan, todo(plan, store))
    for unit in units:
        unit.do(store, "cpu", lambda said: None)
    return Summary(sum(not unit.trained for unit in units), sum(len(unit.runs) for unit in units), 1.0, {})


def test_a_board_is_run_until_its_looks_are_over_and_is_the_same_without_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dgbench.runs.launch.launch", _in_process)
    monkeypatch.setattr("dgbench.api.rounds.estimate", lambda *asked: SimpleNamespace(seconds=1.0))
    board, said = _small(), list[Round]()
    summary = boards.run(board, store=tmp_path, device="cpu", until="separated", looked=said.append)
    assert not summary.failed
    # of one trial nothing is known, so all have a second one at least
    assert said[0].look.more == {"erm": 2, "linear_probe": 2}
    assert said[-1].stop is not None
    last = dict(said[-1].look.trials)
    made = boards.leaderboard(board, store=tmp_path)
    assert {entry.algorithm: entry.trials for entry in made.entries} == last
    assert grown(board, Store(tmp_path)) == {name: trials for name, trials in last.items() if trials > 1}
    # a plain run keeps the trials that there are, and finds nothing to do
    again = boards.run(board, store=tmp_path, device="cpu")
    assert (again.trainings, again.runs) == (0, 0)
    assert {entry.algorithm: entry.trials for entry in boards.leaderboard(board, store=tmp_path).entries} == last
    assert len(boards.plan(board, store=tmp_path).runs) == sum(last.values())
    # and the trainings are those of any board: so many trials of all, looked at once, need no more of them
    every = boards.run(dgbench.rules(board, trials=2), store=tmp_path, device="cpu")
    assert (every.trainings, every.runs) == (0, 0)
    # what is submitted has as many trials as a look says, and no fewer than all have
    for algorithm, trials in last.items():
        folder = dgbench.make_submission(board, algorithm, tmp_path / "out", store=tmp_path)
        assert {row.trial for row in read(folder)[1]} == set(range(trials))
        asked = Asked.of(board)
        assert {trial for _, trial, _ in asked.cells(trials)} == set(range(trials))
    assert {trial for _, trial, _ in asked.cells(0)} == {0}
    assert {trial for _, trial, _ in asked.cells(9)} == {0, 1}
