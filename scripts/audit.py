"""Has a package that dgbench is tested with a known vulnerability? Asks pip-audit of every pin in ``constraints.txt``.

    make audit

Exits with 1 where one has. Where nobody can be asked, for want of a network or since the index knows of none of the
packages, that is said, and is no failure: it says nothing of the packages either.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

PROGRAM = "pip-audit==2.10.1"
ROOT = Path(__file__).resolve().parents[1]
_LONG = 120
"""Seconds that each of the two steps may take."""


def audited(room: Path) -> dict[str, Any]:
    """What pip-audit says of the pins. It is installed into a folder of its own, beside what is audited.

    Raises:
        OSError, subprocess.SubprocessError, ValueError: it cannot be had, or cannot ask.
    """
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", str(room))
    if not (room / "pip_audit").is_dir():
        subprocess.run([*pip, PROGRAM], check=True, capture_output=True, timeout=_LONG)
    options = ("--requirement", str(ROOT / "constraints.txt"), "--no-deps", "--disable-pip", "--format", "json")
    command = [sys.executable, "-m", "pip_audit", *options, "--progress-spinner", "off", "--timeout", "10"]
    environment = os.environ | {"PYTHONPATH": str(room)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=_LONG)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def verdict(found: dict[str, Any]) -> tuple[str, bool]:
    """What an audit comes to, in words, and whether a package is vulnerable."""
    packages = found["dependencies"]
    asked = [package for package in packages if "skip_reason" not in package]
    if not asked:
        return f"not audited: nothing is known here of {len(packages)} packages", False
    lines = [
        f"{package['name']} {package['version']}: {flaw['id']}, mended in {', '.join(flaw['fix_versions']) or 'none'}"
        for package in asked
        for flaw in package.get("vulns", ())
    ]
    skipped = f", {len(packages) - len(asked)} that nothing is known of" if len(asked) < len(packages) else ""
    return "\n".join([f"{len(asked)} packages audited{skipped}: {len(lines)} vulnerabilities", *lines]), bool(lines)


def main() -> None:
    """The command line."""
    try:
        said, vulnerable = verdict(audited(Path(sys.prefix) / "audit"))
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        said, vulnerable = f"not audited: nobody can be asked ({type(error).__name__})", False
    print(said)
    sys.exit(int(vulnerable))


if __name__ == "__main__":
    main()
