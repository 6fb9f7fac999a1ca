"""Pages in a real browser: sorting, filtering, searching, the width of the screen, and that nothing is fetched."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest
from board.synthetic import DOMAINS, candidate, info, picture, tables
from browser import ask, needs_browser, violations
from sites.made import SKILLS, measured, shown_board, small_site

from dgbench.board.build import build as leaderboard
from dgbench.board.rankings import rankings
from dgbench.board.render import files, measures
from dgbench.core.cards import card_names
from dgbench.site.build import build

pytestmark = needs_browser

ROWS = "[...document.querySelectorAll('#inductive tbody tr')]"
NAMES = f"{ROWS}.filter(row => !row.hidden).map(row => row.dataset.name)"
FETCHED = "performance.getEntriesByType('resource').map(entry => entry.name)"
TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


KINDS = (
    "index.html", "algorithms/swad.html", "datasets/digits.html", "boards/quick/runs/erm.html",
    "boards/quick/augmented/leaderboard.html",
)  # fmt: skip
"""A page of every kind."""
INSIDE = """
    const inside = async (html, width) => {
      const frame = document.createElement('iframe');
      frame.style.cssText = `width: ${width}px; height: 800px; border: 0`;
      const loaded = new Promise(done => frame.onload = done);
      frame.srcdoc = html;
      document.body.replaceChildren(frame);
      await loaded;
      return frame.contentDocument;
    };
"""
"""A page in a frame, which may be narrower than browsers are."""


def in_frames(site: Path) -> str:
    """The pages of every kind by name, as JSON in a script."""
    return json.dumps({place: (site / place).read_text(encoding="utf-8") for place in KINDS}).replace("</", "<\\/")


def of_any_length(folder: str) -> tuple[str, ...]:
    """Cards of the board and those with the longest names: all have pages of one kind."""
    return tuple(sorted({*SKILLS, *sorted(card_names(folder), key=len)[-8:]}))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browsed") / "site"
    many = {f"a-domain-called-{number}": {"clean": picture(number), "blur": picture(number + 8)} for number in range(8)}
    with mock.patch("dgbench.site.shown.card_names", of_any_length):
        build(replace(small_site(), galleries={"digits": many}), folder)
    return folder


@pytest.fixture(scope="module")
def page(site: Path) -> Path:
    return site / "boards" / "quick" / "augmented" / "leaderboard.html"


def test_a_heading_sorts_and_sorts_the_other_way(page: Path) -> None:
    answer = ask(
        page,
        f"""
        const heading = [...document.querySelectorAll('#inductive thead button')].find(b => b.textContent === 'Gap');
        const states = [];
        for (let i = 0; i < 2; i++) {{
          heading.focus();
          heading.click();
          states.push([{NAMES}, heading.closest('th').getAttribute('aria-sort'),
            document.querySelectorAll('#inductive [aria-sort]').length]);
        }}
        return states;
        """,
    )
    by_gap = sorted((name for name in SKILLS if name != "t3a"), key=lambda name: -SKILLS[name])
    (first, ascending, one), (second, descending, other) = answer
    assert (first, ascending, one) == (by_gap, "ascending", 1)
    assert (second, descending, other) == (by_gap[::-1], "descending", 1)


def test_filters_hide_rows_and_dots_and_say_how_many_are_left(page: Path) -> None:
    count, names, dots, typed, track, after = ask(
        page,
        f"""
        const form = document.querySelector('form.filters');
        const set = (id, value) => {{
          document.getElementById(id).value = value;
          document.getElementById(id).dispatchEvent(new Event('input', {{bubbles: true}}));
        }};
        const said = () => form.querySelector('output').value;
        set('filter-optimizer', 'sam');
        const dots = [...document.querySelectorAll('.dots[data-plot=line] .dot')];
        const left = dots.filter(dot => !dot.hasAttribute('hidden'));
        const first = [said(), {NAMES}, left.map(dot => dot.dataset.name)];
        set('filter-optimizer', '');
        set('filter-title', 'SW');
        const typed = [said(), {NAMES}];
        set('filter-title', '');
        set('filter-track', 'online');
        const track = [said(), {NAMES}];
        form.querySelector('button').click();
        await new Promise(done => setTimeout(done, 50));
        return [...first, typed, track, [said(), {NAMES}.length]];
        """,
    )
    assert (count, names, dots) == ("1 of 5 algorithms", ["sam"], ["sam"])
    assert typed == ["1 of 5 algorithms", ["swad"]]
    assert track == ["1 of 5 algorithms", []]
    assert after == ["5 of 5 algorithms", 4]


PARTS = (
    "[...document.querySelectorAll('section.track table, table.heats')].flatMap(t => [t.tHead, ...t.tBodies[0].rows])"
)
JUDGE = """
    const judge = async (name) => {
      document.getElementById(`by-${name}`).click();
      await new Promise(done => setTimeout(done, 20));
    };
"""


def test_another_measure_changes_ranks_values_and_order_and_accuracy_comes_back_as_it_was(page: Path) -> None:
    answer = ask(
        page,
        f"""{JUDGE}
        const before = {PARTS}.map(part => part.cloneNode(true));
        await judge('ece');
        const cell = (name) => document.querySelector(`#inductive tr[data-name=irm] td.${{name}}`);
        const heading = document.querySelector('#inductive th.value');
        const shown = {{
          names: {NAMES},
          heading: [heading.textContent, heading.getAttribute('aria-sort')],
          cells: ['rank', 'value', 'worst', 'difference'].map(name => cell(name).textContent),
          whisker: cell('plot').querySelector('svg').getAttribute('aria-label'),
          gap: getComputedStyle(document.querySelector('#inductive td.only')).display,
          heat: [...document.querySelectorAll('table.heats tr[data-name=irm] td.heat')].map(c => c.textContent),
          shade: document.querySelector('table.heats tr[data-name=irm] td.heat').style.getPropertyValue('--heat'),
          said: document.querySelector('form.judges output').textContent,
          address: location.hash,
          links: [...document.querySelectorAll('nav.criteria a[href]')].map(a => a.getAttribute('href')),
        }};
        heading.querySelector('button').click();
        shown.turned = [{NAMES}, heading.getAttribute('aria-sort')];
        await judge('nll');
        shown.nats = cell('value').textContent;
        await judge('accuracy');
        const same = {PARTS}.map((part, at) => part.isEqualNode(before[at]));
        return [shown, same, document.body.hasAttribute('data-judged')];
        """,
    )
    shown, same, judged = answer
    ranking = shown_board().rankings["augmented"].known["ece"]
    places = ranking.tracks["inductive"]
    irm = places[0]
    assert irm.entry.algorithm == "irm", "the least accurate has the least calibration error here"
    assert shown["names"] == [place.entry.algorithm for place in places]
    assert shown["heading"] == ["Calibration error, %", "ascending"]
    assert irm.value is not None
    assert irm.difference is not None
    assert irm.difference.margin is None, "trials differ alike"
    worst = irm.worst(ranking.measure)
    assert worst is not None
    value = f"{measures.number(ranking.measure, irm.value.mean)} {measures.margin(ranking.measure, irm.value)}"
    assert shown["cells"] == [
        measures.rank(irm), value, f"{measures.number(ranking.measure, irm.targets[worst])}{worst}",
        measures.number(ranking.measure, irm.difference.mean, sign=True),
    ]  # fmt: skip
    assert shown["whisker"] == value
    assert shown["gap"] == "none"
    assert shown["heat"] == [measures.number(ranking.measure, irm.targets[target]) for target in DOMAINS]
    assert shown["shade"] == "100", "the least error is the darkest"
    assert "Lower is better" in shown["said"]
    assert "this board's rule is accuracy" in shown["said"]
    assert shown["address"] == "#by-ece"
    assert shown["links"] == ["../source/leaderboard.html#by-ece"]
    assert shown["turned"] == [shown["names"][::-1], "descending"]
    assert shown["nats"] == "0.56 ±0.01"
    assert all(same), "accuracy comes back as it was"
    assert not judged


def test_filters_and_measures_go_together(page: Path) -> None:
    filtered, sorted_ = ask(
        page,
        f"""{JUDGE}
        const field = document.getElementById('filter-title');
        field.value = 's';
        field.dispatchEvent(new Event('input', {{bubbles: true}}));
        await judge('ece');
        const filtered = {NAMES};
        [...document.querySelectorAll('#inductive thead button')].find(b => b.textContent === 'Algorithm').click();
        return [filtered, {NAMES}];
        """,
    )
    assert filtered == ["swad", "sam"], "the one with less error first"
    assert sorted_ == ["sam", "swad"]


def test_an_address_can_name_the_measure_and_what_is_not_known_cannot_be_asked(page: Path, tmp_path: Path) -> None:
    linked = page.with_name("linked.html")
    source = page.read_text(encoding="utf-8")
    linked.write_text(source.replace("<script>", "<script>location.hash = '#by-macro';</script><script>", 1))
    try:
        checked, heading = ask(
            linked,
            "return [document.querySelector('form.judges :checked').value, "
            "document.querySelector('#inductive th.value').textContent]",
        )
    finally:
        linked.unlink()
    assert (checked, heading) == ("macro", "Macro accuracy, %")
    disabled, reason = ask(
        page,
        "return [[...document.querySelectorAll('form.judges :disabled')].map(i => i.value), "
        "document.querySelector('.switches > .aside').textContent]",
    )
    assert disabled == ["worst_group"]
    assert "belong to no groups of at least 10" in reason


def test_what_target_labels_would_choose_is_folded_away(page: Path) -> None:
    before, after = ask(
        page,
        """
        const shown = () => getComputedStyle(document.querySelector('#inductive td.oracle')).display;
        const before = shown();
        document.getElementById('labels').click();
        return [before, shown()];
        """,
    )
    assert (before, after) == ("none", "table-cell")


def test_a_target_of_the_key_is_seen_alone(page: Path) -> None:
    dimmed, pressed, again = ask(
        page,
        """
        const button = document.querySelectorAll('button[data-shows]')[1];
        button.click();
        const paths = [...document.querySelectorAll('path[data-target]')];
        const dimmed = [...new Set(paths.filter(p => p.classList.contains('dim')).map(p => p.dataset.target))];
        const pressed = button.getAttribute('aria-pressed');
        button.click();
        return [dimmed.sort(), pressed, paths.filter(p => p.classList.contains('dim')).length];
        """,
    )
    assert (dimmed, pressed, again) == (["0", "2", "3"], "true", 0)


def test_a_search_finds_and_leads_to_the_page(site: Path) -> None:
    for place in ("index.html", "boards/quick/runs/erm.html"):
        hits, said, href, left = ask(
            site / place,
            """
            const field = document.getElementById('search');
            const type = (words) => { field.value = words; field.dispatchEvent(new Event('input')); };
            type('swad');
            const links = [...document.querySelectorAll('#found a')];
            const hits = links.map(a => [a.firstChild.textContent, a.querySelector('small').textContent]);
            const said = document.getElementById('found-count').textContent;
            const href = links[0].href;
            field.dispatchEvent(new KeyboardEvent('keydown', {key: 'Escape'}));
            return [hits, said, href, document.querySelectorAll('#found a').length];
            """,
        )
        assert hits == [["SWAD", "algorithm"]]
        assert (said, left) == ("1 found", 0)
        assert href == (site / "algorithms" / "swad.html").as_uri()


def test_a_link_unfolds_what_it_leads_to(site: Path) -> None:
    opened = ask(
        site / "boards" / "quick" / "runs" / "erm.html",
        """
        location.hash = '#cell-3';
        await new Promise(done => setTimeout(done, 100));
        return document.getElementById('cell-3').open;
        """,
    )
    assert opened is True


@pytest.mark.parametrize(
    ("place", "width"),
    [
        ("index.html", 500),
        ("algorithms/swad.html", 500),
        ("datasets/imagenet-c.html", 500),
        ("datasets/digits.html", 1280),
        ("boards/quick/runs/erm.html", 500),
        ("boards/quick/augmented/leaderboard.html", 500),
        ("boards/quick/augmented/leaderboard.html", 1280),
    ],
)
def test_no_page_scrolls_sideways_and_none_fetches_anything(site: Path, place: str, width: int) -> None:
    too_wide, fetched = ask(site / place, f"return [{TOO_WIDE}, {FETCHED}]", width=width)
    assert (too_wide, fetched) == (0, [])


def test_no_page_scrolls_sideways_on_a_phone(site: Path) -> None:
    too_wide = ask(
        site / "index.html",
        f"""{INSIDE}
        const found = [];
        for (const [place, html] of Object.entries({in_frames(site)})) {{
          const {{scrollWidth, clientWidth}} = (await inside(html, 390)).documentElement;
          found.push([place, scrollWidth - clientWidth]);
        }}
        return found;
        """,
    )
    assert too_wide == [[place, 0] for place in KINDS]


@pytest.mark.parametrize("place", KINDS)
def test_axe_core_finds_nothing(site: Path, place: str) -> None:
    found, passed = violations(site / place)
    assert found == []
    assert passed > 15


def test_axe_core_finds_nothing_by_another_measure(page: Path) -> None:
    linked = page.with_name("judged.html")
    source = page.read_text(encoding="utf-8")
    linked.write_text(source.replace("<script>", "<script>location.hash = '#by-ece';</script><script>", 1))
    try:
        assert violations(linked)[0] == []
    finally:
        linked.unlink()


def test_twenty_two_targets_fit_a_screen_of_1280_pixels(tmp_path: Path) -> None:
    domains = tuple(f"location_{number}" for number in range(22))
    pool = [
        candidate(f"{name}-of-a-long-name", domain, trial, on_target=skill)
        for name, skill in SKILLS.items()
        for domain in domains
        for trial in range(2)
    ]
    names = tuple(f"{name}-of-a-long-name" for name in SKILLS)
    made = leaderboard(*tables(pool), info(domains=domains, algorithms=names))
    files.write(made, tmp_path, others=rankings(made, measured(made)))
    found = ask(
        tmp_path / "leaderboard.html",
        f"""{JUDGE}
        const box = document.querySelector('#targets .scroll');
        const wide = () => [{TOO_WIDE}, box.scrollWidth - box.clientWidth];
        const before = wide();
        await judge('ece');
        return [before, wide()];
        """,
    )
    assert found == [[0, 0], [0, 0]], "by accuracy, and by another measure"


@pytest.mark.parametrize("dark", [False, True])
def test_what_is_drawn_follows_the_scheme(site: Path, dark: bool) -> None:
    """The colours that the browser computes, of every element with text of its own, against what is behind it."""
    worst = ask(
        site / "index.html",
        f"const pages = {in_frames(site)};{INSIDE}"
        """
        const parse = (colour) => {
          const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
          canvas.fillStyle = colour;
          canvas.fillRect(0, 0, 1, 1);
          return [...canvas.getImageData(0, 0, 1, 1).data];
        };
        const known = new Map();
        const colour = (text) => { if (!known.has(text)) known.set(text, parse(text)); return known.get(text); };
        const linear = (c) => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4;
        const light = (rgb) =>
          [.2126, .7152, .0722].reduce((sum, share, i) => sum + share * linear(rgb[i] / 255), 0);
        const ground = (element) => {
          for (let at = element; at; at = at.parentElement) {
            const found = colour(getComputedStyle(at).backgroundColor);
            if (found[3] === 255) return found;
          }
          return [255, 255, 255];
        };
        let worst = [99, ''];
        for (const html of Object.values(pages)) for (const element of
            (await inside(html, 1280)).querySelectorAll('body *:not(svg *):not(script)')) {
          const own = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
          if (!own || !element.checkVisibility()) continue;
          const [a, b] = [light(colour(getComputedStyle(element).color)), light(ground(element))].sort((x, y) => x - y);
          const contrast = (b + .05) / (a + .05);
          if (contrast < worst[0]) worst = [contrast, element.outerHTML.slice(0, 120)];
        }
        return worst;
        """,
        dark=dark,
    )
    assert worst[0] >= 4.5, worst
