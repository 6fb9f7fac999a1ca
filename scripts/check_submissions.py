"""Checks the submissions that a branch adds or changes, and compares the boards before and after.

    python scripts/check_submissions.py origin/main

Prints Markdown: for each submission the verdicts that did not pass, for each board that it is for the rows that are new
or changed, by submissions alone. Exits with 1 if one is refused. Git says which folders changed; what lies in them is
read as data alone. Runs where the repository is checked out.

A note of what others have seen (``sam@1.verified.json``) that the branch adds or changes is not believed here, since
whoever submits could have written it: the level of such a submission is what its own predictions show, and without
them it is self-reported. The note is named, for whoever merges: it stays if he wrote it.
"""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path

import dgbench
from dgbench.board.render import markdown
from dgbench.board.render.files import table
from dgbench.core.errors import StoreError

NOTE = ".verified.json"
KEEP = "keep it if you wrote it yourself, with 'dgbench submit add' or 'dgbench verify', else delete it"
SHOWN = ("algorithm", "track", "level", "rank", "accuracy", "worst_target")


def git(*arguments: str) -> str:
    """What git prints."""
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout


def changed(base: str) -> tuple[list[Path], set[Path]]:
    """The folders that are there now, and differ from a revision in them or in the note beside; the notes that do."""
    names = git("diff", "--name-only", "-z", f"{base}...HEAD", "--", "leaderboards/*/submissions/*").split("\0")
    touched = {Path(*Path(name).parts[:4]) for name in names if len(Path(name).parts) > 3}
    notes = {path for path in touched if path.name.endswith(NOTE) and path.is_file()}
    folders = touched | {path.with_name(path.name.removesuffix(NOTE)) for path in notes}
    return sorted(folder for folder in folders if folder.is_dir()), notes


def submissions_at(revision: str, board: str, room: Path) -> Path:
    """A copy of the submissions to a board as they were."""
    into = Path("leaderboards", board, "submissions")
    archive = subprocess.run(["git", "archive", revision, "--", str(into)], capture_output=True, check=False)
    if archive.returncode == 0:  # else there were none
        subprocess.run(["tar", "-x", "-C", str(room)], input=archive.stdout, check=True)
    return room / into


def ranked(board: str, submissions: Path, unseen: Collection[Path] = ()) -> dict[str, list[str]]:
    """The rows of a board by submissions alone, without the notes on some of them."""
    with tempfile.TemporaryDirectory() as room:
        copied = Path(room) / "submissions"
        if submissions.is_dir():
            shutil.copytree(submissions, copied, symlinks=True)
        for note in unseen:
            (copied / note.name).unlink(missing_ok=True)
        return _rows(board, copied)


def _rows(board: str, submissions: Path) -> dict[str, list[str]]:
    try:
        made = dgbench.leaderboard(board, store=Path("/nonexistent"), submissions=submissions)
    except StoreError:
        return {}
    rows = table(made).select(SHOWN).iter_rows(named=True)
    return {row["algorithm"]: [_shown(value) for value in row.values()] for row in rows}


def _shown(value: object) -> str:
    return f"{100 * value:.1f}" if isinstance(value, float) else "–" if value is None else markdown.inline(str(value))


def main(base: str) -> int:
    """Check and compare; the exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    (folders, notes), refused = changed(base), 0
    print("## Submissions\n" if folders else "No submission was added or changed.")
    for folder in folders:
        checked = dgbench.check_submission(folder, store=Path("/nonexistent"))
        refused += not checked.good
        print(f"* {markdown.inline(str(folder))}: {f'good; {checked.level}' if checked.good else '**refused**'}")
        for verdict in checked.verdicts:
            if verdict.reasons:
                print(f"    * {verdict.code} {verdict.outcome}: {markdown.inline('; '.join(verdict.reasons))}")
        if folder.with_name(folder.name + NOTE) in notes:
            print(f"    * the {NOTE} beside it comes with this branch, and is not believed here: {KEEP}")
    for board in sorted({folder.parts[1] for folder in folders}):
        with tempfile.TemporaryDirectory() as room:
            before = ranked(board, submissions_at(base, board, Path(room)))
        own = [note for note in notes if note.parts[1] == board]
        now = ranked(board, Path("leaderboards", board, "submissions"), own)
        differing = [["now", *row] for name, row in now.items() if before.get(name) != row]
        differing += [["before", *row] for name, row in before.items() if now.get(name) != row]
        rows = sorted(differing, key=lambda row: (row[1], row[0] == "now"))
        print(f"\n## {markdown.inline(board)}\n\n{markdown.table(['', *SHOWN], rows)}" if rows else "")
    return int(refused > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
