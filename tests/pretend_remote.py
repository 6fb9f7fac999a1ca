"""An object store in memory, as slow and as unreliable as a test wants it to be."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from dgbench.core.errors import StoreError


class Pretended:
    """Objects that are whole or absent, and seen at once; a create is refused where there is one.

    Attributes:
        objects: By key.
        fails: How many writes succeed before the server is away; None where it never is.
        latency: The longest that a request takes, in seconds.
        conditional: Whether a create is refused where there is an object.
    """

    def __init__(self, *, latency: float = 0.0, conditional: bool = True) -> None:
        self.url = "pretended://store"
        self.objects: dict[str, bytes] = {}
        self.fails: int | None = None
        self.latency = latency
        self.conditional = conditional
        self.requests = 0
        self._lock = threading.Lock()
        self._random = random.Random(0)

    def _request(self, *, writes: bool = False) -> None:
        self.requests += 1
        if self.latency:
            time.sleep(self._random.random() * self.latency)
        if self.fails is not None and writes:
            if self.fails == 0:
                raise StoreError(f"{self.url}: the server is away")
            self.fails -= 1

    def read(self, key: str) -> bytes:
        self._request()
        try:
            return self.objects[key]
        except KeyError:
            raise FileNotFoundError(key) from None

    def stream(self, key: str) -> Iterator[bytes]:
        content = self.read(key)
        yield content[: len(content) // 2]
        yield content[len(content) // 2 :]

    def write(self, key: str, content: bytes | Path) -> None:
        self._request(writes=True)
        self.objects[key] = content.read_bytes() if isinstance(content, Path) else content

    def create(self, key: str, content: bytes) -> bool:
        self._request(writes=True)
        with self._lock:
            if key in self.objects and self.conditional:
                return False
            self.objects[key] = content
            return True

    def copy(self, key: str, to: str) -> None:
        with suppress(FileNotFoundError):
            self.write(to, self.read(key))

    def delete(self, *keys: str) -> None:
        for key in keys:
            self._request(writes=True)
            self.objects.pop(key, None)

    def below(self, prefix: str) -> list[str]:
        self._request()
        return sorted(key for key in list(self.objects) if key.startswith(prefix))

    def folders(self, prefix: str) -> list[str]:
        self._request()
        rest = [key.removeprefix(prefix) for key in list(self.objects) if key.startswith(prefix)]
        return sorted({key.split("/")[0] for key in rest if "/" in key})
