"""Domains that a generator drew, as the page *Your own dataset* has them: they train, and are never tested."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

import dgbench
from dgbench.core.cards import BoardCard
from dgbench.data.disk.look import look, write

PAGE = (Path(__file__).parents[1] / "docs" / "your-own-dataset.md").read_text(encoding="utf-8")
LEFT_OUT, DATA_FREE = re.findall(r"```toml\n(dataset.*?)```", PAGE, re.DOTALL)
REAL, MADE = ("flat", "outline", "sketch"), ("charcoal", "neon")


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of real domains in a folder, beside links to made ones that lie elsewhere."""
    colours = iter(range(256))
    for domain in (*REAL, *MADE):
        for label in ("circle", "square"):
            folder = tmp_path / ("made" if domain in MADE else "shapes") / domain / label
            folder.mkdir(parents=True)
            for number in range(10):
                Image.new("RGB", (2, 2), (next(colours), 0, 0)).save(folder / f"{number}.png")
    for domain in MADE:
        (tmp_path / "shapes" / domain).symlink_to(tmp_path / "made" / domain)
    monkeypatch.chdir(tmp_path)
    return write(look("shapes"), Path("datasets").absolute())


def planned(card: Path, rules: str) -> dict[str, set[str]]:
    """Which domains train, by the target, on the board 'own' with some of its rules changed."""
    board = Path(dgbench.__file__).parents[1] / "leaderboards" / "own" / "board.toml"
    path = card.parents[1] / "own" / "board.toml"
    path.parent.mkdir()
    changed, _, cases = rules.partition("[cases")
    kept = re.sub(r"^(dataset|protocol) = .*\n", "", board.read_text(encoding="utf-8"), flags=re.MULTILINE)
    path.write_text(f"{changed}{kept}\n[cases{cases}", encoding="utf-8")
    mine: BoardCard = dgbench.rules(str(path), backbone="dgbench:convnet-small", algorithms=["erm"])
    return {entry.domain: set(entry.sources) for entry in dgbench.plan(mine).entries}


def test_made_domains_train_for_every_target_and_are_none(card: Path) -> None:
    assert planned(card, LEFT_OUT) == {target: {*REAL, *MADE} - {target} for target in REAL}


def test_without_photographs_they_train_alone(card: Path) -> None:
    assert planned(card, DATA_FREE) == {target: set(MADE) for target in REAL}


def test_as_one_domain_they_are_one_source(card: Path) -> None:
    assert '`folders = ["charcoal", "neon"]`' in PAGE
    text = card.read_text(encoding="utf-8")
    first, second = (re.search(rf'\[\[domains\]\]\nname = "{name}"\ncount = \d+\n*', text) for name in MADE)
    assert first is not None
    assert second is not None
    text = text.replace(second[0], "").replace(first[0], '[[domains]]\nname = "made"\nfolders = ["charcoal", "neon"]\n')
    card.write_text(text, encoding="utf-8")
    assert planned(card, LEFT_OUT) == {target: {*REAL, "made"} - {target} for target in REAL}
