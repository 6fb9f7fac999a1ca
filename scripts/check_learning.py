"""Does every algorithm learn, where there is enough of everything: a loss below its start, nine of ten images right?

    python scripts/check_learning.py --write
    python scripts/check_learning.py --write -a mtl
    python scripts/check_learning.py -a irm -a 'iga(objective.penalty_weight=1)' --steps 300

Every card of the registry that the backbone of the board ``digits-all`` serves, by the rules of that board, but with
six times its steps and one trial. Nothing is tuned: hyperparameters are those of the cards, rates those of the board.
Three of the four domains of ``digits`` train. *Loss* is what a step minimises, penalties included: the mean over two
checkpoints at the start (the first 3 % of the steps) and over the last two. *Source* is the share of held-out images of
these three domains that the recipe gets right, with its own weights and predictor, one domain as much as another.

With ``--write`` the table goes into docs/learning.md, where rows of algorithms that were not asked for stay; else it is
printed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
from measured_pages import BEGIN, END, put

import dgbench
from dgbench.core.cards import BoardCard, SelectionRules, TrainingRules, card_names
from dgbench.core.errors import DGBenchError, RecipeError
from dgbench.runs.progress import for_people
from dgbench.runs.store import Store

PAGE = Path(__file__).resolve().parents[1] / "docs" / "learning.md"
BOARD = "digits-all"
STEPS, CHECKPOINTS = 600, 60
ENOUGH = 0.9


@dataclass(frozen=True)
class Learnt:
    """What became of an algorithm.

    Attributes:
        name: Its recipe.
        start, end: What its steps minimise, early and late; None where it takes none of its own.
        source: Share of held-out images of the domains that trained which it gets right.
    """

    name: str
    start: float | None
    end: float | None
    source: float

    @property
    def fell(self) -> bool:
        """Whether its loss did."""
        return self.start is None or self.end is None or self.end < self.start

    @property
    def row(self) -> str:
        """As a row of a table; what does not hold is marked."""
        losses = (f"{loss:.3g}" if loss is not None else "" for loss in (self.start, self.end))
        marks = ("" if self.fell else " *", "" if self.source > ENOUGH else " *")
        start, end = losses
        return f"| `{self.name}` | {start} | {end}{marks[0]} | {self.source:.3f}{marks[1]} |"


def rules(algorithms: Sequence[str], steps: int = STEPS) -> BoardCard:
    """Those of the board, with more steps, for its backbone on every track."""
    card = dgbench.rules(BOARD)
    changes = {
        "name": "learning",
        "tracks": card.tracks | {"unlabelled": card.tracks["inductive"]},
        "unlabelled": "tested",
        "selection": SelectionRules(views_per_domain=1),
        "training": TrainingRules(**card.training.model_dump() | {"steps": steps, "checkpoints": CHECKPOINTS}),
    }
    return dgbench.rules(card.model_copy(update=changes), algorithms=algorithms, trials=1, draws=1, criterion="source")


def served() -> Iterator[str]:
    """The cards of classes whose needs the backbone meets."""
    for name in card_names("algorithms"):
        try:
            dgbench.plan(rules([name]))
        except RecipeError:
            continue
        yield name


def losses(history: pl.DataFrame) -> tuple[float | None, float | None]:
    """Early and late, of what checkpoints measured: ``step, loss`` and a row for each domain."""
    of_step = history.group_by("step").agg(pl.col("loss").first()).sort("step")["loss"].drop_nulls()
    if of_step.len() < 4:
        return None, None
    return of_step.head(2).mean(), of_step.tail(2).mean()  # type: ignore[return-value]


def learnt(card: BoardCard, store: Path) -> Iterator[Learnt]:
    """What became of each, from a finished board."""
    metrics = dgbench.records(card, store=store).metrics
    held_out = metrics.filter(pl.col("split") == "validation", pl.col("view") == "clean")
    for entry in dgbench.plan(card, store=store).entries:
        own = held_out.filter(pl.col("algorithm") == entry.algorithm)
        path = Store.at(store).file("training", entry.training, "history.parquet")
        yield Learnt(entry.algorithm, *losses(pl.read_parquet(path)), float(own["accuracy"].mean()))  # type: ignore[arg-type]


def table(found: Sequence[Learnt]) -> Iterator[str]:
    """As Markdown."""
    yield "| algorithm | loss, early | late | source |"
    yield "| --- | ---: | ---: | ---: |"
    yield from (one.row for one in found)


def with_others(lines: Sequence[str], page: str) -> list[str]:
    """A table with those rows of a page that are of other algorithms, by name."""
    header, rows = lines[:2], {_named(line): line for line in lines[2:]}
    there = page.split(BEGIN)[1].split(END)[0].splitlines()
    rows = {_named(line): line for line in there if line.startswith("| `")} | rows
    return [*header, *(rows[name] for name in sorted(rows))]


def _named(row: str) -> str:
    return row.split("`")[1]


def main(given: Sequence[str] | None = None) -> int:
    """Train, and say what became of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-a", "--algorithm", action="append", help="a recipe in place of all cards; repeat for several")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"a multiple of {CHECKPOINTS}")
    parser.add_argument("--store", type=Path, help="where trainings stay; else they go")
    parser.add_argument("--write", action="store_true", help="the table goes into the page, whose other rows stay")
    asked = parser.parse_args(given)
    card = rules(asked.algorithm or list(served()), asked.steps)
    with tempfile.TemporaryDirectory() as folder:
        store = asked.store or Path(folder)
        summary = dgbench.run(card, store=store, device="cpu", workers=1, progress=for_people())
        if summary.failed:
            raise DGBenchError("; ".join(f"training {id_} failed: {error}" for id_, error in summary.failed.items()))
        lines = list(table(list(learnt(card, store))))
    if asked.write:
        put(PAGE, with_others(lines, PAGE.read_text(encoding="utf-8")) if asked.algorithm else lines)
    else:
        print("\n".join(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
