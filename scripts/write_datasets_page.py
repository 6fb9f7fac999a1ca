"""Write docs/datasets.md, 'Where each dataset comes from', from the cards of the datasets.

python scripts/write_datasets_page.py
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dgbench.core.cards import card_names
from dgbench.core.dataset_card import DatasetCard, dataset_card

PAGE = Path(__file__).parents[1] / "docs" / "datasets.md"

INTRODUCTION = """\
# Where each dataset comes from

This page is written by `scripts/write_datasets_page.py` from the cards in `datasets/`; mend the card, not the page.
`dgbench list datasets` and `dgbench show NAME` say the same on the command line.

dgbench passes on no dataset. It reads what you have, where it lies and under the names that it has. Set `DGBENCH_DATA`
to the folder in which your datasets lie (or to several, with `:` between them; without it, `data/` is taken). The names
below are looked for in there, in their order. Nothing there is moved, renamed or written. A dataset that lies elsewhere
or has other names needs a card of its own: `dgbench data new DIR` writes it.

**When a host is dead.** The ways to get a dataset stand in the order in which to try them. If all of them fail:

1. Ask a colleague for a copy. `dgbench data check NAME` says whether it is whole. Two copies are the same data if their
   manifests agree, however they came: `outline('NAME').manifest` of `dgbench.data.catalogue`, a hash over the content.
2. Look for the dataset, or for the name of its archive, on the Hugging Face hub, as Parquet or folders of images:
   `dgbench data new hf://OWNER/NAME@REVISION` writes a card for it. Compare the counts, and look at the images.
3. Ask in the issues of the repository that is named last. Then tell us, so that the card is mended.

**What is not certain is said.** *To be checked* marks licences and sizes that nobody here has verified with the source.
`~` marks counts that are rough or recalled; the others are expected, and you are warned if yours differ. None of this
is legal advice.
"""


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """The whole page, as Markdown."""
    cards = [dataset_card(name) for name in card_names("datasets")]
    sections = ["\n".join(section(card)) for card in cards]
    return "\n".join([INTRODUCTION, *overview(cards), "", "\n\n".join(sections), ""])


def overview(cards: list[DatasetCard]) -> Iterator[str]:
    """A table with a row for each dataset."""
    yield "| dataset | domains | classes | images | licence | size |"
    yield "|---|---:|---:|---:|---|---|"
    for card in cards:
        name, size = f"[{card.name}](#{card.name})", card.size or "small, made at first use"
        classes = card.class_count if card.value is None else f"a value: {card.value.what}"
        cells = (name, card.domain_count, classes, card.images, card.licence, size)
        yield f"| {' | '.join(str(cell).replace('|', '/') for cell in cells)} |"


def section(card: DatasetCard) -> Iterator[str]:
    """What there is to say of one dataset."""
    yield f"## {card.name}\n\n**{card.title}.** {card.summary}\n"
    yield f"* Licence: {card.licence}"
    yield f"* May be passed on: {card.redistribution}"
    if card.roots:
        yield f"* Looked for as: {', '.join(f'`{name}`' for name in card.roots)}"
    if card.duplicates:
        yield f"* Duplicates: {card.duplicates}"
    if card.get:
        yield "\nHow to get it:\n"
        yield from (f"{number}. {way}" for number, way in enumerate(card.get, 1))
    if card.notes:
        yield "\nGood to know:\n"
        yield from (f"* {note}" for note in card.notes)
    if card.sources:
        yield "\nPlease cite:\n"
        yield from (f"* {source.what} ({source.licence}): {source.citation}" for source in card.sources)


if __name__ == "__main__":
    main()
