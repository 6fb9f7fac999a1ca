"""A site is whole, its links lead somewhere, its numbers are the board's, and no name acts on it."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import unquote

import numpy as np
import polars as pl
import pytest
from board.synthetic import DOMAINS, picture
from board.test_hostile_names import PIECES, Tags, no_commands
from board.test_render import Page
from comparing.called import within
from sites.made import few_cards, shown_board, small_site

import dgbench
from dgbench.board.explain import Explanations
from dgbench.board.misses import Misses
from dgbench.board.render import files, text
from dgbench.core.errors import DGBenchError, StoreError
from dgbench.selection.criteria import Criterion, get
from dgbench.site.build import MARK, _Writer, build
from dgbench.site.shown import Shown


def two(*_: object) -> tuple[Criterion, ...]:
    return get("augmented"), get("source")


two_criteria = mock.patch("dgbench.site.shown.at_hand", two)
"""Nor is there a leaderboard by each criterion, where two will do."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "site"
    pictures = {"digits": {domain: {"clean": picture(1), "blur": picture(2)} for domain in DOMAINS}}
    portraits = {"digits": {(domain, row): picture(row) for domain in DOMAINS for row in (0, 2)}}
    shown = Shown(small_site().boards, small_site().waiting, pictures, portraits, {"digits": tuple("abcdefghij")})
    count = build(shown, folder)
    assert count == len(list(folder.rglob("*.html")))
    return folder


def pages(site: Path) -> dict[str, str]:
    return {str(path.relative_to(site)): path.read_text(encoding="utf-8") for path in site.rglob("*.html")}


def test_every_link_of_every_page_leads_somewhere(site: Path) -> None:
    sources = pages(site)
    parsed = {name: Page(source) for name, source in sources.items()}
    ids = {name: {value for _, key, value in page.attributes if key == "id"} for name, page in parsed.items()}
    followed = 0
    for name, page in parsed.items():
        for tag, key, value in page.attributes:
            if key not in ("href", "src", "action", "poster", "srcset", "data"):
                continue
            if tag == "img":
                assert value.startswith("data:image/png;base64,")
                continue
            assert (tag, key) == ("a", "href")
            path, _, fragment = value.partition("#")
            assert not re.match(r"[a-z]+:|/", path), value
            target = (site / name).parent / unquote(path) if path else site / name
            assert target.resolve().is_file(), (name, value)
            if fragment:
                assert fragment in ids[str(target.resolve().relative_to(site.resolve()))], (name, value)
            followed += 1
        assert not re.search(r"@import|url\(|<link|<iframe|<object", sources[name])
        assert "default-src 'none'" in sources[name]
    assert followed > 500


def test_every_page_has_landmarks_a_search_and_one_heading(site: Path) -> None:
    for name, source in pages(site).items():
        assert source.count("<main") == source.count("<h1") == source.count("<search") == 1, name
        assert source.count("<table") == source.count("<caption"), name
        assert 'aria-label="Site"' in source
        assert source.count('aria-label="On this page"') == 1, name
        contents = source[source.index('aria-label="On this page"') : source.index("<main")]
        assert "<a href=" in contents, name
        assert all('scope="' in heading for heading in re.findall(r"<th\b[^>]*>", source))
        identifiers = [value for _, key, value in Page(source).attributes if key == "id"]
        assert len(set(identifiers)) == len(identifiers), name
        levels = [int(level) for level in re.findall(r"<h(\d)", source)]
        assert all(after - before <= 1 for before, after in itertools.pairwise(levels)), name


def test_the_numbers_are_the_boards_on_every_page(site: Path) -> None:
    board = shown_board()
    for criterion, made in board.leaderboards.items():
        folder = site / "boards" / "quick" / criterion
        assert pl.read_csv(folder / "leaderboard.csv").equals(
            pl.read_csv(files.comma_separated(files.table(made)).encode())
        )
        assert text.headline(made.tracks[0]) in (folder / "leaderboard.html").read_text(encoding="utf-8")
    for entry in board.own.entries:
        page = (site / "algorithms" / f"{entry.algorithm}.html").read_text(encoding="utf-8")
        shown = " ".join("".join(cell.split()) for row in Page(page).rows for cell in row)
        assert text.percent(entry.accuracy.mean) in shown
        assert text.rank(entry) in shown
    dataset = (site / "datasets" / "digits.html").read_text(encoding="utf-8")
    assert dataset.count("data:image/png") == 2 * len(DOMAINS) + 2 * len(DOMAINS), "views, and missed images"
    erm = next(entry for entry in board.own.entries if entry.algorithm == "erm")
    cells = board.own.cells.filter(pl.col("algorithm") == "erm")
    gaps = cells.group_by("target").agg((pl.col("source_accuracy") - pl.col("accuracy")).mean().alias("lost"))
    assert gaps["lost"].mean() == pytest.approx(erm.gap.mean)
    for target, lost in gaps.iter_rows():
        assert any(row[0] == target and row[3] == text.percent(lost) for row in Page(dataset).rows if len(row) == 4)


def test_every_step_leads_to_the_number() -> None:
    """From the validation streams to the score, from the scores to the choice, from the choices to the mean."""
    board = shown_board()
    explained = Explanations(board.records, board.leaderboards)
    assert [criterion.name for criterion in explained.criteria] == ["augmented", "source"]
    for entry in board.own.entries:
        cells = explained.of(entry.algorithm)
        assert [(cell.target, cell.trial) for cell in cells] == [(d, t) for d in DOMAINS for t in range(3)]
        for cell in cells:
            means = [np.mean([views[view] for view in cell.views]) for views in cell.streams.values()]
            assert cell.score == pytest.approx(np.mean(means))
            assert cell.score == max(one.scores["augmented"] for one in cell.candidates)
            assert cell.chosen.chosen_by == ["augmented", "source"]
            assert cell.chosen.correct == round(cell.chosen.accuracy * cell.chosen.n)
        found = np.mean([np.mean([c.chosen.accuracy for c in cells if c.target == domain]) for domain in DOMAINS])
        assert found == pytest.approx(entry.accuracy.mean)


def test_the_page_of_runs_shows_the_steps(site: Path) -> None:
    board = shown_board()
    page = (site / "boards" / "quick" / "runs" / "sam.html").read_text(encoding="utf-8")
    sam = next(entry for entry in board.own.entries if entry.algorithm == "sam")
    assert f"{sam.accuracy.mean:.4f}" in page
    assert page.count('<details class="cell"') == len(DOMAINS) * 3
    assert "dgbench run board.toml -a sam" in page


def test_missed_images_are_shown_the_surest_mistakes_first(site: Path) -> None:
    """A picture where there is one, and always a name; nothing where predictions are not at hand."""
    page = (site / "boards" / "quick" / "runs" / "sam.html").read_text(encoding="utf-8")
    missed = page[page.index('id="missed"') :]
    assert [target for target in DOMAINS if f"<h3>{target}</h3>" in missed] == list(DOMAINS)
    first = missed[: missed.index("</ul>")]
    assert re.findall(r"<code>0*(\d)</code>", first) == ["2", "1", "0"]
    assert "".join(re.findall(r"<b>(.)</b>", first)) == "cj" + "bj" + "aj"
    assert re.findall(r"<small>([\d.]+) % sure", first) == ["58.0", "54.0", "50.0"]
    assert first.count("missed in 3 of 3 trials") == 3
    assert first.count("data:image/png") == 2
    assert "3 of 12 images were missed in every trial" in missed
    dataset = (site / "datasets" / "digits.html").read_text(encoding="utf-8")
    assert dataset.count("missed by 15 of 15 models") == 3 * len(DOMAINS)


@few_cards
def test_without_predictions_no_image_is_shown_and_that_is_said(tmp_path: Path) -> None:
    build(small_site(replace(shown_board(), misses=Misses())), tmp_path / "site")
    page = (tmp_path / "site" / "boards" / "quick" / "runs" / "sam.html").read_text(encoding="utf-8")
    assert 'id="missed"' not in page
    assert "no missed image can be shown" in page
    assert "nearly everyone" not in (tmp_path / "site" / "datasets" / "digits.html").read_text(encoding="utf-8")


@few_cards
def test_submissions_have_pages_of_their_own_and_the_command_of_their_recipe(tmp_path: Path) -> None:
    build(small_site(shown_board(suffix="@2")), tmp_path / "site")
    page = (tmp_path / "site" / unquote(Shown([shown_board(suffix="@2")]).algorithms["sam@2"])).read_text(
        encoding="utf-8"
    )
    assert "<h1>SAM@2, submission 2</h1>" in page
    assert "Foret" in page, "the card of the method"
    assert "dgbench run board.toml -a sam --" in page, "rules of their own have a file of their own"
    unknown = shown_board(suffix="-of-others")
    build(small_site(unknown), tmp_path / "other")
    page = (tmp_path / "other" / "algorithms" / "sam-of-others.html").read_text(encoding="utf-8")
    assert "There is no card of this name here" in page
    assert "dgbench run" not in page


@few_cards
def named(title: str, suffix: str, room: Path) -> dict[str, str]:
    """The pages of a site on which everything that people name has such a name; nothing else is written."""
    folder = room / "site"
    build(small_site(shown_board(title, title, (f"a{suffix}", f"b{suffix}"), suffix)), folder)
    assert {path.parent for path in folder.rglob("*.html")} <= {
        folder, folder / "algorithms", folder / "datasets", folder / "boards" / "quick" / "runs",
        folder / "boards" / "quick" / "augmented", folder / "boards" / "quick" / "source",
    }  # fmt: skip
    assert list(room.iterdir()) == [folder], "nothing is written outside"
    return pages(folder)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return named("plain", "plain", tmp_path_factory.mktemp("plain"))


HOSTILE = ["../../x", *PIECES[::7]]


@pytest.mark.parametrize("pieces", [HOSTILE[at::3] for at in range(3)])
def test_no_name_acts_on_any_page(pieces: list[str], plain: dict[str, str], tmp_path: Path) -> None:
    name = " ".join(("plain", *pieces))
    hostile = named(name, name, tmp_path)
    assert len(plain) == len(hostile)
    for source in hostile.values():
        assert no_commands(source.replace("\n", ""))
    assert tags(hostile) == tags(plain)


def tags(sources: dict[str, str]) -> list[list[str]]:
    """The tags of every page, whatever the pages are called."""
    return sorted(Tags(source).tags for source in sources.values())


@few_cards
def test_a_site_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "site"
    build(small_site(), folder)
    before = pages(folder)

    def fail(*_: Any) -> int:
        raise RuntimeError("midway")

    monkeypatch.setattr(_Writer, "write", fail)
    with pytest.raises(RuntimeError, match="midway"):
        build(small_site(shown_board("Another title")), folder)
    with pytest.raises(RuntimeError, match="midway"):
        build(small_site(), tmp_path / "new")
    assert pages(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["site"]
    monkeypatch.undo()
    build(small_site(shown_board("Another title")), folder)
    assert "Another title" in (folder / "index.html").read_text(encoding="utf-8")


@few_cards
def test_no_other_folder_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    (tmp_path / "file").write_text("a file")
    for name in ("thesis", "file"):
        with pytest.raises(DGBenchError, match=f"{name} is no site of dgbench"):
            build(small_site(), tmp_path / name)
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "years of work"
    (tmp_path / "empty").mkdir()
    build(small_site(), tmp_path / "empty")
    assert (tmp_path / "empty" / MARK).is_file()


@few_cards
def test_boards_without_results_have_a_site_that_says_how_to_make_some(tmp_path: Path) -> None:
    build(Shown((), waiting=(dgbench.rules("quick"),)), tmp_path / "site")
    home = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert "No board has results yet" in home
    assert "dgbench run quick" in home
    with pytest.raises(StoreError, match="holds nothing of 'wilds'"):
        dgbench.build_site(tmp_path / "other", ["wilds"], store=tmp_path / "store")
    assert not (tmp_path / "other").exists()


@few_cards
@two_criteria
def test_a_board_of_submissions_has_a_site_without_any_store(tmp_path: Path) -> None:
    """What is shown is what was submitted; nothing is fetched to show it, and the tables beside it are the board's."""
    done = within("site", "build", "emoji", "-o", "site", "--store", "store", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"folder": str(tmp_path / "site"), "pages": len(pages(tmp_path / "site"))}
    assert [path.name for path in tmp_path.iterdir()] == ["site"]
    folder = tmp_path / "site" / "boards" / "emoji" / "augmented"
    assert (folder.with_name("source") / "leaderboard.html").is_file()
    kept = Path(__file__).parents[2] / "leaderboards" / "emoji"
    exported = pl.read_csv(folder / "leaderboard.csv")
    assert exported["accuracy"].to_list() == pytest.approx(pl.read_csv(kept / "leaderboard.csv")["accuracy"].to_list())
    assert set(exported["level"]) <= {"recomputed", "spot re-run", "full re-run"}
    shown = (folder / "leaderboard.html").read_text(encoding="utf-8")
    assert all(f"({level})" in shown for level in set(exported["level"]))


def test_pages_are_made_without_torch() -> None:
    code = (
        "import sys, dgbench.site.build\n"
        "print([name for name in ('torch', 'torchvision', 'timm', 'kornia') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
