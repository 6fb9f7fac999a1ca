"""Nothing of the target reaches training or selection."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from dgbench.api import boards
from dgbench.core.cards import SelectionRules
from dgbench.data.catalogue import load
from dgbench.data.domain import Dataset
from dgbench.runs import execute, setting
from dgbench.runs.index import index
from dgbench.runs.planning import make_plan
from dgbench.runs.store import Store
from dgbench.selection.criteria import CRITERIA, choose
from small import small_board

CPU = torch.device("cpu")
ALGORITHMS = ("erm", "udim", "swad", "t3a", "adanpc", "drm", "irm")
BOARD = small_board(*ALGORITHMS, backbone="dgbench:convnet-small", steps=6).model_copy(
    update={"selection": SelectionRules(views_per_domain=3)}
)


def _with_another_target(data: Dataset, target: str) -> Dataset:
    """The same dataset, but the target's images are noise and its labels are wrong."""
    domain = data.domain(target)
    noise = np.random.default_rng(0).integers(0, 256, domain.inputs.shape, dtype=np.uint8)
    other = replace(domain, inputs=noise, labels=(domain.labels + 1) % len(data.classes))
    return replace(data, domains=tuple(other if d.name == target else d for d in data.domains))


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One target's column of the board, done with the true target and with a ruined one."""
    plan = make_plan(BOARD)
    target = "print"
    runs = [run for run in plan.runs.values() if run.target == target]
    truth = load("digits")
    roots = []
    with pytest.MonkeyPatch.context() as patch:
        for data in (truth, _with_another_target(truth, target)):
            patch.setattr(setting, "load", lambda name, size, data=data: data)
            root = tmp_path_factory.mktemp("store")
            for id_ in dict.fromkeys(run.training for run in runs):
                execute.do_training(plan.trainings[id_], Store(root), CPU)
                execute.do_runs(plan.trainings[id_], [run for run in runs if run.training == id_], Store(root), CPU)
            Store(root).write_index(BOARD, index(plan))
            roots.append(root)
    return roots[0], roots[1]


def test_weights_are_the_same_bits_whatever_the_target_is(stores: tuple[Path, Path]) -> None:
    one, other = stores
    files = sorted(p.relative_to(one) for p in one.glob("trainings/*/weights/*"))
    assert len(files) > 20
    for file in files:
        assert (one / file).read_bytes() == (other / file).read_bytes(), file


def test_source_predictions_are_the_same_and_target_predictions_are_not(stores: tuple[Path, Path]) -> None:
    one, other = stores
    for path in one.glob("runs/*/predictions.parquet"):
        true, ruined = pl.read_parquet(path), pl.read_parquet(other / path.relative_to(one))
        source = pl.col("split") == "validation"
        assert true.filter(source).equals(ruined.filter(source))
        assert not true.filter(~source).equals(ruined.filter(~source))


@pytest.mark.parametrize("criterion", [name for name, c in CRITERIA.items() if c.ranks and not c.judges])
def test_selection_is_the_same_whatever_the_target_is(stores: tuple[Path, Path], criterion: str) -> None:
    chosen = []
    for root in stores:
        found = boards.records(BOARD, store=root)
        chosen.append(choose(found.metrics, found.runs, CRITERIA[criterion], found.indicators).drop("score"))
    assert chosen[0].equals(chosen[1])
