"""Looking at the pictures that a card in the making names: how they are to be decoded."""

from __future__ import annotations

from dataclasses import replace

from dgbench.core.dataset_card import DatasetCard
from dgbench.core.decoding import AS_LOADERS
from dgbench.core.toml import validated
from dgbench.data.content import Progress
from dgbench.data.locate import locate
from dgbench.data.look.draft import Draft
from dgbench.data.picture_survey import say, survey
from dgbench.data.readers import read
from dgbench.data.suffixes import say_left_out


def look_at_pictures(draft: Draft, progress: Progress) -> Draft:
    """The draft with the decoding that keeps what its pictures show; they are read as trainings will read them.

    Raises:
        CardError, DataError: the card, or the data, is not what its reader accepts.
    """
    card = validated(draft.content, DatasetCard, f"the card of '{draft.name}'")
    listing = read(card, locate(card))
    found = survey([domain.pictures for domain in listing.domains], progress)
    choice = found.choice()
    standard = AS_LOADERS.spec()
    chosen = {field: value for field, value in choice.spec().items() if value != standard[field]}
    said = [*draft.said, *say(found, choice)]
    if listing.left_out:
        said.append(say_left_out(listing.left_out))
    return replace(draft, content=draft.content | chosen, said=said)
