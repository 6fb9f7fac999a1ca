"""A page in a real browser, driven by a script that is written into a copy of it; no driver is needed for that."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


def ask(page: Path, script: str, *, width: int = 1280, dark: bool = False) -> Any:
    """What the body of a script returns after the page has loaded; the page finds no host, whatever it asks for.

    Args:
        page: A file; the copy lies beside it, so that its links lead where they did.
        script: The body of an async function.
        width: Of the window in pixels; browsers have a least one, about 500.
        dark: Whether the user prefers dark pages.
    """
    asked = (
        "<script>addEventListener('load', async () => {"
        "let answer; try { answer = await (async () => {" + script + "})(); }"
        "catch (error) { answer = {error: String(error)}; }"
        "document.documentElement.setAttribute('data-answer', JSON.stringify(answer)); });</script></body>"
    )
    copy = page.with_name(f"asked-{page.name}")
    copy.write_text(page.read_text(encoding="utf-8").replace("</body>", asked), encoding="utf-8")
    assert CHROMIUM is not None
    try:
        done = subprocess.run(
            [
                CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
                "--host-resolver-rules=MAP * ~NOTFOUND", f"--window-size={width},900",
                f"--blink-settings=preferredColorScheme={0 if dark else 1}",
                f"--user-data-dir={page.parent / 'profile'}",
                "--virtual-time-budget=20000", "--dump-dom", copy.as_uri(),
            ],
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
    finally:
        copy.unlink()
        shutil.rmtree(page.parent / "profile", ignore_errors=True)
    found = re.search(r'data-answer="([^"]*)"', done.stdout)
    assert found, done.stderr[-2000:]
    answer = json.loads(unescape(found[1]))
    assert not (isinstance(answer, dict) and "error" in answer), answer
    return answer


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
