import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from dgbench.core.names import DatasetName, Text, file_name, in_short, made_name, readable

TEXT = TypeAdapter(Text)
DATASET = TypeAdapter(DatasetName)
anything = st.text(st.characters(), max_size=12)  # surrogates too, which stand for bytes that are no UTF-8


@given(anything)
def test_what_a_disk_says_becomes_a_name_and_names_stay(text: str) -> None:
    name = readable(text)
    assert readable(name) == name == unicodedata.normalize("NFC", name)
    assert name.encode().decode() == name
    assert len(name.splitlines()) <= 1
    if name:
        assert TEXT.validate_python(name) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Épinal", "Épinal"),
        ("E\u0301pinal", "Épinal"),
        ("фото", "фото"),
        ("a b", "a b"),
        ("caf\udce9", r"caf\xe9"),
        ("bell\a", r"bell\u0007"),
        ("two\nlines", r"two\u000alines"),
        ("evil\u202egnp", r"evil\u202egnp"),
        ("\N{MAN}\u200d\N{PERSONAL COMPUTER}", "\N{MAN}\u200d\N{PERSONAL COMPUTER}"),
    ],
)
def test_names_are_kept_but_for_what_cannot_stand_on_a_line(text: str, name: str) -> None:
    assert readable(text) == name


@pytest.mark.parametrize("text", ["", "two\nlines", "bell\a", "caf\udce9", "evil\u202egnp", "\x85"])
def test_a_name_on_a_card_is_one_line_of_text(text: str) -> None:
    with pytest.raises(ValidationError):
        TEXT.validate_python(text)


@given(st.lists(anything.map(readable), unique=True, max_size=8))
@example(["A", "a", "a+", "con", "CON", "nul.x", "x" * 300, "X" * 300, "../up", "a b", "a-b", "фото", "рис"])
def test_files_are_called_by_names_that_any_file_system_takes_and_tells_apart(names: list[str]) -> None:
    files = [file_name(name) for name in names]
    assert len({file.casefold() for file in files}) == len(names)
    for file in files:
        assert file.isascii()
        assert 0 < len(file) <= 64
        assert not set(file) & set('/\\:*?"<>| ')
        assert file[0] not in ".-"
        assert file[-1] not in ". "
        assert file.split(".")[0] not in ("con", "nul", "aux", "prn", "com1")


@pytest.mark.parametrize("name", ["photo", "dot-matrix", "fog-3", "0", "v2.threshold"])
def test_plain_names_are_names_of_files(name: str) -> None:
    assert file_name(name) == name


@given(anything)
@example("Con")
@example("İstanbul")
@example("ﬁ ǅ")
@example("हिन्दी")
@example("漢" * 200)
def test_what_is_made_of_a_name_is_the_name_of_a_dataset(text: str) -> None:
    name = made_name(text)
    if name:
        assert DATASET.validate_python(name) == name


def test_datasets_keep_their_script() -> None:
    assert [made_name(text) for text in ("My Photos", "Мои фото", "写真 2024", "a_b", "!?")] == [
        "my-photos",
        "мои-фото",
        "写真-2024",
        "a-b",
        "",
    ]


@pytest.mark.parametrize("name", ["", "Photos", "a b", "a/b", "../a", "a.toml", "-a", "a--b", "a\0", "\udce9", "con"])
def test_the_name_of_a_dataset_can_be_that_of_a_file_and_a_word_of_a_command(name: str) -> None:
    with pytest.raises(ValidationError):
        DATASET.validate_python(name)


def test_many_names_are_said_in_short() -> None:
    traps = [f"location-{number}" for number in range(1000)]
    assert in_short(traps[:20]) == ", ".join(traps[:20])
    assert in_short(traps) == "location-0, location-1, location-2 and others, 1,000 in all"
