"""Makes the comment on a pull request out of what the check of its submissions left behind.

    python scripts/comment_on_submissions.py ARTIFACT.zip COMMENT.md

The check ran on a stranger's branch, which may have changed the check itself. So its artifact is hostile: it is read in
place, in bounds, and never unpacked; its text stands in a fence that it cannot end, where no name, link, picture or
HTML of it acts. Prints the number of the pull request, which the artifact claims: whoever comments compares the head of
that pull request with the commit that was checked. ``$CONCLUSION`` and ``$RUN`` say how the check ended, and where it
is. Needs Python alone.
"""

from __future__ import annotations

import os
import re
import sys
import zipfile
from pathlib import Path

TEXT, NUMBER = "text.md", "number.txt"
"""What is in the artifact."""
LONGEST = 50_000
"""Characters that are shown; GitHub takes 65,536 with what stands around them."""
_LARGEST = 4 * LONGEST
"""Bytes of a file that are read."""


def read(artifact: Path) -> tuple[int, str]:
    """The number that an artifact claims, and its text.

    Raises:
        ValueError: it is no archive, lacks one of the two files, or its number is none.
    """
    try:
        with zipfile.ZipFile(artifact) as archive:
            content = {}
            for name in (NUMBER, TEXT):
                with archive.open(name) as file:
                    content[name] = file.read(_LARGEST)
    except (zipfile.BadZipFile, KeyError, OSError, RuntimeError, NotImplementedError, EOFError) as error:
        raise ValueError(f"the artifact cannot be read: {error}") from error
    number = content[NUMBER].decode("ascii", "replace").strip()
    if not re.fullmatch(r"[1-9][0-9]{0,8}", number, re.ASCII):
        raise ValueError("the artifact does not say which pull request it is for")
    return int(number), content[TEXT].decode("utf-8", "replace")


def fenced(text: str) -> str:
    """A text as it is, as far as it can be seen, in a fence that is longer than any in it."""
    lines = ["".join(c if c.isprintable() else "\ufffd" for c in line) for line in text.splitlines()]
    shown = "\n".join(lines)
    if len(shown) > LONGEST:
        shown = shown[:LONGEST].rpartition("\n")[0] + "\n... and more: see the run"
    longest = max(map(len, re.findall(r"`+", shown)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{shown}\n{fence}\n"


def comment(text: str, conclusion: str, run: str) -> str:
    """What is said on the pull request."""
    known = {"success": "nothing is refused", "failure": "**something is refused, or the check broke**"}
    how = known.get(conclusion, "the check did not end")
    return (
        f"The submissions of this branch were checked: {how} ([the run]({run})). "
        "Who changes more than submissions may have changed the check. It printed:\n\n" + fenced(text)
    )


def main(artifact: str, out: str) -> int:
    """Write the comment; the exit code."""
    try:
        number, text = read(Path(artifact))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    said = comment(text, os.environ.get("CONCLUSION", ""), os.environ.get("RUN", ""))
    Path(out).write_text(said, encoding="utf-8")
    print(number)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
