"""A board small enough for tests: the rules of `quick`, a few steps, random weights."""

from dgbench.api.boards import rules
from dgbench.core.cards import BoardCard, TrainingRules


def small_board(
    *algorithms: str, backbone: str = "dgbench:vit-micro", trials: int = 1, steps: int = 4, checkpoints: int = 2
) -> BoardCard:
    training = TrainingRules(steps=steps, checkpoints=checkpoints, batch_per_domain=4)
    changes = {"tracks": {"inductive": backbone, "online": backbone}, "training": training, "name": "small"}
    return rules(rules("quick").model_copy(update=changes), algorithms=algorithms, trials=trials)
