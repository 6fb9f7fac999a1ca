"""What a plan comes to, and the plan of a board whose work is all there: noted once, so that nobody plans it again.

    store/boards/<name>/<id>/known/plan/   pieces.parquet  said.parquet  done.json

To plan a hundred thousand runs takes a minute or two, most of which names them. What a plan says follows from the
rules, cards, data, backbones and code; a digest of these identifies it, and the ids of its pieces are beside it. Where
one of them is missing in the store, the plan is made.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import polars as pl
from pydantic import TypeAdapter

from dgbench.core.cards import BoardCard, Keep
from dgbench.core.dataset_card import dataset_card
from dgbench.core.elsewhere import PREFIX
from dgbench.core.known import versions
from dgbench.core.paths import shipped
from dgbench.core.provenance import code
from dgbench.core.registry import BUILT_IN, SLOTS, targets
from dgbench.data.catalogue import outline
from dgbench.runs.finished import PIECE, Pieces, pieces
from dgbench.runs.index import grown
from dgbench.runs.overlap import Idle, Sharing, idle, sharing
from dgbench.runs.plan import Plan
from dgbench.runs.pretraining import start
from dgbench.runs.remembered import beside, noted, recalled
from dgbench.runs.sizes import Sizes, sizes
from dgbench.runs.stamps import stamp
from dgbench.runs.store import Store

VERSION = "dgbench.plan/1"
_SAID = pl.Schema({"identity": pl.String(), "said": pl.String()})
_TABLES = {"pieces": PIECE, "said": _SAID}


@dataclass(frozen=True)
class Foreseen:
    """What a plan comes to, whatever of it is done.

    Attributes:
        counts: ``runs`` and ``trainings`` of the board; ``trainings_used`` by its entries, and ``trainings_alone`` if
            each algorithm had its own; ``trainings_judging`` and ``runs_judging``, which only judge others.
        sharing, idle: What algorithms have in common.
        room: Bytes.
        absent: Datasets that are not on this machine.
    """

    counts: dict[str, int]
    sharing: tuple[Sharing, ...]
    idle: tuple[Idle, ...]
    room: Sizes
    absent: tuple[str, ...]

    @classmethod
    def of(cls, plan: Plan, keep: Keep, workers: int) -> Foreseen:
        """What a plan comes to; ``keep`` and ``workers`` as for :func:`dgbench.runs.sizes.sizes`."""
        judging = plan.only_judging()
        counts = {
            "runs": len(plan.runs.keys() - judging[1]),
            "trainings": len(plan.trainings),
            "trainings_used": len({entry.training for entry in plan.entries}),
            "trainings_alone": len({(entry.algorithm, entry.training) for entry in plan.entries}),
            "trainings_judging": len(judging[0]),
            "runs_judging": len(judging[1]),
        }
        return cls(counts, tuple(sharing(plan)), tuple(idle(plan)), sizes(plan, keep, workers), plan.absent)


def finished_plan(store: Store, rules: BoardCard, keep: Keep, workers: int) -> Foreseen | None:
    """What the plan of a board comes to that was noted, and of which everything is there; None where it is not so.

    Args:
        store, rules: Which board.
        keep: Which weights stay; where the rules ask for some by themselves, they may be gone, so the plan is made.
        workers: How many are at work at a time.
    """
    if rules.keep not in (None, "none") or (identity := _identity(store, rules, keep, workers)) is None:
        return None
    listed = store.index(rules)
    known = recalled(beside(listed, "plan"), VERSION, _TABLES)
    said = known["said"].filter(identity=identity)["said"].to_list()
    if not said or Pieces.of(store, listed, known["pieces"]).notes.height < known["pieces"].height:
        return None
    return TypeAdapter(Foreseen).validate_json(said[0])


def note_plan(store: Store, plan: Plan, found: Foreseen, keep: Keep, workers: int) -> None:
    """Note what a plan comes to, where the store has the board."""
    listed, identity = store.index(plan.board), _identity(store, plan.board, keep, workers)
    if identity is None or not listed.is_file():
        return
    said = TypeAdapter(Foreseen).dump_json(found).decode()
    tables = {
        "pieces": pieces(plan.trainings, plan.runs),
        "said": pl.DataFrame([(identity, said)], _SAID, orient="row"),
    }
    noted(store, beside(listed, "plan"), VERSION, tables)


def _identity(store: Store, rules: BoardCard, keep: Keep, workers: int) -> str | None:
    """A digest of all that a plan, and what it comes to, follow from; None where parts of other packages do."""
    if any(targets(slot) != BUILT_IN[slot] for slot in SLOTS) or any(PREFIX in name for name in rules.algorithms):
        return None
    cards = [(path.name, stamp(path)) for path in sorted(shipped("algorithms").glob("*.toml"))]
    data = [(dataset_card(name), outline(name)) for name in rules.dataset]
    starts = [vars(start(backbone)) for backbone in sorted(set(rules.tracks.values()))]
    starts = [said | {"provides": sorted(said["provides"])} for said in starts]  # a set is said in any order
    libraries = code(), versions("numpy", "torch", "timm", "open_clip_torch")
    parts = (VERSION, libraries, rules, grown(rules, store), keep, workers, cards, data, starts)
    return hashlib.sha256(repr(parts).encode()).hexdigest()
