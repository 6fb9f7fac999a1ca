"""What lies in a store by board and algorithm, and making room in it."""

import shutil
from pathlib import Path

import pytest

from dgbench.api import boards
from dgbench.core.cards import BoardCard, CaseRules
from dgbench.core.errors import StoreError, UnknownNameError
from dgbench.runs.prune import Pruning, prune, pruning
from dgbench.runs.store import Store
from dgbench.runs.usage import Usage, bytes_of
from dgbench.runs.verify import verify
from in_process import carry_out
from small import small_board

pytestmark = pytest.mark.usefixtures("computing_as_a_worker")


def board(name: str, *algorithms: str) -> BoardCard:
    cases = {"digits": CaseRules(targets=("print",))}
    return small_board(*algorithms).model_copy(update={"name": name, "cases": cases})


ONE, OTHER = board("one", "erm", "swad", "sam"), board("other", "erm", "ema")


@pytest.fixture(scope="module")
def two_boards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("two") / "store"
    carry_out(ONE, root)
    carry_out(OTHER, root)
    return root


@pytest.fixture
def store(two_boards: Path, tmp_path: Path) -> Store:
    return Store(shutil.copytree(two_boards, tmp_path / "store"))


def files(store: Store) -> dict[Path, bytes]:
    return {path.relative_to(store.root): path.read_bytes() for path in store.root.rglob("*") if path.is_file()}


def weights(store: Store) -> set[str]:
    return {path.stem.partition("-00")[0].partition("-")[0] for path in store.root.glob("trainings/*/weights/*")}


def test_each_piece_is_counted_once_in_the_sum(store: Store) -> None:
    usage = Usage(store)
    one, other = usage.boards
    assert (one.name, other.name) == ("one", "other")
    assert [usage.finished(each) for each in (one, other)] == [3, 2]
    work = bytes_of(store.root / "trainings") + bytes_of(store.root / "runs")
    assert usage.room(one.pieces() | other.pieces()).total == work
    assert usage.unlisted() == set()
    shared = usage.room(one.pieces() & other.pieces()).total
    assert usage.room(one.pieces()).total + usage.room(other.pieces()).total == work + shared
    assert one.pieces("erm") == other.pieces("erm")
    own = [usage.room(one.pieces(name)) for name in one.algorithms]
    assert all(room.weights > 100_000 and room.predictions > 10_000 and room.other > 1_000 for room in own)
    assert usage.room(one.pieces("erm") | one.pieces("swad")).weights < own[0].weights + own[1].weights


def test_a_rule_for_one_board_lets_go_of_what_no_other_wants(store: Store) -> None:
    before = files(store)
    assert pruning(store) == Pruning(None, (), (), (), ())
    what = pruning(store, ["one"], keep="none")
    assert files(store) == before, "saying is not doing"
    assert what.bytes > 0
    size = bytes_of(store.root / "trainings")
    freed = prune(store, what)
    assert freed == what.bytes
    assert size - bytes_of(store.root / "trainings") == pytest.approx(freed, abs=2000)  # seals are shorter
    assert weights(store) == {"00000" + path.stem[5] for path in store.root.glob("trainings/*/weights/0*")} | {"ema"}
    assert store.keep(ONE) == "none", "from now on"
    assert pruning(store, ["one"], keep="none").bytes == 0
    assert boards.records(ONE, store=store.root).missing == 0
    assert not [damage for result in verify(store) for damage in result.damaged]
    prune(store, pruning(store, keep="none"))
    assert weights(store) == set()


def test_a_board_that_is_forgotten_takes_with_it_what_no_other_lists(store: Store) -> None:
    expected = boards.leaderboard(OTHER, store=store.root).cells
    page = store.index(ONE).with_suffix("")
    (page / "augmented").mkdir(parents=True)
    what = pruning(store, ["one"], forget=True)
    assert sorted(piece.kind for piece in what.pieces) == ["run", "run", "training"], "SWAD's and SAM's"
    assert len(what.weights) == 1, "SWAD's mean"
    assert prune(store, what) == what.bytes
    assert not store.index(ONE).exists()
    assert not page.exists()
    assert boards.leaderboard(OTHER, store=store.root).cells.equals(expected)
    with pytest.raises(StoreError, match="holds nothing of 'one'"):
        boards.records(ONE, store=store.root)
    assert not [damage for result in verify(store) for damage in result.damaged]


def test_what_no_board_lists_goes_only_where_that_is_asked_for(store: Store) -> None:
    store.index(ONE).unlink()
    assert {kind for kind, _ in Usage(store).unlisted()} == {"training", "run"}
    assert pruning(store).pieces == ()
    what = pruning(store, unlisted=True)
    assert len(what.pieces) == 3
    busy = next(piece for piece in what.pieces if piece.kind == "training")
    with store.owned("training", busy.id):
        prune(store, what)
    assert store.pieces("training").count(busy.id) == 1, "another process works on it"
    prune(store, pruning(store, unlisted=True))
    assert Usage(store).unlisted() == set()
    assert boards.records(OTHER, store=store.root).missing == 0


def test_a_board_that_comes_meanwhile_keeps_its_work(store: Store) -> None:
    listed = store.index(ONE).read_bytes()
    store.index(ONE).unlink()
    what = pruning(store, unlisted=True)
    store.index(ONE).write_bytes(listed)
    assert prune(store, what) == 0
    assert boards.records(ONE, store=store.root).missing == 0


def test_what_cannot_be_done_is_said(store: Store) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'other'"):
        pruning(store, ["othr"])
    with pytest.raises(StoreError, match="name it"):
        pruning(store, forget=True)
    store.index(ONE).write_text("{}")
    with pytest.raises(StoreError, match="dgbench store verify"):
        pruning(store, keep="none")
