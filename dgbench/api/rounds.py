"""Running a board in rounds: those that are open near its top get more trials, as far as its rules and a budget go."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dgbench.board.leaderboard import Leaderboard
from dgbench.board.until import Round, look
from dgbench.core.amounts import duration
from dgbench.core.cards import BoardCard
from dgbench.core.disk import writing
from dgbench.core.errors import CardError, DGBenchError, StoreError, UnknownNameError
from dgbench.core.paths import cache_root
from dgbench.core.recipe import compose
from dgbench.runs.device import Devices, at_once, default_workers, kind_of, resolve_devices
from dgbench.runs.estimate import estimate
from dgbench.runs.index import asked, grown
from dgbench.runs.progress import Callback, Progress, told
from dgbench.runs.store import Store
from dgbench.runs.todo import todo
from dgbench.trackers import opened
from dgbench.train.division import Division

if TYPE_CHECKING:
    from dgbench.runs.events import Tracker
    from dgbench.runs.launch import Summary
    from dgbench.runs.plan import Plan

UNTIL = ("separated",)
_HOUR = 3600.0


def check_rules(card: BoardCard, until: str | None, budget: float | None) -> None:
    """Refuse rounds that a board's rules do not have, and a budget of none.

    Raises:
        DGBenchError, CardError: as said.
        UnknownNameError: rounds cannot end so.
    """
    if until is None:
        if budget is not None:
            raise DGBenchError(
                "a budget (--budget) says when no further round of trials begins, and there are none: add "
                "--until separated, in Python until='separated'"
            )
        return
    if until not in UNTIL:
        raise UnknownNameError("end of rounds", until, UNTIL)
    if budget is not None and not budget > 0:
        raise DGBenchError(f"budget: expected hours above 0, got {budget:g}")
    if not card.looks:
        raise CardError(
            f"the rules of '{card.name}' give every algorithm {card.trials} trials and no more, and who looks at "
            f"growing trials needs rules for that, made before: 'looks = [{card.trials + 2}, {card.trials + 5}]' in a "
            f"copy of its board.toml, --looks {card.trials + 2} --looks {card.trials + 5} here, in Python "
            "rules(board, looks=[...])"
        )


def work(
    card: BoardCard,
    store: Store,
    board: Callable[[], Leaderboard],
    *,
    device: Devices,
    workers: int | None,
    launcher: str,
    launcher_options: Mapping[str, str | int | float],
    division: Division,
    progress: Progress | Callback | None,
    trackers: Sequence[str | Tracker],
    until: str | None,
    budget: float | None,
    looked: Callable[[Round], None],
) -> Summary:
    """Do what is missing of a board, once or in rounds: :func:`dgbench.run`.

    Args:
        card: The rules.
        store: Where finished work is kept.
        board: The board as it is then.
        division: What the steps of each training are divided into.
        device, workers, launcher, launcher_options, progress, trackers, until, budget, looked: As there.
    """
    from dgbench.runs.launch import launch
    from dgbench.runs.planning import make_plan
    from dgbench.runs.tracking import tracked

    check_rules(card, until, budget)
    store.sharing.begin()  # before hours of work, not after
    hears, open_ = told(progress), opened(trackers)

    def planned(trials: Mapping[str, int]) -> Plan:
        return make_plan(card, fetch=True, reading=hears.reading, trials=trials)

    def do(plan: Plan) -> Summary:
        with tracked(plan, open_) as listening:
            summary = launch(
                plan,
                store,
                device=device,
                workers=workers,
                progress=hears,
                tracking=listening,
                launcher=launcher,
                options=launcher_options,
                division=division,
            )
            listening.over(store, summary.trainings, summary.runs, len(summary.failed))
        return replace(summary, untold=listening.lost)

    try:
        with writing(store.root, cache_root()):
            begun = grown(card, store)
            if until is None:
                return do(planned(begun))
            here = device if launcher == "local" else "auto"
            return Rounds(card, planned, costs(store, here, workers), do, board, looked).run(begun, budget)
    finally:
        hears.stop()


def costs(store: Store, device: Devices, workers: int | None) -> Callable[[Plan], float]:
    """About how many seconds what is missing of a plan takes on this machine.

    Args:
        store: Where finished work is kept.
        device, workers: As for :func:`dgbench.runs.launch.launch`.
    """
    devices = resolve_devices(device)
    where, at_work = kind_of(devices[0]), at_once(devices, workers or default_workers(devices))
    return lambda plan: estimate(plan, todo(plan, store, asked=asked(plan, store)), store, where, at_work).seconds


@dataclass(frozen=True)
class Rounds:
    """What rounds are made of.

    Attributes:
        card: The rules.
        plan: The plan of a board in which these algorithms have so many trials.
        cost: About how many seconds what is missing of a plan takes.
        do: Carries a plan out.
        board: The board as it is then.
        looked: Is called after every round.
    """

    card: BoardCard
    plan: Callable[[Mapping[str, int]], Plan]
    cost: Callable[[Plan], float]
    do: Callable[[Plan], Summary]
    board: Callable[[], Leaderboard]
    looked: Callable[[Round], None]

    def run(self, begun: Mapping[str, int], budget: float | None) -> Summary:
        """Run the board until its top is settled, or no round is to follow.

        Args:
            begun: The algorithms that have more trials than all have, or are to have.
            budget: Hours.

        Raises:
            DGBenchError: the first round does not fit into the budget; nothing was begun then.
        """
        started = time.perf_counter()
        plan, trials, pace = self.plan(begun), dict(begun), 1.0
        done: Summary | None = None
        seconds = self.cost(plan)
        if budget is not None and seconds > budget * _HOUR:
            raise DGBenchError(
                f"what is missing of the trials that are begun takes about {duration(seconds)}, and the budget is "
                f"{duration(budget * _HOUR)}; nothing was begun: give it more hours, or fewer algorithms (--algorithm)"
            )
        while True:
            summary = self.do(plan)
            done = summary if done is None else _together(done, summary)
            if summary.trainings and seconds:
                pace *= summary.seconds / seconds  # what it took, against what was estimated
            try:
                board = self.board()
            except StoreError:
                if summary.failed:  # all that there was
                    return done
                raise
            seen = look(board, self._able(board))
            again = bool(seen.more) and seen.more.items() <= trials.items()  # what was asked for was not to be had
            failed = again or any(one.status != "diverged" for one in summary.failed.values())
            trials |= seen.more
            plan = self.plan(trials) if seen.more else plan
            seconds = pace * self.cost(plan) if seen.more else 0.0
            left = None if budget is None else budget * _HOUR - (time.perf_counter() - started)
            ended = Round.of(seen, self.card.most, seconds, left, failed=failed)
            self.looked(ended)
            if ended.stop is not None:
                return done

    def _able(self, board: Leaderboard) -> frozenset[str]:
        """The algorithms that can have more trials: those that are run here."""
        return frozenset(compose(each).name for each in self.card.algorithms) - board.info.submitted.keys()


def _together(one: Summary, other: Summary) -> Summary:
    return replace(
        other,
        trainings=one.trainings + other.trainings,
        runs=one.runs + other.runs,
        seconds=one.seconds + other.seconds,
        failed=one.failed | other.failed,
        untold={**one.untold, **other.untold},
    )
