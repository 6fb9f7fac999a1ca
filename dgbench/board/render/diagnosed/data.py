"""A diagnosis as plain data."""

from __future__ import annotations

import dataclasses
from typing import Any

from dgbench.diagnostics.diagnosis import Diagnosis


def as_data(found: Diagnosis) -> dict[str, Any]:
    """A diagnosis for programs: its fields by their names; what is not known is null."""
    pairs = [dataclasses.asdict(pair) | {"proxy_distance": pair.proxy_distance} for pair in found.pairs]
    return dataclasses.asdict(found) | {"pairs": pairs}
