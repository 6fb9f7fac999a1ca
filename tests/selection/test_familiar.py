"""What pretraining knows well: lists are strict, and accuracies in and out of them are over those images alone."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import dgbench
from dgbench.api.measuring import familiar_to
from dgbench.board.build import build
from dgbench.board.rankings import ranking
from dgbench.board.render import measures
from dgbench.core.errors import CardError, StoreError, UnknownNameError
from dgbench.core.familiar import familiar_cards
from dgbench.core.paths import shipped
from dgbench.selection.familiar import Familiar, familiar
from dgbench.selection.measures import MEASURES, measured

PAGE = Path(__file__).parents[2] / "docs" / "your-own-backbone.md"
HEAD = 'dataset = "digits"\nbackbone = "a backbone"\nwhy = "It saw them."\n'


def written(folder: Path, text: str, name: str = "seen.toml") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def predictions(domain: str, seed: int) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "step": pl.Series([100] * 40, dtype=pl.Int32), "domain": [domain] * 40,
            "sample": [f"{number:016x}" for number in range(40)],
            "label": pl.Series(random.integers(10, size=40), dtype=pl.Int16),
            "prediction": pl.Series(random.integers(3, size=40), dtype=pl.Int16),
            "confidence": pl.Series([0.5] * 40, dtype=pl.Float32), "group": pl.Series([0] * 40, dtype=pl.Int64),
        }
    )  # fmt: skip


CELLS = pl.DataFrame(
    [("erm", target, 0, 0, 100, dataset, target) for target, dataset in (("print", "digits"), ("photo", "pacs"))],
    schema=["algorithm", "target", "trial", "draw", "step", "dataset", "run"],
    orient="row",
)


def judged(known: Familiar | None) -> dict[str, tuple[float | None, float | None]]:
    tables = {"print": predictions("print", 1), "photo": predictions("photo", 2)}
    found = measured(CELLS, lambda algorithm, run: tables[run], known)
    return {row["target"]: (row["familiar"], row["unfamiliar"]) for row in found.iter_rows(named=True)}


def right(table: pl.DataFrame, inside: list[bool]) -> float:
    hits = (table["label"] == table["prediction"]).to_list()
    return float(np.mean([hit for hit, one in zip(hits, inside, strict=True) if one]))


def test_accuracy_is_over_the_listed_images_and_over_the_others(tmp_path: Path) -> None:
    own = predictions("print", 1)
    few = own["sample"].to_list()[:7]
    lists = {
        'classes = ["0", "2"]': [label in (0, 2) for label in own["label"]],
        f"samples = {few}": [number < 7 for number in range(40)],
    }
    for text, inside in lists.items():
        known = familiar(familiar_cards(written(tmp_path, HEAD + text.replace("'", '"'))))
        found = judged(known)
        assert found["print"] == pytest.approx((right(own, inside), right(own, [not one for one in inside])))
        assert np.isnan(found["photo"]).all(), "nothing is said of the other dataset"
    both = familiar(familiar_cards(written(tmp_path, HEAD + 'classes = ["0", "2"]', "more.toml")))
    inside = [label in (0, 2) or number < 7 for number, label in enumerate(own["label"])]
    assert judged(both)["print"][0] == pytest.approx(right(own, inside)), "several lists are one"


def test_a_whole_domain_may_be_listed_and_without_a_list_nothing_is_known(tmp_path: Path) -> None:
    known = familiar(familiar_cards(written(tmp_path, HEAD + 'domains = ["print"]')))
    inside, outside = judged(known)["print"]
    assert inside == pytest.approx(right(predictions("print", 1), [True] * 40))
    assert outside is not None
    assert np.isnan(outside), "there is no other image"
    assert judged(None) == judged(Familiar()) == {"print": (None, None), "photo": (None, None)}
    assert known.said == ("Known to a backbone: the domain print of digits. It saw them.",)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", r"seen.toml: .*exactly one of 'domains', 'classes' and 'samples'"),
        ('domains = ["print"]\nclasses = ["1"]', "exactly one of"),
        ("domains = []", "domains"),
        ('domains = ["prnt"]', r"seen.toml: domains: 'digits' has no 'prnt'.*'print'"),
        ('classes = ["ten"]', "classes: 'digits' has no 'ten'"),
        ('samples = ["0123"]', "samples"),
        ('domain = ["print"]', r"domain.*domains"),
    ],
)
def test_a_list_that_does_not_fit_is_one_error(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(CardError, match=says):
        familiar_cards(written(tmp_path, HEAD + text))


def test_a_list_of_no_dataset_and_of_nameless_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="no dataset named 'digts'"):
        familiar_cards(written(tmp_path, HEAD.replace("digits", "digts") + 'domains = ["print"]'))
    (tmp_path / "seen.toml").unlink()
    nameless = HEAD.replace("digits", "imagenet-c") + 'classes = ["cat"]'
    with pytest.raises(CardError, match=r"does not name its classes; list 'samples'|has no 'cat'"):
        familiar_cards(written(tmp_path, nameless))
    assert familiar_cards(tmp_path / "none") == ()


def test_the_quick_board_says_what_its_network_has_seen() -> None:
    known = familiar_to("quick")
    assert set(known.images) == {"digits"}
    assert "print of digits" in known.said[0]
    assert familiar_to("emoji").images == {}
    assert familiar_to(dgbench.rules("quick").model_copy(update={"name": "own"})).images == {}


def test_the_list_on_the_page_is_that_of_the_quick_board(tmp_path: Path) -> None:
    section = PAGE.read_text(encoding="utf-8").split("## What its pretraining knows")[1].split("\n## ")[0]
    (shown,) = re.findall(r"```toml\n(.*?)```", section, re.DOTALL)
    own = familiar_cards(shipped("leaderboards") / "quick" / "familiar")
    assert familiar_cards(written(tmp_path, shown)) == own
    for metric in re.findall(r"--metric (\w+)", section):
        assert MEASURES[metric].optional


def test_lists_are_no_part_of_the_rules() -> None:
    """Whoever adds one makes nothing old: submissions and runs belong to the rules as they were."""
    assert "familiar" not in json.dumps(dgbench.rules("quick").model_dump(mode="json"))


def test_targets_without_such_an_image_are_left_out_of_the_mean() -> None:
    from board.synthetic import board, info

    of = build(*board({"erm": 0.5, "sam": 0.6}, trials=3, noise=0.01), info(trials=3, algorithms=("erm", "sam")))
    value = pl.when(pl.col("target") == "a").then("accuracy").otherwise(float("nan"))
    table = of.cells.select(
        "algorithm", "target", "trial", "draw", "step", familiar=value, unfamiliar=pl.lit(float("nan"))
    )
    found = ranking(of, MEASURES["familiar"], table, ("Known to it: a.",))
    for place in found.tracks["inductive"]:
        assert place.value is not None
        assert place.value.mean == pytest.approx(place.entry.targets["a"].mean)
        assert place.value.n == 3
        assert list(place.targets) == ["a"]
    assert "Known to it: a." in measures.caption(found)
    with pytest.raises(StoreError, match="is known of no algorithm on 'toy': no target has an image that it is about"):
        ranking(of, MEASURES["unfamiliar"], table)
