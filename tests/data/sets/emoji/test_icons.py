import re
from pathlib import Path

import pytest

from dgbench.data.sets.emoji.concepts import Concept
from dgbench.data.sets.emoji.icons import icons

from .conftest import WritePack

BEAR = Concept("1f43b", 0, ("bear", "bearface"))


def test_code_points_decide_where_a_pack_has_them(folder: Path, write_pack: WritePack) -> None:
    pack = write_pack(
        "tells",
        icons={"icons": {"bear": {"body": ""}, "ursus": {"body": ""}}},
        chars={"1F43B-fe0f": "ursus", "1f43b": "bear"},
    )
    found = icons(folder / pack.file)
    assert found.find(BEAR) == "ursus"
    assert found.find(Concept("1f692", 0, ("bear",))) is None, "a name is no match where code points are known"


def test_names_decide_where_code_points_are_not_known(folder: Path, write_pack: WritePack) -> None:
    content = {"icons": {"Bear-Face": {"body": ""}, "bruin": {"body": ""}}, "aliases": {"be-ar": {"parent": "bruin"}}}
    pack = write_pack("silent", icons=content, chars={})
    assert icons(folder / pack.file).find(BEAR) == "be-ar", "the first name wins, and aliases count"
    assert icons(folder / pack.file, misleading={"be-ar"}).find(BEAR) == "Bear-Face"
    assert icons(folder / pack.file).find(Concept("1f692", 0, ("fireengine",))) is None


@pytest.mark.parametrize(
    ("icon", "view"),
    [
        ({}, "0 0 16 16"),
        ({"width": 24}, "0 0 24 16"),
        ({"left": -2, "top": 3, "width": 32, "height": 33}, "-2 3 32 33"),
    ],
)
def test_every_file_has_a_view_box(folder: Path, write_pack: WritePack, icon: dict[str, int], view: str) -> None:
    pack = write_pack("bare", icons={"icons": {"bear": {"body": "<path/>"} | icon}}, chars={})
    svg = icons(folder / pack.file).svg("bear")
    assert re.findall('viewBox="([^"]*)"', svg) == [view]
    assert "<path/>" in svg


def test_the_size_of_a_pack_holds_where_an_icon_has_none(folder: Path, write_pack: WritePack) -> None:
    content = {"width": 36, "height": 30, "icons": {"bear": {"body": ""}, "small": {"body": "", "height": 8}}}
    found = icons(folder / write_pack("sized", icons=content, chars={}).file)
    assert 'viewBox="0 0 36 30"' in found.svg("bear")
    assert 'viewBox="0 0 36 8"' in found.svg("small")
