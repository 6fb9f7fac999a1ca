"""Writing a site: one folder of pages that opens from disk, whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

from dgbench.board.explain import Explanations
from dgbench.board.render import files
from dgbench.board.render.frame import Found, Frame
from dgbench.core.errors import DGBenchError
from dgbench.core.files import whole_folder
from dgbench.site import pages
from dgbench.site.shown import Shown, ShownBoard

MARK = "dgbench-site.txt"
"""Lies in every site, so that no other folder is ever replaced by one."""


def build(shown: Shown, folder: Path) -> int:
    """Write the site.

    Args:
        shown: What it shows.
        folder: Where. A site that lies there is replaced once the new one is whole.

    Returns:
        How many pages were written.

    Raises:
        DGBenchError: the folder holds something else.
        DiskError: it cannot be written.
    """
    if folder.exists() and not (folder / MARK).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise DGBenchError(f"{folder} is no site of dgbench, and is left as it is; name a new or an empty folder")
    with whole_folder(folder) as made:
        written = _Writer(shown, made).write()
        (made / MARK).write_text("made by 'dgbench site build'; open index.html\n", encoding="utf-8")
    return written


class _Writer:
    """The pages of one site; links are the same on all pages of one depth."""

    def __init__(self, shown: Shown, folder: Path) -> None:
        self.shown = shown
        self.folder = folder
        self.templates = pages.Pages(shown)
        self.written = 0
        parts = ("boards", "algorithms", "datasets")
        self.places = [(part.capitalize(), f"index.html#{part}") for part in parts]
        self.found = [
            *(Found(board.own.info.title, "board", board.page()) for board in shown.boards),
            *(Found(self.templates.title(name), "algorithm", href) for name, href in shown.algorithms.items()),
            *(Found(name, "dataset", href) for name, href in shown.datasets.items()),
        ]

    def write(self) -> int:
        self._page("index.html", self.templates.home(self._frame(0)))
        for board in self.shown.boards:
            self._board(board)
        frame = self._frame(1)
        for name, href in self.shown.algorithms.items():
            self._page(href, self.templates.algorithm(name, frame))
        for name, href in self.shown.datasets.items():
            self._page(href, self.templates.dataset(name, frame))
        return self.written

    def _board(self, board: ShownBoard) -> None:
        names = {entry.algorithm: board.runs(entry.algorithm) for entry in board.own.entries}
        for criterion, leaderboard in board.leaderboards.items():
            criteria = [
                (other.criterion.title, None if name == criterion else f"../{name}/leaderboard.html")
                for name, other in board.leaderboards.items()
            ]
            frame = self._frame(3, runs=names, criteria=criteria, datasets=board.records.board.dataset)
            frame = replace(frame, below=self.templates.below(board, frame))
            others = board.rankings.get(criterion)
            files.write(leaderboard, self.folder / unquote(board.folder) / criterion, frame, others)
            self.written += 1
        explanations, frame = Explanations(board.records, board.leaderboards), self._frame(3)
        for entry in board.own.entries:
            self._page(names[entry.algorithm], self.templates.runs(board, entry, explanations, frame))

    def _frame(
        self,
        depth: int,
        runs: Mapping[str, str] | None = None,
        criteria: list[tuple[str, str | None]] | None = None,
        datasets: tuple[str, ...] | None = None,
    ) -> Frame:
        root = "../" * depth
        known = self.shown.datasets
        return Frame(
            root=root,
            places=self.places,
            search=self.found,
            algorithms={name: root + href for name, href in self.shown.algorithms.items()},
            runs={name: root + href for name, href in (runs or {}).items()},
            datasets={name: root + known[name] for name in (known if datasets is None else datasets)},
            criteria=criteria or (),
        )

    def _page(self, href: str, content: str) -> None:
        path = self.folder / unquote(href)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        self.written += 1
