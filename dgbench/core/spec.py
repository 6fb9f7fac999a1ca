"""Identity by content: a spec is plain JSON that says what a piece of work means, and its hash is its name.

A spec never holds a path, a device or a worker count, so moving the store, the data or the machine leaves finished
work finished.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

Spec = dict[str, Any]


def canonical(spec: Spec) -> str:
    """The one text of a spec: sorted keys, no spaces, shortest exact floats; NaN and infinity are refused."""
    return json.dumps(spec, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def identity(spec: Spec) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the canonical text."""
    return hashlib.sha256(canonical(spec).encode()).hexdigest()[:16]
