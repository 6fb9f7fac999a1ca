"""Datasets of the Hugging Face hub, or a folder in the same form: Parquet files, or folders of images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dgbench.core.dataset_card import DatasetCard
from dgbench.core.errors import DataError
from dgbench.core.paths import cache_root
from dgbench.core.reader_cards import Hub
from dgbench.data.disk.locate import hub_home
from dgbench.data.disk.readers.encoded import failures, listing
from dgbench.data.listing import Listing

if TYPE_CHECKING:
    import datasets

ELSEWHERE = "Data that was fetched elsewhere can be read from its folder: dgbench data new DIR"


def read(card: DatasetCard, reader: Hub, root: Path) -> Listing:
    """The rows of all splits, in order.

    Args:
        card: The dataset.
        reader: Its id, revision and columns.
        root: A folder with the dataset, or ``hub_home()`` to ask the hub and its cache.

    Raises:
        DataError: the dataset cannot be had, needs a program to be read, or a column is missing.
    """
    parts = load(reader.id, reader.revision, root)
    return listing(card, reader, parts, root, _where(reader.id, reader.revision, root))


def load(identity: str, revision: str, root: Path) -> dict[str, datasets.Dataset]:
    """The splits, by name; what is converted on the way goes into the cache, nothing into ``root``.

    Raises:
        DataError: the dataset cannot be had, or needs a program to be read.
    """
    import datasets

    where = _where(identity, revision, root)
    try:
        if root == hub_home():
            loaded: Any = datasets.load_dataset(identity, revision=revision)
        else:
            loaded = datasets.load_dataset(str(root), cache_dir=str(cache_root() / "hub"))
    except failures() + _http_errors() as error:
        if not (isinstance(error, RuntimeError) and "script" in str(error)):
            raise DataError(
                f"{where} cannot be loaded ({type(error).__name__}: {_line(error)}). A dataset of the hub needs a "
                f"connection when it is read for the first time; a folder needs Parquet files, or images in "
                f"folders. {ELSEWHERE}"
            ) from error
        raise DataError(
            f"{where} needs a program of its own to be read ({error}). dgbench runs none: look on the hub for a copy "
            "as Parquet, and put its id on the card"
        ) from error
    return dict(loaded)


def commit(identity: str, revision: str | None) -> str:
    """The commit that a revision (or the default branch) of a hub dataset points to now.

    Raises:
        DataError: the hub does not say: it is out of reach, or has no such dataset for this user.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    where = f"hf://{identity}"
    try:
        return str(HfApi().dataset_info(identity, revision=revision).sha)
    except HFValidationError as error:
        raise DataError(
            f"{where} is no name of the hub; expected hf://owner/name or hf://owner/name@revision"
        ) from error
    except RevisionNotFoundError as error:
        raise DataError(f"{where} has no revision '{revision}'; see the commits and branches on its page") from error
    except GatedRepoError as error:
        raise DataError(
            f"{where} is given to those who accept its terms: do that on its page, then log in here (hf auth login)"
        ) from error
    except RepositoryNotFoundError as error:
        raise DataError(
            f"{where}: the hub has no such dataset, or shows it to some only. Mend the name, or log in (hf auth login)"
        ) from error
    except HfHubHTTPError as error:
        raise DataError(f"{where}: the hub answers with an error ({error}). Try again later. {ELSEWHERE}") from error
    except _http_errors() as error:
        raise DataError(
            f"{where}: the Hugging Face hub is out of reach ({_line(error)}). A dataset needs a connection when it is "
            f"looked at. {ELSEWHERE}"
        ) from error


def _http_errors() -> tuple[type[Exception], ...]:
    """What is raised where there is no network, also by the HTTP library of ``huggingface_hub``, which one it be."""
    from huggingface_hub.errors import HfHubHTTPError

    return OSError, *(base for base in HfHubHTTPError.__bases__ if issubclass(base, Exception))


def _where(identity: str, revision: str, root: Path) -> str:
    return f"hf://{identity}@{revision}" if root == hub_home() else str(root)


def _line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__
