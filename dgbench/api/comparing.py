"""The public functions that hold results against one another.

    compared = dgbench.compare("quick", ["erm", "sam + adanpc"])
    print(compared.against[0].lead.total)
    compared.write(Path("compared.html"))

Boards and the store are given as for :mod:`dgbench.api.boards`.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import polars as pl

from dgbench.api.boards import Board, leaderboard, narrowed, rules, submissions_of
from dgbench.board import compare as comparison
from dgbench.board import power as powers
from dgbench.board.part import algorithms_named
from dgbench.board.power import Powered
from dgbench.board.recompute import command
from dgbench.core.cards import BoardCard
from dgbench.core.errors import RecipeError, StoreError, UnknownNameError
from dgbench.core.judges import asked_for
from dgbench.core.recipe import compose
from dgbench.runs.collect import Records, beaten, collect
from dgbench.runs.store import Store

_PLACE = ("algorithm", "target", "trial", "draw")
_NAMED = 3
"""Runs that a message names, of each algorithm."""


@dataclass(frozen=True, repr=False, eq=False)
class Comparison(comparison.Comparison):
    """Some algorithms of a board, against the first of them; in a notebook it shows itself as a table.

    Attributes:
        board: Of these algorithms alone.
        first: What the others are compared with.
        track: Of the first.
        trainings: How many serve the runs of the first.
        against: The others, in the order in which they were named.
        steps: Optimizer steps of one training.
        manifests: SHA-256 of each dataset.
    """

    def write(self, path: Path) -> None:
        """Write a page with the images on which algorithms part, which opens from disk; whole, or not at all.

        Images are drawn where their data is on this machine, else named.

        Raises:
            DiskError: it cannot be written.
        """
        from dgbench.board.render.compared import page

        page.write(self, path)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from dgbench.board.render.compared import page

        return page.summary(self)


def compare(
    board: Board,
    algorithms: Sequence[str],
    *,
    criterion: str | None = None,
    store: Path | str | None = None,
    submissions: Path | None = None,
    file: str | None = None,
) -> Comparison:
    """Compare algorithms with the first of them, by what is finished: target by target, image by image, and by cost.

    Args:
        board: Name, path or rules.
        algorithms: Two or more: recipes such as ``"pego + sam"`` of which the store holds all runs, on whatever list of
            the board they were run, or else somebody submitted them; or submissions to it, such as ``"sam@1"``.
        criterion: What selects models, in place of the board's own.
        store: Where finished work is kept.
        submissions: Where those to the board lie; by default beside its ``board.toml``, and nowhere for rules.
        file: Where rules come from, for the command that does missing runs.

    Raises:
        UnknownNameError: there is no such algorithm or submission.
        RecipeError: fewer than two are named, one is named twice, or the criterion reads target labels.
        StoreError: runs are missing; the message names them, and the command that does them.
    """
    from dgbench.submissions.joined import beside, joined, on_target
    from dgbench.submissions.place import placed

    card = rules(board, criterion=asked_for(criterion))
    if submissions is None and not isinstance(board, BoardCard):
        submissions = submissions_of(board)
    there = {one.submission.id: one for one in placed(submissions)} if submissions is not None else {}
    names = [name.strip() if "@" in name else compose(name).name for name in algorithms]
    _refuse_too_few(names)
    for name in names:
        if "@" in name and name not in there:
            raise UnknownNameError(f"submission to '{card.name}'", name, there)
    recipes, kept = tuple(name for name in names if "@" not in name), Store.at(store)
    found, missing = _held(card, recipes, kept) if recipes else (None, {})
    if missing and there and submissions is not None:
        alone = joined(card, None, submissions)
        stand_in = {name: id_ for name, id_ in (alone.submitted if alone else {}).items() if name in missing}
        names = [stand_in.get(name, name) for name in names]
        missing = {name: said for name, said in missing.items() if name not in stand_in}
        _refuse_too_few(names)
    if missing:
        asked = card.model_copy(update={"algorithms": recipes})
        run = command(asked, file=file or ("board.toml" if isinstance(board, BoardCard) else str(board)))
        raise StoreError(
            f"runs of '{card.name}' are missing in {kept.place}. {'. '.join(missing.values())}. To do what is missing: "
            f"{run} --store {shlex.quote(kept.place)}"
        )
    if submissions is not None and any("@" in name for name in names):
        found = beside(card, found, submissions)
    assert found is not None
    for name in names:
        if name not in found.names:  # it was said in a warning why
            raise StoreError(f"'{name}' does not keep to the rules of '{card.name}' as they are, so it is not compared")
    read = on_target(kept, {name: name for name in names if "@" in name}, submissions)
    made = comparison.compare(_only(found, names), names, read, criterion)
    return Comparison(**{part.name: getattr(made, part.name) for part in fields(made)})


def power(
    board: Board,
    algorithms: Sequence[str] | None = None,
    *,
    criterion: str | None = None,
    store: Path | str | None = None,
    submissions: Path | None = None,
) -> tuple[Powered, ...]:
    """How many trials it takes to tell algorithms apart, by what the trials that there are have measured.

    Args:
        board: Name, path or rules.
        algorithms: Every two of these: recipes, or submissions as ``sam@1``. By default every algorithm against the
            reference of its track, and those that may be the best against the one with the highest mean.
        criterion, store, submissions: As for :func:`dgbench.leaderboard`.

    Returns:
        One for each pair, in that order: the measured difference, and how many trials would separate the two.

    Raises:
        UnknownNameError: one of them is not on the board.
        StoreError: nothing is there, or two cannot be compared.
        RecipeError: the criterion reads target labels, or has nothing to select by.
    """
    if submissions is None and not isinstance(board, BoardCard):
        submissions = submissions_of(board)
    card = narrowed(rules(board, criterion=asked_for(criterion)), algorithms, Store.at(store))
    made = leaderboard(card, criterion=criterion, store=store, submissions=submissions)
    return powers.power(made, None if algorithms is None else algorithms_named(made.info.algorithms, algorithms))


def _refuse_too_few(names: Sequence[str]) -> None:
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise RecipeError(f"'{twice[0]}' is named twice; it is no different from itself")
    if len(names) < 2:
        raise RecipeError("a comparison takes two algorithms or more: dgbench compare erm 'sam + adanpc'")


def _held(card: BoardCard, recipes: tuple[str, ...], store: Store) -> tuple[Records, dict[str, str]]:
    """What the store holds of some recipes, and in words what it lacks of which, and why."""
    asked = card.model_copy(update={"algorithms": recipes})
    index = _listed(card, asked, store)
    entries = [entry for entry in index["entries"] if entry["algorithm"] in recipes]
    found = collect(asked, store, {**index, "entries": entries})
    done = {*found.runs.select(_PLACE).iter_rows(), *(one.place for one in beaten(found.runs, found.failed))}
    lacking = {}
    for name in recipes:
        own = [entry for entry in entries if entry["algorithm"] == name]
        left = [entry for entry in own if tuple(entry[part] for part in _PLACE) not in done]
        places = "; ".join(f"target {e['target']}, trial {e['trial']}, draw {e['draw']}" for e in left[:_NAMED])
        more = f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
        reasons = dict.fromkeys(f"; {one.status}: {one.reason}" for one in found.failed if one.algorithm == name)
        if left:
            lacking[name] = f"'{name}' lacks {len(left)} of {len(own)} runs: {places}{more}{''.join(reasons)}"
    return found, lacking


def _listed(card: BoardCard, asked: BoardCard, store: Store) -> dict[str, Any]:
    """A list of a board's runs with those of some recipes: one that the store has, or else planned now."""
    for listed in (card, asked):
        if store.index(listed).is_file():
            index = store.read_index(listed)
            if {entry["algorithm"] for entry in index["entries"]} >= set(asked.algorithms):
                return index
    from dgbench.runs.index import index as index_of
    from dgbench.runs.planning import make_plan

    return index_of(make_plan(asked))


def _only(found: Records, names: Sequence[str]) -> Records:
    asked = pl.col("algorithm").is_in(list(names))
    levels = {name: level for name, level in found.levels.items() if name in names}
    metrics, runs = found.metrics.filter(asked), found.runs.filter(asked)
    return replace(found, streams=metrics, runs=runs, names=tuple(names), failed=(), levels=levels)
