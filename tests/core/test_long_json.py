"""Long lists in sealed JSON, read block by block, say what the file says that is read whole, and nothing else."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgbench.core import long_json
from dgbench.core.files import as_json
from dgbench.core.long_json import read_sealed_in_blocks
from dgbench.core.seals import read_sealed, with_digest

LISTS = ("entries", "judges")
SPACES = st.sampled_from(("", " ", "\n", "\t\r\n  "))

words = st.text(max_size=6) | st.sampled_from(['"', "\\", "},", "]", '"entries":[', "\u2028", "\U0001f600", "sha256"])
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
anything = st.recursive(
    st.none() | st.booleans() | numbers | words,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)
contents = st.builds(
    dict.__or__,
    st.dictionaries(words.filter(lambda name: name != "sha256"), anything, max_size=4),
    st.dictionaries(st.sampled_from(LISTS), st.lists(anything, max_size=7) | anything),
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sealed") / "list.json"


@pytest.fixture(autouse=True, scope="module")
def few_at_once() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(long_json, "AT_ONCE", 3)
        yield


def in_blocks(path: Path) -> dict[str, Any]:
    """The whole content, put together again."""
    taken: dict[str, list[Any]] = {}

    def take(name: str, block: list[Any]) -> None:
        assert 0 < len(block) <= 3
        taken.setdefault(name, []).extend(block)

    content = read_sealed_in_blocks(path, LISTS, take)
    assert not any(content[name] for name in taken)
    return content | taken


def outcome(read: Callable[[Path], dict[str, Any]], path: Path) -> dict[str, Any] | None:
    try:
        return read(path)
    except ValueError:
        return None


@settings(deadline=None, max_examples=60)
@given(content=contents)
def test_blocks_say_what_the_file_says(path: Path, content: dict[str, Any]) -> None:
    path.write_text(as_json(with_digest(content)))
    assert in_blocks(path) == read_sealed(path) == content


@settings(deadline=None, max_examples=60)
@given(content=contents, before=SPACES, after=SPACES, plain=st.booleans(), data=st.data())
def test_what_is_damaged_or_cut_is_refused_as_the_whole_file_is(
    path: Path, content: dict[str, Any], before: str, after: str, plain: bool, data: st.DataObject
) -> None:
    separators = (f"{before},{after}", f"{after}:{before}")
    text = json.dumps(with_digest(content), sort_keys=True, separators=separators, ensure_ascii=plain)
    path.write_text(before + text + after, encoding="utf-8", newline="")
    assert in_blocks(path) == content
    place = data.draw(st.integers(0, len(text) - 1))
    path.write_text(text[:place], encoding="utf-8", newline="")
    assert outcome(in_blocks, path) is outcome(read_sealed, path) is None
    sign = data.draw(st.sampled_from('{}[],:"\\ 0x') | st.characters(exclude_categories=["Cs"]))
    path.write_text(text[:place] + sign + text[place + 1 :], encoding="utf-8", newline="")
    assert outcome(in_blocks, path) == outcome(read_sealed, path)


@pytest.mark.parametrize(
    "text",
    [
        "", "null", "[]", "{}", "{} {}", '{"entries": [}', '{"entries": [1,]}', '{"entries": [1', '{"a": 1,}', "{1: 2}",
        '{"entries": ' + "[" * 100_000, '{"a": NaN, "sha256": ""}', "\ufeff{}", '{"a": "\\ud800"}', '{"a" 1}',
    ],
)  # fmt: skip
def test_what_is_no_such_file_is_a_value_error(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    for read in (in_blocks, read_sealed):
        assert outcome(read, path) is None


def test_what_is_nearly_too_deep_is_a_value_error_too(path: Path) -> None:
    """Some depths can be decoded, and not written again for their digest."""
    for depth in range(900, 1001):
        path.write_text(f'{{"entries": [1], "z": {"[" * depth}{"]" * depth}}}', encoding="utf-8")
        for read in (in_blocks, read_sealed):
            assert outcome(read, path) is None


def test_names_in_another_order_are_left_to_who_reads_the_file_whole(path: Path) -> None:
    sealed = with_digest({"entries": [1, 2], "a": 3})
    path.write_text(json.dumps(dict(sorted(sealed.items(), reverse=True))))
    assert read_sealed(path) == {"entries": [1, 2], "a": 3}
    with pytest.raises(ValueError, match="order"):
        in_blocks(path)


def test_a_long_list_takes_the_memory_of_its_text(path: Path) -> None:
    entries = [{"place": [each, str(each)], "of": {"a": each / 7}} for each in range(5000)]
    path.write_text(as_json(with_digest({"entries": entries})))
    taken = {}
    for read in (in_text_alone, read_sealed):
        tracemalloc.start()
        read(path)
        taken[read] = tracemalloc.get_traced_memory()[1] / path.stat().st_size
        tracemalloc.stop()
    assert taken[in_text_alone] < 2.5 < 5 < taken[read_sealed]


def in_text_alone(path: Path) -> object:
    return read_sealed_in_blocks(path, LISTS, lambda name, block: None)
