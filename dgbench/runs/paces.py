"""How long an image takes on this machine, kept in the cache from plan to plan: timing takes seconds and memory.

    {"schema": "dgbench.paces/1", "paces": [{"of": "timm:resnet18 at 224 px, ...", "learn": 0.1, "look": 0.02}, ...]}

The file is bounded: what was timed first goes first. What cannot be read, or is no pace, is timed anew.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from dgbench.core.backbone_name import parse
from dgbench.core.disk import DiskError
from dgbench.core.files import read_json, write_json
from dgbench.core.paths import cache_root
from dgbench.core.shift_families import VIEWS_VERSION
from dgbench.runs.timing import Pace, drawing, timed
from dgbench.train.environment import processor
from dgbench.train.spec import TrainingSpec

SCHEMA = "dgbench.paces/1"
MOST = 500
"""Paces that are kept."""

log = logging.getLogger(__name__)


def network_pace(training: TrainingSpec, device: str, workers: int) -> Pace:
    """The pace of a training's network in its precision; timed where it is not known."""

    def time() -> dict[str, float]:
        return asdict(timed(training, device, workers))

    network = parse(training.backbone).untrained().canonical
    at_work = f"{workers} {'worker' if workers == 1 else 'workers'}"
    of = f"{network} at {training.size} px in {training.precision}, {at_work}, {device}, torch {version('torch')}"
    return Pace(**_known(of, ("learn", "look"), time))


def drawing_pace(size: int) -> float:
    """Seconds that one process takes to draw a shifted image, on average over the families; timed if not known."""

    def time() -> dict[str, float]:
        return {"draw": drawing(size)}

    return _known(f"shifts at {size} px, version {VIEWS_VERSION}", ("draw",), time)["draw"]


def _known(of: str, fields: tuple[str, ...], time: Callable[[], dict[str, float]]) -> dict[str, float]:
    """What the cache knows of something on this machine; it is timed and noted where that is nothing."""
    path, key = cache_root() / "paces.json", f"{of}, {processor()}"
    known = _read(path)
    if known.get(key, {}).keys() != set(fields):
        known.pop(key, None)
        known = dict([*known.items()][1 - MOST :]) | {key: time()}
        with suppress(DiskError):  # where nothing can be written it is timed each time
            write_json(path, {"schema": SCHEMA, "paces": [{"of": one, **pace} for one, pace in known.items()]})
    return known[key]


def _read(path: Path) -> dict[str, dict[str, float]]:
    try:
        content = read_json(path)
        found: dict[str, dict[str, float]] = {pace.pop("of"): pace for pace in content["paces"]}
        if content["schema"] != SCHEMA or not all(map(_is_pace, found.values())):
            raise ValueError("it does not hold paces of this version")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, json.JSONDecodeError) as error:
        log.warning("%s cannot be read (%s): what is needed of it is timed again", path, error)
        return {}
    return found


def _is_pace(pace: dict[str, float]) -> bool:
    return all(isinstance(seconds, float) and 0 < seconds < math.inf for seconds in pace.values())
