"""One small board, run once with a tracker that keeps what it hears."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from dgbench.api import boards
from dgbench.core.cards import BoardCard, CaseRules
from dgbench.runs.events import Event
from dgbench.trackers import lines
from small import small_board


@dataclass(frozen=True)
class Told:
    """Attributes: the rules, the store, what a tracker was told, the log of it."""

    rules: BoardCard
    store: Path
    events: list[Event]
    log: Path


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Two algorithms that share a training, and one that has its own, on two targets."""
    store, events = tmp_path_factory.mktemp("tracked"), list[Event]()
    log = tmp_path_factory.mktemp("log") / "events.jsonl"
    targets = {"digits": CaseRules(targets=("print", "dot-matrix"))}
    rules = small_board("erm", "t3a", "sam").model_copy(update={"cases": targets})
    summary = boards.run(rules, store=store, device="cpu", workers=2, trackers=[events.append, lines.tracker(log)])
    assert (summary.trainings, summary.runs, summary.untold) == (4, 6, {})
    return Told(rules, store, events, log)
