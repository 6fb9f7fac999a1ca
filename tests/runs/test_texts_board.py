"""The board of methods whose head is made of texts, whole, on a tiny CLIP and a folder of pictures."""

from pathlib import Path

import tiny_clip

from dgbench.api.boards import leaderboard, rules
from dgbench.core.cards import CaseRules, SelectionRules, TrainingRules
from dgbench.runs.deterministic import as_worker
from dgbench.runs.groundwork import Groundwork
from dgbench.runs.heads import side_by_side
from dgbench.runs.jobs import unit
from dgbench.runs.planning import make_plan
from in_process import carry_out


def test_every_algorithm_of_the_board_is_trained_and_ranked(pictures: str, tmp_path: Path) -> None:
    board = rules("emoji-texts", datasets=[pictures], trials=1, backbone=tiny_clip.register(tmp_path))
    assert set(tiny_clip.TEXT) < set(board.algorithms)
    training = TrainingRules(steps=2, checkpoints=1, batch_per_domain=2, precision="float32")
    changes = {"training": training, "selection": SelectionRules(views_per_domain=1)}
    board = rules(board.model_copy(update=changes | {"cases": {pictures: CaseRules(targets=("wood",))}}))
    with as_worker("cpu"):
        carry_out(board, tmp_path / "store")
    table = leaderboard(board, store=tmp_path / "store")
    assert {entry.algorithm for entry in table.entries} == set(board.algorithms)


def test_a_head_of_texts_is_trained_beside_no_other(pictures: str, tmp_path: Path) -> None:
    """Linear probes are trained together; prompts on the same features are not, as each has a text tower to hold."""
    board = rules("emoji-texts", datasets=[pictures], trials=1, draws=2, backbone=tiny_clip.register(tmp_path))
    plan = make_plan(rules(board, algorithms=["coop", "linear_probe"]))
    units = tuple(unit(plan, id_) for id_ in plan.trainings)
    jobs, _ = side_by_side(Groundwork(units, (), {}), 1)
    together = {one.training.id for job in jobs for one in job.units}
    assert together == {entry.training for entry in plan.entries if entry.algorithm == "linear_probe"}
