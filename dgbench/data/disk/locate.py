"""Where a dataset lies on this machine."""

from __future__ import annotations

import os
from pathlib import Path

from dgbench.core.dataset_card import DatasetCard, dataset_card
from dgbench.core.errors import DataError
from dgbench.core.names import readable
from dgbench.core.reader_cards import Hub, Union
from dgbench.data.disk.folders import contents
from dgbench.data.disk.naming import domain_names, some


def data_roots() -> tuple[Path, ...]:
    """The folders in which datasets lie: those in ``$DGBENCH_DATA``, else ``data/`` in the working directory."""
    named = os.environ.get("DGBENCH_DATA", "").split(os.pathsep)
    return tuple(Path(name).expanduser() for name in named if name) or (Path("data"),)


def places(card: DatasetCard) -> tuple[Path, ...]:
    """Where a dataset is looked for, in order: below the data roots, and last in one that is called as it is."""
    if card.path is not None:
        return (card.path,)
    roots = data_roots()
    below = [root / name for root in roots for name in card.roots]
    return (*below, *(root for root in roots if any(_is_called(root, name) for name in card.roots)))


def hub_home() -> Path:
    """Where the Hugging Face libraries keep what they fetch: the place of hub datasets that lie in no folder."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return Path(os.environ.get("HF_HOME", cache / "huggingface")).expanduser()


def find(card: DatasetCard) -> Path | None:
    """The folder of a dataset (of a union, its first member's), or None where it is not on this machine (yet)."""
    if isinstance(card.reader, Union):
        members = [find(member) for member in _members(card.reader)]
        return None if None in members else members[0]
    found = next((place for place in places(card) if place.is_dir()), None)
    if found is None and isinstance(card.reader, Hub) and _fetched(card.reader):
        return hub_home()
    return found


def locate(card: DatasetCard) -> Path:
    """The folder of a dataset; ``hub_home()`` for a hub dataset that is fetched when it is read.

    Raises:
        DataError: there is none; the message says where it was looked for, and how to get the data.
    """
    if isinstance(card.reader, Union):
        folders = [locate(member) for member in _members(card.reader)]
        return folders[0]
    found = find(card)
    if found is not None:
        return found
    if isinstance(card.reader, Hub) and card.path is None:
        return hub_home()
    looked = "".join(f"\n  {place}" for place in places(card)) or "\n  nowhere: its card names no folder"
    if card.path is not None:
        remedy = f"Mend 'path' on the card of '{card.name}', or put the data there."
    else:
        remedy = "Set DGBENCH_DATA to the folder (or folders) in which your datasets lie." + _inside(card)
    get = "".join(f"\n  {way}" for way in card.get)
    ways = f"\nHow to get it:{get}" if get else ""
    raise DataError(
        f"the dataset '{card.name}' is not here. Looked in:{looked}\n{remedy}{ways}\nMore: docs/datasets.md"
    )


def _is_called(root: Path, name: str) -> bool:
    """Whether a folder has a name that may be of several levels; case does not matter."""
    wanted = Path(name.casefold()).parts
    return bool(wanted) and ".." not in wanted and Path(str(root.absolute()).casefold()).parts[-len(wanted) :] == wanted


def _inside(card: DatasetCard) -> str:
    """What to do where a data root seems to be the dataset itself, by the domains that lie in it."""
    names = domain_names(card)
    for root in data_roots():
        there = [name for name in contents(root).folders if names.number(name) is not None] if root.is_dir() else []
        if there and card.roots:
            return (
                f"\n{root} seems to be the dataset itself, since it holds {some(map(readable, there), 3)}: call it "
                f"'{card.roots[0]}', and set DGBENCH_DATA to {root.absolute().parent}."
            )
    return ""


def _members(reader: Union) -> list[DatasetCard]:
    """The datasets of a union, each once."""
    return [dataset_card(name) for name in dict.fromkeys(m.partition("/")[0] for m in reader.members.values())]


def _fetched(reader: Hub) -> bool:
    """Whether the cache of the hub's client has the dataset in its revision."""
    cache = Path(os.environ.get("HF_HUB_CACHE", hub_home() / "hub"))
    return (cache / f"datasets--{reader.id.replace('/', '--')}" / "snapshots" / reader.revision).is_dir()
