"""What is made one ahead is what is made in turn, and its thread troubles nobody."""

import threading
import traceback

import pytest
import torch

from dgbench.train.ahead import ahead

PATIENCE = 60.0
"""Seconds after which something that was to happen is taken not to."""


@pytest.mark.parametrize("numbers", [range(0), range(1), range(3, 8), range(0, 9, 4)])
def test_everything_comes_once_and_in_order(numbers: range) -> None:
    with ahead(lambda number: number * number, numbers) as made:
        assert list(made) == [number * number for number in numbers]


def test_the_next_is_made_while_one_is_at_work_and_none_after_it() -> None:
    begun: list[int] = []
    reached = {number: threading.Event() for number in range(4)}

    def make(number: int) -> int:
        begun.append(number)
        reached[number].set()
        return number

    with ahead(make, range(4)) as made:
        assert next(made) == 0
        assert reached[1].wait(PATIENCE)
        assert begun == [0, 1]
        assert next(made) == 1
        assert reached[2].wait(PATIENCE)
        assert begun == [0, 1, 2]
    assert begun == [0, 1, 2]


def test_one_thread_makes_all_with_as_many_threads_for_torch_and_is_gone_afterwards() -> None:
    before, threads = threading.active_count(), torch.get_num_threads()
    torch.set_num_threads(1)  # a new thread would have as many as there are cores
    try:
        with ahead(lambda number: (threading.get_ident(), torch.get_num_threads()), range(5)) as made:
            seen = set(made)
    finally:
        torch.set_num_threads(threads)
    ((thread, used),) = seen
    assert thread != threading.get_ident()
    assert used == 1
    assert threading.active_count() == before


def _breaks(number: int) -> int:
    if number == 2:
        raise OSError("the disk is gone")
    return number


def test_an_error_is_raised_where_the_result_is_asked_for_and_says_where_it_was() -> None:
    before = threading.active_count()
    with ahead(_breaks, range(5)) as made:
        assert [next(made), next(made)] == [0, 1]
        with pytest.raises(OSError, match="the disk is gone") as caught:
            next(made)
    assert "_breaks" in "".join(traceback.format_exception(caught.value))
    assert threading.active_count() == before


def _raises(error: type[BaseException]) -> None:
    with ahead(lambda number: number, range(1000)) as made:
        for _ in made:
            raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_the_thread_ends_with_the_block(error: type[BaseException]) -> None:
    before = threading.active_count()
    with pytest.raises(error):
        _raises(error)
    assert threading.active_count() == before
