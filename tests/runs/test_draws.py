"""What is drawn by chance: alike for all algorithms of a cell, apart for any two sets of sources or trials."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dgbench.core.cards import BoardCard
from dgbench.runs.parts import parts_of
from dgbench.runs.planning import make_plan
from dgbench.runs.setting import Setting
from dgbench.runs.store import Store
from dgbench.train.spec import TrainingSpec
from small import small_board

CPU = torch.device("cpu")
NAMES = st.text(st.characters(min_codepoint=1, max_codepoint=0x24F), min_size=1, max_size=3)


def _drawn(spec: TrainingSpec, root: Path) -> dict[str, Tensor]:
    """Initial weights, which images are in the first batches, and as what they are seen."""
    parts = parts_of(spec)
    setting = Setting(spec, parts, Store(root), CPU)
    network, sources = setting.initial_network(), setting.sources()
    batches = [sources.batch(parts.sampler, step) for step in range(2)]
    return {
        "head": network.head.weight.detach(),
        "backbone": torch.cat([p.detach().flatten() for p in network.backbone.parameters()]),
        "order": torch.cat([batch.index for batch in batches]),
        "pixels": torch.cat([batch.x.flatten() for batch in batches]),
    }


def test_a_cell_draws_the_same_for_every_algorithm_and_no_other_cell_does(tmp_path: Path) -> None:
    plan = make_plan(small_board("erm", "sam", "irm", trials=2))
    cells: dict[tuple[tuple[str, ...], int], list[dict[str, Tensor]]] = {}
    for spec in plan.trainings.values():
        cells.setdefault((spec.sources, spec.trial), []).append(_drawn(spec, tmp_path))
    assert len(cells) == 4 * 2
    for drawn in cells.values():
        assert len(drawn) == 3
        for other in drawn[1:]:
            assert all(torch.equal(drawn[0][what], other[what]) for what in drawn[0])
    for one, other in combinations(cells.values(), 2):
        assert not any(torch.equal(one[0][what], other[0][what]) for what in one[0])


def test_a_split_is_that_of_a_domain_and_a_trial(tmp_path: Path) -> None:
    """It serves all targets: shifted validation images, which cost the most to draw, are those of the split."""
    validation: dict[tuple[str, int], list[list[int]]] = {}
    for spec in make_plan(small_board("erm", trials=2)).trainings.values():
        for held in Setting(spec, parts_of(spec), Store(tmp_path), CPU).sources().domains:
            validation.setdefault((held.name, spec.trial), []).append(held.validation.tolist())
    assert len(validation) == 4 * 2
    assert all(len(rows) == 3 and rows[0] == rows[1] == rows[2] for rows in validation.values())
    assert all(validation[name, 0] != validation[name, 1] for name, _ in validation)


SPEC = next(iter(make_plan(small_board("erm")).trainings.values()))
SETS = st.tuples(NAMES, st.lists(NAMES, min_size=1, max_size=3).map(tuple), st.integers(0, 3), st.sampled_from("ab"))


@given(SETS, SETS)
def test_seeds_differ_wherever_dataset_sources_trial_or_purpose_do(one: tuple, other: tuple) -> None:  # type: ignore[type-arg]
    seeds = [
        replace(SPEC, dataset=dataset, sources=sources, trial=trial, steps=steps).seed(purpose, "x", 1)
        for steps, (dataset, sources, trial, purpose) in enumerate((one, other), 1)
    ]
    assert (seeds[0] == seeds[1]) == (one == other)


def _rates(board: BoardCard) -> dict[tuple[str, int, int], list[float]]:
    found: dict[tuple[str, int, int], list[float]] = {}
    for entry in make_plan(board).entries:
        found.setdefault((entry.target, entry.trial, entry.draw), []).append(entry.hyperparameters["optimizer"]["lr"])
    return found


def test_hyperparameters_are_drawn_for_each_set_of_sources() -> None:
    found = _rates(small_board("erm", "irm", trials=2).model_copy(update={"draws": 3}))
    assert all(one == other for one, other in found.values()), "algorithms of a cell try the same"
    drawn = [rates[0] for (_, _, draw), rates in found.items() if draw]
    assert len(set(drawn)) == len(drawn) == 4 * 2 * 2
    assert {rates[0] for (_, _, draw), rates in found.items() if not draw} == {4e-3}


def test_targets_that_one_training_serves_share_its_hyperparameters() -> None:
    board = small_board("erm").model_copy(update={"draws": 2, "protocol": "single-source"})
    plan = make_plan(board)
    assert len(plan.trainings) == 4 * 2, "four sources, two draws, each for three targets"
