"""The kit of a board with the track lists what may be seen of a target, without labels."""

import csv
from pathlib import Path

import pytest

from dgbench.core.cards import BoardCard, CaseRules, SelectionRules, SplitRules
from dgbench.kit.write import write_kit
from small import small_board


def board(**changes: object) -> BoardCard:
    rules: dict[str, object] = {
        "cases": {"digits": CaseRules(targets=("print",))},
        "selection": SelectionRules(views_per_domain=1),
        "split": SplitRules(validation=0.1, test=0.3),
        "criterion": "source",
    }
    return small_board("erm").model_copy(update=rules | changes)


@pytest.mark.parametrize("seen", ["untested", "tested"])
def test_pictures_of_the_target_that_may_be_seen_are_listed(seen: str, tmp_path: Path) -> None:
    kit = write_kit(board(unlabelled=seen), tmp_path / "kit")
    with (kit / "print" / "trial0.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    own = [row for row in rows if row["part"] == "unlabelled"]
    asked = {row["picture"] for row in rows if row["part"] == "target"}
    assert {(row["domain"], row["view"], row["label"]) for row in own} == {("print", "clean", "")}
    named = {row["picture"] for row in own}
    assert named == asked if seen == "tested" else len(named) > 100 and not named & asked
    assert all((kit / picture).is_file() for picture in sorted(named)[:5])
