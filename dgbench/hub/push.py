"""Sending a folder to the Hugging Face Hub: one commit, or none."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, cast

from huggingface_hub import CommitOperationAdd, HfApi, get_token
from huggingface_hub.errors import HfHubHTTPError

from dgbench.board.render.hub_results import owner_and_name
from dgbench.core.errors import DGBenchError
from dgbench.core.visible import visible

_HTTP_ERROR = cast("type[Exception]", HfHubHTTPError.__mro__[1])
"""The base of all errors of the HTTP library that huggingface_hub has."""
_FAILURES = (_HTTP_ERROR, OSError, ValueError, RuntimeError)


def push(folder: Path, repository: str, kind: Literal["dataset", "model"], *, public: bool) -> str:
    """Send every file of a folder as one commit.

    The repository is made if there is none, for its owner alone unless it is to be public; one that is there stays as
    visible as it is, and keeps its other files. Nothing arrives when something goes wrong on the way, but for the empty
    repository.

    Args:
        folder: Which.
        repository: ``owner/name``.
        kind: What the folder is.
        public: Whether a new repository is for everybody.

    Returns:
        The address of the commit.

    Raises:
        DGBenchError: nobody is logged in, or the Hub refused or was not reached.
    """
    owner_and_name(repository)
    token = get_token()
    if token is None:
        raise DGBenchError("nobody is logged in to the Hugging Face Hub; run 'hf auth login', or set HF_TOKEN")
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    additions = [CommitOperationAdd(path.relative_to(folder).as_posix(), path) for path in paths]
    api = HfApi(token=token)
    try:
        api.create_repo(repository, repo_type=kind, private=not public, exist_ok=True)
        commit = api.create_commit(
            repository, additions, commit_message="Publish with dgbench", repo_type=kind, revision="main"
        )
    except _FAILURES as error:
        said = " ".join(str(error).replace(token, "...").split())
        raise DGBenchError(
            f"{repository}: could not be pushed ({visible(said)[:400]}); {folder} is complete, and the same command "
            "tries again"
        ) from error
    return commit.commit_url
