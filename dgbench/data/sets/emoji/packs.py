"""Packs of npm: fetched by the npm client, or found where the user has put them, and never used unless their hash fits.

A pack stays the archive that it is: what is needed is read out of it, so nothing is unpacked onto the disk.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dgbench.core.errors import DataError, shown
from dgbench.core.files import whole
from dgbench.core.paths import cache_root

log = logging.getLogger(__name__)

_LARGEST = 1 << 28
"""Bytes of a file in a pack."""
FOLDER = "DGBENCH_EMOJI_PACKS"
"""The environment variable that names a folder of packs fetched elsewhere."""


@dataclass(frozen=True)
class Pack:
    """One version of a package of npm.

    Attributes:
        name: As npm calls it, with its scope.
        version: Pinned, as the bytes are.
        sha256: Of the archive that ``npm pack`` writes.
    """

    name: str
    version: str
    sha256: str

    @property
    def spec(self) -> str:
        """What npm is asked for."""
        return f"{self.name}@{self.version}"

    @property
    def file(self) -> str:
        """What npm calls the archive."""
        return f"{self.name.removeprefix('@').replace('/', '-')}-{self.version}.tgz"


def locate(packs: Iterable[Pack]) -> dict[Pack, Path]:
    """The archives of some packs: from ``$DGBENCH_EMOJI_PACKS`` where it is set, else from the cache, else from npm.

    Raises:
        DataError: a pack is neither here nor to be had, or is not the one that is pinned.
    """
    given = os.environ.get(FOLDER)
    folder = Path(given).expanduser() if given else cache_root() / "packs"
    archives = {pack: folder / pack.file for pack in packs}
    missing = [pack for pack, archive in archives.items() if not archive.is_file()]
    if missing and given:
        raise DataError(
            f"${FOLDER} is {folder}, which lacks {len(missing)} of {len(archives)} packs.{_how_to(missing)}"
        )
    if missing:
        _fetch(missing, folder)
    for pack, archive in archives.items():
        _verify(pack, archive)
    return archives


def read(archive: Path, member: str) -> Any:
    """The content of a JSON file in a pack, whatever that is.

    Raises:
        DataError: it holds no such file, or something else.
    """
    try:
        with tarfile.open(archive, "r:gz") as tar:
            about = tar.getmember(f"package/{member}")
            file = tar.extractfile(about) if about.isreg() and about.size <= _LARGEST else None
            if file is None:
                raise ValueError("it is no plain file, or too large")
            return json.load(file)
    except (tarfile.TarError, zlib.error, OSError, EOFError, LookupError, ValueError, RecursionError) as error:
        raise DataError(f"{member} cannot be read from {archive} ({shown(str(error), 100)}); fetch it again") from error


def _fetch(packs: list[Pack], folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise DataError(f"fetching packs needs npm, which is not installed: install Node.js.{_how_to(packs)}")
    for number, pack in enumerate(packs, 1):
        log.info("fetching %s (%d of %d)", pack.spec, number, len(packs))
        with tempfile.TemporaryDirectory() as temporary:
            # npm looks for settings and manifests in its working directory: an empty one has none.
            options = ("--pack-destination", temporary, "--ignore-scripts", "--loglevel=error")
            done = subprocess.run([npm, "pack", pack.spec, *options], cwd=temporary, capture_output=True, text=True)
            if done.returncode != 0:
                raise DataError(f"npm could not fetch {pack.spec}:\n{done.stderr.strip()}\n{_how_to(packs)}")
            fetched = Path(temporary) / pack.file
            _verify(pack, fetched)
            with whole(folder / pack.file) as whole_or_absent:
                shutil.copyfile(fetched, whole_or_absent)


def _verify(pack: Pack, archive: Path) -> None:
    with archive.open("rb") as file:
        got = hashlib.file_digest(file, "sha256").hexdigest()
    if got != pack.sha256:
        raise DataError(
            f"{archive} is not {pack.spec}: its SHA-256 is {got}, expected {pack.sha256}. Delete it, and fetch it again"
        )


def _how_to(packs: Iterable[Pack]) -> str:
    commands = "".join(f"\n  npm pack {pack.spec}" for pack in packs)
    return (
        f" To fetch the packs elsewhere, run there{commands}\n"
        f"then copy the .tgz files here, as they are, and set {FOLDER} to their folder."
    )
