"""Write docs/algorithms.md, 'The algorithms', from the cards of the algorithms.

python scripts/write_algorithms_page.py
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from dgbench.core.cards import AlgorithmCard, BoardCard, algorithm_card, board_card, card_names
from dgbench.core.composition import passes_of, track_of
from dgbench.core.errors import RecipeError
from dgbench.core.recipe import build_part, compose, resolve
from dgbench.core.registry import SLOTS, Slot
from dgbench.train.spec import SHAPING

PAGE = Path(__file__).parents[1] / "docs" / "algorithms.md"

INTRODUCTION = """\
# The algorithms

This page is written by `scripts/write_algorithms_page.py` from the cards in `algorithms/`; mend the card, not the page.
`dgbench show NAME` also says each hyperparameter with its range, and what was published.

An algorithm fills some of the six slots of a [recipe](architecture.md#an-algorithm-is-a-recipe-of-parts), and stands
here below the first that it fills; the board fills the others. *Passes* is how many times a step goes forward and back
through the network, which is most of what a training takes: ERM goes once, an image in two views counts twice, and a
second network that only looks at the images, and learns nothing, is a third of a pass more.
Algorithms that fill nothing but averaging or predictor have no training of their own where another recipe of the board
has it. *Needs* is what the backbone must offer.
"""

DOMAINBED = """\
## The algorithms of DomainBed

Of its 34 algorithms 33 are here, by their names in small letters; those of `ANDMask`, `SANDMask`, `ERMPlusPlus` and
`Mixup` are `and_mask`, `sand_mask`, `erm_plus_plus` and `inter_domain_mixup`. `ARM` is not. It makes a channel of the
input out of all images of a domain, so that what becomes of an image depends on others before its first layer; steps
are divided by images here, features kept and networks exported, each as if it did not. `arm_bn` is another form of the
same method, which adapts statistics of layers in place of an input.
"""

TITLES: dict[Slot, str] = {
    "sampler": "What does a step see? (sampler)",
    "adapter": "What is trainable? (adapter)",
    "objective": "What is minimised? (objective)",
    "optimizer": "How does a step descend? (optimizer)",
    "averaging": "Which weights are kept? (averaging)",
    "predictor": "How is a prediction made? (predictor)",
}

COMPOSING = """\
## What composes

Any two compose that fill different slots, with `+`: `sam + swad`. Two that fill one slot with other parts do not,
whatever they are. Beyond that, these pairs are refused, and the reason is said before anything runs:
"""


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """The whole page, as Markdown."""
    cards = [algorithm_card(name) for name in card_names("algorithms")]
    sections = [text for slot in SLOTS for text in table(slot, cards)]
    notes = [text for card in cards for text in differences(card)]
    return "\n".join(
        [INTRODUCTION, *sections, *composing(cards), DOMAINBED, "## Where papers and code part ways\n", *notes]
    )


@cache
def board() -> BoardCard:
    """Whose rules fill what algorithms leave open; read once, as there are thousands of pairs."""
    return board_card("quick")


def first(card: AlgorithmCard) -> Slot:
    """The slot below which a card stands; ERM, which fills none, is an objective."""
    return next(iter(card.recipe.filled()), "objective")


def table(slot: Slot, cards: list[AlgorithmCard]) -> Iterator[str]:
    """The algorithms of one slot; nothing where there are none."""
    own = [card for card in cards if first(card) == slot]
    if not own:
        return
    yield f"## {TITLES[slot]}\n"
    yield "| algorithm | what it does | passes | needs | track | slots | paper |"
    yield "|---|---|---:|---|---|---|---|"
    for card in own:
        parts = {at: part(card, at) for at in card.recipe.filled()}
        cells = (
            f"`{card.name}` {card.title}",
            card.summary,
            passes(card),
            ", ".join(sorted(needs(parts))) or "–",
            track_of(parts),
            ", ".join(parts) or "none",
            card.paper.cite(),
        )
        yield f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
    yield ""


def part(card: AlgorithmCard, slot: Slot) -> Any:
    """The part that a card fills a slot with."""
    choice = card.recipe.filled()[slot]
    return build_part(slot, choice.part, choice.hyperparameters, f"card '{card.name}'")


def passes(card: AlgorithmCard) -> str:
    """How many a step takes; none where there is no training of its own, or no step."""
    filled = card.recipe.filled()
    own = not filled or filled.keys() & {*SHAPING}
    found = passes_of(resolve(compose(card.name), board()).parts) if own else 0.0
    return f"{found:.3g}" if found else "–"


def needs(parts: dict[Slot, Any]) -> Iterator[str]:
    """What none of its parts provides."""
    provided = {what for each in parts.values() for what in each.provides()}
    yield from {what.replace("_", " "): None for each in parts.values() for what in each.needs() - provided}


def composing(cards: list[AlgorithmCard]) -> Iterator[str]:
    """What fills different slots and is refused: who shares all partners stands together, with one reason of theirs."""
    partners: dict[str, dict[str, str]] = {}
    for one, other in itertools.permutations(cards, 2):
        if SLOTS.index(first(one)) > SLOTS.index(first(other)):
            reason = refused(one, other)
            if reason:
                partners.setdefault(one.name, {})[other.name] = reason
    together: dict[tuple[str, ...], list[str]] = {}
    for name, found in partners.items():
        together.setdefault(tuple(found), []).append(name)
    yield COMPOSING
    for others, names in together.items():
        why = f"`{names[0]} + {others[0]}`: {partners[names[0]][others[0]]}."
        yield f"* {listed(names)} with {listed(others)}. So {why}"
    yield ""


def refused(one: AlgorithmCard, other: AlgorithmCard) -> str:
    """Why two that fill different slots do not compose; empty where they do, or fill one slot."""
    if one.recipe.filled().keys() & other.recipe.filled().keys():
        return ""
    try:
        resolve(compose(f"{one.name} + {other.name}"), board())
    except RecipeError as error:
        return str(error).partition("': ")[2]
    return ""


def listed(names: Iterable[str]) -> str:
    """Names one after the other."""
    return ", ".join(f"`{name}`" for name in names)


def differences(card: AlgorithmCard) -> Iterator[str]:
    """How the part here, the paper and its released code differ."""
    if card.differences:
        yield f"**{card.title}**\n"
        yield from (f"* {difference.what}" for difference in card.differences)
        yield ""


if __name__ == "__main__":
    main()
