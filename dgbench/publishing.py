"""The public functions of what is published: what others have, and what goes out from here.

    frame = dgbench.published("pacs")

Nothing here imports torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl


def published(dataset: str | None = None, *, algorithm: str | None = None) -> pl.DataFrame:
    """Numbers that others published, as they are printed. None was computed here, and none is ever ranked.

    Args:
        dataset: Of this one alone: its means, and its targets where they are known.
        algorithm: Of methods by the idea of this recipe alone; they are not the code here.

    Returns:
        A row for each figure: ``source, table, method, algorithm, dataset, target``, then ``value`` and ``spread`` with
        their ``measure`` and ``unit``, then how they came about. An empty ``dataset`` is the mean over the datasets
        of the table, an empty ``target`` the mean over those of the dataset.

    Raises:
        UnknownNameError: nothing is known of it.
    """
    from dgbench.literature.table import frame

    return frame(dataset, algorithm)
