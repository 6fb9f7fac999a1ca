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
    return _number(hashlib.blake2b(_text(names), digest_size=8))


def seed_below(above: tuple[str | int, ...], *names: str | int) -> int:
    """``seed(*above, *names)``; ``above`` may be long (the names of a thousand domains), and is read once."""
    digest = _begun(above).copy()
    if names:
        digest.update(b"\x1f" + _text(names))
    return _number(digest)


@lru_cache(maxsize=64, typed=True)
def _begun(names: tuple[str | int, ...]) -> hashlib.blake2b:
    return hashlib.blake2b(_text(names), digest_size=8)


def _text(names: tuple[str | int, ...]) -> bytes:
    return "\x1f".join([f"{type(name).__name__}:{name}" for name in names]).encode()


def _number(digest: hashlib.blake2b) -> int:
    return int.from_bytes(digest.digest(), "big") >> 1


def generator(*names: str | int) -> np.random.Generator:
    """A NumPy generator for the thing described by ``names``."""
    return np.random.Generator(np.random.PCG64(seed(*names)))
