"""A leaderboard in the forms of other places is what they ask for, and says what the leaderboard says."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest
import yaml
from board.synthetic import board, candidate, entries, info, tables
from huggingface_hub import ModelCard, parse_eval_result_entries
from huggingface_hub.repocard_data import model_index_to_eval_results

from dgbench.board.build import build
from dgbench.board.leaderboard import Leaderboard
from dgbench.board.render import every_eval_ever, hub_results, latex
from dgbench.board.render.bibtex import bibliography, entry
from dgbench.board.render.forms import write_forms
from dgbench.core.cards import algorithm_card, card_names
from dgbench.core.errors import DGBenchError

AT = datetime(2026, 11, 25, tzinfo=UTC)
SCHEMA = json.loads((Path(__file__).parent / "every_eval_ever_0.3.0.schema.json").read_text(encoding="utf-8"))
HOSTILE = "a\x1b[31m: - {x}\n---\n#'\"%$&_\\^~|"


def made(**changes: str) -> Leaderboard:
    """SAM leads, IRM trails, with noise; both targets."""
    metrics, runs = board({"erm": 0.6, "sam": 0.8, "irm": 0.3}, trials=3, noise=0.01)
    return build(metrics, runs, info(trials=3, **changes))


def hostile() -> Leaderboard:
    pool = [
        candidate(HOSTILE, target, trial, clean={"s": 0.9}, on_target=0.5 + trial / 10 + 0.01 * (target == "a"))
        for target in ("a", HOSTILE)
        for trial in (0, 1)
    ]
    rules = {
        "algorithms": (HOSTILE,),
        "domains": ("a", HOSTILE),
        "title": HOSTILE,
        "name": HOSTILE,
        "reference": HOSTILE,
    }
    return build(*tables(pool), info(**rules))


@pytest.mark.parametrize("make", [made, hostile])
def test_records_of_every_eval_ever_fit_its_schema(make: object, tmp_path: Path) -> None:
    one = make()  # type: ignore[operator]
    validator = jsonschema.Draft7Validator(SCHEMA)
    paths = every_eval_ever.write(one, tmp_path, AT)
    assert len(paths) == len(one.entries)
    for path in paths:
        validator.validate(json.loads(path.read_text(encoding="utf-8")))
        first, developer, model, name = path.relative_to(tmp_path).parts[-4:]
        assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\.json", name)
        record = json.loads(path.read_text(encoding="utf-8"))
        assert record["model_info"]["id"] == f"{developer}/{model}"
        assert record["evaluation_id"] == f"{first}/{developer}/{model}/{int(AT.timestamp())}"
    assert every_eval_ever.write(one, tmp_path / "again", AT)[0].name == paths[0].name


def test_the_schema_would_refuse_what_is_missing_or_wrong() -> None:
    ((_, record), *_) = every_eval_ever.records(made(), AT)
    validator = jsonschema.Draft7Validator(SCHEMA)
    assert validator.is_valid(record)
    for key in (
        "schema_version",
        "evaluation_id",
        "source_metadata",
        "model_info",
        "eval_library",
        "evaluation_results",
    ):
        assert not validator.is_valid({name: value for name, value in record.items() if name != key})
    assert not validator.is_valid(record | {"more": 1})
    del record["evaluation_results"][0]["metric_config"]["max_score"]
    assert not validator.is_valid(record)


def test_records_hold_what_the_leaderboard_says() -> None:
    one = made()
    known = entries(one)
    for found, record in every_eval_ever.records(one, AT):
        assert found == known[found.algorithm]
        scores = {result["evaluation_name"].rpartition(": ")[2]: result for result in record["evaluation_results"]}
        assert set(scores) == {"mean over targets", "a", "b"}
        for name, estimate in (("mean over targets", found.accuracy), *found.targets.items()):
            details = scores[name]["score_details"]
            assert details["score"] == estimate.mean
            interval = details["uncertainty"]["confidence_interval"]
            assert (interval["lower"], interval["upper"], interval["confidence_level"]) == (*estimate.interval, 0.95)
            assert details["uncertainty"]["num_samples"] == estimate.n
        assert scores["mean over targets"]["score_details"]["details"]["rank"] == str(found.rank)
        assert "details" not in scores["a"]["score_details"]
        assert len({result["evaluation_result_id"] for result in scores.values()}) == 3
        assert record["source_metadata"]["evaluator_relationship"] == "third_party"


@pytest.mark.parametrize(
    ("level", "relation"),
    [("self-reported", "first_party"), ("recomputed", "collaborative"), ("spot re-run", "third_party")],
)
def test_who_evaluated_follows_from_the_level(level: str, relation: str) -> None:
    one = made()
    track = dataclasses.replace(one.tracks[0], entries=(dataclasses.replace(one.entries[0], level=level),))
    ((_, record),) = every_eval_ever.records(dataclasses.replace(one, tracks=(track,)), AT)
    assert record["source_metadata"]["evaluator_relationship"] == relation
    assert record["source_metadata"]["additional_details"]["level"] == level


@pytest.mark.parametrize("make", [made, hostile])
def test_blocks_of_cards_are_read_by_the_hubs_own_library(make: object, tmp_path: Path) -> None:
    one = make()  # type: ignore[operator]
    paths = write_forms(one, tmp_path, ["hub"], "me/toy-board")
    cards = [path for path in paths if path.name == "README.md"]
    assert len(cards) == len(one.entries)
    for path, found in zip(cards, one.entries, strict=True):
        data = ModelCard.load(path).data
        assert data.library_name == "dgbench"
        reread = {result.dataset_config: result for result in data.eval_results}
        assert len(reread) == len(found.targets)
        for name, estimate in found.targets.items():
            (result,) = [each for each in reread.values() if each.metric_value == estimate.mean]
            assert result.metric_args["interval_95"] == list(estimate.interval)
            assert result.metric_args["n"] == estimate.n
            assert (result.task_type, result.metric_type) == ("image-classification", "accuracy")
            assert result.verified is None
            assert "\x1b" not in result.dataset_config
            assert name == "a" or result.dataset_config != "a"
    for path in set(paths) - set(cards):
        read = parse_eval_result_entries(yaml.safe_load(path.read_text(encoding="utf-8")))
        assert {each.dataset_id for each in read} == {"me/toy-board"}
        assert len(read) == 2
        assert path.parent.name == ".eval_results"


def test_without_a_benchmark_there_is_only_the_block(tmp_path: Path) -> None:
    one = made()
    assert {path.name for path in write_forms(one, tmp_path, ["hub"])} == {"README.md"}
    assert write_forms(one, tmp_path, []) == []
    block = yaml.safe_load((tmp_path / "hub" / "sam" / "README.md").read_text(encoding="utf-8").split("---\n")[1])
    name, results = model_index_to_eval_results(block["model-index"])
    assert (name, len(results)) == ("SAM", 2)


@pytest.mark.parametrize("name", ["toy", "a/b/c", "../x", "me/to y", "me/", "", "me/--x"])
def test_a_benchmark_has_a_repositorys_name(name: str, tmp_path: Path) -> None:
    if name:
        with pytest.raises(DGBenchError, match="OWNER/"):
            write_forms(made(), tmp_path, ["hub"], name)
        assert list(tmp_path.iterdir()) == []


def tokens(source: str) -> list[str]:
    """A small reading of LaTeX: commands, escaped characters, braces, and all that acts by itself."""
    return re.findall(r"\\[A-Za-z]+|\\.|[{}&%$#_^~]|[^\\{}&%$#_^~]+", source)


@pytest.mark.parametrize("make", [made, hostile])
def test_tables_have_the_form_that_latex_compiles(make: object) -> None:
    """Environments and braces are closed, rows have a cell for each column, and nothing acts that should not."""
    source = latex.render(make())  # type: ignore[operator]
    assert re.findall(r"\\begin\{(\w+)\}", source) == re.findall(r"\\end\{(\w+)\}", source)[::-1]
    assert source.count("\\caption{") == source.count("\\label{") == source.count("\\begin{table}") == 1
    depth, dollars = 0, 0
    for token in tokens(source):
        depth += (token == "{") - (token == "}")
        dollars += token == "$"
        assert depth >= 0
        assert token not in "%#_^~"
    assert depth == 0
    assert dollars % 2 == 0
    columns = len(re.search(r"\\begin\{tabular\}\{(\w+)\}", source)[1])  # type: ignore[index]
    body = source.partition("\\toprule")[2].partition("\\bottomrule")[0]
    rows = [line for line in body.splitlines() if line.endswith("\\\\")]
    assert len(rows) > 1
    assert {tokens(row).count("&") for row in rows} == {columns - 1}
    assert all(rule in source for rule in ("\\toprule", "\\midrule", "\\bottomrule"))


def test_bold_is_who_cannot_be_separated_from_the_best() -> None:
    one = made()
    source = latex.render(one)
    rows = {name: line for line in source.splitlines() for name in ("SAM", "ERM", "IRM") if f" {name} " in line}
    assert {name for name, row in rows.items() if "\\textbf{" in row} == {"SAM"}
    assert "Bold: no algorithm is shown to be better" in source
    assert one.info.protocol in source
    assert "3 trials, $\\pm$ half of the 95 \\% interval" in source
    close, runs = board({"erm": 0.6, "sam": 0.6}, trials=3, noise=0.05)
    undecided = latex.render(build(close, runs, info(trials=3, algorithms=("erm", "sam"))))
    assert "\\textbf" not in undecided
    assert "Bold" not in undecided


def test_the_bibliography_has_every_paper_once_under_a_key_of_its_own() -> None:
    names = card_names("algorithms")
    whole = bibliography([*names, "sam + swad", "sam@1", "unknown"])
    keys = re.findall(r"^@inproceedings\{([^,]+),$", whole, re.MULTILINE)
    assert len(keys) == len(set(keys)) == len({entry(algorithm_card(name)) for name in names})
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+", key) for key in keys)
    for block in whole.split("@inproceedings")[1:]:
        assert tokens(block).count("{") == tokens(block).count("}")
        assert set(re.findall(r"^  (\w+) = ", block, re.MULTILINE)) >= {"title", "author", "booktitle", "year"}


def test_what_is_no_number_is_left_out() -> None:
    one = made()
    first = one.entries[0]
    broken = dataclasses.replace(first, targets={"a": dataclasses.replace(first.targets["a"], mean=math.nan)})
    assert hub_results.results(one, broken) == []
    assert hub_results.listed({"a": math.nan, "b": 0.5}, "me/toy", "n").count("value") == 1
