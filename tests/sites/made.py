"""Sites of synthetic boards."""

from __future__ import annotations

from functools import cache
from unittest import mock

import polars as pl
from board.synthetic import DOMAINS, candidate, info, tables

from dgbench.api.boards import rules
from dgbench.board.build import build
from dgbench.board.leaderboard import Leaderboard
from dgbench.board.misses import misses
from dgbench.board.rankings import rankings
from dgbench.runs.collect import Records
from dgbench.selection.measures import COMPUTED
from dgbench.selection.records import CANDIDATE
from dgbench.site.shown import Shown, ShownBoard


def three(folder: str) -> tuple[str, ...]:
    return "erm", "sam", "coral"


few_cards = mock.patch("dgbench.site.shown.card_names", three)
"""Where it makes no difference, a site has no pages of all cards that come with dgbench."""
SETTINGS = '{{"objective":{{"part":"{objective}","version":1}},"optimizer":{{"part":"{optimizer}","lr":0.001}}}}'
PARTS = {
    "erm": ("cross_entropy", "adamw"), "sam": ("cross_entropy", "sam"), "irm": ("irm", "adamw"),
    "swad": ("cross_entropy", "adamw"), "t3a": ("cross_entropy", "adamw"),
}  # fmt: skip
SKILLS = {"erm": 0.50, "sam": 0.60, "irm": 0.35, "swad": 0.55, "t3a": 0.58}


@cache
def shown_board(
    title: str = "Toy board",
    summary: str = "A small one.",
    domains: tuple[str, ...] = DOMAINS,
    suffix: str = "",
    name: str = "quick",
) -> ShownBoard:
    """Five algorithms on some targets in three trials, two steps each; ``suffix`` is part of every algorithm's name."""
    pool = [
        candidate(
            algorithm + suffix, target, trial, 0, step,
            clean={"s": 0.9 - 0.002 * (step == 50)},
            shifted={family: {"s": 0.5 + skill / 4 + 0.01 * (step == 100)} for family in ("blur", "edges")},
            on_target=skill + 0.02 * number + 0.01 * ((trial + number) % 3) + 0.05 * (step == 100),
            track="online" if algorithm == "t3a" else "inductive",
            hyperparameters=SETTINGS.format(objective=PARTS[algorithm][0], optimizer=PARTS[algorithm][1]),
            dataset="digits",
            train_seconds=5.0 + 20 * (algorithm == "sam"),
        )
        for algorithm, skill in SKILLS.items()
        for number, target in enumerate(domains)
        for trial in range(3)
        for step in (50, 100)
    ]  # fmt: skip
    metrics, runs = tables(pool)
    names = tuple(algorithm + suffix for algorithm in SKILLS)
    card = rules("quick").model_copy(update={"title": title, "summary": summary, "name": name})
    weights = dict.fromkeys(domains, 1.0)
    records = Records(card, metrics, runs, names, 0, (), ("2",), ("0.1",), {"digits": "0"}, domains, weights)
    boards: dict[str, Leaderboard] = {}
    for criterion in ("augmented", "source"):
        asked = info(
            name=name, title=title, algorithms=names, domains=domains, trials=3, criterion=criterion,
            reference=f"erm{suffix}",
        )  # fmt: skip
        boards[criterion] = build(metrics, runs, asked, known=boards.get("augmented"))
    judged = {name: rankings(board, measured(board)) for name, board in boards.items()}
    missed = misses(boards["augmented"].cells, predicted)
    return ShownBoard(records, boards, rankings=judged, misses=missed)


def predicted(algorithm: str, run: str) -> pl.DataFrame:
    """What a run predicted of its target: three of twelve images wrong, as sure as they come late."""
    domain = run.removeprefix(f"{algorithm}-").rsplit("-", 2)[0]
    step = pl.DataFrame(
        {
            "domain": [domain] * 12, "index": range(12), "sample": [f"{number:016x}" for number in range(12)],
            "label": [number % 10 for number in range(12)], "prediction": [9, 9, 9, *(n % 10 for n in range(3, 12))],
            "confidence": [0.5 + number / 25 for number in range(12)],
        },
        schema_overrides={"index": pl.Int32, "label": pl.Int16, "prediction": pl.Int16, "confidence": pl.Float32},
    )  # fmt: skip
    return pl.concat([step.with_columns(step=pl.lit(number)) for number in (50, 100)])


def measured(board: Leaderboard) -> pl.DataFrame:
    """Other measures than accuracy, that follow from it; calibration is the worse the more accurate a model is."""
    right = pl.col("accuracy")
    other = {"macro": right / 2, "macro_f1": right / 3, "worst_class": right / 4, "ece": right / 8}
    other |= dict.fromkeys(set(COMPUTED) - other.keys(), pl.lit(None, pl.Float64))
    return board.cells.select(*CANDIDATE, **other)


def small_site(*boards: ShownBoard) -> Shown:
    return Shown(boards or (shown_board(),), waiting=(rules("emoji"),))
