"""A store that answers from what is noted of finished pieces, as long as their files have the stamps that they had."""

from __future__ import annotations

from dgbench.core.spec import Spec
from dgbench.runs.finished import Pieces
from dgbench.runs.plan import Plan
from dgbench.runs.store import Kind, Store


class SeenPieces(Store):
    """A store of which many pieces are asked for at once, whether they are finished and what they hold.

    One look at the stamps of all files stands for one at each piece; the rest it does as any store.
    """

    def __init__(self, store: Store, held: dict[tuple[Kind, str], dict[str, list[int]]]) -> None:
        super().__init__(store.root, store.sharing)
        self._store = store
        self._held = held

    @classmethod
    def of(cls, store: Store, plan: Plan) -> SeenPieces:
        """The store, with the pieces of a plan as they are now; nothing is noted where it has no list of its runs."""
        pieces = Pieces.of(store, store.index(plan.board), plan.trainings, plan.runs)
        held: dict[tuple[Kind, str], dict[str, list[int]]] = {}
        for kind, id_, file, size in pieces.files.select("kind", "id", "file", "size").iter_rows():
            held.setdefault((kind, id_), {})[file] = [size]
        return cls(store, held)

    def done(self, kind: Kind, id_: str) -> Spec | None:
        """The files of a finished piece; of one that was not looked at, all that it notes."""
        held = self._held.get((kind, id_))
        return self._store.done(kind, id_) if held is None else {"files": held}
