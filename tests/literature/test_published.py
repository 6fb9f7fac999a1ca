"""Published numbers: what comes with dgbench is whole and adds up, what does not fit is refused, none is ranked."""

from __future__ import annotations

import csv
import re
import statistics
import subprocess
import tomllib
from dataclasses import replace
from pathlib import Path

import grimp
import polars as pl
import pytest
from board.synthetic import info, tables
from nursery import python
from sites.made import shown_board, small_site

import dgbench
from dgbench.board.build import build
from dgbench.board.render import files
from dgbench.core.cards import algorithm_card
from dgbench.core.dataset_card import dataset_card
from dgbench.core.errors import CardError, StoreError, UnknownNameError
from dgbench.core.paths import shipped
from dgbench.core.recipe import compose
from dgbench.literature.source import COLUMNS, Source, inconsistencies, read_source, sources
from dgbench.literature.table import SCHEMA, WARNING
from dgbench.literature.table import tables as published_tables
from dgbench.site.build import build as build_site

FOLDER = shipped("leaderboards") / "published"
ORIGIN = """name = "one"
title = "One"
seen = "a paper"
[paper]
title = "T"
authors = ["A. B"]
venue = "V"
year = 2020
[tables.t]
title = "Table 1"
protocol = "p"
backbone = "b"
pretrained_on = ""
selection = "s"
"""


def printed(*arguments: str) -> str:
    done = subprocess.run([python(), "-m", "dgbench.cli", *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("source", sources(), ids=lambda source: source.origin.name)
def test_what_is_shipped_names_what_there_is(source: Source) -> None:
    for figure in source.figures:
        if figure.dataset:
            domains = [domain.name for domain in dataset_card(figure.dataset).domains]
            assert not figure.target or figure.target in domains, figure
        if figure.algorithm:
            assert all(algorithm_card(name) for name in compose(figure.algorithm).cards)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.csv")), ids=lambda path: path.stem)
def test_printed_means_are_those_of_the_printed_parts(path: Path) -> None:
    """A mean of figures with one decimal is known to a tenth, else the card doubts it."""
    rows, source = lines(path), read_source(path.with_suffix(".toml"))
    doubted = {(doubt.table, doubt.method) for doubt in source.origin.doubts}
    checked = 0
    for row in rows:
        if not row["target"]:
            same = [r for r in rows if (r["table"], r["method"]) == (row["table"], row["method"])]
            parts = [
                float(r["value"])
                for r in same
                if (
                    r["dataset"] == row["dataset"] and r["target"]
                    if row["dataset"]
                    else r["dataset"] and not r["target"]
                )
            ]
            if parts:
                checked += 1
                fits = statistics.fmean(parts) == pytest.approx(float(row["value"]), abs=0.1 + 1e-9)
                assert fits or (row["table"], row["method"]) in doubted, row
    assert {(table, method) for table, method, *_ in inconsistencies(source)} <= doubted
    assert checked or path.stem in ("alfarra", "rfc", "tent")


def test_the_reference_table_is_there() -> None:
    """Fourteen algorithms, three ways of selection: 31 targets, 7 datasets and their mean; some figures by heart."""
    frame = dgbench.published().filter(pl.col("source") == "domainbed")
    assert frame.height == 14 * 3 * (31 + 7 + 1)
    chosen = frame.filter((pl.col("table") == "iid") & (pl.col("target") == ""))
    means = {(row["method"], row["dataset"]): (row["value"], row["spread"]) for row in chosen.to_dicts()}
    assert means["ERM", "pacs"] == (85.5, 0.2)
    assert means["ERM", "terra-incognita"] == (46.1, 1.8)
    assert means["CORAL", ""] == (67.5, None)
    oracle = frame.filter((pl.col("table") == "oracle") & (pl.col("method") == "ERM") & (pl.col("dataset") == ""))
    assert (oracle["value"].item(), oracle["target_labels"].item()) == (68.7, True)


def test_a_mean_that_does_not_fit_is_found(tmp_path: Path) -> None:
    (tmp_path / "one.toml").write_text(ORIGIN)
    body = "t,M,,pacs,photo,90.0,\nt,M,,pacs,sketch,80.0,\nt,M,,pacs,,85.2,\nt,M,,,,85.2,\n"
    (tmp_path / "one.csv").write_text(",".join(COLUMNS) + "\n" + body)
    assert list(inconsistencies(read_source(tmp_path / "one.toml"))) == [("t", "M", "pacs", 85.2, 85.0)]


def test_what_is_known_to_be_doubtful_is_said() -> None:
    doubted = dgbench.published().filter(pl.col("doubts") != "").unique(["source", "table", "method"])
    stated = sum(len(tomllib.loads(path.read_text()).get("doubts", ())) for path in FOLDER.glob("*.toml"))
    assert doubted.height == stated >= 4


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("u,M,,pacs,,1.0,\n", ["line 2", "table", "'u' is none of one.toml", "Known: t"]),
        ("t,M,,pacs,,101,\n", ["line 2", "value", "less than or equal to 100"]),
        ("t,M,,pacs,,nan,\n", ["line 2", "value", "finite"]),
        ("t,M,,pacs,,eighty,\n", ["line 2", "value", "'eighty'"]),
        ("t,M,,pacs,,80.0,0.2\n", ["line 2", "spread", "does not say what it is"]),
        ("t,M,,,photo,80.0,\n", ["line 2", "target", "without a 'dataset'"]),
        ("t,M,,pacs,,80.0\n", ["line 2", "expected 7 cells, got 6"]),
        ("t,M,,pacs,,80.0,\nt,M,,pacs,,81.0,\n", ["line 3", "given twice"]),
        ("t,,,pacs,,80.0,\n", ["line 2", "method"]),
    ],
)
def test_figures_that_do_not_fit_are_refused(body: str, words: list[str], tmp_path: Path) -> None:
    (tmp_path / "one.toml").write_text(ORIGIN)
    (tmp_path / "one.csv").write_text(",".join(COLUMNS) + "\n" + body)
    with pytest.raises(CardError) as refused:
        read_source(tmp_path / "one.toml")
    for word in ["one.csv", *words]:
        assert word in str(refused.value)


def test_a_source_without_figures_and_a_doubt_of_nothing_are_refused(tmp_path: Path) -> None:
    (tmp_path / "one.toml").write_text(ORIGIN)
    with pytest.raises(CardError, match=r"one\.csv: cannot be read"):
        read_source(tmp_path / "one.toml")
    (tmp_path / "one.csv").write_text("a,b\n")
    with pytest.raises(CardError, match="expected the columns table,method"):
        read_source(tmp_path / "one.toml")
    (tmp_path / "one.csv").write_text(",".join(COLUMNS) + "\nt,M,,pacs,,80.0,\n")
    (tmp_path / "one.toml").write_text(ORIGIN + '[[doubts]]\ntable = "t"\nmethod = "N"\nwhat = "w"\n')
    with pytest.raises(CardError, match="no row 'N'"):
        read_source(tmp_path / "one.toml")


def test_no_published_number_can_enter_a_leaderboard() -> None:
    """Nothing that computes or ranks can import them; as records they are refused; and no table holds one."""
    graph = grimp.build_graph("dgbench")
    for package in ("core", "data", "selection", "runs", "board", "submissions", "exported"):
        reached = graph.find_upstream_modules(f"dgbench.{package}", as_package=True)
        assert not {name for name in reached if name.startswith("dgbench.literature")}, package
    published = dgbench.published("pacs").filter(pl.col("algorithm") == "erm")
    _, runs = tables([])
    for guise in (published, published.rename({"value": "accuracy"}).with_columns(pl.lit("target").alias("split"))):
        with pytest.raises(StoreError):
            build(guise, runs, info())
    assert not set(SCHEMA) & {"rank", "accuracy"}


def test_files_of_a_board_hold_no_published_number(tmp_path: Path) -> None:
    """The page shows them apart; tables, LaTeX, Markdown and BibTeX of the board are the same bytes as without."""
    toy = shown_board()
    on_pacs = toy.records.board.model_copy(update={"dataset": ("pacs",)})
    board = replace(toy, records=replace(toy.records, board=on_pacs))
    build_site(small_site(board), tmp_path / "site")
    (folder,) = (tmp_path / "site" / "boards").glob("*/augmented")
    page = (folder / "leaderboard.html").read_text(encoding="utf-8")
    before, _, apart = page.partition('<section id="published" class="elsewhere"')
    apart, _, after = apart.partition("</section>")
    assert WARNING in apart
    assert "DomainBed 2021, model selection: training-domain validation set (14 methods)" in apart
    assert "model selection: test-domain validation set (14 methods, selected with target labels)" in apart
    assert "<td>84.7 ±0.4</td>" in apart
    assert ">ARM<" in apart  # a method that dgbench has no card of
    assert ">ARM<" not in before + after
    assert "84.7 ±0.4" not in before + after
    assert "but for those published elsewhere, is computed from stored predictions" in after
    files.write(board.own, tmp_path / "alone")
    for path in (tmp_path / "alone").iterdir():
        if path.suffix != ".html":
            assert path.read_bytes() == (folder / path.name).read_bytes()
    alone = (tmp_path / "alone" / "leaderboard.html").read_text(encoding="utf-8")
    assert "published elsewhere" not in alone
    pacs = (tmp_path / "site" / "datasets" / "pacs.html").read_text(encoding="utf-8")
    digits = (tmp_path / "site" / "datasets" / "digits.html").read_text(encoding="utf-8")
    swad = (tmp_path / "site" / "algorithms" / "swad.html").read_text(encoding="utf-8")
    assert WARNING in pacs
    assert WARNING in swad
    assert "which reads target labels" in pacs
    assert WARNING not in digits


def test_tables_are_in_the_order_of_print_and_say_how_they_came_about() -> None:
    (first,) = [one for one in published_tables(["pacs"]) if (one.origin.name, one.name) == ("domainbed", "iid")]
    assert list(first.columns) == ["art_painting", "cartoon", "photo", "sketch", "mean"]
    assert [row.method for row in first.rows][:3] == ["ERM", "IRM", "GroupDRO"]
    assert first.rows[0].cells == ["84.7 ±0.4", "80.8 ±0.6", "97.2 ±0.3", "79.3 ±1.0", "85.5 ±0.2"]
    for piece in ("20 draws and 3 trials", "ddof 0", "ResNet-50", "commit 7df6f06"):
        assert piece in first.about
    several = published_tables(["pacs", "vlcs"])
    assert {column for one in several for column in one.columns} == {"pacs", "vlcs"}
    assert [one.origin.name for one in published_tables(algorithm="swad")] == ["swad", "miro"]


def test_the_verb_prints_what_the_function_returns() -> None:
    out = printed("published", "pacs", "-a", "sam")
    frame = dgbench.published("pacs", algorithm="sam")
    cells = [line.split("\t") for line in out.splitlines()]
    assert [row[7] for row in cells] == [f"{value:.1f}" for value in frame["value"]]
    assert len(cells) == 3
    with pytest.raises(UnknownNameError, match="Did you mean 'pacs'"):
        dgbench.published("pakcs")
    with pytest.raises(UnknownNameError, match="no algorithm with published numbers named 'pego'"):
        dgbench.published(algorithm="pego")
    listed = printed("list", "published")
    assert len(listed.splitlines()) == sum(len(source.origin.tables) for source in sources())
    assert re.search(r"^domainbed\.oracle\t2021\tleave-one-domain-out\tResNet-50\t", listed, re.MULTILINE)
