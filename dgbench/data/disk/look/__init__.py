"""Looking at data that has no card yet, and writing its card.

A folder is read as ``domain/class/image``, or ``domain/split/class/image``; a table by its columns; Parquet files, what
``save_to_disk`` wrote and datasets of the Hugging Face hub by their features. That makes a card without counts, and
from then on its reader looks: it counts, and finds the pictures, which are looked at themselves. So what is accepted
here is what is read later. What was taken for what is said, and can be said otherwise.
"""

from __future__ import annotations

from pathlib import Path

from dgbench.core.errors import DataError, did_you_mean
from dgbench.data.cache.content import Progress, silent
from dgbench.data.disk.look.draft import Draft, counted, plain_name, write
from dgbench.data.disk.look.encoded import holds_tables, is_parquet, look_at_arrow, look_at_hub
from dgbench.data.disk.look.pictures import look_at_pictures
from dgbench.data.disk.look.table import listed, look_at_table
from dgbench.data.disk.look.tree import look_at_tree
from dgbench.data.disk.readers.columns import COLUMNS

__all__ = ["Draft", "look", "write"]


def look(
    source: str,
    name: str | None = None,
    columns: dict[str, str] | None = None,
    layout: str | None = None,
    progress: Progress = silent,
) -> Draft:
    """A draft of the card of a dataset.

    Args:
        source: A folder, a CSV or Parquet file, or ``hf://owner/name@revision``.
        name: Of the dataset; by default it is made from the source's name.
        columns: Which column is the ``image``, ``label``, ``domain``, ``split`` or ``group``, where the names do not
            tell.
        layout: Of a folder, as ``{class}/{domain}``, where the guess is wrong.
        progress: Is told how many pictures have been looked at, and how many there are.

    Raises:
        CardError: ``name`` cannot be the name of a dataset.
        DataError: there is nothing there that can be read, or it is not clear what is what.
    """
    columns = columns or {}
    if unknown := sorted(set(columns) - set(COLUMNS)):
        raise DataError(f"there is no kind of column called '{unknown[0]}'.{did_you_mean(unknown[0], COLUMNS)}")
    draft, listing = counted(_draft(source, name, columns, layout))
    return look_at_pictures(draft, listing, progress)


def _draft(source: str, name: str | None, columns: dict[str, str], layout: str | None) -> Draft:
    if source.startswith("hf://"):
        return look_at_hub(source.removeprefix("hf://"), name, columns)
    try:
        path = Path(source).expanduser().resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise DataError(f"{source}: there is no such folder or file") from error
    if path.is_file():
        return (look_at_arrow if is_parquet(path) else look_at_table)(path, name, columns)
    if layout is None and holds_tables(path):
        return look_at_arrow(path, name, columns)
    if layout is None and (table := listed(path, columns)):
        return look_at_table(table, name or plain_name(path.name), columns)
    return look_at_tree(path, name, layout)
