"""Recipes of which a part has no effect are the recipes that they equal, and the plan says so before the work."""

import logging
from pathlib import Path

import polars as pl
import pytest
import torch

from dgbench.api.boards import leaderboard, rules
from dgbench.core.cards import BoardCard, PartChoice
from dgbench.core.recipe import compose, resolve
from dgbench.runs.launch import launch
from dgbench.runs.overlap import idle
from dgbench.runs.planning import make_plan
from dgbench.runs.store import Store
from in_process import carry_out
from small import small_board


def frozen_board(*algorithms: str, draws: int = 1) -> BoardCard:
    board = small_board(*algorithms)
    probe = board.defaults.model_copy(update={"adapter": PartChoice(part="linear_probe")})
    return rules(board.model_copy(update={"defaults": probe, "draws": draws}))


def equal(board: BoardCard) -> dict[str, tuple[str, ...]]:
    return {one.algorithm: one.equals for one in idle(make_plan(board))}


def test_alignment_of_features_that_do_not_move_is_erm() -> None:
    assert equal(frozen_board("erm", "coral", "vrex", "irm", "sam")) == {"coral": ("erm",)}
    assert equal(small_board("erm", "coral", "vrex", "irm", "sam")) == {}
    made = make_plan(frozen_board("erm", "coral"))
    assert len(made.trainings) == 4, "one training a target, not two"
    assert len(made.entries) == 2 * len(made.runs), "every algorithm has its entries all the same"


def test_what_compares_domains_is_erm_where_there_is_one() -> None:
    board = small_board("erm", "coral", "vrex", "irm", "coral + sam", "sam").model_copy(
        update={"protocol": "single-source"}
    )
    assert equal(board) == {"coral": ("erm", "vrex"), "vrex": ("erm", "coral"), "coral + sam": ("sam",)}


def test_the_draws_of_what_has_an_effect_stay() -> None:
    """In draw 1 the penalty's value is drawn and idle; the learning rate is drawn, the same one as ERM's."""
    board = frozen_board("erm", "coral", draws=3)
    assert equal(board) == {"coral": ("erm",)}
    assert len({entry.training for entry in make_plan(board).entries}) == 4 * 3


def test_an_algorithm_alone_is_named_without_an_equal() -> None:
    (one,) = idle(make_plan(frozen_board("coral")))
    assert str(one) == (
        "coral has a part without effect: the objective 'coral' acts on moving features, which this training has not"
    )


def test_it_is_said_before_the_work(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = make_plan(frozen_board("erm", "coral"))
    made.trainings.clear()
    made.runs.clear()
    with caplog.at_level(logging.WARNING):
        launch(made, Store(tmp_path), device="cpu")
    assert caplog.messages == [
        "coral is erm here: the objective 'coral' acts on moving features, which this training has not"
    ]


def test_the_claim_is_true_of_the_penalty_itself() -> None:
    """CORAL's gradient in a head on fixed features is ERM's."""
    from dgbench.algorithms.objectives.coral import CORAL
    from dgbench.algorithms.objectives.cross_entropy import CrossEntropy
    from dgbench.algorithms.step import Batch, Forward
    from dgbench.models.backbones import build
    from dgbench.models.network import Network

    network = Network(build("dgbench:vit-micro"), 3)
    features = torch.randn(12, network.head.in_features)
    domain = torch.arange(12) % 3
    batch = Batch(features, torch.arange(12) % 3, domain, domain)
    slopes = []
    for objective in (CORAL(penalty_weight=7.0), CrossEntropy()):
        network.zero_grad()
        forward = Forward(network, batch, features, network.head(features), 0, 10, 3)
        objective.loss(forward).backward()
        slopes.append(network.head.weight.grad.clone())
    torch.testing.assert_close(*slopes, rtol=1e-6, atol=1e-7)


def test_hyperparameters_show_what_ran() -> None:
    entry = next(e for e in make_plan(frozen_board("coral")).entries)
    plain = resolve(compose("erm"), frozen_board("erm"))
    assert entry.hyperparameters["objective"] == plain.specs["objective"]
    assert pl.DataFrame([entry.row()])["without_effect"][0].startswith("the objective")


def test_the_board_marks_what_a_part_without_effect_left(tmp_path: Path) -> None:
    """From the plan to the page: CORAL on a frozen backbone is ERM, and ranks see one result."""
    board = frozen_board("coral", "erm")
    carry_out(board, tmp_path)
    found = {entry.algorithm: entry for entry in leaderboard(board, store=tmp_path).entries}
    assert (found["coral"].same_as, found["erm"].same_as) == ("erm", None)
    assert "acts on moving features" in found["coral"].without_effect
    assert found["coral"].accuracy == found["erm"].accuracy
