"""What takes a while to find out and stays so: small records that the cache keeps, by what they are of.

    {"schema": "dgbench.paces/1", "paces": [{"of": "timm:resnet18 at 224 px, ...", "learn": 0.1, "look": 0.02}, ...]}

What a record is of names all that it depends on, versions of libraries among it; so it holds for ever. A file of
records is bounded: what was found first goes first. What cannot be read, or is no such record, is found anew.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from dgbench.core.disk import DiskError
from dgbench.core.files import read_json, write_json
from dgbench.core.paths import cache_root

MOST = 500
"""Records that a file keeps, unless more are asked for at once."""

log = logging.getLogger(__name__)
T = TypeVar("T")


def known(kind: str, record: type[T], wanted: Mapping[str, Callable[[], T]]) -> dict[str, T]:
    """Records, from the cache where it has them.

    Args:
        kind: What they are together, with a number that is raised whenever they would be found otherwise: ``paces/1``.
            They lie in ``paces.json``.
        record: A dataclass, whose fields' types say what they may hold.
        wanted: By what each is of, a function that finds it out.
    """
    name, _, _ = kind.partition("/")
    path = cache_root() / f"{name}.json"
    kept, reader = _read(path, kind), TypeAdapter(record)
    found: dict[str, T] = {}
    for of in wanted.keys() & kept.keys():
        try:
            found[of] = reader.validate_python(kept[of])
        except ValidationError as error:
            log.warning("%s cannot be read (%s of '%s'): it is found anew", path, _first(error), of)
    missing = {of: find() for of, find in wanted.items() if of not in found}
    if missing:
        dumped = {of: reader.dump_python(one, mode="json") for of, one in missing.items()}
        _write(path, kind, kept, dumped, max(MOST, len(wanted)))
    return found | missing


def write_down(kind: str, record: type[T], of: str, one: T) -> None:
    """Keep a record, in place of the one that is there."""
    name, _, _ = kind.partition("/")
    path = cache_root() / f"{name}.json"
    _write(path, kind, _read(path, kind), {of: TypeAdapter(record).dump_python(one, mode="json")}, MOST)


def what_is_known(kind: str, record: type[T], of: str) -> T | None:
    """One record, as :func:`known` keeps it, where it is there; it is found nowhere else."""
    name, _, _ = kind.partition("/")
    kept = _read(cache_root() / f"{name}.json", kind)
    try:
        return TypeAdapter(record).validate_python(kept[of]) if of in kept else None
    except ValidationError:
        return None  # whoever finds it anew writes over it


def versions(*packages: str) -> str:
    """``torch 2.6.0, timm 1.0.15``: what of several packages a record depends on; none of them is imported."""
    return ", ".join(f"{package} {_version(package)}" for package in packages)


@cache
def _version(package: str) -> str:
    return version(package)


def _read(path: Path, kind: str) -> dict[str, dict[str, Any]]:
    """All that a file holds, unchecked; nothing where it is none of this kind."""
    name, _, _ = kind.partition("/")
    try:
        content = read_json(path)
        if content["schema"] != f"dgbench.{kind}":
            raise ValueError("it is of another version")
        return {one.pop("of"): one for one in content[name]}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, json.JSONDecodeError) as error:
        log.warning("%s cannot be read (%s): what is needed of it is found anew", path, error)
        return {}


def _write(path: Path, kind: str, kept: Mapping[str, Any], found: Mapping[str, Any], most: int) -> None:
    """Those that were found after those that were kept; so many of the last."""
    name, _, _ = kind.partition("/")
    last = [*({of: one for of, one in kept.items() if of not in found} | dict(found)).items()][-most:]
    with suppress(DiskError):  # where nothing can be written it is found out each time
        write_json(path, {"schema": f"dgbench.{kind}", name: [{"of": of, **one} for of, one in last]})


def _first(error: ValidationError) -> str:
    problem = error.errors()[0]
    return f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"
