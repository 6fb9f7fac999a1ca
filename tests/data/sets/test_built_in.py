import dataclasses
import importlib.metadata
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import features

from dgbench.core.dataset_card import dataset_card
from dgbench.core.errors import DataError
from dgbench.data.catalogue import load
from dgbench.data.domain import Dataset
from dgbench.data.manifest import manifest
from dgbench.data.sets.drawing import dot_matrix, seven_segment, typefaces
from dgbench.data.sets.drawing.canvas import paint, shrink

NAMES = ["digits", "letters", "glyphs"]


@pytest.mark.parametrize("name", NAMES)
def test_the_data_is_what_its_card_says(name: str) -> None:
    card, dataset = dataset_card(name), load(name)
    assert dataset.name == card.name
    assert dataset.classes == card.classes
    assert [(d.name, len(d)) for d in dataset.domains] == [(d.name, d.count) for d in card.domains]
    for domain in dataset.domains:
        assert domain.inputs.shape == (len(domain), 16, 16, 3)
        assert (domain.inputs.dtype, domain.labels.dtype, domain.groups.dtype) == (np.uint8, np.int64, np.int64)
        assert set(domain.labels) == set(range(len(card.classes)))


@pytest.mark.parametrize("name", NAMES)
def test_the_manifest_is_the_cards_under_the_cards_versions(name: str) -> None:
    card = dataset_card(name)
    installed = {p: importlib.metadata.version(p) for p in card.reader.built_with if p != "freetype"}
    installed["freetype"] = str(features.version("freetype2"))
    if installed != card.reader.built_with:
        pytest.skip(f"the card's bytes are those of {card.reader.built_with}; installed are {installed}")
    assert load(name).manifest == card.reader.manifest


def test_another_process_builds_the_same_bytes() -> None:
    """Of digits, which are read, printed, and shown on two kinds of displays; letters are printed, too."""
    program = "from dgbench.data.sets import digits; print(digits.build().manifest)"
    environment = os.environ | {"PYTHONHASHSEED": "7"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [load("digits").manifest]


def test_a_group_is_a_family_or_a_display() -> None:
    dataset = load("digits")
    counts = {d.name: len(set(d.groups)) for d in dataset.domains}
    assert counts == {"handwritten": 1797, "print": 14, "dot-matrix": 50, "seven-segment": 50}
    for domain in dataset.domains[1:]:
        for group in np.unique(domain.groups):
            shown = np.bincount(domain.labels[domain.groups == group], minlength=10)
            assert (shown == shown[0]).all(), "every family and every display shows each digit equally often"


def test_colour_and_brightness_do_not_tell_the_domains_apart() -> None:
    # The corner of a picture is paper in every domain; colours come from one distribution.
    papers = [np.median(d.inputs[:, 0], axis=1).mean() for d in load("digits").domains]
    assert max(papers) - min(papers) < 3
    inks = [d.inputs.max((1, 2)).mean() for d in load("digits").domains if d.name != "dot-matrix"]
    assert max(inks) - min(inks) < 25


def test_paint_blends_paper_and_ink() -> None:
    ink = np.array([[[0.0, 0.5, 1.0]]])
    paper, half, pen = paint(ink, np.random.default_rng(0))[0, 0].astype(int)
    assert paper.max() <= round(0.35 * 255)
    assert pen.min() >= round(0.65 * 255)
    assert np.abs(2 * half - paper - pen).max() <= 2


def test_shrink_averages_blocks() -> None:
    large = np.zeros((128, 128))
    large[:8, 8:16] = 1
    large[8:16, :4] = 1
    small = shrink(large)
    assert small[0, 1] == 1
    assert small[1, 0] == 0.5
    assert small.sum() == 1.5


def test_displays_light_what_the_digit_needs() -> None:
    assert [len(s) for s in seven_segment.SEGMENTS] == [6, 2, 5, 5, 4, 5, 6, 3, 7, 6]
    assert len({frozenset(s) for s in seven_segment.SEGMENTS}) == 10
    distances = (dot_matrix.DOTS[:, None] != dot_matrix.DOTS[None]).sum((2, 3))
    assert distances[~np.eye(10, dtype=bool)].min() >= 4, "a dead dot must not turn one digit into another"


def test_a_missing_typeface_names_the_package_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    family = typefaces.Family("Nowhere", "font_no_such_thing", "files", ".ttf", ("Nowhere",))
    with pytest.raises(DataError, match="pip install font-no-such-thing"):
        family.faces()
    with pytest.raises(DataError, match=r"lacks the typeface Nowhere\.ttf"):
        typefaces.Family("Nowhere", "matplotlib", "mpl-data/fonts/ttf", ".ttf", ("Nowhere",)).faces()


def test_the_manifest_sees_every_change(digits: Dataset) -> None:
    base = digits.domains[1]
    changed = {"name": "other"}
    for array in ("inputs", "labels", "groups"):
        copy = getattr(base, array).copy()
        copy.flat[5] += 1
        changed[array] = copy
    manifests = {manifest(digits.classes, [dataclasses.replace(base, **{k: v})]) for k, v in changed.items()}
    manifests |= {manifest(digits.classes, [base]), manifest(digits.classes[::-1], [base])}
    assert len(manifests) == 6
