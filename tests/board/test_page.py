"""The page of a board: what stands on it, that it is drawn right, and that everyone can read it."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from board.synthetic import DOMAINS, board, candidate, info, tables
from board.test_render import Page

from dgbench.board.build import build
from dgbench.board.leaderboard import Leaderboard
from dgbench.board.render import files, html, latex, text
from dgbench.board.render.bibtex import bibliography
from dgbench.board.render.candidates import look, mark
from dgbench.board.render.chosen import chosen
from dgbench.board.render.comparisons import matrix
from dgbench.board.render.diagram import MOST, diagram
from dgbench.board.render.frame import Found, Frame
from dgbench.board.render.scatter import by_cost, on_the_line

SKILLS = {"erm": 0.5, "sam": 0.6, "irm": 0.35, "swad": 0.61, "coral": 0.52}
TEMPLATES = Path(html.__file__).parent / "templates"


def made_of(skills: dict[str, float], domains: tuple[str, ...] = DOMAINS, noise: float = 0.01) -> Leaderboard:
    records = board(skills, domains=domains, trials=4, noise=noise)
    return build(*records, info(domains=domains, trials=4, algorithms=tuple(skills)))


@pytest.fixture(scope="module")
def made() -> Leaderboard:
    return made_of(SKILLS)


@pytest.fixture(scope="module")
def page(made: Leaderboard) -> Page:
    return Page(html.render(made))


def test_ranks_are_shown_with_both_ends(made: Leaderboard, page: Page) -> None:
    for entry in made.entries:
        assert entry.rank is not None
        assert entry.rank_worst is not None
        shown = f"{entry.rank}–{entry.rank_worst}" if entry.rank < entry.rank_worst else f"{entry.rank}"
        assert [row[0] for row in page.rows if len(row) == 11 and row[1] == entry.title] == [shown]


def test_every_address_is_a_file_beside_the_page(made: Leaderboard, page: Page, tmp_path: Path) -> None:
    written = {path.name for path in files.write(made, tmp_path)}
    linked = {value for tag, name, value in page.attributes if (tag, name) == ("a", "href")}
    ids = {value for _, name, value in page.attributes if name == "id"}
    assert {"leaderboard.csv", "leaderboard.tex", "cells.csv", "pairs.csv", "criteria.csv", "methods.bib"} <= linked
    for href in linked:
        assert href.removeprefix("#") in ids if href.startswith("#") else href in written, href


def test_the_page_has_what_a_screen_reader_goes_by(made: Leaderboard) -> None:
    source = html.render(made)
    page = Page(source)
    tags = {tag for tag, _, _ in page.attributes}
    assert {"nav", "section", "table", "th"} <= tags
    assert source.count("<main") == source.count("<h1") == 1
    assert source.count("<table") == source.count("<caption"), "every table says what it is"
    levels = [int(level) for level in re.findall(r"<h(\d)", source)]
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    headings = re.findall(r"<th\b[^>]*>", source)
    assert headings
    assert all('scope="' in heading for heading in headings)
    sortable = re.findall(r'<table class="sortable.*?</thead>', source, re.DOTALL)
    assert sum("aria-sort" in table for table in sortable) == len(made.tracks)
    identifiers = [value for _, name, value in page.attributes if name == "id"]
    assert len(set(identifiers)) == len(identifiers)
    for _, name, value in page.attributes:
        if name in ("for", "aria-labelledby", "aria-controls"):
            assert value in identifiers, value
    for svg in re.findall(r"<svg\b[^>]*>", source):
        assert "aria-label=" in svg or "aria-hidden=" in svg or 'height="16"' in svg, svg


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_both_schemes(scheme: str) -> None:
    style = (TEMPLATES / "page.css").read_text(encoding="utf-8")
    light, dark = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", light if scheme == "light" else dark))
    for words, ground in itertools.product(("ink", "soft", "faint", "accent"), ("paper", "band")):
        assert contrast(colours[words], colours[ground]) >= 4.5, (words, ground)
    for ground in ("shade", "better", "worse"):
        assert contrast(colours["ink"], colours[ground]) >= 4.5, ground
    for number in range(8):
        assert contrast(colours[f"c{number}"], colours["paper"]) >= 3, number


def test_twenty_two_targets_look_different() -> None:
    looks = {(look(number), mark(number)) for number in range(22)}
    assert len(looks) == 22
    assert len({look(number) for number in range(22)}) == 22
    domains = tuple(f"location_{i}" for i in range(22))
    pool = [candidate("erm", domain, trial) for domain in domains for trial in range(2)]
    shown = html.render(build(*tables(pool), info(domains=domains, algorithms=("erm",))))
    assert "turned" in shown
    assert "tall" in shown


def test_the_matrix_says_what_the_ranks_say(made: Leaderboard) -> None:
    track = made.tracks[0]
    found = matrix(track)
    assert found is not None
    for entry, row in zip(found.results, found.rows, strict=True):
        verdicts = [cell.verdict for cell in row if cell is not None]
        assert entry.rank == 1 + verdicts.count("worse")
        assert entry.rank_worst == len(found.results) - verdicts.count("better")
    for i, j in itertools.permutations(range(len(found.results)), 2):
        one, other = found.rows[i][j], found.rows[j][i]
        assert one is not None
        assert other is not None
        assert (one.difference.mean, one.p) == pytest.approx((-other.difference.mean, other.p))
        expected = found.results[i].accuracy.mean - found.results[j].accuracy.mean
        assert one.difference.mean == pytest.approx(expected)


def test_groups_are_the_longest_runs_of_whom_no_two_differ() -> None:
    many = made_of({f"m{i}": 0.5 + 0.006 * i for i in range(12)}, noise=0.012)
    found = matrix(many.tracks[0])
    assert found is not None

    def even(first: int, last: int) -> bool:
        pairs = itertools.combinations(range(first, last + 1), 2)
        return all(cell is not None and cell.verdict == "even" for cell in (found.rows[i][j] for i, j in pairs))

    size = len(found.results)
    runs = [(i, j) for i in range(size) for j in range(i + 1, size) if even(i, j)]
    longest = [(i, j) for i, j in runs if not any(a <= i and j <= b and (a, b) != (i, j) for a, b in runs)]
    assert list(found.groups) == longest
    assert len(longest) > 1


def test_the_line_is_the_regression_on_the_probit_scale(made: Leaderboard) -> None:
    pool = [
        candidate(name, "b", trial, clean={"a": source}, on_target=target)
        for trial in range(2)
        for name, (source, target) in {
            "erm": (0.80, 0.50), "sam": (0.85, 0.60), "irm": (0.70, 0.42), "swad": (0.95, 0.66)
        }.items()
    ]  # fmt: skip
    four = build(*tables(pool), info(domains=("b",), algorithms=("erm", "sam", "irm", "swad")))
    plot = on_the_line(four)
    assert plot is not None
    probit = scipy.stats.norm.ppf
    fit = scipy.stats.linregress(probit([0.80, 0.85, 0.70, 0.95]), probit([0.50, 0.60, 0.42, 0.66]))
    said = f"slope {fit.slope:.2f}, intercept {fit.intercept:.2f}, R² {fit.rvalue**2:.2f} over 4 algorithms"
    assert said.replace("-", "−") in plot.caption
    where = {dot.algorithm: dot for dot in plot.dots}
    assert where["irm"].x < where["erm"].x < where["sam"].x < where["swad"].x
    assert where["irm"].y > where["erm"].y > where["sam"].y > where["swad"].y
    above = 100 * (0.60 - scipy.stats.norm.cdf(fit.intercept + fit.slope * probit(0.85)))
    above = f"{above:+.1f}".replace("-", "−")
    assert where["sam"].said == f"SAM: 85.0 % on the source, 60.0 % on the target, {above} points off the line"
    assert on_the_line(made_of({"erm": 0.5, "sam": 0.6})) is None
    same = on_the_line(made)
    assert same is not None
    assert "no line is fitted" in same.caption


def test_cost_is_drawn_where_there_is_one(made: Leaderboard) -> None:
    plot = by_cost(made)
    assert plot is not None
    assert {dot.algorithm for dot in plot.dots} == set(SKILLS)
    assert by_cost(build(*tables([candidate("erm", train_seconds=0.0)]), info(domains=("b",), trials=1))) is None


def test_every_dot_says_whose_it_is(made: Leaderboard) -> None:
    source = html.render(made)
    for entry in made.entries:
        assert source.count(f"<title>{entry.title}: ") == 2
        for domain in DOMAINS:
            assert f"<title>{entry.title} on {domain}</title>" in source


def test_chosen_hyperparameters_are_counted() -> None:
    settings = '{{"optimizer":{{"part":"sam","version":1,"rho":{rho},"lr":0.001}}}}'
    pool = [
        candidate("sam", "b", trial, draw, clean={"a": 0.9 - 0.1 * (draw != trial % 2)}, hyperparameters=given)
        for trial in range(3)
        for draw, given in enumerate((settings.format(rho=0.05), settings.format(rho=0.1)))
    ]
    made = build(*tables(pool), info(domains=("b",), trials=3, draws=2, algorithms=("sam",)))
    found = chosen(made)["sam"]
    assert found.parts == {"optimizer": "sam"}
    assert found.values == {"optimizer.rho": {"0.05": 2, "0.1": 1}, "optimizer.lr": {"0.001": 3}}
    assert found.said(found.values["optimizer.rho"]) == "0.05 (2 of 3), 0.1 (1 of 3)"
    assert found.said(found.draws) == "0 (2 of 3), 1 (1 of 3)"


def test_datasets_have_their_means() -> None:
    pool = [
        candidate("erm", f"{dataset}: {domain}", trial, clean={"s": 0.9}, on_target=accuracy, dataset=dataset)
        for trial in range(2)
        for dataset, domain, accuracy in (("d", "x", 0.2), ("d", "y", 0.4), ("e", "z", 0.9))
    ]
    weights = {"d: x": 0.5, "d: y": 0.5, "e: z": 1.0}
    made = build(*tables(pool), info(domains=tuple(weights), weights=weights, algorithms=("erm",)))
    (entry,) = made.entries
    assert {name: value.mean for name, value in entry.datasets.items()} == pytest.approx({"d": 0.3, "e": 0.9})
    assert entry.accuracy.mean == pytest.approx(0.6)
    assert "Dataset by dataset" in html.render(made)


def test_latex_prints_names_and_runs_nothing() -> None:
    hostile = r"\input{/etc/passwd} $x_1$ % & # ~ ^ {"
    pool = [candidate("erm", hostile, trial, clean={"a": 0.9}) for trial in range(2)]
    made = build(*tables(pool), info(title=hostile, domains=(hostile,), algorithms=("erm",)))
    shown = latex.render(made)
    assert r"\input" not in shown
    assert r"\textbackslash{}input\{/etc/passwd\} \$x\_1\$ \% \& \#" in shown
    lines = shown.splitlines()
    body = lines[lines.index(r"\midrule") + 1]
    assert body == r"1 & ERM & 50.0 & 50.0 \\"


def test_the_bibliography_has_each_paper_once() -> None:
    found = bibliography(["sam", "sam + swad", "erm", "no such algorithm"])
    keys = re.findall(r"@inproceedings\{(\w+),", found)
    assert len(keys) == len(set(keys)) == 3
    assert found.count("{") == found.count("}")
    assert "J. Cha and S. Chun" in found


def test_the_search_index_ends_no_script(made: Leaderboard) -> None:
    frame = Frame(root="", search=[Found("</script><script>alert(1)</script>", "board", "x.html")])
    source = html.render(made, frame)
    assert "</script><script>alert" not in source
    assert source.count("<script") == 1


def test_intervals_of_shares_are_said_by_both_ends_where_they_are_cut() -> None:
    pool = [candidate("erm", "b", trial, on_target=value) for trial, value in enumerate((0.90, 0.99))]
    (entry,) = build(*tables(pool), info(domains=("b",), algorithms=("erm",))).entries
    assert text.with_margin(entry.accuracy) == "94.5 (37.3 to 100.0)"


def test_levels_and_pretraining_are_shown_and_filtered_by_where_they_differ() -> None:
    pool = [
        candidate(name, target, trial, clean={"s": 0.9}, pretrained_on=past, backbone=backbone)
        for name, backbone, past in (("erm", "vit", "Letters"), ("sam", "resnet", ""), ("sam@1", "vit", "Letters"))
        for target in ("a", "b")
        for trial in range(2)
    ]
    names = ("erm", "sam", "sam@1")
    page = Page(html.render(build(*tables(pool), info(algorithms=names, levels={"sam@1": "recomputed"}))))
    assert any("SAM@1 (recomputed)" in row for row in page.rows)
    labelled = {value for tag, name, value in page.attributes if (tag, name) == ("select", "data-whole")}
    assert labelled == {"level", "backbone", "pretrained"}
    assert {"Pretrained on↕", "Pretrained on"} & set(page.rows[0])
    levels = {value for tag, name, value in page.attributes if (tag, name) == ("tr", "data-level")}
    assert levels == {"run here", "recomputed"}
    plain = Page(html.render(made_of(SKILLS)))
    assert not [value for tag, name, value in plain.attributes if (tag, name) == ("select", "data-whole")]


def test_a_diagram_joins_whom_the_data_cannot_separate_and_its_lines_do_not_cross() -> None:
    found = matrix(made_of({f"m{i}": 0.5 + 0.006 * i for i in range(11)}, noise=0.012).tracks[0])
    assert found is not None
    drawn = diagram(found)
    assert drawn is not None
    places = [label.x for label in drawn.labels]
    assert places == sorted(places, reverse=True), "the better, the further right"
    low, high = ((x, float(said) / 100) for x, said in (drawn.ticks[0], drawn.ticks[-1]))
    for label, entry in zip(drawn.labels, found.results, strict=True):
        share = (entry.accuracy.mean - low[1]) / (high[1] - low[1])
        assert (label.name, label.said) == (entry.algorithm, text.percent(entry.accuracy.mean))
        assert label.x == pytest.approx(low[0] + share * (high[0] - low[0]), abs=0.1)
    joined = [{n for n, x in enumerate(places) if left + 3.9 <= x <= right - 3.9} for left, right, _ in drawn.bars]
    assert joined == [set(range(first, last + 1)) for first, last in found.groups]
    for one, other in itertools.permutations(drawn.labels, 2):
        if one.right == other.right and one.y < other.y:  # a name further down hangs further in
            assert one.x >= other.x if one.right else one.x <= other.x
    assert max(y for *_, y in drawn.bars) < min(label.y for label in drawn.labels) < drawn.height


def test_a_diagram_is_drawn_where_it_can_be_followed() -> None:
    few, many = (made_of({f"m{i}": 0.4 + 0.01 * i for i in range(count)}) for count in (MOST, MOST + 1))
    assert 'class="critical"' in html.render(few)
    assert 'class="critical"' not in html.render(many)
