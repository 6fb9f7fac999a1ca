"""Evaluation results as the Hugging Face Hub reads them: the block of a model's card, and files of ``.eval_results``.

A board's accuracies are shares in [0, 1]. Nothing here is marked as verified: only the Hub does that.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCardData
from huggingface_hub.utils import yaml_dump  # type: ignore[attr-defined]

from dgbench.board.leaderboard import Entry, Leaderboard
from dgbench.board.render import text
from dgbench.core.errors import DGBenchError, shown
from dgbench.core.files import whole
from dgbench.core.names import file_name
from dgbench.core.visible import visible

FOLDER = ".eval_results"
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")


def write(board: Leaderboard, folder: Path, benchmark: str | None) -> list[Path]:
    """Write what a model's repository needs to show a board's results: a folder for each algorithm.

    Args:
        board: What is written.
        folder: Where: ``ALGORITHM/README.md`` begins with the block, and ``ALGORITHM/.eval_results/BOARD.yaml`` points
            to the benchmark.
        benchmark: The board's repository of data on the Hub, ``owner/name``; without it there is only the block.

    Returns:
        The paths.

    Raises:
        DGBenchError: the benchmark is no repository's name.
    """
    if benchmark:
        owner_and_name(benchmark)
    paths = []
    for entry in board.entries:
        own = folder / file_name(entry.algorithm)
        texts = {"README.md": front_matter(entry.title, results(board, entry), [board.info.name])}
        if benchmark:
            texts[f"{FOLDER}/{file_name(board.info.name)}.yaml"] = listed(
                {name: each.mean for name, each in entry.targets.items()},
                benchmark,
                f"mean over {text.trials(board)} trials, models selected by {board.criterion.title}",
            )
        for name, content in texts.items():
            with whole(own / name) as temporary:
                temporary.write_text(content, encoding="utf-8")
            paths.append(own / name)
    return paths


def results(board: Leaderboard, entry: Entry) -> list[EvalResult]:
    """Accuracy of an algorithm on each target of a board, as a mean over trials with its interval."""
    info = board.info
    datasets = dict(board.cells.select("target", "dataset").iter_rows())
    how = {"board": info.name, "version": info.version, "rules": info.rules, "criterion": board.criterion.name}
    metric = f"{text.score(board)} on the domain left out, mean over {text.trials(board)} trials"
    return [
        result(
            datasets[target],
            target,
            "test",
            found.mean,
            found.interval,
            metric,
            how | {"n": found.n},
            info.headline.name,
        )
        for target, found in entry.targets.items()
        if math.isfinite(found.mean)
    ]


def result(
    dataset: str,
    domain: str,
    split: str,
    value: float,
    interval: tuple[float, float] | None,
    metric: str,
    how: Mapping[str, Any],
    measure: str,
) -> EvalResult:
    """One number.

    Args:
        dataset, domain, split: On which images.
        value, interval: The number, and both ends of its 95 % interval if it has one.
        metric: What is measured, in words.
        how: How it came about.
        measure: The same, as the Hub sorts it: ``accuracy``.
    """
    return EvalResult(
        task_type="image-classification",
        task_name="Domain generalization",
        dataset_type=visible(dataset),
        dataset_name=visible(dataset),
        dataset_config=visible(domain),
        dataset_split=split,
        metric_type=measure,
        metric_name=visible(metric),
        metric_value=value,
        metric_args={**how, **({} if interval is None else {"interval_95": list(interval)})},
    )


def front_matter(name: str, found: list[EvalResult], tags: Iterable[str]) -> str:
    """The block that begins a model's card, between its two lines of dashes.

    The terms of a model are those of its data and weights, which no name of a licence says: they stand in the card.
    """
    data = ModelCardData(
        license="other",
        library_name="dgbench",
        pipeline_tag="image-classification",
        tags=["domain-generalization", "dgbench", *map(visible, tags)],
        model_name=visible(name) if found else None,
        eval_results=found or None,
    )
    return f"---\n{data.to_yaml()}\n---\n"


def listed(values: Mapping[str, float], benchmark: str, notes: str) -> str:
    """A file of ``.eval_results``: an entry for each task of a benchmark.

    Args:
        values: By task.
        benchmark: Its repository of data on the Hub, ``owner/name``.
        notes: How the values came about.
    """
    entries = [
        {"dataset": {"id": benchmark, "task_id": visible(task)}, "value": value, "notes": notes}
        for task, value in values.items()
        if math.isfinite(value)
    ]
    return str(yaml_dump(entries))


def owner_and_name(repository: str) -> str:
    """The name of a repository on the Hub, if it is one.

    Raises:
        DGBenchError: it is none.
    """
    if not _REPOSITORY.fullmatch(repository) or re.search(r"--|\.\.|\.git$", repository):
        raise DGBenchError(f"{shown(repository)} is no repository's name; write OWNER/NAME")
    return repository
