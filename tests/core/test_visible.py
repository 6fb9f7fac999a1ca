from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgbench.core.visible import visible


@pytest.mark.parametrize(
    "name",
    [
        "photo",
        "фото",
        "写真",
        "Épinal",
        "e\u0301",
        "نگاره\u200cها",
        "👩\u200d🔬",
        "a b-c_d",
        "C:\\x",
        'naïve, "quoted"',
    ],
)
def test_names_of_every_script_stay_as_they_are(name: str) -> None:
    assert visible(name) == name


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\x1b[31mred", "a\\x1b[31mred"),
        ("two\nlines", "two\\nlines"),
        ("a\tb\r", "a\\tb\\r"),
        ("gpj.\u202ephoto", "gpj.\\u202ephoto"),
        ("caf\udce9", "caf\\udce9"),
        ("a\u2028b\x9bc", "a\\u2028b\\x9bc"),
    ],
)
def test_what_would_act_is_written_out(name: str, shown: str) -> None:
    assert visible(name) == shown


@given(st.text(st.characters()))
def test_whatever_is_shown_can_be_encoded_and_moves_nothing(name: str) -> None:
    shown = visible(name)
    shown.encode("utf-8")
    assert len(shown.splitlines()) <= 1
    assert not any(unicodedata.category(c) in ("Cc", "Cs") for c in shown)
    assert visible(shown) == shown
