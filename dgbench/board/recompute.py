"""The command that computes a leaderboard again."""

from __future__ import annotations

import shlex

from dgbench.core.backbone_name import parse
from dgbench.core.cards import BoardCard, board_card, board_names


def command(card: BoardCard, criterion: str | None = None, file: str = "board.toml") -> str:
    """The command that computes a leaderboard by these rules, where options can say them.

    Own weights are named as they are called, not where they lie: the command is for a folder that they lie in.

    Args:
        card: The rules.
        criterion: What selects models, in place of the rules' own.
        file: Where the rules lie, if they are not those of a board that comes with dgbench.
    """
    backbones = set(card.tracks.values())
    options = ["dataset", "algorithms", "trials", "looks", "draws", "criterion"]
    options += ["tracks"] if len(backbones) == 1 else []
    own = board_card(card.name) if card.name in board_names() else None
    like = {key: getattr(card, key) for key in (*options, "keep")}  # which weights stay changes no leaderboard
    like |= {"cases": {name: own.cases[name] for name in own.cases if name in card.dataset}} if own else {}
    fixed = own is not None and own.model_copy(update=like) == card
    words = ["dgbench", "run", card.name if fixed else file]
    if own is None or not fixed or card.algorithms != own.algorithms:
        words += [word for algorithm in card.algorithms for word in ("-a", algorithm)]
    if fixed and own is not None and card.dataset != own.dataset:
        words += [word for dataset in card.dataset for word in ("-d", dataset)]
    if fixed and own is not None and card.tracks != own.tracks:
        words += ["--backbone", parse(*backbones).portable]
    for key in ("trials", "draws", "criterion"):
        value = criterion if key == "criterion" and criterion is not None else getattr(card, key)
        grows = key == "trials" and own is not None and card.looks != own.looks
        if own is None or not fixed or grows or value != getattr(own, key):
            words += [f"--{key}", str(value)]
            words += [word for look in card.looks if key == "trials" for word in ("--looks", str(look))]
    words += ["--until", "separated"] if card.looks else []
    return shlex.join(words)
