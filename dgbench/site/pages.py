"""The pages of a site beside its leaderboards: home, an algorithm, a dataset, the runs of an algorithm on a board."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from dgbench.board.explain import Explanations
from dgbench.board.leaderboard import Entry
from dgbench.board.misses import MISSED
from dgbench.board.recompute import command
from dgbench.board.render import bibtex
from dgbench.board.render.chosen import Chosen, chosen
from dgbench.board.render.frame import Frame
from dgbench.board.render.html import data_uri, environment
from dgbench.core.cards import AlgorithmCard
from dgbench.core.dataset_card import DatasetCard, dataset_card
from dgbench.core.errors import DGBenchError
from dgbench.core.registry import SLOTS, Slot
from dgbench.literature.table import HEADING, SAME_IDEA, WARNING, tables
from dgbench.selection.statistics import Estimate
from dgbench.site.missed import Mistake, mistakes
from dgbench.site.shown import Shown, ShownBoard, Standing

QUESTIONS: Mapping[Slot, str] = {
    "sampler": "What does a step see?",
    "adapter": "What is trainable?",
    "objective": "What is minimised?",
    "optimizer": "How does a step descend?",
    "averaging": "Which weights are kept?",
    "predictor": "How is a prediction made?",
}
_BEST = 10
"""Algorithms that a dataset's page names for each board."""


@dataclass(frozen=True)
class Box:
    """One slot of a recipe.

    Attributes:
        slot, question: Which.
        part: What fills it; empty where the board does.
        settings: Hyperparameters that the card sets.
        own: Whether the algorithm fills it, and not the board.
    """

    slot: str
    question: str
    part: str
    settings: Mapping[str, Any]
    own: bool


@dataclass(frozen=True)
class Place:
    """An algorithm on one target: its accuracy, and how far it lies from the median of all algorithms there."""

    target: str
    accuracy: Estimate
    from_median: float


class Pages:
    """Renders pages; what many of them need is made once."""

    def __init__(self, shown: Shown) -> None:
        self._shown = shown
        self._environment = environment("dgbench.site")
        self._chosen = {board.name: chosen(board.own) for board in shown.boards}
        self._medians = {board.name: _medians(board) for board in shown.boards}

    def title(self, algorithm: str) -> str:
        """What an algorithm is called."""
        submission = f", submission {algorithm.rpartition('@')[2]}" if "@" in algorithm else ""
        if standings := self._shown.standings.get(algorithm):
            return standings[0].entry.title + submission
        cards = bibtex.cards(algorithm)
        return (" + ".join(card.title for card in cards) if cards else algorithm) + submission

    def home(self, frame: Frame) -> str:
        """All boards, algorithms and datasets."""
        summaries = {name: self._cards(name) for name in self._shown.algorithms}
        return self._render(
            "home.html",
            frame=frame,
            shown=self._shown,
            titles={name: self.title(name) for name in self._shown.algorithms},
            summaries={name: cards[0].summary if len(cards) == 1 else "" for name, cards in summaries.items()},
            slots={name: [box.slot for box in self._recipe(name) if box.own] for name in self._shown.algorithms},
            datasets={name: _dataset(name) for name in self._shown.datasets},
        )

    def algorithm(self, name: str, frame: Frame) -> str:
        """One algorithm: card, recipe, results everywhere."""
        standings = self._shown.standings.get(name, [])
        return self._render(
            "algorithm.html",
            frame=frame,
            name=name,
            title=self.title(name),
            cards=self._cards(name),
            recipe=self._recipe(name),
            standings=standings,
            profiles=[(standing, self._profile(standing)) for standing in standings],
            commands={standing.board.name: _command(standing.board, name) for standing in standings},
            bibliography=bibtex.bibliography([name]),
            published=tables(algorithm=name.partition("@")[0]),
        )

    def dataset(self, name: str, frame: Frame) -> str:
        """One dataset: card, pictures, who does best on it."""
        galleries = self._shown.galleries.get(name, {})
        return self._render(
            "dataset.html",
            frame=frame,
            name=name,
            card=_dataset(name),
            gallery={
                domain: {view: data_uri(png) for view, png in views.items()} for domain, views in galleries.items()
            },
            boards=[
                (board, _best(board, name), _shifts(board, name), self._together(board, name))
                for board in self._shown.on(name)
            ],
            published=tables([name]),
        )

    def below(self, board: ShownBoard, frame: Frame) -> str:
        """What stands below a leaderboard: what others published on its datasets, if they did."""
        published = tables(board.records.board.dataset)
        if not published:
            return ""
        columns = "target" if len(board.records.board.dataset) == 1 else "dataset"
        said = f"A column for each {columns}, in the order of each publication."
        return self._render("below.html", frame=frame, published=published, said=said)

    def runs(self, board: ShownBoard, entry: Entry, explanations: Explanations, frame: Frame) -> str:
        """How an algorithm's number on a board came about."""
        cells = explanations.of(entry.algorithm)
        targets: dict[str, list[float]] = {}
        for cell in cells:
            targets.setdefault(cell.target, []).append(cell.chosen.accuracy)
        weights = board.own.info.weights
        shares = {target: weights.get(target, 1.0) for target in targets}
        return self._render(
            "runs.html",
            frame=frame,
            board=board,
            entry=entry,
            cells=cells,
            criteria=explanations.criteria,
            means={target: statistics.fmean(values) for target, values in targets.items()},
            places={(cell.target, cell.trial): at for at, cell in enumerate(cells)},
            shares={target: share / sum(shares.values()) for target, share in shares.items()},
            command=_command(board, entry.algorithm),
            mistakes=mistakes(
                board.misses.by.get(entry.algorithm, MISSED.to_frame()), self._shown, board.own.info.domains
            ),
            always=board.misses.always.get(entry.algorithm, {}),
        )

    def _render(self, template: str, **values: Any) -> str:
        words = {"HEADING": HEADING, "WARNING": WARNING, "SAME_IDEA": SAME_IDEA}
        return self._environment.get_template(template).render(**words, **values)

    def _together(self, board: ShownBoard, dataset: str) -> dict[str, list[Mistake]]:
        """The images of a dataset that most models on a board missed."""
        return mistakes(board.misses.together.filter(dataset=dataset), self._shown, board.own.info.domains)

    def _cards(self, name: str) -> tuple[AlgorithmCard, ...]:
        return bibtex.cards(name)

    def _recipe(self, name: str) -> list[Box]:
        """What the cards fill; the rest as it ran, if it did, else left to the board."""
        filled = {slot: choice for card in self._cards(name) for slot, choice in card.recipe.filled().items()}
        ran: Chosen | None = None
        if standings := self._shown.standings.get(name):
            ran = self._chosen[standings[0].board.name].get(name)
        boxes = []
        for slot in SLOTS:
            choice = filled.get(slot)
            part = choice.part if choice else ran.parts.get(slot, "") if ran else ""
            boxes.append(Box(slot, QUESTIONS[slot], part, choice.hyperparameters if choice else {}, choice is not None))
        return boxes

    def _profile(self, standing: Standing) -> list[Place]:
        medians = self._medians[standing.board.name]
        targets = standing.entry.targets
        return [Place(target, value, value.mean - medians[target]) for target, value in targets.items()]


def _medians(board: ShownBoard) -> dict[str, float]:
    entries = board.own.entries
    return {
        target: statistics.median(entry.targets[target].mean for entry in entries if target in entry.targets)
        for target in board.own.info.domains
        if any(target in entry.targets for entry in entries)
    }


def _command(board: ShownBoard, algorithm: str) -> str:
    """What computes an algorithm's runs again, a submission's among them; empty where no card says how."""
    recipe = algorithm.partition("@")[0]
    if not bibtex.cards(recipe):
        return ""
    return command(board.records.board.model_copy(update={"algorithms": (recipe,)}))


def _dataset(name: str) -> DatasetCard | None:
    """Its card; None where it has none that can be read."""
    try:
        return dataset_card(name)
    except DGBenchError:
        return None


def _best(board: ShownBoard, dataset: str) -> list[tuple[str, Entry, Estimate]]:
    """Track, algorithm and accuracy on the dataset, the best first."""
    found = [
        (track.name, entry, entry.datasets[dataset])
        for track in board.own.tracks
        for entry in track.entries
        if dataset in entry.datasets
    ]
    return sorted(found, key=lambda one: -one[2].mean)[:_BEST]


def _shifts(board: ShownBoard, dataset: str) -> list[tuple[str, float, float]]:
    """For each target what the reference reaches on held-out source images and on the target, where both are known."""
    cells = board.own.cells.filter((pl.col("algorithm") == board.own.info.reference) & (pl.col("dataset") == dataset))
    means = (
        cells.filter(pl.col("source_accuracy").is_not_nan())
        .group_by("target", maintain_order=True)
        .agg(pl.col("source_accuracy", "accuracy").mean())
    )
    found = {row[0]: row for row in means.iter_rows()}
    return [found[target] for target in board.own.info.domains if target in found]
