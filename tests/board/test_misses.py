"""Missed images: counted word by word, in an order that nothing but the predictions decides."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import polars as pl
import pytest

from dgbench.board.misses import LEAST, MISSED, MOST, misses

CLASSES, IMAGES = 3, 30


def drawn(seed: int) -> pl.DataFrame:
    """What a run predicted of its target, at two steps."""
    random = np.random.default_rng(seed)
    labels = np.random.default_rng(0).integers(CLASSES, size=IMAGES)
    parts = [
        pl.DataFrame(
            {
                "step": pl.Series([step] * IMAGES, dtype=pl.Int32),
                "domain": ["photo"] * IMAGES,
                "index": pl.Series(range(IMAGES), dtype=pl.Int32),
                "sample": [f"{number:016x}" for number in range(IMAGES)],
                "label": pl.Series(labels, dtype=pl.Int16),
                "prediction": pl.Series(random.integers(CLASSES, size=IMAGES), dtype=pl.Int16),
                "confidence": pl.Series(random.uniform(size=IMAGES).round(1), dtype=pl.Float32),
            }
        )
        for step in (50, 100)
    ]
    return pl.concat(parts)


TABLES = {(name, f"{name}-{trial}"): drawn(7 * trial + len(name)) for name in ("erm", "adanpc") for trial in range(3)}
CELLS = pl.DataFrame(
    [
        {"algorithm": name, "run": run, "step": 100, "dataset": "pacs", "target": "photo", "trial": int(run[-1])}
        for name, run in TABLES
    ]
)


def read(algorithm: str, run: str) -> pl.DataFrame | None:
    return TABLES.get((algorithm, run))


def rows_of(*names: str) -> dict[str, list[dict[str, object]]]:
    """By image, what each chosen model said of it."""
    found = defaultdict(list)
    for (name, _), table in TABLES.items():
        if name in names:
            for row in table.filter(step=100).iter_rows(named=True):
                found[row["sample"]].append(row)
    return found


def test_what_an_algorithm_missed_is_counted_over_trials_and_the_surest_mistake_comes_first() -> None:
    found = misses(CELLS, read)
    for name, table in found.by.items():
        assert table.schema == MISSED
        said = rows_of(name)
        wrong = {sample: [r for r in rows if r["prediction"] != r["label"]] for sample, rows in said.items()}
        missed = {sample for sample, rows in wrong.items() if rows}
        assert set(table["sample"]) == missed, "there are fewer than are shown"
        for row in table.iter_rows(named=True):
            mistakes = wrong[row["sample"]]
            surest = max(r["confidence"] for r in mistakes)  # type: ignore[type-var]
            assert row["confidence"] == surest
            assert row["prediction"] in {r["prediction"] for r in mistakes if r["confidence"] == surest}
            assert (row["missed"], row["seen"]) == (len(mistakes), 3)
        order = [(-row["confidence"], -row["missed"], row["sample"]) for row in table.iter_rows(named=True)]
        assert order == sorted(order)
        always = sum(len(mistakes) == 3 for mistakes in wrong.values())
        assert found.always[name] == {"photo": (always, IMAGES)}


def test_what_all_missed_is_summed_and_the_most_missed_come_first() -> None:
    table = misses(CELLS, read).together
    said = rows_of("erm", "adanpc")
    order = []
    for row in table.iter_rows(named=True):
        mistakes = [r for r in said[row["sample"]] if r["prediction"] != r["label"]]
        assert (row["missed"], row["seen"]) == (len(mistakes), 6)
        assert row["confidence"] == max(r["confidence"] for r in mistakes)  # type: ignore[type-var]
        order.append((-row["missed"], -row["confidence"], row["sample"]))
    assert order == sorted(order)
    assert table.equals(misses(CELLS.reverse(), read).together), "no order decides"


def test_models_without_confidence_come_last_and_those_without_predictions_not_at_all() -> None:
    def unsure(algorithm: str, run: str) -> pl.DataFrame | None:
        table = read(algorithm, run)
        if algorithm == "adanpc" or table is None:
            return None
        return table.with_columns(confidence=pl.lit(None, pl.Float32))

    found = misses(CELLS, unsure)
    assert set(found.by) == {"erm"}
    assert found.by["erm"]["confidence"].null_count() == found.by["erm"].height
    assert set(found.together["seen"]) == {3}
    nothing = misses(CELLS, lambda algorithm, run: None)
    assert (nothing.by, nothing.always, nothing.together.schema) == ({}, {}, MISSED)


@pytest.mark.parametrize("targets", [1, 2, MOST])
def test_many_targets_share_the_room(targets: int) -> None:
    cells = pl.concat([CELLS.with_columns(target=pl.lit(f"t{number}")) for number in range(targets)])
    table = misses(cells.filter(algorithm="erm"), read).by["erm"]
    each = max(LEAST, MOST // targets)
    assert all(0 < count <= each for count in table["target"].value_counts()["count"])
    if targets == MOST:
        assert table.height == LEAST * targets
