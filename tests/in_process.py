"""Boards without a pool of workers."""

from pathlib import Path

from dgbench.core.cards import BoardCard
from dgbench.runs.index import asked, index
from dgbench.runs.launch import tidy, units_of
from dgbench.runs.planning import make_plan
from dgbench.runs.store import Store
from dgbench.runs.todo import Todo, todo


def carry_out(rules: BoardCard, place: Path | str) -> Todo:
    """What ``dgbench run`` does, in this process; what there was to do."""
    plan, store = make_plan(rules), Store.at(place)
    store.write_index(rules, index(plan, store.keep(rules)))
    left = todo(plan, store, asked=asked(plan, store))
    for unit in units_of(plan, left):
        unit.do(store, "cpu", lambda said: None)
    tidy(plan, store)
    return left
