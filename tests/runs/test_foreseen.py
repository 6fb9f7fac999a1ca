"""The plan of a board whose work is all there is noted; of any other it is made."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dgbench.api import boards
from dgbench.cli.plan import plan as planned
from dgbench.core.cards import BoardCard
from dgbench.runs import foreseen
from dgbench.runs.planning import make_plan
from dgbench.runs.store import Store
from drawn_stores import drawing
from small import small_board

RULES = small_board("erm", "t3a", "sam")

drawn, store = drawing(RULES, examples=2, pool=1)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The boards that are planned."""
    names: list[str] = []

    def counted(board: BoardCard, *, store: str) -> object:
        names.append(board.name)
        return make_plan(board)

    monkeypatch.setattr(boards, "plan", counted)
    monkeypatch.setattr(boards, "rules", lambda board, **_: board)
    return names


def told(store: Store, capsys: pytest.CaptureFixture[str], rules: BoardCard = RULES, **more: Any) -> dict[str, Any]:
    planned(rules, store=str(store.root), workers=2, as_json=True, **more)  # type: ignore[arg-type]
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    return said


def test_what_was_planned_is_not_planned_again_and_says_the_same(
    store: Store, made: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    first = told(store, capsys)
    assert (first["runs"], first["runs_finished"], first["seconds"]) == (12, 12, 0.0)
    assert told(store, capsys) == first
    assert made == ["small"]


def test_where_a_piece_is_missing_it_is_planned(
    store: Store, made: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    whole = told(store, capsys)
    run = next(iter(make_plan(RULES).runs))
    shutil.move(store.folder("run", run), store.root / "elsewhere")
    found = told(store, capsys)
    assert (found["runs_finished"], made) == (11, ["small"] * 2)
    assert found["trainings_again"] == 1, "nothing of its weights was kept"
    shutil.move(store.root / "elsewhere", store.folder("run", run))
    assert told(store, capsys) == whole
    assert made == ["small"] * 2


@pytest.mark.parametrize("what", ["code", "versions", "outline", "start"])
def test_what_a_plan_follows_from_makes_it_again(
    store: Store, made: list[str], capsys: pytest.CaptureFixture[str], what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(store, capsys)
    other = SimpleNamespace(provides=frozenset()) if what == "start" else "other"
    monkeypatch.setattr(foreseen, what, lambda *_: other)
    told(store, capsys)
    assert made == ["small"] * 2


def test_another_process_knows_what_was_planned_whatever_the_order_of_a_set(
    store: Store, made: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = frozenset([0, 8]), frozenset([8, 0])
    assert repr(one) != repr(other)
    for order in (one, other):
        monkeypatch.setattr(foreseen, "start", lambda *_, order=order: SimpleNamespace(provides=order))
        told(store, capsys)
    assert made == ["small"]


def test_other_rules_and_a_rule_of_weights_are_planned(
    store: Store, made: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    told(store, capsys)
    told(store, capsys, RULES.model_copy(update={"title": "another"}))
    for keep in 2 * ("all", "shown", "chosen"):
        assert told(store, capsys, RULES.model_copy(update={"keep": keep}))["trainings_again"] == 8
    assert len(made) == 8


def test_a_plan_of_parts_from_elsewhere_is_made_each_time(
    store: Store, made: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foreseen, "targets", lambda slot: {"own": "package:Part"})
    for _ in range(2):
        told(store, capsys)
    assert len(made) == 2


def test_planning_leaves_nothing_where_the_board_never_ran(
    made: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert told(Store(tmp_path / "none"), capsys)["runs_finished"] == 0
    assert not (tmp_path / "none").exists()
