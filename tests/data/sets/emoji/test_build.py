import subprocess
import sys

import numpy as np
import pytest

from dgbench.core.dataset_card import dataset_card
from dgbench.core.errors import DataError
from dgbench.data.sets import emoji
from dgbench.data.sets.emoji import House, draw
from dgbench.data.sets.emoji.packs import FOLDER, Pack
from dgbench.data.splits import split

from .conftest import WritePack


def square(side: int, fill: str) -> dict[str, str]:
    return {"body": f'<rect width="{side}" height="16" fill="{fill}"/>'}


@pytest.fixture
def houses(write_pack: WritePack) -> dict[str, House]:
    """One that tells code points; one that does not, lacks the cook, and has a misleading name."""
    red = {"bear": square(4, "red"), "engine": square(8, "red"), "chef": square(12, "red")}
    chars = {"1f43b-fe0f": "bear", "1F692": "engine", "1f9d1-200d-1f373": "chef", "1f43b-1f3fb": "bear-light"}
    blue = {"bruin": square(4, "blue"), "fire-engine": square(8, "blue"), "cook": square(12, "blue")}
    return {
        "red": House(write_pack("@scope/red", icons={"icons": red}, chars=chars)),
        "blue": House(write_pack("blue", icons={"icons": blue}, chars={}), frozenset({"cook"})),
    }


def test_a_concept_has_one_group_and_one_class_in_all_domains(unicode: Pack, houses: dict[str, House]) -> None:
    dataset = draw(houses, unicode)
    assert dataset.shared_groups
    assert [(d.name, len(d)) for d in dataset.domains] == [("red", 3), ("blue", 2)]
    classes: dict[int, int] = {}
    for domain in dataset.domains:
        for group, label, image in zip(domain.groups, domain.labels, np.asarray(domain.inputs), strict=True):
            # The width of the rectangle tells the concept, whatever it is called.
            assert (image[0] != 255).any(axis=-1).sum() == 16 * (group + 1)
            assert classes.setdefault(group, label) == label
    assert [dataset.classes[label] for label in classes.values()] == ["animal", "vehicle", "person"]


def test_colours_are_those_of_the_house(unicode: Pack, houses: dict[str, House]) -> None:
    red, blue = draw(houses, unicode).domains
    assert (np.asarray(red.inputs)[:, 0, 0] == (255, 0, 0)).all()
    assert (np.asarray(blue.inputs)[:, 0, 0] == (0, 0, 255)).all()


def test_two_builds_are_the_same_and_a_misleading_name_matters(unicode: Pack, houses: dict[str, House]) -> None:
    manifest = draw(houses, unicode).manifest
    assert draw(houses, unicode).manifest == manifest
    houses["blue"] = House(houses["blue"].pack)
    assert draw(houses, unicode).manifest != manifest


def test_a_split_takes_the_same_concepts_in_every_domain(write_pack: WritePack) -> None:
    codes = [f"1f4{n:02x}" for n in range(20)]
    unicode = write_pack(
        "emojibase-data",
        en__data=[{"hexcode": code, "label": code, "subgroup": 1} for code in codes],
        meta__groups={"subgroups": {"1": "clothing"}},
        meta__unicode_names={},
        **{f"en__shortcodes__{name}": {} for name in ("emojibase", "emojibase_legacy", "iamcal", "joypixels")},
    )
    packs = {
        name: House(write_pack(name, icons={"icons": {c: square(8, "red") for c in kept}}, chars={}))
        for name, kept in {"all": codes, "some": codes[5:]}.items()
    }
    dataset = draw(packs, unicode)
    parts = {d.name: split(dataset, d.name, 0, validation=0.2, test=0.3) for d in dataset.domains}
    for part in ("train", "validation", "test"):
        groups = {d.name: set(d.groups[getattr(parts[d.name], part)]) for d in dataset.domains}
        assert groups["some"] == groups["all"] - set(range(5))


def test_a_missing_renderer_is_told_before_anything_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    monkeypatch.setenv(FOLDER, "nowhere")
    with pytest.raises(DataError, match="resvg-py"):
        emoji.build()


def test_the_card_lists_the_domains_and_classes_that_are_built() -> None:
    card = dataset_card("emoji")
    assert [domain.name for domain in card.domains] == list(emoji.HOUSES)
    assert card.classes == emoji.CLASSES
    assert card.shared_groups
    sources = " ".join(source.what for source in card.sources)
    for pack in (emoji.UNICODE, *(house.pack for house in emoji.HOUSES.values())):
        assert pack.spec in sources


def test_importing_it_loads_no_renderer() -> None:
    program = "import sys, dgbench.data.sets.emoji; print({'resvg_py', 'torch'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout.strip() == "set()"
