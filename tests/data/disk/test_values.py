"""Tables whose labels are numbers, and cards that say so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from dgbench.core.dataset_card import DatasetCard
from dgbench.core.errors import DataError
from dgbench.data.cache.content import identified
from dgbench.data.disk.check import check
from dgbench.data.disk.look import look
from dgbench.data.disk.readers import read

TERMS = {"licence": "none", "redistribution": "no", "title": "T", "summary": "s", "name": "weights"}


def card(root: Path, **changes: Any) -> DatasetCard:
    content = {
        **TERMS,
        "path": root,
        "value": {"what": "weight", "unit": "kg"},
        "reader": {"kind": "table", "file": "list.csv"},
        "domains": [{"name": "a"}, {"name": "b"}],
    }
    return DatasetCard.model_validate(content | changes)


def table(root: Path, *labels: str) -> None:
    lines = ["image,label,domain"]
    for number, label in enumerate(labels):
        Image.new("RGB", (8, 8), (20 * number, 0, 0)).save(root / f"{number}.png")
        lines.append(f"{number}.png,{label},{'ab'[number % 2]}")
    (root / "list.csv").write_text("\n".join(lines) + "\n")


def test_a_column_of_numbers_is_read_as_it_stands(tmp_path: Path) -> None:
    table(tmp_path, "1.5", "-2", "3e2", "0.25")
    found = read(card(tmp_path), tmp_path)
    assert found.classes == ()
    assert [domain.labels.tolist() for domain in found.domains] == [[1.5, 300.0], [-2.0, 0.25]]
    assert {domain.labels.dtype for domain in found.domains} == {np.dtype(np.float64)}
    assert "weight (kg): a 1.5 to 300" in next(f.text for f in check(card(tmp_path), found) if f.check == "values")


def test_another_value_is_other_data(tmp_path: Path) -> None:
    table(tmp_path, "1.5", "2")
    before = identified(read(card(tmp_path), tmp_path), tmp_path)[1]
    table(tmp_path, "1.25", "2")
    assert identified(read(card(tmp_path), tmp_path), tmp_path)[1] != before


@pytest.mark.parametrize("odd", ["1_000", "٣٢", "１２"])
def test_numbers_as_only_python_writes_them_are_refused(tmp_path: Path, odd: str) -> None:
    table(tmp_path, "1.5", odd)
    with pytest.raises(DataError, match=f"1 of 2 rows have no number that is the weight: '{odd}'"):
        read(card(tmp_path), tmp_path)


def test_a_draft_of_numbers_with_fractions_says_how_a_card_has_values(tmp_path: Path) -> None:
    table(tmp_path, "1.5", "2.25", "0.5", "-3.5")
    (hint,) = [line for line in look(str(tmp_path / "list.csv"), None, {}).said if "fractions" in line]
    assert "write [value] and below it what = \"...\" in place of 'classes' on the card (docs/values.md)" in hint


def test_what_is_no_number_is_named(tmp_path: Path) -> None:
    table(tmp_path, "1.5", "heavy", "inf", "2")
    with pytest.raises(DataError, match="2 of 4 rows have no number that is the weight: 'heavy', 'inf'"):
        read(card(tmp_path), tmp_path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"classes": ["x", "y"]}, "say in 'classes'"),
        ({"value": None}, "or in 'value' which number"),
        ({"official": {"measure": "macro_f1"}}, "'macro_f1' is about classes"),
        ({"value": None, "classes": ["x", "y"], "official": {"measure": "rmse"}}, "'rmse' is about values"),
        ({"reader": {"kind": "tree", "layouts": ["{domain}/{class}"]}}, "'tree' finds classes"),
        ({"domains": [{"name": "a", "without": ["x"]}]}, "the card has none"),
        (
            {"reader": {"kind": "wilds", "dataset": "poverty", "version": "1.1", "domain": "split"}},
            "PovertyMap.*eight channels.*three: red, green, blue",
        ),
    ],
)
def test_a_card_that_does_not_fit_is_refused_with_the_reason(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        card(tmp_path, **changes)


def test_values_are_judged_by_their_error_unless_the_card_says_another(tmp_path: Path) -> None:
    assert card(tmp_path).measure == "rmse"
    assert card(tmp_path, official={"measure": "pearson"}).measure == "pearson"
