"""Looking at the pictures that a card in the making names: how they are to be decoded."""

from __future__ import annotations

from dataclasses import replace

from dgbench.core.decoding import AS_LOADERS
from dgbench.data.cache.content import Progress
from dgbench.data.disk.look.draft import Draft
from dgbench.data.disk.picture_survey import say, survey
from dgbench.data.listing import Listing


def look_at_pictures(draft: Draft, listing: Listing, progress: Progress) -> Draft:
    """The draft with the decoding that keeps what its pictures show; they are read as trainings will read them."""
    found = survey([domain.pictures for domain in listing.domains], progress)
    choice = found.choice()
    standard = AS_LOADERS.spec()
    chosen = {field: value for field, value in choice.spec().items() if value != standard[field]}
    return replace(draft, content=draft.content | chosen, said=[*draft.said, *say(found, choice)])
