"""How long does a large site take, and how soon can its board be used? Records are drawn, pages are real.

    python scripts/measure_site.py                            # 200 methods, 7 datasets, 4 targets each
    python scripts/measure_site.py --methods 50 --datasets 2

Every method has three trials on each target, two steps in each, validated clean and under nine families of shifts on
two source domains: 705,600 records by default. Leaderboards are computed by all four criteria and six measures, as
``dgbench site build`` does; what other measures need of predictions is drawn, too. Where there is a Chromium, the
board's page is opened in it: ``usable`` is when its script has run.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import shutil
import subprocess
import tempfile
import time
from html import unescape
from pathlib import Path

import numpy as np
import polars as pl

from dgbench.api.boards import rules
from dgbench.board.build import build as leaderboard
from dgbench.board.leaderboard import BoardInfo, Leaderboard
from dgbench.board.rankings import rankings
from dgbench.core.shift_families import FAMILIES
from dgbench.runs.collect import Records
from dgbench.selection.measures import COMPUTED
from dgbench.selection.records import CANDIDATE, METRICS, RUNS
from dgbench.site.build import build
from dgbench.site.shown import Shown, ShownBoard

CRITERIA = ("augmented", "source", "source_nll", "augmented_all")
TRIALS, STEPS, SOURCES = 3, (50, 100), ("one", "another")


def drawn(methods: int, datasets: int, targets: int, seed: int = 0) -> Records:
    """The records of a board that nobody ran."""
    random = np.random.default_rng(seed)
    names = ("erm", *(f"method-{number}" for number in range(1, methods)))
    cases = tuple(f"set-{i}: domain-{j}" for i in range(datasets) for j in range(targets))
    level = dict(zip(cases, random.uniform(0.3, 0.9, len(cases)), strict=True))
    views = [("clean", 0.3), *((family, 0.0) for family in FAMILIES[1:])]
    metrics, runs = [], []
    for number, name in enumerate(names):
        skill = random.normal(0, 0.03)
        track = "online" if number % 9 == 8 else "inductive"
        settings = json.dumps(
            {"optimizer": {"part": ("adamw", "sam", "sgd")[number % 3], "lr": 0.001 * (1 + number % 2)}}
        )
        for case in cases:
            for trial in range(TRIALS):
                id_ = f"{name}-{case}-{trial}"
                runs.append(
                    (
                        id_, id_, name, case, case.split(":")[0], list(SOURCES), trial, 0, "a backbone", "",
                        [FAMILIES[0]], settings, random.uniform(5, 500), 1.0, "cpu", 1.0, "",
                    )
                )  # fmt: skip
                for step in STEPS:
                    reached = level[case] + skill + random.normal(0, 0.01)
                    streams = [("target", case, "clean", reached)]
                    streams += [("validation", d, v, reached + more) for d in SOURCES for v, more in views]
                    for split, domain, view, accuracy in streams:
                        share = float(np.clip(accuracy + random.normal(0, 0.02), 0, 1))
                        metrics.append(
                            (
                                name, name, track, case, trial, 0, step, split, domain, view, share, 1 - share, 1000,
                                f"{id_}-{step}-{domain}-{view}", id_,
                            )
                        )  # fmt: skip
    tables = (pl.DataFrame(metrics, METRICS, orient="row"), pl.DataFrame(runs, RUNS, orient="row"))
    return Records(rules("quick"), *tables, names, 0, (), (), (), {}, cases, dict.fromkeys(cases, 1.0))


def shown(records: Records) -> ShownBoard:
    """The leaderboards of drawn records."""
    boards: dict[str, Leaderboard] = {}
    for criterion in CRITERIA:
        info = BoardInfo(
            name="quick", title="A large board", version=1, rules="none", dataset="drawn", domains=records.cases,
            classes=10, protocol="Nothing was trained: these records were drawn.", criterion=criterion, trials=TRIALS,
            draws=1, algorithms=records.names, recompute="python scripts/measure_site.py", weights=records.weights,
        )  # fmt: skip
        boards[criterion] = leaderboard(records.metrics, records.runs, info, known=boards.get(CRITERIA[0]))
    judged = {name: rankings(board, drawn_measures(board)) for name, board in boards.items()}
    return ShownBoard(records, boards, rankings=judged)


def drawn_measures(board: Leaderboard) -> pl.DataFrame:
    """What other measures than accuracy say of the chosen models: near to it."""
    random = np.random.default_rng(1)
    near = {name: (pl.col("accuracy") + random.normal(0, 0.02, board.cells.height)).clip(0, 1) for name in COMPUTED}
    return board.cells.select(*CANDIDATE, **near)


def opened(page: Path) -> dict[str, float] | None:
    """Milliseconds until the page can be used and is loaded, and that sorting and another measure take; None without a
    Chromium."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
    if browser is None:
        return None
    asked = """<script>addEventListener("load", () => setTimeout(() => {
      const {domInteractive: usable, loadEventEnd: loaded} = performance.getEntriesByType("navigation")[0];
      const before = performance.now();
      document.querySelector("#inductive thead button").click();
      document.body.offsetHeight;
      const sorted = performance.now() - before;
      document.getElementById("by-ece").click();
      document.body.offsetHeight;
      const judged = performance.now() - before - sorted;
      const answer = JSON.stringify({usable, loaded, sorted, judged});
      document.documentElement.dataset.answer = answer;
    }, 0))</script></body>"""
    copy = page.with_name("measured.html")
    copy.write_text(page.read_text(encoding="utf-8").replace("</body>", asked), encoding="utf-8")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--timeout=30000", "--dump-dom", copy.as_uri()]
    found = re.search(r'data-answer="([^"]*)"', subprocess.run(command, capture_output=True, text=True).stdout)
    return {name: round(value) for name, value in json.loads(unescape(found[1])).items()} if found else None


def main() -> None:
    """Draw, write, open, and print what that took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name, default in (("methods", 200), ("datasets", 7), ("targets", 4)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    records = drawn(asked.methods, asked.datasets, asked.targets)
    began, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_utime
    board = shown(records)
    ranked = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        pages = build(Shown([board]), Path(folder) / "site")
        took, processor = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_utime - used
        print(
            f"{records.metrics.height:,} records: leaderboards in {ranked - began:.1f} s, {pages} pages in {took:.1f} s"
        )
        print(f"({processor:.1f} s of processor time)")
        page = Path(folder) / "site" / board.page()
        print(f"the board's page has {page.stat().st_size / 1e6:.1f} MB")
        print(f"the board's page, in milliseconds: {opened(page)}")


if __name__ == "__main__":
    main()
