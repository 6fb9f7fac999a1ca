"""The papers of algorithms as BibTeX, from their cards."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from dgbench.board.render.latex import escaped
from dgbench.core.cards import AlgorithmCard, algorithm_card
from dgbench.core.errors import DGBenchError
from dgbench.core.recipe import compose


def cards(recipe: str) -> tuple[AlgorithmCard, ...]:
    """The cards of a recipe such as ``sam + swad``, or of its submission ``sam + swad@1``; none where none are here."""
    try:
        return tuple(algorithm_card(name) for name in compose(recipe.partition("@")[0]).cards)
    except DGBenchError:
        return ()


def bibliography(recipes: Iterable[str]) -> str:
    """An entry for each paper of the recipes, in their order; empty where nothing is known of any."""
    found = {entry(card): None for recipe in recipes for card in cards(recipe)}
    return "\n".join(found)


def entry(card: AlgorithmCard) -> str:
    """The paper of one algorithm."""
    paper = card.paper
    names = re.findall(r"[a-z]+", _ascii(paper.authors[0].split()[-1]).lower() if paper.authors else "")
    fields = {
        "title": "{" + escaped(paper.title) + "}",
        "author": " and ".join(map(escaped, paper.authors)),
        "booktitle": escaped(paper.venue),
        "year": str(paper.year),
        **({"eprint": paper.arxiv, "archiveprefix": "arXiv"} if paper.arxiv else {}),
    }
    lines = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items())
    return f"@inproceedings{{{''.join(names)}{paper.year}{card.name},\n{lines}}}\n"


def _ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
