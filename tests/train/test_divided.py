"""Steps that are divided, among processes and into micro-batches, against the same steps in one piece."""

from __future__ import annotations

from collections.abc import Iterator

import divided
import pytest
import tiny_clip
import torch
import torch.distributed as dist
from divided import IMAGES, spec_of
from one_layer import SMALLEST, WIDTH
from smallest import smallest
from torch import Tensor, nn

from dgbench.core.cards import card_names
from dgbench.core.errors import RecipeError
from dgbench.core.processes import Pool
from dgbench.core.recipe import compose
from dgbench.core.registry import load
from dgbench.train.division import WHOLE, Division
from dgbench.train.exchange import GoneError, total
from dgbench.train.spec import TrainingSpec

TWO, OTHER = Division(2), Division(2, rank=1)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    """A second process; this one is the first."""
    place, threads = tmp_path_factory.mktemp("meet") / "here", torch.get_num_threads()
    with Pool(1, divided.join, place, 1) as pool:
        beside = pool.submit(len, "")  # which comes once that has joined
        divided.join(place, 0)
        try:
            beside.result()
            yield pool
        finally:
            dist.destroy_process_group()
            torch.set_num_threads(threads)


def both(
    other: Pool, spec: TrainingSpec, micro_batch: int | None = None, extra: nn.Module | None = None
) -> dict[str, Tensor]:
    """What two processes come to, each of which has all of it."""
    beside = other.submit(divided.weights, spec, Division(2, micro_batch, 1), divided.STEPS, extra)
    here, there = divided.weights(spec, Division(2, micro_batch), extra=extra), beside.result()
    assert here.keys() == there.keys()
    assert all(torch.equal(there[name], tensor) for name, tensor in here.items())
    return here


def same(found: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(
            found[name], tensor, rtol=0, atol=tolerance, msg=lambda said, name=name: f"{name}: {said}"
        )


def takes_steps(algorithm: str) -> bool:
    slots = compose(algorithm).slots
    return "adapter" not in slots or load("adapter", slots["adapter"].part).takes_steps


_DONE: set[str] = set()


@pytest.mark.parametrize("algorithm", [name for name in card_names("algorithms") if takes_steps(name)])
def test_every_recipe_learns_the_same_in_two_processes_and_in_micro_batches(algorithm: str, other: Pool) -> None:
    """In double precision: where a gradient is 0 Adam makes steps of what rounding leaves of it."""
    backbone = tiny_clip.tinier() if algorithm in tiny_clip.TOWERED else smallest(algorithm)
    spec = spec_of(algorithm, backbone)
    if spec.id in _DONE:  # recipes that differ in averaging and prediction alone train the same
        return
    _DONE.add(spec.id)
    tolerance = 1e-5 if algorithm == "levi" else 1e-6 if algorithm == "miro" else 1e-9
    same(both(other, spec, micro_batch=4), divided.weights(spec), tolerance)


@pytest.mark.parametrize("algorithm", ["erm", "sam", "iga", "udim_released", "mldg", "dbat"])
@pytest.mark.parametrize("momentum", [0.1, None])
def test_layers_that_normalise_by_the_batch_see_all_of_it(algorithm: str, momentum: float | None, other: Pool) -> None:
    """Gradients of gradients among them, one pass after the other, domain by domain, and of images without labels."""
    spec = spec_of(algorithm, SMALLEST)
    spec = divided.moving(spec)
    norm = nn.BatchNorm1d(WIDTH, momentum=momentum)
    same(both(other, spec, extra=norm), divided.weights(spec, extra=norm), 1e-9)


def test_with_micro_batches_no_layer_may_normalise_by_the_batch() -> None:
    spec = spec_of("erm", SMALLEST)
    norm = nn.BatchNorm1d(WIDTH)
    with pytest.raises(RecipeError, match="none of them sees a whole one"):
        divided.training(divided.moving(spec), Division(micro_batch=4), norm)
    same(divided.weights(spec, Division(micro_batch=4), extra=norm), divided.weights(spec, extra=norm), 1e-9)


def test_random_layers_draw_anew_in_each_process_and_pass_and_what_follows_draws_alike(other: Pool) -> None:
    spec = spec_of("erm", SMALLEST)
    beside = other.submit(divided.drawn, spec, OTHER, 0.5)
    left, then = divided.drawn(spec, TWO, 0.5)
    assert beside.result() == (left, then)
    assert len({tuple(row) for row in left}) == len(left)  # of three passes over two images in each process
    assert sum(map(sum, left)) / sum(map(len, left)) == pytest.approx(0.5, abs=0.1)
    beside = other.submit(divided.drawn, spec, OTHER, 0.0)
    _, after = divided.drawn(spec, TWO, 0.0)
    assert beside.result()[1] == after == divided.drawn(spec, WHOLE, 0.0)[1]  # nothing was drawn, nothing is spent


def test_no_more_images_than_a_micro_batch_go_through_at_once() -> None:
    spec = spec_of("sam", "dgbench:vit-micro")
    whole, micro = (divided.training(spec, division) for division in (WHOLE, Division(micro_batch=4)))
    sizes: dict[str, list[int]] = {"whole": [], "micro": []}
    for name, training in (("whole", whole), ("micro", micro)):
        training.network.backbone.register_forward_pre_hook(lambda m, given, n=name: sizes[n].append(len(given[0])))
        training.take(0, divided.batch(spec, 0))
    assert sizes["whole"] == [IMAGES] * 2
    assert sorted(sizes["micro"]) == [3] * 4 + [4] * 12  # both passes of SAM look twice at every image


@pytest.mark.parametrize(("count", "processes"), [(7, 3), (12, 4), (5, 5), (2, 3)])
def test_every_row_is_in_one_process(count: int, processes: int) -> None:
    rows = [list(range(count))[Division(processes, rank=rank).rows(count)] for rank in range(processes)]
    assert [row for own in rows for row in own] == list(range(count))
    assert max(map(len, rows)) - min(map(len, rows)) <= 1


def test_gradients_of_gradients_are_right_through_every_exchange(other: Pool) -> None:
    beside = other.submit(divided.slopes, OTHER)
    here, there, whole = divided.slopes(TWO), beside.result(), divided.slopes(WHOLE)
    for found in (here, there):
        torch.testing.assert_close(found, whole, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("met", "said"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), torch.OutOfMemoryError),
        (RuntimeError("Connection closed by peer"), GoneError),
    ],
)
def test_memory_that_runs_out_in_an_exchange_is_no_process_that_is_gone(
    met: RuntimeError, said: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def all_reduce(*arguments: object) -> None:
        raise met

    monkeypatch.setattr(dist, "all_reduce", all_reduce)
    with pytest.raises(said, match=str(met)):
        total(TWO, [torch.ones(2)])
