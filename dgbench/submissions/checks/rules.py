"""Are these the board's questions? Its rules, its cells, its budget."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache

from dgbench.core.backbone_name import parse
from dgbench.core.cards import BoardCard
from dgbench.core.names import in_short
from dgbench.core.recipe import compose, drawn, space_of
from dgbench.submissions.evidence import Evidence
from dgbench.submissions.runs import Row, trials_of
from dgbench.submissions.verdicts import Check, Finding, mark, refuse


def of_these_rules(seen: Evidence) -> Iterator[Finding]:
    """E02: the board's version and rules, its data, its backbone."""
    said, asked = seen.submission, seen.asked
    claims, board = said.claims, asked.board
    if said.board.version != board.version:
        yield refuse(f"it is for version {said.board.version} of '{board.name}', which is version {board.version} now")
    if said.board.rules != asked.rules:
        yield refuse(f"it was made by the rules {said.board.rules}; those of '{board.name}' are {asked.rules}")
    for name, known in asked.outlines.items():
        if name not in said.data:
            yield refuse(f"it names no manifest of the dataset '{name}'")
        elif known.manifest is None:
            yield mark(f"the data of '{name}' is not on this machine, so its manifest was not compared")
        elif said.data[name] != known.manifest:
            yield refuse(f"the data of '{name}' is other data (manifest {said.data[name][:12]}, {known.manifest[:12]})")
    if claims.track not in board.tracks:
        yield refuse(f"'{board.name}' has no track '{claims.track}'")
    elif claims.backbone != board.tracks[claims.track] and not parse(board.tracks[claims.track]).is_shown_as(
        claims.backbone
    ):
        own = said.method.recipe is not None  # what others train has what it has, and the board shows it
        yield (refuse if own else mark)(
            f"it builds on '{claims.backbone}', the track on '{board.tracks[claims.track]}'"
        )


def complete(seen: Evidence) -> Iterator[Finding]:
    """E03: one run for every target, trial and draw, each from the sources that its case has."""
    there = Counter((row.target, row.trial, row.draw) for row in seen.rows)
    asked = seen.asked.cells(trials_of(seen.rows))
    for target, trial, draw in asked:
        count = there[target, trial, draw]
        if count != 1:
            yield refuse(f"target {target}, trial {trial}, draw {draw}: {count or 'no'} runs, where there must be one")
    for target, trial, draw in sorted(set(there) - set(asked)):
        yield refuse(f"target {target}, trial {trial}, draw {draw}: the board does not ask for it")
    for row in seen.rows:
        case = seen.asked.cases.get(row.target)
        if case and (row.dataset, sorted(row.sources), row.domain) != (case.dataset, sorted(case.sources), case.target):
            yield refuse(f"{row.where}: it is not trained on {in_short(case.sources)} and tested on {case.target}")
    yield from _unpredicted(seen)


def _unpredicted(seen: Evidence) -> Iterator[Finding]:
    """What the board's criterion needs, and the target, were predicted with the weights of every candidate."""
    criterion = seen.criterion
    if criterion is None or criterion.uses_target:
        return
    trained: dict[tuple[str, int], frozenset[str]] = {}
    for row in seen.rows:
        trained[_cell(row)] = trained.get(_cell(row), frozenset()).union(row.families)
    asked = cache(seen.asked.streams)  # runs of a case ask for the same ones
    for row in seen.ok:
        case = seen.asked.cases.get(row.target)
        if case is None:
            continue
        needed = asked(case, trained[_cell(row)], criterion)
        shown: dict[int, set[tuple[str, str, str]]] = {}
        for one in row.result.metrics:
            shown.setdefault(one.step, set()).add((one.split, one.domain, one.view))
        for step, streams in shown.items():
            for split, domain, view in sorted(needed - streams):
                yield refuse(f"{row.where}, step {step}: {split} of {domain}, {view}, was not predicted")
        if not shown:
            yield refuse(f"{row.where}: nothing was predicted")


def _cell(row: Row) -> tuple[str, int]:
    return row.target, row.trial


def within_budget(seen: Evidence) -> Iterator[Finding]:
    """E08: no more candidates than the board allows, the hyperparameters that it draws, failures told."""
    asked, board = seen.asked, seen.asked.board
    failed = Counter(row.result.status for row in seen.rows if row.result.status != "ok")
    for status, count in failed.items():
        yield mark(f"{count} of {len(seen.rows)} runs {'have' if count > 1 else 'has'} the status '{status}'")
    for row in seen.ok:
        steps = {one.step for one in row.result.metrics}
        if beyond := sorted(steps - set(asked.steps())):
            yield refuse(f"{row.where}: step {beyond[0]} is no checkpoint of {board.training.steps} steps")
    recipe = seen.submission.method.recipe
    if recipe is not None:
        yield from _as_drawn(recipe, board, seen.rows)
    elif board.draws > 1:
        yield mark("the hyperparameters of another code base cannot be drawn again")


def _as_drawn(expression: str, board: BoardCard, rows: tuple[Row, ...]) -> Iterator[Finding]:
    recipe = compose(expression)
    spaces = {key: space for key, space in space_of(recipe, board).items() if not _set(key, recipe.settings)}
    for row in rows:
        for key, space in spaces.items() if row.draw else ():
            slot, _, name = key.rpartition(".")
            wanted = drawn(space, key, row.draw, (row.dataset, *row.sources), row.trial)
            own = row.hyperparameters.get(slot)
            if isinstance(own, dict) and name in own and own[name] != wanted:
                yield refuse(f"{row.where}: {key} is {own[name]}, and the board draws {wanted}")


def _set(key: str, settings: dict[str, object]) -> bool:
    return key in settings or key.rpartition(".")[2] in settings


CHECKS = (
    Check(
        "E02",
        "it is for these rules, this data and this backbone",
        "Run the board as it is today, and make the submission again",
        of_these_rules,
    ),
    Check(
        "E03",
        "every target, trial and draw has one run, or the reason why it failed",
        "Add what is missing; a run that failed has its own row, with status and cause",
        complete,
    ),
    Check(
        "E08",
        "the search keeps to the board's budget, and failed runs are told",
        "Take the draws and checkpoints that the board gives, no others",
        within_budget,
    ),
)
