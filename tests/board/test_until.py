"""Boards whose trials grow: whom a look sees, who gets more, and what readers are told."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import polars as pl
import pytest
from board.synthetic import candidate, entries, info, tables

from dgbench.board.build import build
from dgbench.board.leaderboard import Leaderboard
from dgbench.board.power import power
from dgbench.board.render import files, latex, markdown, text
from dgbench.board.render import power as power_words
from dgbench.board.render.rounds import lines
from dgbench.board.until import Look, Round, Top, look
from dgbench.core.errors import StoreError, UnknownNameError

LOOKS = (2, 3, 5)
DOMAINS = ("a", "b")


def cell(algorithm: str, target: str, trial: int, **what: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """What an algorithm did on one of the two targets."""
    return candidate(algorithm, target, trial, clean={other: 0.95 for other in DOMAINS if other != target}, **what)


def made(
    skills: Mapping[str, float],
    trials: Mapping[str, int],
    without: Iterable[tuple[str, str, int]] = (),
    looks: tuple[int, ...] = LOOKS,
    noise: float = 0.01,
) -> Leaderboard:
    """A board on which algorithms reach their skill, with noise of their own in each cell."""
    random = np.random.default_rng(0)
    found = []
    for algorithm, skill in skills.items():
        draws = random.standard_normal((len(DOMAINS), max(looks)))
        found += [
            cell(algorithm, target, trial, on_target=skill + noise * draws[place, trial])
            for place, target in enumerate(DOMAINS)
            for trial in range(trials[algorithm])
            if (algorithm, target, trial) not in without
        ]
    return build(*tables(found), info(algorithms=tuple(skills), trials=looks[0], looks=looks))


SKILLS = {"erm": 0.60, "sam": 0.605, "irm": 0.3, "drm": 0.61, "coral": 0.31}
AT_FIRST = dict.fromkeys(SKILLS, 2)


def test_a_look_sees_whole_trials_and_as_many_as_it_says() -> None:
    board = made(SKILLS, {**AT_FIRST, "erm": 3, "sam": 4, "drm": 5, "coral": 3}, without=[("coral", "b", 2)])
    seen = {name: entry.trials for name, entry in entries(board).items()}
    assert seen == {"erm": 3, "sam": 3, "irm": 2, "drm": 5, "coral": 2}  # four trials are no look, half a trial is none
    assert all(entry.rank is not None for entry in board.entries)
    cells = board.cells.group_by("algorithm").len()
    assert dict(cells.iter_rows()) == {name: 2 * trials for name, trials in seen.items()}
    assert entries(board)["sam"].accuracy.n == 6
    # a trial within those that all must have is missing: then it is unranked, as on any board
    (lacking,) = [one for one in made(SKILLS, AT_FIRST, without=[("sam", "a", 1)]).entries if one.rank is None]
    assert lacking.algorithm == "sam"


def test_records_beyond_the_last_look_are_refused() -> None:
    many = tables(cell("erm", target, trial) for target in DOMAINS for trial in range(6))
    with pytest.raises(StoreError, match=r"hold trial \[5\], which the rules"):
        build(*many, info(algorithms=("erm",), trials=2, looks=LOOKS))


def test_every_number_follows_from_the_records_whatever_their_order() -> None:
    trials = {**AT_FIRST, "erm": 3, "sam": 3, "drm": 3}
    board = made(SKILLS, trials)
    random = np.random.default_rng(1)
    found = []
    for algorithm, skill in SKILLS.items():
        draws = random.standard_normal((2, 5))
        found += [
            cell(algorithm, t, k, on_target=skill + 0.01 * draws[p, k])
            for p, t in enumerate(DOMAINS)
            for k in range(trials[algorithm])
        ]
    metrics, runs = tables(found)
    rules = info(algorithms=tuple(SKILLS), trials=2, looks=LOOKS)
    one = build(metrics, runs, rules)
    other = build(metrics.sample(fraction=1.0, shuffle=True, seed=3), runs.reverse(), rules)
    assert files.table(one).equals(files.table(other))
    assert files.pairs(one).equals(files.pairs(other))
    assert board.info.looks == LOOKS


def test_those_that_are_open_at_the_top_get_the_trials_of_the_next_look() -> None:
    board = made(SKILLS, AT_FIRST)
    leaders = {name for name, entry in entries(board).items() if entry.rank == 1}
    assert leaders == {"erm", "sam", "drm"}
    found = look(board, frozenset(SKILLS))
    assert set(found.more) <= leaders
    assert set(found.more.values()) == {3}
    (top,) = found.tops
    assert (len(top.leaders), top.behind, top.open) == (3, 2, 3)
    # what cannot have more trials gives none to whom it is compared with either
    assert look(board, frozenset(SKILLS) - found.more.keys()).more == {}


def test_one_that_leads_ends_it_and_equals_end_it_when_nothing_is_within_reach() -> None:
    ahead = look(made({**SKILLS, "drm": 0.9}, AT_FIRST), frozenset(SKILLS))
    assert ahead.settled
    assert ahead.more == {}
    assert Round.of(ahead, 5, 0.0, None, failed=False).stop == "settled"
    tied = dict.fromkeys(("erm", "sam", "drm", "irm"), 0.6)
    last = look(made(tied, dict.fromkeys(tied, 5)), frozenset(tied))
    assert not last.settled
    assert last.more == {}
    assert Round.of(last, 5, 0.0, None, failed=False).stop == "most"


def test_algorithms_that_predict_the_same_keep_as_many_trials() -> None:
    rows = []
    random = np.random.default_rng(0)
    for name in ("erm", "sam", "irm", "drm"):
        for target in DOMAINS:
            for trial in range(2):
                where = f"same-{target}-{trial}" if name in ("erm", "irm") else ""
                value = 0.6 if where else 0.6 + 0.01 * float(random.standard_normal())
                rows.append(cell(name, target, trial, on_target=value, digest=where))
    board = build(*tables(rows), info(algorithms=("erm", "sam", "irm", "drm"), looks=LOOKS))
    assert entries(board)["irm"].same_as == "erm"
    more = look(board, frozenset({"erm", "sam", "irm", "drm"})).more
    assert ("erm" in more) == ("irm" in more)
    assert more


def _look(more: Mapping[str, int], fewest: int = 3) -> Look:
    return Look("toy", {"erm": 3, "sam": 2}, (Top("inductive", ("ERM", "SAM"), 3, 1, fewest, len(more) // 2),), more)


def test_a_round_says_what_is_open_and_why_it_goes_on_or_stops() -> None:
    more = {"erm": 5, "sam": 5}
    on = Round.of(_look(more), 5, 120.0, 600.0, failed=False)
    assert on.stop is None
    assert list(lines(on)) == [
        "looked at after 2 to 3 trials",
        "  inductive: each of ERM and SAM may be the best, 3 are behind; 1 pairs are open, 1 of them within reach",
        "goes on with 5 trials of erm, sam: about 2 min, 10 min of the budget are left",
    ]
    short = Round.of(_look(more), 5, 120.0, 60.0, failed=False)
    assert short.stop == "budget"
    assert list(lines(short))[-1].startswith(
        "stops: the next round does not fit into what is left of the budget (5 tri"
    )
    assert Round.of(_look({}), 5, 0.0, None, failed=False).stop == "equal"
    assert Round.of(_look({}, fewest=5), 5, 0.0, None, failed=False).stop == "most"
    assert Round.of(_look(more), 5, 1.0, None, failed=True).stop == "failed"


def test_readers_are_told_of_looks_and_of_trials_and_ordinary_boards_say_nothing_of_them() -> None:
    board = made(SKILLS, {**AT_FIRST, "erm": 3, "drm": 5})
    (said,) = text.looks(board)
    assert "looked at after 2, 3 and 5 trials, and was after 2, 3 and 5" in said
    assert "algorithms have 5 (DRM); 3 (ERM); 2 (SAM, CORAL, IRM)." in said
    assert said in text.notes(board)
    assert "| Trials |" in markdown.render(board)
    assert "mean over 2 to 5 trials" in latex.render(board)
    assert dict(zip(files.table(board)["algorithm"], files.table(board)["trials"], strict=True))["drm"] == 5
    assert files.as_data(board)["looks"] == LOOKS
    plain = build(*tables(cell("erm", t, k) for t in DOMAINS for k in range(2)), info(algorithms=("erm",)))
    assert text.looks(plain) == []
    assert "looks" not in files.as_data(plain)
    assert "trials" not in files.table(plain).columns


def test_power_is_told_of_every_algorithm_against_the_reference_and_of_the_top() -> None:
    board = made(SKILLS, {**AT_FIRST, "erm": 3, "drm": 3})
    found = {(one.first.algorithm, one.second.algorithm): one for one in power(board)}
    leader = board.tracks[0].entries[0].algorithm
    assert {pair for pair in found if "erm" in pair} == {(name, "erm") for name in SKILLS if name != "erm"}
    assert all(leader in pair for pair in found if "erm" not in pair)
    drm = found["drm", "erm"]
    assert (drm.has, found["sam", "erm"].has) == (3, 2)
    assert found["irm", "erm"].separated
    open_pairs = sum(pair.better is None for pair in board.tracks[0].pairs)
    assert drm.board is not None
    assert drm.alone is not None
    assert drm.board.level == pytest.approx(0.05 / 2 / open_pairs)  # half of the error is for the last look
    assert drm.board.smallest > drm.alone.smallest
    for needs in (drm.board, drm.alone):
        ordered = [10**6 if trials is None else trials for trials in (needs.fewest, needs.trials, needs.most)]
        assert ordered == sorted(ordered)
    low = drm.difference.low
    assert low is not None
    assert (drm.alone.most is None) or low > 0
    assert power_words.row(found["irm", "erm"])[4] == "separated"
    (only,) = power(board, ["sam", "drm"])
    assert power_words.as_data([only])[0]["second"] == "drm"
    with pytest.raises(UnknownNameError):
        power(board, ["sam", "nobody"])


def test_power_of_one_trial_is_not_known() -> None:
    rows = [
        cell(name, target, 0, on_target=0.5 + 0.1 * at) for at, name in enumerate(("erm", "sam")) for target in "ab"
    ]
    (only,) = power(build(*tables(rows), info(algorithms=("erm", "sam"), trials=1)))
    assert only.board is None
    assert power_words.row(only)[3:] == ["–", "–", "–"]


def test_a_measure_is_ranked_over_the_same_looks() -> None:
    from dgbench.board.rankings import ranking
    from dgbench.selection.measures import get

    board = made(SKILLS, {**AT_FIRST, "erm": 3, "drm": 5})
    by_nll = ranking(board, get("nll"))  # 1 minus the accuracy, in these records
    for place in by_nll.tracks["inductive"]:
        assert (place.rank, place.rank_worst) == (place.entry.rank, place.entry.rank_worst)
        assert place.value is not None
        assert place.value.n == place.entry.accuracy.n


def test_criteria_are_judged_on_the_trials_that_all_have() -> None:
    few, many = made(SKILLS, AT_FIRST), made(SKILLS, {**AT_FIRST, "erm": 5, "drm": 5})
    for one, other in zip(few.tracks[0].qualities, many.tracks[0].qualities, strict=True):
        assert one.regret == other.regret
        assert one.points.sort(pl.all()).equals(other.points.sort(pl.all()))
