"""Plain data as TOML."""

from __future__ import annotations

import json
import re
from typing import Any


def as_toml(content: dict[str, Any]) -> str:
    """Plain data as TOML: values, then tables, then lists of tables."""
    lines: list[str] = []
    _dump(content, "", lines)
    return "\n".join(lines).strip() + "\n"


def _dump(table: dict[str, Any], prefix: str, lines: list[str]) -> None:
    rows = {key: value for key, value in table.items() if _is_rows(value)}
    tables = {key: value for key, value in table.items() if isinstance(value, dict)}
    for key, value in table.items():
        if key not in rows and key not in tables:
            lines.append(f"{_key(key)} = {_text(value)}")
    for key, value in tables.items():
        lines += ["", f"[{prefix}{_key(key)}]"]
        _dump(value, f"{prefix}{_key(key)}.", lines)
    for key, value in rows.items():
        for row in value:
            lines += ["", f"[[{prefix}{_key(key)}]]"]
            _dump(row, f"{prefix}{_key(key)}.", lines)


def _is_rows(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(row, dict) for row in value)


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _text(key)


def _text(value: Any) -> str:
    """JSON is TOML, but for one control character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
