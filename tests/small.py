"""A board small enough for tests: the rules of `quick`, a few steps, random weights, few images under shifts."""

from smallest import smallest

from dgbench.api.boards import rules
from dgbench.core.cards import BoardCard, SelectionRules, SplitRules, TrainingRules
from dgbench.core.registry import TRACKS

VIEWS = 10
"""Images of a source domain that are looked at under each shift."""
FEW = SplitRules(validation=0.05, test=0.05)
"""Of each domain 49 to 90 images are tested, and as many validate: to look at all of them takes longer than a few steps
do."""
WHOLE = SplitRules(validation=0.1)
"""As `quick` has it: targets are tested as a whole."""


def small_board(
    *algorithms: str,
    backbone: str | None = None,
    trials: int = 1,
    steps: int = 4,
    checkpoints: int = 2,
    split: SplitRules = FEW,
) -> BoardCard:
    """On the smallest network that suits all of the algorithms, if none is named."""
    backbone = backbone or smallest(*algorithms)
    training = TrainingRules(steps=steps, checkpoints=checkpoints, batch_per_domain=4)
    changes = {"tracks": dict.fromkeys(TRACKS, backbone), "unlabelled": "tested", "training": training, "name": "small"}
    changes |= {"selection": SelectionRules(views_per_domain=VIEWS), "split": split}
    return rules(rules("quick").model_copy(update=changes), algorithms=algorithms, trials=trials)
