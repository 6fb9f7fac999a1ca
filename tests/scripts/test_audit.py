"""What an audit of packages comes to; that none could be asked is no verdict on them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from scripts_loaded import load_script

UNKNOWN = {"name": "a", "skip_reason": "not found"}
SOUND = {"name": "b", "version": "1", "vulns": []}
FLAWED = {"name": "c", "version": "2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3"]}]}
VERDICTS = [
    ([UNKNOWN], "not audited: nothing is known here of 1 packages", False),
    ([UNKNOWN, SOUND], "1 packages audited, 1 that nothing is known of: 0 vulnerabilities", False),
    ([SOUND, FLAWED], "2 packages audited: 1 vulnerabilities\nc 2: PYSEC-1, mended in 3", True),
]


@pytest.mark.parametrize(("packages", "said", "vulnerable"), VERDICTS)
def test_a_verdict_says_what_was_asked(packages: list[Any], said: str, vulnerable: bool) -> None:
    assert load_script("audit").verdict({"dependencies": packages}) == (said, vulnerable)


@pytest.mark.parametrize("error", [OSError("x"), subprocess.TimeoutExpired("x", 1), ValueError("no JSON")])
def test_where_nobody_can_be_asked_nothing_fails(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = load_script("audit")

    def fails(room: Path) -> dict[str, Any]:
        raise error

    monkeypatch.setattr(script, "audited", fails)
    with pytest.raises(SystemExit) as end:
        script.main()
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith("not audited")
