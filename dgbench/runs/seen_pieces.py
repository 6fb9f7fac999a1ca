"""A store that answers from what is noted of finished pieces, as long as their files have the stamps that they had."""

from __future__ import annotations

from dgbench.core.spec import Spec
from dgbench.runs.finished import Pieces, pieces
from dgbench.runs.plan import Plan
from dgbench.runs.store import Kind, Store


class SeenPieces(Store):
    """A store of which many pieces are asked for at once, whether they are finished and what they hold.

    One look at the stamps of all files stands for one at each piece; the rest it does as any store.
    """

    def __init__(self, store: Store, held: dict[Kind, dict[str, Spec]]) -> None:
        super().__init__(store.root, store.sharing)
        self._store = store
        self._held = held

    @classmethod
    def of(cls, store: Store, plan: Plan) -> SeenPieces:
        """The store, with the pieces of a plan as they are now; nothing is noted where it has no list of its runs."""
        seen = Pieces.of(store, store.index(plan.board), pieces(plan.trainings, plan.runs))
        held: dict[Kind, dict[str, Spec]] = {"training": {}, "run": {}}
        alike: dict[tuple[str, ...], Spec] = {}  # of a hundred thousand pieces nearly all have files of the same names
        for kind, id_, names in seen.files.group_by("kind", "id").agg("file").iter_rows():
            held[kind][id_] = alike.setdefault(tuple(names), {"files": dict.fromkeys(names)})
        return cls(store, held)

    def done(self, kind: Kind, id_: str) -> Spec | None:
        """The names of a finished piece's files; of one that was not looked at, all that it notes."""
        return self._held[kind].get(id_) or self._store.done(kind, id_)
