from pathlib import Path

from dgbench.data.sets.emoji.concepts import CLASSES, SUBGROUPS, concepts, points, spelling
from dgbench.data.sets.emoji.packs import Pack


def test_variants_and_other_subgroups_are_left_out(folder: Path, unicode: Pack) -> None:
    found = concepts(folder / unicode.file)
    assert [(c.points, CLASSES[c.label]) for c in found] == [
        ("1f43b", "animal"),
        ("1f692", "vehicle"),
        ("1f9d1-200d-1f373", "person"),
    ]


def test_the_name_of_cldr_comes_first_and_a_name_of_two_emoji_is_no_name(folder: Path, unicode: Pack) -> None:
    bear, engine, cook = concepts(folder / unicode.file)
    assert bear.names == ("bear", "bearface", "bruin"), "'teddy' is the first name of another emoji"
    assert engine.names == ("fireengine",), "'truck' is the shortcode of a flag, too"
    assert cook.names == ("cook",)


def test_each_subgroup_belongs_to_one_class() -> None:
    subgroups = [subgroup for group in SUBGROUPS.values() for subgroup in group]
    assert len(subgroups) == len(set(subgroups))
    assert len(CLASSES) == 11


def test_names_and_code_points_are_written_in_one_way() -> None:
    assert points("1F3F3-FE0F-200D-26A7-FE0F") == "1f3f3-200d-26a7"
    assert spelling("Japanese “here” button") == spelling("japanese-here-button")
    assert spelling("woman’s boot") == spelling("WOMANS BOOT")
    assert spelling("UP! button") == spelling("up-exclamation-button") != spelling("up-button")
