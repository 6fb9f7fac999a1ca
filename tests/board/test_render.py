from __future__ import annotations

import io
import re
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest
from board.synthetic import DOMAINS, FAMILIES, board, candidate, info, picture, tables
from rich.console import Console

from dgbench.board.build import build
from dgbench.board.leaderboard import Leaderboard
from dgbench.board.render import files, html, markdown, terminal, text
from dgbench.board.render.axes import Scale
from dgbench.core.backbone_name import UNTOLD
from dgbench.runs.collect import Failure
from dgbench.selection.statistics import estimate

FILES = ("leaderboard.csv", "leaderboard.tex", "cells.csv", "pairs.csv", "criteria.csv", "methods.bib")
HOSTILE = "<script>alert('sam')</script> | [bold]"


@pytest.fixture(scope="module")
def made() -> Leaderboard:
    """Two tracks, an algorithm with runs missing, one that is absent, one with a name that is markup."""
    metrics, runs = board({"erm": 0.5, "sam": 0.6, "irm": 0.2, "t3a": 0.55}, domains=DOMAINS, trials=3, noise=0.01)
    algorithm = pl.col("algorithm")
    metrics = metrics.with_columns(
        track=pl.when(algorithm == "t3a").then(pl.lit("online")).otherwise(pl.lit("inductive")),
        title=pl.when(algorithm == "sam").then(pl.lit(HOSTILE)).otherwise(pl.col("title")),
    )
    lost = (algorithm == "irm") & (pl.col("target") == DOMAINS[0])
    rules = info(domains=DOMAINS, trials=3, algorithms=("erm", "sam", "irm", "t3a", "fishr"))
    pictures = {name: picture(i) for i, name in enumerate(DOMAINS)}
    return build(
        metrics.filter(~lost), runs.filter(~lost), rules, lambda: pictures, {"dgbench": "0.1.0", "python": "<3.12>"}
    )


class Page(HTMLParser):
    """Checks that tags nest, and gathers attributes and tables."""

    VOID = frozenset({"meta", "img", "link", "br", "hr", "input"})

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.rows: list[list[str]] = []
        self.feed(source)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data.strip()


def test_the_page_is_well_formed_and_has_a_row_for_everyone(made: Leaderboard) -> None:
    page = Page(html.render(made))
    table = {row[1]: row for row in page.rows if len(row) == 11}
    assert {"ERM", HOSTILE, "IRM", "T3A"} <= set(table)
    expected = made.tracks[0].entries[-1]
    assert expected.algorithm == "irm"
    assert table["IRM"][0] == "–"
    assert table["IRM"][3].startswith(text.percent(expected.accuracy.mean))


def test_the_page_fetches_nothing(made: Leaderboard) -> None:
    source = html.render(made)
    page = Page(source)
    for tag, name, value in page.attributes:
        if name in ("src", "href", "action", "data", "poster", "srcset", "xlink:href"):
            assert value.startswith(("data:image/png;base64,", "#")) or (tag == "a" and value in FILES), (
                tag,
                name,
                value,
            )
    assert not re.search(r"https?://|@import|url\(|<link", source)
    assert "default-src 'none'" in source


def test_every_domain_has_its_picture(made: Leaderboard) -> None:
    images = [value for tag, name, value in Page(html.render(made)).attributes if (tag, name) == ("img", "src")]
    assert len(images) == len(DOMAINS)


def test_names_are_escaped_everywhere(made: Leaderboard) -> None:
    page = html.render(made)
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    assert "&lt;3.12&gt;" in page
    assert "\\<script\\>alert" in markdown.render(made)
    assert "\\| \\[bold\\]" in markdown.render(made)


def test_the_page_says_what_a_reader_must_know(made: Leaderboard) -> None:
    page = html.render(made)
    for sentence in (
        text.ACCURACY,
        text.RANKING,
        text.RANKS,
        text.ADJUSTED,
        text.GAP,
        text.CEILING,
        text.ORACLE,
        text.UNTUNED,
    ):
        assert sentence in page
    assert "IRM has 9 of 12 runs" in page
    assert "Not run yet: fishr." in page
    assert made.info.recompute in page
    assert made.info.rules in page


def test_a_page_without_pictures_reference_or_intervals() -> None:
    made = build(*board({"sam": 0.6}, trials=1), info(trials=1))
    page = html.render(made)
    Page(page)
    assert "There is one trial for each target" in page
    assert "<img" not in page


def test_contamination_is_marked() -> None:
    shifted = {family: {"a": 0.5} for family in FAMILIES}
    pool = [candidate("erm", shifted=shifted, trained=["blur", "edges"]), candidate("sam", shifted=shifted)]
    rules = info(domains=("b",), trials=1, criterion="augmented_all")
    page = html.render(build(*tables(pool), rules))
    assert "ERM †" in page
    assert "trained with blur, edges, which also selected its models" in page


def test_held_out_families_are_told() -> None:
    shifted = {family: {"a": 0.5} for family in ("blur", "edges", "geometric")}
    pool = [
        candidate("erm", shifted=shifted, trained=["geometric", "blur"]),
        candidate("sam", shifted=shifted, trained=["geometric"]),
    ]
    made = build(*tables(pool), info(domains=("b",), trials=1, criterion="augmented"))
    assert text.selection(made) == (
        "Models were selected by augmented validation (strict). Shift families used: edges. "
        "Held out where training used them: blur (for ERM); geometric (all)."
    )


def test_the_terminal_table_fits_120_columns(made: Leaderboard) -> None:
    out = io.StringIO()
    terminal.show(made, Console(file=out, width=120))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 120
    assert any("SAM" in line or "<script>" in line for line in lines)
    assert "…" not in out.getvalue()
    # the same numbers as everywhere
    erm = next(entry for entry in made.tracks[0].entries if entry.algorithm == "erm")
    assert any(text.with_margin(erm.accuracy) in line and line.strip().startswith(str(erm.rank)) for line in lines)


def test_many_domains_do_not_overflow_the_terminal() -> None:
    domains = tuple(f"location_{i}" for i in range(10))
    many = build(*board({"erm": 0.2, "sam": 0.3}, domains=domains), info(domains=domains))
    out = io.StringIO()
    terminal.show(many, Console(file=out, width=120))
    sam = many.tracks[0].entries[0]
    assert any(text.with_margin(sam.accuracy) in line for line in out.getvalue().splitlines())
    assert all(len(line) <= 120 and "…" not in line for line in out.getvalue().splitlines())


def test_markdown_tables_are_rectangular(made: Leaderboard) -> None:
    blocks = re.split(r"\n\n+", markdown.render(made))
    found = [block.splitlines() for block in blocks if block.startswith("| ")]
    assert len(found) == 4
    for lines in found:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1


def test_where_markdown_says_the_numbers_come_from_nothing_is_said_twice_or_lost() -> None:
    metrics, runs = board({"erm": 0.5, "sam": 0.6}, domains=DOMAINS, trials=3, noise=0.01)
    made = build(metrics, runs, info(domains=DOMAINS, trials=3), {}, {"data": "shapes 97ba7f63", "page made": "today"})
    said = markdown.render(made).split("## Provenance")[1]
    keys = re.findall(r"^\* ([^:]+): ", said, re.MULTILINE)
    assert keys == ["board", "targets", "budget", "data", "page made"]
    assert "* data: shapes 97ba7f63\n" in said
    assert f"* targets: {', '.join(DOMAINS)}; " in said


def test_files_come_back_as_they_were_written(made: Leaderboard, tmp_path: Path) -> None:
    paths = files.write(made, tmp_path / "rendered")
    assert sorted(p.name for p in (tmp_path / "rendered").iterdir()) == sorted(p.name for p in paths)
    table = pl.read_csv(tmp_path / "rendered" / "leaderboard.csv")
    assert table["algorithm"].to_list() == [e.algorithm for t in made.tracks for e in t.entries]
    assert table["accuracy"].to_list() == [e.accuracy.mean for t in made.tracks for e in t.entries]
    assert table.filter(pl.col("algorithm") == "erm")["versus_erm"].to_list() == [None]
    assert table.filter(pl.col("algorithm") == "irm")["rank"].to_list() == [None]
    cells = pl.read_csv(tmp_path / "rendered" / "cells.csv")
    assert cells.height == made.cells.height
    assert cells["accuracy"].to_list() == made.cells["accuracy"].to_list()
    # the board's mean can be computed again from the cells
    erm = (
        cells.filter(pl.col("algorithm") == "erm").group_by("target").agg(pl.col("accuracy").mean())["accuracy"].mean()
    )
    assert erm == pytest.approx(table.filter(pl.col("algorithm") == "erm")["accuracy"].item())


@pytest.mark.parametrize(
    ("low", "high", "ends"),
    [(0.61, 0.78, (0.6, 0.8)), (0.0, 1.0, (0.0, 1.0)), (-2.3, -0.4, (-2.5, 0.0)), (0.5, 0.5, (0.495, 0.505))],
)
def test_an_axis_has_round_ends_around_its_values(low: float, high: float, ends: tuple[float, float]) -> None:
    scale = Scale.spanning(low, high)
    assert (scale.low, scale.high) == pytest.approx(ends)
    assert 0 <= scale(low) <= scale(high) <= 100
    assert (scale(scale.low), scale(scale.high)) == (0, 100)
    assert len(scale.ticks) <= 7
    assert all(float(f"{tick:.10g}") == tick for tick in scale.ticks), "as they are read: no trace of binary fractions"


def test_one_failure_does_not_squeeze_the_axis() -> None:
    good = [estimate([[mean - 0.01, mean + 0.01, mean]]) for mean in (0.60, 0.62, 0.64, 0.66)]
    assert Scale.over([*good, estimate([[0.1, 0.1, 0.1]])]) == Scale.over(good)
    assert Scale.over(good).low <= 0.58
    # two that differ by little are both inside
    assert Scale.over([estimate([[0.6]]), estimate([[0.57]])]).low <= 0.57


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.123, "0.12 s"), (4.26, "4.3 s"), (41.4, "41 s"), (150, "2 min"), (12_300, "3.4 h")]
)
def test_durations(seconds: float, said: str) -> None:
    assert text.duration(seconds) == said


@pytest.mark.parametrize(("share", "said"), [(0.0123, "+1.2"), (-0.0044, "−0.4"), (0, "+0.0")])
def test_differences_carry_a_sign(share: float, said: str) -> None:
    assert text.signed(share) == said


def test_the_headline_claims_no_more_than_the_ranks() -> None:
    clear = build(*board({"erm": 0.5, "sam": 0.9}, trials=5, noise=0.001), info(trials=5)).tracks[0]
    assert text.headline(clear) == "SAM leads the inductive track."
    tied = build(*board({"erm": 0.5, "sam": 0.9}, trials=1), info(trials=1)).tracks[0]
    assert text.headline(tied) == "On the inductive track no algorithm is shown to beat SAM or ERM."


def test_the_headline_of_many_leaders_names_the_first() -> None:
    names = [f"a{number}" for number in range(12)]
    tied = build(*board(dict.fromkeys(names, 0.5), trials=1), info(trials=1, algorithms=tuple(names))).tracks[0]
    said = text.headline(tied)
    assert said.startswith("On the inductive track no algorithm is shown to beat any of 12 of 12: ")
    assert said.endswith(" and 4 more.")
    assert [entry.title for entry in tied.entries if entry.title in said] == [e.title for e in tied.entries[:8]]


def renderings(made: Leaderboard) -> dict[str, str]:
    out = io.StringIO()
    terminal.show(made, Console(file=out, width=200))
    return {"html": html.render(made), "markdown": markdown.render(made), "terminal": out.getvalue()}


def flat(rendering: str) -> str:
    """Without what a rendering adds to text: line breaks and escapes."""
    return " ".join(rendering.replace("\\", "").split())


def test_a_board_of_one_draw_says_in_every_rendering_that_nothing_was_tuned() -> None:
    for draws in (1, 2):
        pool = [
            candidate("erm", target, 0, draw, clean={"a" if target == "b" else "b": 0.9})
            for target in ("a", "b")
            for draw in range(draws)
        ]
        for name, rendering in renderings(build(*tables(pool), info(trials=1, draws=draws))).items():
            assert ("Nothing was tuned" in flat(rendering)) == (draws == 1), name


def test_every_rendering_says_what_the_backbone_was_pretrained_on(made: Leaderboard) -> None:
    for name, rendering in renderings(made).items():
        assert "Backbone: dgbench:vit-micro@letters, pretrained on: Letters A to Z." in flat(rendering), name
    random = build(*tables([candidate("erm", pretrained_on="")]), info(domains=("b",), trials=1))
    assert "dgbench:vit-micro@letters, from random weights." in flat(markdown.render(random))


def test_every_rendering_warns_where_nobody_told_what_the_backbone_was_pretrained_on(made: Leaderboard) -> None:
    silent = build(*tables([candidate("erm", pretrained_on=UNTOLD)]), info(domains=("b",), trials=1))
    for name, rendering in renderings(silent).items():
        assert "pretrained on: not told." in flat(rendering), name
        assert "Nobody told what the backbone was pretrained on." in flat(rendering), name
    assert not [rendering for rendering in renderings(made).values() if "Nobody told" in flat(rendering)]


def test_every_rendering_shows_the_ceiling_and_says_what_the_oracle_is(made: Leaderboard) -> None:
    for name, rendering in renderings(made).items():
        assert "Ceiling" in rendering, name
        assert text.CEILING in flat(rendering), name
    assert "| Ceiling\\* | Oracle\\* |" in markdown.render(made)


def test_every_rendering_marks_algorithms_with_the_same_predictions() -> None:
    pool = [
        candidate(name, target, trial, clean={"a" if target == "b" else "b": 0.9}, digest=f"{target}-{trial}", **more)
        for name, more in {"erm": {}, "irm": {"without_effect": "the objective 'irm' acts on nothing"}}.items()
        for target in ("a", "b")
        for trial in range(2)
    ]
    made = build(*tables(pool), info())
    for name, rendering in renderings(made).items():
        shown = flat(rendering).replace("&#39;", "'")
        assert "IRM = ERM" in shown, name
        assert "the same predictions, bit for bit, in every cell (the objective 'irm' acts on nothing)" in shown, name
    assert files.table(made)["same_predictions_as"].to_list() == [None, "erm"]


def test_what_failed_is_named_and_is_not_called_not_run() -> None:
    failed = [Failure("irm", "IRM", target, trial, 0, "out of memory") for target in ("a", "b") for trial in range(2)]
    made = build(*board({"erm": 0.5}), info(), failed=failed)
    for name, rendering in renderings(made).items():
        assert (
            "Failed: IRM on target a, trial 0; target a, trial 1; target b, trial 0 and 1 more: out of memory"
            in flat(rendering)
        ), name
        assert "Not run yet: sam." in flat(rendering), name


def test_no_family_is_both_used_and_held_out() -> None:
    """A linear probe trains on features, the others through a geometric augmentation; one trains so in one trial."""
    shifted = {family: {"a": 0.5} for family in FAMILIES}
    pool = [
        candidate(name, trial=trial, shifted=shifted, trained=trained)
        for trial in range(2)
        for name, trained in {
            "erm": ["geometric"], "sam": ["geometric", "blur"] if trial else ["geometric"], "irm": []
        }.items()
    ]  # fmt: skip
    made = build(*tables(pool), info(domains=("b",), criterion="augmented"))
    said = text.selection(made)
    used, held_out = said.split("Held out")
    assert not [family for family in FAMILIES if family in used and family in held_out]
    assert held_out == (" where training used them: blur (for SAM in some cells); geometric (for ERM, SAM).")
    assert all(family in said for family in FAMILIES)


def test_where_all_trials_gave_the_same_no_interval_is_claimed() -> None:
    made = build(*board({"erm": 0.5}, trials=3), info(trials=3))
    metrics, runs = board({"erm": 0.5}, trials=3)
    flatline = metrics.with_columns(
        accuracy=pl.when(pl.col("split") == "target").then(0.5).otherwise(pl.col("accuracy"))
    )
    same = build(flatline, runs, info(trials=3)).tracks[0].entries[0]
    assert text.with_margin(same.accuracy) == "50.0"
    assert "±" in text.with_margin(made.tracks[0].entries[0].accuracy)


def test_an_axis_that_crosses_zero_has_zero_on_it() -> None:
    assert 0.0 in Scale.spanning(-0.15, 0.1).ticks
    assert 0.0 in Scale.spanning(-0.137, 0.094).ticks
