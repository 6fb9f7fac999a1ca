"""Pages in a real browser: one Chromium for all tests of a process, asked through its debugging protocol; no driver."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import select
import shutil
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
PATIENCE = 120.0
"""Seconds that an answer may take."""


class _Browser:
    """A Chromium without a window, which reads commands from one pipe and writes to another, and ends with them.

    It finds no host, whatever a page asks for.
    """

    def __init__(self) -> None:
        assert CHROMIUM is not None
        profile = tempfile.mkdtemp(prefix="chromium-", dir=Path.home())  # of the session, and it goes with it
        self._said = Path(profile) / "stderr.txt"
        commands, self._out = os.pipe()
        self._in, answers = os.pipe()
        # It takes commands from 3 and answers on 4: neither number may be lost before it is copied to its place.
        commands, answers = (_high(number) for number in (commands, answers))
        os.posix_spawn(
            CHROMIUM,
            [
                CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
                "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={profile}",
                "--remote-debugging-pipe", "about:blank",
            ],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_OPEN, 2, str(self._said), os.O_WRONLY | os.O_CREAT, 0o600),
                (os.POSIX_SPAWN_DUP2, commands, 3),
                (os.POSIX_SPAWN_DUP2, answers, 4),
            ],
        )  # fmt: skip
        os.close(commands)
        os.close(answers)
        self._number = 0
        self._unread = b""
        self._events: list[dict[str, Any]] = []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Page.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """What comes of a command to the one page."""
        return self._call(method, self._session, **parameters)

    def visit(self, url: str) -> None:
        """Load another page in place of the one that is there; nothing of that stays, as our pages store nothing."""
        self._events.clear()
        self.call("Page.navigate", url=url)
        while not any(told.get("method") == "Page.loadEventFired" for told in self._events):
            self._events.append(self._read())

    def _call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        asked = {"id": self._number, "method": method, "params": parameters}
        asked |= {"sessionId": session} if session else {}
        os.write(self._out, json.dumps(asked).encode() + b"\0")
        while True:
            told = self._read()
            if told.get("id") == self._number:
                assert "error" not in told, (method, told["error"])
                result: dict[str, Any] = told["result"]
                return result
            self._events.append(told)

    def _read(self) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE
        while b"\0" not in self._unread:
            ready, _, _ = select.select([self._in], [], [], max(0.0, deadline - time.monotonic()))
            more = os.read(self._in, 1 << 20) if ready else b""
            assert more, self._said.read_text(errors="replace")[-2000:]
            self._unread += more
        message, _, self._unread = self._unread.partition(b"\0")
        told: dict[str, Any] = json.loads(message)
        return told


def _high(number: int) -> int:
    """The same end of a pipe under a number above those of its place in a browser."""
    copy = fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(number)
    return copy


@cache
def _browser() -> _Browser:
    return _Browser()


def ask(page: Path, script: str, *, width: int = 1280, dark: bool = False) -> Any:
    """What the body of a script returns after the page has loaded.

    Args:
        page: A file.
        script: The body of an async function.
        width: Of the window in pixels.
        dark: Whether the user prefers dark pages.
    """
    browser, scheme = _browser(), "dark" if dark else "light"
    browser.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.visit(page.as_uri())
    expression = "(async () => JSON.stringify(await (async () => {" + script + "})()))()"
    answer = browser.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
    assert "exceptionDetails" not in answer, answer["exceptionDetails"]
    return json.loads(answer["result"]["value"])


def violations(page: Path) -> tuple[list[list[str]], int]:
    """What axe-core, a checker of accessibility, finds wrong on a page, and how many of its rules the page keeps."""
    found = importlib.util.find_spec("axe_core_python")
    assert found is not None, "axe-core-python is one of the packages for development"
    assert found.origin is not None
    axe = (Path(found.origin).parent / "axe.min.js").read_text(encoding="utf-8")
    wrong, passed = ask(
        page,
        f"""
        const script = document.createElement('script');
        script.textContent = {json.dumps(axe).replace("</", "<" + chr(92) + "/")};
        document.head.append(script);
        const {{violations, passes}} = await axe.run(document, {{resultTypes: ['violations']}});
        return [violations.map(v => [v.impact, v.id, v.nodes[0].html.slice(0, 200)]), passes.length];
        """,
    )
    return wrong, passed
