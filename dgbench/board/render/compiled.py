"""Templates, compiled once: beside their files, as Python keeps what it compiles of its modules.

To compile the templates of a leaderboard takes longer than to render it. What was compiled lies in ``__pycache__``
beside the templates, nowhere else, so whoever could change it could change the program; where Python may write no
bytecode (``PYTHONDONTWRITEBYTECODE``, a folder of somebody else), templates are compiled each time.
"""

from __future__ import annotations

import pickle
import sys
from contextlib import suppress
from pathlib import Path

import jinja2
from jinja2.bccache import Bucket


class Compiled(jinja2.FileSystemBytecodeCache):
    """What Jinja compiled of some templates, by its version and the options that it compiled them with."""

    def __init__(self, folder: Path, of: jinja2.Environment) -> None:
        """What lies in a folder, whether it is there or not."""
        super().__init__(str(folder), pattern=f"%s.{sys.implementation.cache_tag}.jinja")
        self._with = f"{jinja2.__version__} {of.autoescape} {of.trim_blocks} {of.lstrip_blocks}\n"

    def get_source_checksum(self, source: str) -> str:
        """Of all that the bytecode follows from."""
        return super().get_source_checksum(self._with + source)

    def load_bytecode(self, bucket: Bucket) -> None:
        """Take what is there, if it is of this source; else nothing."""
        try:
            super().load_bytecode(bucket)
        except (OSError, EOFError, ValueError, pickle.UnpicklingError):
            bucket.reset()

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep it for next time, where that can be written."""
        if not sys.dont_write_bytecode:
            with suppress(OSError):
                Path(self.directory).mkdir(exist_ok=True)
                super().dump_bytecode(bucket)
