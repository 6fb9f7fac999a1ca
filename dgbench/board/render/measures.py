"""Other measures than accuracy, as every rendering shows them: words, tables, and what the page switches to."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from typing import Any

from dgbench.board.leaderboard import Leaderboard
from dgbench.board.rankings import Place, Ranking, Rankings
from dgbench.board.render import text
from dgbench.board.render.axes import Scale
from dgbench.core.visible import visible
from dgbench.selection.measure import Measure
from dgbench.selection.statistics import Estimate


def number(measure: Measure, value: float, *, sign: bool = False) -> str:
    """A value as readers see it: a share in per cent, or what else it is in."""
    if measure.unit == "%":
        return (text.signed if sign else text.percent)(value)
    return f"{value:{'+' if sign else ''}.{measure.decimals}f}".replace("-", "−")


def margin(measure: Measure, estimate: Estimate) -> str:
    """Half of the interval, or both ends where it is cut, as :func:`dgbench.board.render.text.margin` has them."""
    if measure.unit == "%" or estimate.margin is None or estimate.interval is None:
        return text.margin(estimate)
    if estimate.even:
        return f"±{estimate.margin:.{measure.decimals}f}"
    return "({} to {})".format(*(number(measure, end) for end in estimate.interval))


def rank(place: Place) -> str:
    """Both ends of the interval of ranks, as :func:`dgbench.board.render.text.rank` has them."""
    return text.ranks(place.rank, place.rank_worst)


def unit(measure: Measure, board: Leaderboard) -> str:
    """In what its numbers are; empty of a number without a unit."""
    return board.info.unit if measure.unit == "value" else measure.unit


def heading(measure: Measure, board: Leaderboard) -> str:
    """Title and unit: ``Calibration error, %``."""
    within = unit(measure, board)
    return f"{measure.title[0].upper()}{measure.title[1:]}{f', {within}' if within else ''}"


def caption(ranking: Ranking) -> str:
    """What is shown, what is good, and that it is not the rule."""
    measure = ranking.measure
    way = "Higher is better" if measure.rises else "Lower is better"
    headline = ranking.board.info.headline
    rule = "" if measure.name == headline.name else f" For looking: this board's rule is {headline.title}."
    about = "".join(f" {sentence}" for sentence in ranking.about)
    return f"{measure.description} {way}. The models are those that {ranking.board.criterion.title} chose.{about}{rule}"


def lacking(ranking: Ranking) -> list[str]:
    """Why some algorithms have no value."""
    return [
        f"{place.entry.title} has no value: {place.lacking}."
        for places in ranking.tracks.values()
        for place in places
        if place.lacking
    ]


def header(ranking: Ranking, domains: Sequence[str]) -> list[str]:
    """Headings of :func:`row`."""
    return [
        "Rank",
        "Algorithm",
        heading(ranking.measure, ranking.board),
        "n",
        *domains,
        "Worst",
        text.difference_header(ranking.board),
    ]


def row(place: Place, ranking: Ranking, domains: Sequence[str]) -> list[str]:
    """One algorithm, as text, with its value on these targets."""
    measure, value, worst = ranking.measure, place.value, place.worst(ranking.measure)
    return [
        "–" if place.rank is None else str(place.rank),
        text.name(place.entry, ranking.board),
        "–" if value is None else f"{number(measure, value.mean)} {margin(measure, value)}".strip(),
        "–" if value is None else str(value.n),
        *(number(measure, place.targets[domain]) if domain in place.targets else "–" for domain in domains),
        "–" if worst is None else number(measure, place.targets[worst]),
        _difference(place, measure),
    ]


def _difference(place: Place, measure: Measure) -> str:
    if place.difference is None:
        return "–"
    return f"{number(measure, place.difference.mean, sign=True)} {margin(measure, place.difference)}".strip()


def as_data(ranking: Ranking) -> dict[str, Any]:
    """The ranking as plain data."""
    return {
        "name": ranking.board.info.name,
        "version": ranking.board.info.version,
        "rules": ranking.board.info.rules,
        "criterion": ranking.board.criterion.name,
        "metric": ranking.measure.name,
        "unit": unit(ranking.measure, ranking.board),
        "higher_is_better": ranking.measure.rises,
        "is_the_rule": ranking.measure.name == ranking.board.info.headline.name,
        "entries": ranking.to_polars().to_dicts(),
        "provenance": dict(ranking.board.provenance),
    }


def switched(rankings: Rankings, board: Leaderboard) -> str:
    """What the page's script needs to show the tables by other measures, as JSON that ends no element.

    Numbers come as they are to be read, in the words of Python: the script puts them where those of accuracy stand.
    By measure: ``title``, ``caption``, ``lacking``, ``rises``, the ``ticks`` of the axis, the ``ends`` of the shades on
    each target, and ``rows``, in order: for each algorithm its name, and then its rank in words and as a number, its
    value as a number, in words and with its margin, where its dot (null: beyond the axis) and whisker
    are, the worst target with its value, the
    difference with its margin, and the values by target.
    """
    data = {name: _switched(ranking, board) for name, ranking in rankings.known.items()}
    written = json.dumps(data, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return written.replace("<", "\\u003c").replace("&", "\\u0026")


def _switched(ranking: Ranking, board: Leaderboard) -> dict[str, Any]:
    measure = ranking.measure
    places = [place for each in ranking.tracks.values() for place in each]
    values = [place.value for place in places if place.value is not None]
    scale, domains = _scale(values, measure), board.info.domains
    return {
        "title": heading(measure, ranking.board),
        "caption": caption(ranking),
        "rises": measure.rises,
        "lacking": lacking(ranking),
        "ticks": [[scale(tick), _tick(tick, measure)] for tick in scale.ticks],
        "ends": [_ends([p.targets[domain] for p in places if domain in p.targets], measure) for domain in domains],
        "rows": [[visible(place.entry.algorithm), _cells(place, ranking, scale)] for place in places],
    }


def _ends(values: Sequence[float], measure: Measure) -> list[float]:
    """The least and the greatest, as they are shown."""
    ends = (min(values), max(values)) if values else ()
    return [round(100 * end, 1) if measure.unit == "%" else round(end, measure.decimals) for end in ends]


def _scale(values: Sequence[Estimate], measure: Measure) -> Scale:
    """An axis on which what is far worse than the rest stays outside, as by accuracy."""
    if measure.rises:
        return Scale.over(values)
    means = [value.mean for value in values]
    roof = min(means) + max(3 * (statistics.median(means) - min(means)), 0.05)
    kept = [value for value in values if value.mean <= roof]
    ends = [end for value in kept for end in (value.mean, value.low, value.high) if end is not None]
    return Scale.spanning(min(ends), min(max(ends), roof))


def _tick(tick: float, measure: Measure) -> str:
    return f"{round(100 * tick if measure.unit == '%' else tick, 4):g}"


def _cells(place: Place, ranking: Ranking, scale: Scale) -> list[Any]:
    measure, value = ranking.measure, place.value
    if value is None:
        return []
    worst = place.worst(measure)
    interval = value.interval or ()
    # from where to where the whisker goes, and those of its ends that lie on the axis
    ends = [*map(scale, interval), *(scale(end) for end in interval if scale.low <= end <= scale.high)]
    order = None if place.rank is None or place.rank_worst is None else place.rank * 100000 + place.rank_worst
    difference = place.difference
    return [
        rank(place),
        order,
        round(value.mean, 6),
        number(measure, value.mean),
        margin(measure, value),
        scale(value.mean) if scale.low <= value.mean <= scale.high else None,
        ends,
        worst and [round(place.targets[worst], 6), number(measure, place.targets[worst]), visible(worst)],
        difference
        and [
            round(difference.mean, 6),
            number(measure, difference.mean, sign=True),
            margin(measure, difference),
        ],
        [number(measure, place.targets[d]) if d in place.targets else "" for d in ranking.board.info.domains],
    ]
