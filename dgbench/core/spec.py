"""Identity by content: a spec is plain JSON that says what a piece of work means, and its hash is its name.

A spec never holds a path, a device or a worker count, so moving the store, the data or the machine leaves finished
work finished.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from dgbench.core.errors import StoreError, shown

Spec = dict[str, Any]
ID = "^[0-9A-Za-z_-]{1,64}$"
"""What a name of a piece of work is made of: files are called so, and whoever wrote it, it leads to no other folder."""


def is_id(text: str) -> bool:
    """Whether it may be the name of a piece of work."""
    return re.fullmatch(ID, text) is not None


def as_id(text: str) -> str:
    """The name of a piece of work, as it is; raises StoreError where it is none, as one that leads elsewhere."""
    if not is_id(text):
        raise StoreError(f"{shown(text)} is no name of a piece of work")
    return text


def canonical(spec: Any) -> str:
    """The one text of plain JSON: sorted keys, no spaces, shortest exact floats.

    Raises:
        ValueError: there is a NaN or an infinity in it, or it is nested too deep.
    """
    try:
        return json.dumps(spec, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except RecursionError as error:
        raise ValueError("it is far too deep") from error


def identity(spec: Spec) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the canonical text."""
    return hashlib.sha256(canonical(spec).encode()).hexdigest()[:16]
