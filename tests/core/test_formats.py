"""Records of every number there was are read; what is no record is refused in one line that names the field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from dgbench.core.errors import CardError, DGBenchError, RecordError
from dgbench.core.formats import Format
from dgbench.core.results import RESULT
from dgbench.submissions.record import SUBMISSION

KEPT = Path(__file__).parent / "formats"
FORMATS: list[Format[Any]] = [RESULT, SUBMISSION]


def kept(of: Format[Any], number: int) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((KEPT / f"{of.name}-{number}.json").read_text())
    return content


@pytest.mark.parametrize("of", FORMATS, ids=lambda of: of.name)
def test_a_record_of_every_number_is_kept_and_read(of: Format[Any]) -> None:
    today = of.read(kept(of, of.number), "today")
    assert of.dump(today) == kept(of, of.number), "a record of today comes back as it is"
    for number in range(of.oldest, of.number):
        assert of.read(kept(of, number), "old") == today, f"number {number} means the same"


@pytest.mark.parametrize("of", FORMATS, ids=lambda of: of.name)
def test_the_json_schema_names_every_field(of: Format[Any]) -> None:
    described = json.loads(json.dumps(of.json_schema()))
    assert described["$id"] == kept(of, of.number)["schema"]
    assert set(described["properties"]) >= set(kept(of, of.number))
    assert described["additionalProperties"] is False
    assert "schema" in described["required"]


@pytest.mark.parametrize("of", FORMATS, ids=lambda of: of.name)
def test_no_field_is_optional_by_mistake_and_none_is_unknown(of: Format[Any]) -> None:
    content = kept(of, of.number)
    with pytest.raises(CardError, match="colour: unknown field"):
        of.read(content | {"colour": "red"}, "it")
    for name in of.json_schema()["required"]:
        if not (name == "schema" and of.unmarked):
            with pytest.raises(DGBenchError, match=f"^it: {name}: "):
                of.read({key: value for key, value in content.items() if key != name}, "it")


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ("dgbench.submission/2", r"by a later version of dgbench \(dgbench.submission/2; this one reads .*/1\)"),
        ("dgbench.submission/0", "too old a version"),
        ("dgbench.result/1", "expected 'dgbench.submission/1', got 'dgbench.result/1'"),
        (None, "expected 'dgbench.submission/1', got None"),
        (1, "got 1"),
        (["dgbench.submission/1"], "got "),
        ("dgbench.submission/" + "1" * 5000, r"got 'dgbench.submission/1+\.\.\."),
    ],
)
def test_another_schema_is_refused(schema: object, says: str) -> None:
    with pytest.raises(RecordError, match=says) as caught:
        SUBMISSION.read(kept(SUBMISSION, 1) | {"schema": schema}, "it")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("content", [None, [], "text", 3, [["schema", "dgbench.submission/1"]]])
def test_what_is_no_object_is_refused(content: object) -> None:
    with pytest.raises(RecordError, match="expected a record"):
        SUBMISSION.read(content, "it")


@pytest.mark.parametrize(
    "old", [{}, {"metrics": None}, {"metrics": [1]}, {"metrics": [{}]}, {"metrics": [{"step": "a"}, {"step": 1}]}]
)
def test_an_old_record_that_cannot_be_migrated_is_refused(old: dict[str, Any]) -> None:
    with pytest.raises(RecordError, match=r"is no record 'dgbench.result.0'"):
        RESULT.read(old, "it")


def test_migrations_are_applied_in_turn() -> None:
    class Third(BaseModel):
        length_m: float
        name: str

    of = Format(
        "dgbench.stick",
        Third,
        (lambda old: {"length_cm": old["inches"] * 2.54}, lambda old: {"length_m": old["length_cm"] / 100, "name": ""}),
    )
    assert of.schema == "dgbench.stick/3"
    assert of.read({"schema": "dgbench.stick/1", "inches": 100}, "it").length_m == pytest.approx(2.54)
    assert of.read({"schema": "dgbench.stick/2", "length_cm": 5}, "it").length_m == pytest.approx(0.05)


def test_a_result_is_ok_or_says_why_not() -> None:
    content = kept(RESULT, 1)
    for change in ({"status": "diverged"}, {"cause": "loss"}, {"status": "failed", "cause": "x"}, {"status": "lost"}):
        with pytest.raises(CardError):
            RESULT.read(content | change, "it")
    ended = {"status": "out of memory", "cause": "no room", "metrics": [], "last_step": 7}
    assert RESULT.read(content | ended, "it").last_step == 7
