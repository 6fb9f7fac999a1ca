"""Whatever stands in a TOML file, it is read, or refused in one line."""

import datetime
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sample_cards import MODELS, changed, refusal, samples, shipped_cards

from dgbench.api import boards
from dgbench.core.cards import algorithm_card
from dgbench.core.dataset_card import DatasetCard, dataset_card
from dgbench.core.errors import CardError, DGBenchError
from dgbench.core.paths import shipped
from dgbench.core.toml import LARGEST, read_toml, validated

DEEP = 100_000
STRANGE: list[Any] = [
    *("", " ", "\t", "a\nb", "\x00", "\x1b[31m", "\u202e", "e\u0301", "x" * 9999, "../..", "/", "{}", "{", "%s", "nan"),
    *(0, -1, 1, 2**31, 2**63, -(2**70), 0.0, -0.0, 1e308, float("inf"), float("-inf"), float("nan"), True, False),
    *(datetime.date(1, 1, 1), datetime.time(0), datetime.datetime(9999, 12, 31), [], {}, [[]], [{}], {"": ""}),
    *([1, "a"], {"a": {"b": {"c": {}}}}, ["a"] * 99, {"kind": "made"}, {"part": "sam"}, [None], 10**5000, ["a", "a"]),
]
"""Values as a file can hold them, and two that it cannot."""
HEAPS = {
    "lists": "x = " + "[" * DEEP + "]" * DEEP,
    "unclosed lists": "x = " + "[" * DEEP,
    "tables": "x = " + "{a = " * DEEP + "1" + "}" * DEEP,
    "a dotted key": ".".join(["a"] * DEEP) + " = 1",
    "a quoted dotted key": " . ".join(["'a'"] * DEEP) + " = 1",
    "a deep header": "[" + ".".join(["a"] * DEEP) + "]",
    "a somewhat deep key": ".".join(["a"] * 20) + " = 1",
    "somewhat deep lists": "x = " + "[" * 50 + "]" * 50,
    "a long number": "x = " + "9" * DEEP,
    "a long hexadecimal number": "x = 0x" + "f" * DEEP,
    "a large file": "#" * (LARGEST + 1),
    "a large text": f"x = '{'y' * LARGEST}'",
    "no TOML": "\x00\x01\x02",
    "a bare return": "x = 1\ry = 2",
    "nothing": "",
}


def refused_in_one_line(read_it: Callable[[], Any], what: str) -> bool:
    """Whether it was refused; any error but a short line fails the test."""
    error = refusal(read_it, CardError)
    assert error is None or (str(error).isprintable() and len(str(error)) < 4000), what
    return error is not None


@pytest.mark.parametrize("heap", HEAPS)
def test_a_heap_is_no_card(heap: str, tmp_path: Path) -> None:
    path = tmp_path / "card.toml"
    path.write_text(HEAPS[heap])
    for model in MODELS.values():
        assert refused_in_one_line(lambda model=model: read_toml(path, model), heap)  # type: ignore[misc]


def test_bytes_that_are_no_text_are_no_card(tmp_path: Path) -> None:
    path = tmp_path / "card.toml"
    chance = random.Random(0)
    for _ in range(100):
        path.write_bytes(chance.randbytes(chance.randrange(1, 2000)))
        assert refused_in_one_line(lambda: read_toml(path, DatasetCard), "bytes")


def test_a_mark_of_byte_order_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "pacs.toml"
    path.write_bytes(b"\xef\xbb\xbf" + (shipped("datasets") / "pacs.toml").read_bytes())
    assert dataset_card(str(path)).name == "pacs"


@pytest.mark.parametrize("kind", MODELS)
def test_a_card_with_a_strange_value_is_read_or_refused(kind: str) -> None:
    """Each kind of field of each shipped card in turn, with each strange value; keys too."""
    chance = random.Random(kind)
    contents = samples(kind)
    refused = 0
    for _ in range(1500):
        content: Any = chance.choice(contents)
        where: list[str | int] = []
        inner: Any = content
        while isinstance(inner, dict | list) and inner and (not where or chance.random() < 0.8):
            where.append(chance.choice(list(inner)) if isinstance(inner, dict) else chance.randrange(len(inner)))
            inner = inner[where[-1]]
        value = chance.choice(STRANGE)
        if chance.random() < 0.1:
            content = changed(content, tuple(where[:-1]), {str(chance.choice(STRANGE[:15])): value})
        else:
            content = changed(content, tuple(where), value)
        refused += refused_in_one_line(
            lambda content=content: validated(content, MODELS[kind], "card.toml"),  # type: ignore[misc]
            f"{where} {value!r:.99}" if not isinstance(value, int) else str(where),
        )
    assert refused > 500


@pytest.mark.parametrize("kind", MODELS)
def test_a_card_with_slips_of_the_pen_is_read_or_refused(kind: str, tmp_path: Path) -> None:
    """A few characters are lost, doubled, exchanged or put in; lines change places."""
    chance = random.Random(kind)
    texts = [path.read_text(encoding="utf-8") for path in shipped_cards(kind)]
    path = tmp_path / "card.toml"
    refused = 0
    for _ in range(400):
        text = chance.choice([text for text in texts if len(text) < 20_000])
        for _ in range(chance.randrange(1, 4)):
            at = chance.randrange(len(text))
            to = at + chance.randrange(1, 20)
            mutations = [
                text[:at] + text[to:],
                text[:to] + text[at:],
                text[:at] + chance.choice("[]{}=\"'\n.#\\0a\x7f"),
            ]
            text = chance.choice([*mutations, text[:at] + chance.choice("[]{}=\"'\n,.#\\é") + text[at:]]) or "#"
        path.write_text(text, encoding="utf-8")
        refused += refused_in_one_line(lambda: read_toml(path, MODELS[kind]), text)
    assert refused > 200


def test_a_board_is_not_called_board_but_after_its_folder(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    path = tmp_path / "mine" / "board.toml"
    path.write_bytes((shipped("leaderboards") / "quick" / "board.toml").read_bytes())
    with pytest.raises(CardError, match=r"expected 'mine', the name of the folder of the file, got 'quick'"):
        boards.rules(path)


@pytest.mark.parametrize(
    "name", ["x" * 5000, "a\x00b", "a\x00b.toml", "~nobody/x.toml", "..", ".", "", "/dev/zero.toml"]
)
@pytest.mark.parametrize("look_up", [dataset_card, algorithm_card, boards.rules])
def test_a_name_that_no_file_can_have_is_one_error(name: str, look_up: Callable[[str], object]) -> None:
    with pytest.raises(DGBenchError) as error:
        look_up(name)
    assert str(error.value).isprintable()
