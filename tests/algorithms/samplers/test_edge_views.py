"""The sampler of edge views: what a step sees, and that what it trains with is held out or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from board.synthetic import candidate, tables
from torch import Tensor

from dgbench.algorithms.samplers.balanced import Balanced
from dgbench.algorithms.samplers.crafted import Crafted
from dgbench.algorithms.samplers.edge_views import SCALE, EdgeViews
from dgbench.core.cards import BoardCard, CaseRules, PartChoice, RecipeSlots
from dgbench.core.errors import RecipeError
from dgbench.core.recipe import compose, resolve
from dgbench.core.shift_families import FAMILIES, FOLDS
from dgbench.data.augment.crop import flip_, random_resized_crop
from dgbench.data.pixels.edge_map import edge_maps, random_lines
from dgbench.runs.parts import parts_of
from dgbench.runs.planning import make_plan
from dgbench.runs.setting import Setting
from dgbench.runs.store import Store
from dgbench.selection.criteria import choose, get, scores
from dgbench.train.spec import TrainingSpec
from small import small_board


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(count: int) -> Tensor:
    return torch.randint(0, 256, (count, 3, 20, 24), dtype=torch.uint8, generator=seeded(1))


@pytest.mark.parametrize("shifts", [(), ("contrast",)])
def test_both_views_have_one_crop_and_one_flip(shifts: tuple[str, ...]) -> None:
    """The second is the edge map of the first, as it has become."""
    x, sampler = images(9), EdgeViews(shifts)  # type: ignore[arg-type]
    seen, edges = sampler.augment(x, seeded(3)).chunk(2)
    # the same numbers by hand
    generator = seeded(3)
    crafted = Crafted(("contrast",)).augment(x, generator) if shifts else x.clone()
    if not shifts:
        torch.randint(1, (9,), generator=generator)
        torch.randint(2**62, (9,), generator=generator)
    assert torch.equal(seen, flip_(random_resized_crop(crafted, generator, (20, 24), SCALE), generator))
    assert torch.equal(edges, edge_maps(seen, random_lines(9, generator)))
    assert torch.equal(x, images(9))


def board(*algorithms: str, **changes: Any) -> BoardCard:
    """One target; every recipe trains with the sampler, but for shifts, which take time."""
    rules = {
        "cases": {"digits": CaseRules(targets=("print",))},
        "defaults": RecipeSlots(sampler=PartChoice(part="edge_views", shifts=())),
    }
    return small_board(*algorithms).model_copy(update=rules | changes)


def spec_of(rules: BoardCard) -> TrainingSpec:
    plan = make_plan(rules)
    return plan.trainings[plan.entries[0].training]


def test_a_step_sees_the_images_of_the_balanced_sampler_twice_with_their_labels(tmp_path: Path) -> None:
    spec = spec_of(board("erm"))
    sampler, cpu = parts_of(spec).sampler, torch.device("cpu")
    sources = Setting(spec, parts_of(spec), Store(tmp_path), cpu).sources_to_train()
    batch, plain = (sources.batch(each, 2) for each in (sampler, Balanced("none")))
    size = spec.batch_per_domain
    assert batch.sizes == (2 * size,) * len(spec.sources)
    for name in ("y", "domain", "index"):
        once = getattr(plain, name).split(size)
        twice = getattr(batch, name).split(2 * size)
        assert all(torch.equal(both, one.repeat(2)) for both, one in zip(twice, once, strict=True))
    assert len(batch.x) == len(batch)
    for domain in batch.x.split(2 * size):
        images, edges = domain.chunk(2)
        assert max(len(image.unique()) for image in edges) <= 2
        assert min(len(image.unique()) for image in images) > 2
    assert torch.equal(sources.batch(sampler, 2).x, batch.x)


def test_images_of_a_target_have_two_views_too(tmp_path: Path) -> None:
    spec = spec_of(board("rss"))
    sampler = parts_of(spec).sampler
    seen = Setting(spec, parts_of(spec), Store(tmp_path), torch.device("cpu")).sources_to_train()
    unlabelled, plain = (seen.batch(each, 1).unlabelled for each in (sampler, Balanced("none")))
    assert unlabelled is not None
    assert plain is not None
    assert torch.equal(unlabelled.index, plain.index.repeat(2))
    assert len(unlabelled.x) == len(unlabelled.index)


def test_both_views_count_in_what_a_step_costs() -> None:
    plan = make_plan(board("erm", "sam"))
    passes = {entry.algorithm: plan.passes()[entry.training] for entry in plan.entries}
    assert passes == {entry.algorithm: entry.passes for entry in plan.entries} == {"erm": 2.0, "sam": 4.0}


def test_families_are_those_of_shifts_edges_and_crops() -> None:
    assert EdgeViews().families() == {*FOLDS[0], "edges", "geometric"}
    assert EdgeViews(()).families() == {"edges", "geometric"}
    assert EdgeViews(("blur", "color")).without(frozenset({"blur"})) == EdgeViews(("color",))
    assert EdgeViews(("blur",)).without(frozenset({"blur"})) == EdgeViews(())
    assert EdgeViews().without(frozenset(FOLDS[1])) is None


def test_strict_holds_out_no_edges_and_refuses_where_nothing_else_is_left() -> None:
    shifted = {family: {"a": 0.05 * at} for at, family in enumerate(FAMILIES)}
    one = candidate("erm", shifted=shifted, trained=EdgeViews().families())
    assert scores(*tables([one]), get("augmented"))["views"].to_list() == [["convolutional", "segmentation", "weather"]]
    only = candidate("erm", shifted={"edges": {"a": 0.5}}, trained=EdgeViews(()).families())
    with pytest.raises(RecipeError, match="trained with edges, geometric, and only edges were evaluated"):
        choose(*tables([only]), get("augmented"))


def test_no_judge_of_folds_can_do_without_edges() -> None:
    with pytest.raises(RecipeError, match=r"'kfold' has no judge for 'erm' under edges, geometric"):
        make_plan(board("erm", criterion="kfold"))


def test_what_looks_at_edges_needs_the_sampler() -> None:
    recipe = compose("crafting_shifts")
    del recipe.slots["sampler"]
    with pytest.raises(RecipeError, match=r"needs edge views, which no part provides; take the sampler 'edge_views'"):
        resolve(recipe, small_board("erm"))
