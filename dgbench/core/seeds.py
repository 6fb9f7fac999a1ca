"""Every random number in dgbench comes from a named seed.

A seed is a hash of *what it is for*, so it depends neither on the order in which things are computed nor on the
number of workers: ``seed("batch", "digits", "print", 0, 17)`` is the same everywhere. Nothing has to be stored to
resume a random stream, and two algorithms that ask for the same thing get the same numbers.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np


@lru_cache(maxsize=1024, typed=True)
def seed(*names: str | int) -> int:
    """A 63-bit seed for the thing described by ``names`` (blake2b; ``1`` and ``"1"`` differ)."""
    text = "\x1f".join(f"{type(name).__name__}:{name}" for name in names)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def generator(*names: str | int) -> np.random.Generator:
    """A NumPy generator for the thing described by ``names``."""
    return np.random.Generator(np.random.PCG64(seed(*names)))
