import pytest

from dgbench.core.amounts import duration, in_bytes, in_words

DAY = 86400


def test_numbers_of_bytes_are_words() -> None:
    given = [0, 999, 1000, 1_503_945_000, 88_000_000_000, 3 * 10**16]
    assert [in_words(n) for n in given] == ["0 bytes", "999 bytes", "1.0 kB", "1.5 GB", "88.0 GB", "30000.0 TB"]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (3.21, "3.2 s"),
        (41, "41 s"),
        (720, "12 min"),
        (12240, "3.4 h"),
        (1.9 * DAY, "45.6 h"),
        (3.1 * DAY, "3.1 days"),
        (44456 * 3600, "5.1 years"),
    ],
)
def test_durations_are_words(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_words_are_numbers_of_bytes() -> None:
    given = {"20GB": 20 * 10**9, "1.5 TB": 15 * 10**11, "500 MiB": 500 * 2**20, "7k": 7000, "12": 12, "3 bytes": 3}
    assert {words: in_bytes(words) for words in given} == given


@pytest.mark.parametrize("words", ["", "GB", "20 apples", "-1GB", "1e9", "5iB", "1,000"])
def test_other_words_are_none(words: str) -> None:
    with pytest.raises(ValueError, match="no number of bytes; write it like 20GB"):
        in_bytes(words)
