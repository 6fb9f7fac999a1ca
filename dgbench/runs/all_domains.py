"""The plan of one training on all domains: a recipe that a board has measured, with nothing left out."""

from __future__ import annotations

from dataclasses import replace

from dgbench.core.cases import Case
from dgbench.core.elsewhere import refuse
from dgbench.core.recipe import Resolved, build_part, compose, resolve
from dgbench.runs.plan import Entry, Plan
from dgbench.runs.planning import add_cell
from dgbench.runs.work import in_effect

UNEXPORTED = (
    "a model that leaves names no code, so it is not exported; its weights are those of 'dgbench run --keep shown'"
)


def on_all_domains(plan: Plan, entry: Entry, criterion: str) -> Plan:
    """A training like that of an entry, on every domain that its dataset has on the board, in trial 0.

    Parts that had no effect on the board are left out as they were there: what is trained is what was measured. It is a
    board of its own in the store, so its work is kept, resumed and listed like any other.

    Args:
        plan: Of the board.
        entry: One of its candidates.
        criterion: What is to choose among the checkpoints.
    """
    refuse(entry.algorithm, UNEXPORTED)
    asked = {case.target for case in plan.cases} | {name for case in plan.cases for name in case.sources}
    domains = tuple(domain.name for domain in plan.datasets[entry.dataset].domains if domain.name in asked)
    changes = {"name": f"{plan.board.name}-all-domains", "algorithms": (entry.algorithm,), "criterion": criterion}
    board = plan.board.model_copy(update={**changes, "trials": 1, "draws": 1, "keep": "chosen"})
    case = Case(name="", dataset=entry.dataset, sources=domains, target="")
    whole = Plan(board, plan.cards, plan.datasets, [case], starts=plan.starts)
    parts = {
        slot: build_part(slot, spec["part"], {k: v for k, v in spec.items() if k not in ("part", "version")}, slot)
        for slot, spec in entry.hyperparameters.items()
    }
    measured = Resolved(compose(entry.algorithm), parts, entry.hyperparameters)
    learned = (entry.dataset, *entry.sources)
    draws = {
        draw: resolve(measured.recipe, plan.board, trial=entry.trial, draw=draw, sources=learned)
        for draw in range(plan.board.draws)
    }
    before = next(one for one in plan.cases if (one.dataset, one.name) == (entry.dataset, entry.target))
    *_, draws = in_effect(plan, before, measured, entry.trial, entry.draw, learned, draws)
    probe = resolve(compose("linear_probe"), board)
    add_cell(whole, case, measured, probe, trial=0, draw=entry.draw, draws=draws | {entry.draw: measured})
    whole.entries = [replace(one, without_effect=entry.without_effect) for one in whole.entries]
    return whole
