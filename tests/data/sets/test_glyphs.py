from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dgbench.data.catalogue import load
from dgbench.data.sets.drawing.typefaces import FAMILIES, STYLES, glyph, outlined, printed


@pytest.fixture(scope="module")
def face() -> Path:
    return FAMILIES[1].faces()[0]


def test_every_family_sets_every_character_equally_often() -> None:
    groups = {"serif": 5, "sans": 6, "display": 3, "outline": 14}
    for domain in load("glyphs").domains:
        shown = np.zeros((groups[domain.name], 36), int)
        np.add.at(shown, (domain.groups, domain.labels), 1)
        assert (shown == shown[0, 0]).all()


def test_each_family_has_one_style() -> None:
    styled = [family.name for families in STYLES.values() for family in families]
    assert sorted(styled) == sorted(family.name for family in FAMILIES)


@pytest.mark.parametrize("character", ["I", "O", "8"])
def test_an_outline_lies_around_the_ink_and_never_on_it(face: Path, character: str) -> None:
    solid, line = np.asarray(glyph(face, character)), np.asarray(outlined(face, character))
    margin = (np.array(line.shape) - solid.shape) // 2
    assert (margin == 8).all()
    inside = np.pad(solid, 8)
    assert not line[inside == 255].any()
    # By the definition of a distance: what is drawn is what lies at most eight pixels from ink, along both axes.
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(inside, 8), (17, 17))
    near = windows.max((2, 3))
    np.testing.assert_array_equal(line.astype(int), near.astype(int) - inside)


def test_faces_take_turns() -> None:
    asked: list[tuple[str, str]] = []

    def note(face: Path, character: str) -> Image.Image:
        asked.append((face.name, character))
        return Image.new("L", (8, 8), 255)

    family = next(f for f in FAMILIES if f.name == "DejaVu Serif")
    domain = printed(
        "x",
        [family],
        "AB",
        repeats=4,
        heights=(9, 14),
        seed=("test",),
        colours=np.random.default_rng(0),
        cut=note,
    )
    for character in "AB":
        assert {face for face, shown in asked if shown == character} == {f"{file}.ttf" for file in family.files}
    np.testing.assert_array_equal(domain.labels, [0, 0, 0, 0, 1, 1, 1, 1])
