"""Official measures are those that the package of WILDS computes itself, on miniatures of its sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from wilds_made import FOLDERS, official_eval, package, write_set

from dgbench.core.dataset_card import Headline, dataset_card
from dgbench.core.judged_by import OF_VALUES
from dgbench.data.disk.parts import parts
from dgbench.selection.measures import MEASURES, measure

CALLED = {
    "camelyon17": {"accuracy": "acc_avg"},
    "fmow": {"worst_group": "acc_worst_region", "accuracy": "acc_avg"},
    "iwildcam": {"macro_f1": "F1-macro_all", "macro": "recall-macro_all", "accuracy": "acc_avg"},
    "waterbirds": {"worst_group": "acc_wg", "adjusted": "adj_acc_avg"},
}
"""What the package calls each of our measures."""


def judged(labels: list[int], predicted: list[int], groups: list[int] | None, name: str) -> dict[str, float | None]:
    table = pl.DataFrame(
        {
            "label": labels,
            "prediction": predicted,
            "confidence": [None] * len(labels),
            "group": groups or [None] * len(labels),
            "familiar": [None] * len(labels),
            "all": 0,
        },
        schema_overrides={"confidence": pl.Float32, "group": pl.Int64, "familiar": pl.Int8},
    )
    found = measure(table, ["all"], dataset_card(name).official.groups).row(0, named=True)
    right = [label == prediction for label, prediction in zip(labels, predicted, strict=True)]
    return {**found, "accuracy": sum(right) / len(right)}


# Of the package itself: groups that its miniature lacks are asked for below, and labels come to it from pandas.
@pytest.mark.filterwarnings("ignore:Minimum metadata value for CombinatorialGrouper")
@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", FOLDERS)
def test_every_part_has_the_numbers_of_the_package(
    name: str, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wilds = package(monkeypatch)
    write_set(name, tmp_path, seed)
    monkeypatch.setenv("DGBENCH_DATA", str(tmp_path))
    data = wilds.get_dataset(name, root_dir=str(tmp_path), download=False)
    ours = parts(dataset_card(name))
    assert set(ours) == set(data.split_dict)
    draw, absent = np.random.default_rng(seed), 0
    for split, part in ours.items():
        labels = part.labels.tolist()
        assert labels == data.get_subset(split).y_array.tolist(), "in the package's order"
        predicted = [label if draw.random() < 0.5 else int(draw.integers(max(labels) + 1)) for label in labels]
        theirs = official_eval(data, split, predicted)
        groups = None if part.judged is None else part.judged.tolist()
        own = judged(labels, predicted, groups, name)
        for measured, called in CALLED[name].items():
            assert own[measured] == pytest.approx(theirs[called], abs=1e-6), (split, measured)
        counting = {place for place, group in enumerate(dataset_card(name).official.groups) if group.counts}
        absent += bool(counting - set(groups or counting)) or len(set(labels)) < data.n_classes
    assert absent or name in ("camelyon17", "waterbirds"), "groups or classes without an example are among them"


def test_a_group_without_an_example_is_not_the_worst_and_leaves_the_adjusted_average_unknown() -> None:
    own = judged([0, 0, 1, 1], [0, 1, 1, 1], [0, 0, 2, 2], "waterbirds")
    assert own["worst_group"] == 0.5
    assert own["adjusted"] is None, "where the package says as if all of the others were wrong"
    whole = judged([0, 0, 1, 1], [0, 1, 1, 1], [0, 1, 2, 3], "waterbirds")
    assert whole["adjusted"] == pytest.approx((3498 + 56 + 1057) / 4795)


def test_other_regions_do_not_count() -> None:
    places = {group.name: place for place, group in enumerate(dataset_card("fmow").official.groups)}
    asia, other = places["Asia"], places["Other"]
    assert judged([0, 1, 2], [0, 1, 0], [asia, asia, other], "fmow")["worst_group"] == 1
    assert judged([0, 1, 2], [0, 1, 0], [other] * 3, "fmow")["worst_group"] is None
    assert judged([0, 1, 2], [0, 1, 0], None, "fmow")["worst_group"] is None, "predicted before groups were noted"


def test_a_headline_is_a_share_of_which_more_is_better_or_about_values() -> None:
    for name in Headline.__args__:  # type: ignore[attr-defined]  # of a Literal
        assert (MEASURES[name].unit, MEASURES[name].rises) == ("%", True) or MEASURES[name].of == "values"
    assert {name for name in Headline.__args__ if MEASURES[name].of == "values"} == set(OF_VALUES)  # type: ignore[attr-defined]
