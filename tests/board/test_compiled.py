"""Compiled templates: kept beside their files, and believed only where they are of these."""

from __future__ import annotations

import sys
from pathlib import Path

import jinja2
import pytest

from dgbench.board.render.compiled import Compiled


class Counted(jinja2.Environment):
    """Counts what it compiles."""

    compiled = 0

    def _generate(self, *given: object, **named: object) -> str:
        self.compiled += 1
        return super()._generate(*given, **named)  # type: ignore[arg-type]  # handed on as it came


def rendered(folder: Path, source: str = "<p>{{ name }}\n</p>", **options: bool) -> tuple[str, int]:
    """A template as a process shows it that begins anew, and how many it compiled."""
    made = Counted(loader=jinja2.DictLoader({"page.html": source}), **options)  # type: ignore[arg-type]  # switches
    made.bytecode_cache = Compiled(folder, made)
    return made.get_template("page.html").render(name="<b>"), made.compiled


@pytest.fixture(autouse=True)
def writing(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Python does by default."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)


def test_a_template_is_compiled_once(tmp_path: Path) -> None:
    folder = tmp_path / "__pycache__"
    assert rendered(folder) == ("<p><b>\n</p>", 1)
    assert rendered(folder) == ("<p><b>\n</p>", 0)


def test_another_source_and_another_option_are_compiled_anew(tmp_path: Path) -> None:
    rendered(tmp_path)
    assert rendered(tmp_path, "<i>{{ name }}</i>") == ("<i><b></i>", 1)
    assert rendered(tmp_path, autoescape=True) == ("<p>&lt;b&gt;\n</p>", 1)


@pytest.mark.parametrize("content", [b"", b"j2", b"\x80\x02", b"j2" + bytes(50)])
def test_what_is_damaged_is_compiled_anew(content: bytes, tmp_path: Path) -> None:
    rendered(tmp_path)
    (kept,) = tmp_path.iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(whole[: len(content)] + content)
    assert rendered(tmp_path) == ("<p><b>\n</p>", 1)
    for length in range(0, len(whole), 7):
        kept.write_bytes(whole[:length])
        assert rendered(tmp_path)[0] == "<p><b>\n</p>"
    assert rendered(tmp_path) == ("<p><b>\n</p>", 0)


def test_nothing_is_kept_where_python_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "__pycache__"
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert rendered(folder)[1] == 1
    assert not folder.exists()


def test_nothing_is_kept_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert rendered(tmp_path / "file" / "__pycache__") == ("<p><b>\n</p>", 1)
