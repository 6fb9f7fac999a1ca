import copy

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import update_bn

from dgbench.algorithms.averaging.ema import EMA
from dgbench.algorithms.averaging.swad import SWAD
from dgbench.algorithms.averaging.wise_ft import WiSEFT
from dgbench.algorithms.step import norm_statistics
from dgbench.api.boards import rules
from dgbench.core.cards import BoardCard, TrainingRules
from dgbench.models.backbones import build
from dgbench.models.network import Network
from dgbench.runs.overlap import idle
from dgbench.runs.planning import make_plan
from dgbench.train.norm_statistics import batches_for, recompute
from small import small_board

RESNET = "timm:test_resnet(size=32)"


def network() -> Network:
    torch.manual_seed(0)
    return Network(build(RESNET), 3)


def norms(module: nn.Module) -> list[nn.BatchNorm2d]:
    return [m for m in module.modules() if isinstance(m, nn.BatchNorm2d)]


def test_recomputed_statistics_are_those_of_torch() -> None:
    ours = network()
    theirs = copy.deepcopy(ours)
    batches = [torch.randn(6, 3, 32, 32) * scale for scale in (0.5, 1.0, 2.0)]
    weights = {k: t.clone() for k, t in ours.state_dict().items() if "running" not in k and "tracked" not in k}
    recompute(ours, batches)
    update_bn(batches, theirs)
    assert norms(ours)
    for mine, reference in zip(norms(ours), norms(theirs), strict=True):
        torch.testing.assert_close(mine.running_mean, reference.running_mean, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(mine.running_var, reference.running_var, rtol=1e-5, atol=1e-6)
        assert mine.momentum == reference.momentum == 0.1
        assert int(mine.num_batches_tracked) == len(batches)
    assert all(torch.equal(ours.state_dict()[k], t) for k, t in weights.items())
    assert [m.training for m in ours.modules()] == [m.training for m in theirs.modules()]


def test_five_hundred_batches_in_a_training_of_five_thousand_steps() -> None:
    assert [batches_for(steps) for steps in (4, 100, 5000)] == [10, 10, 500]


def test_a_step_counts_one_batch_however_many_passes_it_makes() -> None:
    net = network().train()
    for moving in (True, False, False):
        with norm_statistics(net, moving=moving):
            net.features(torch.randn(4, 3, 32, 32))
    assert {int(norm.num_batches_tracked) for norm in norms(net)} == {1}
    assert {norm.momentum for norm in norms(net)} == {0.1}


def board(backbone: str, norm_mode: str, before: str = "") -> BoardCard:
    training = TrainingRules(steps=4, checkpoints=2, batch_per_domain=4, norm_mode=norm_mode)
    names = (f"{before}{name}" for name in ("ema(statistics='average')", "ema", "swad"))
    small = small_board(*names, backbone=backbone)
    return rules(small.model_copy(update={"training": training}))


@pytest.mark.parametrize(
    ("backbone", "norm_mode", "before", "left"),
    [
        (RESNET, "train", "", {"average", "recompute"}),
        (RESNET, "train", "levi + ", {"average"}),  # its backbone is frozen, and its side network has none
        (RESNET, "frozen", "", {"average"}),
        ("dgbench:vit-micro", "train", "", {"average"}),
    ],
)
def test_statistics_are_recomputed_where_there_are_some_that_move(
    backbone: str, norm_mode: str, before: str, left: set[str]
) -> None:
    made = make_plan(board(backbone, norm_mode, before))
    assert {entry.hyperparameters["averaging"]["statistics"] for entry in made.entries} == left
    assert [(one.algorithm, one.equals) for one in idle(made)] == (
        [] if left == {"average", "recompute"} else [(f"{before}ema", (f"{before}ema(statistics=average)",))]
    )


def test_what_runs_by_default() -> None:
    assert SWAD().recomputes()
    assert EMA().recomputes()
    assert not WiSEFT().recomputes()
