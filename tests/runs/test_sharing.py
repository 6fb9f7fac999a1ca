"""What every kind of store holds to, whoever else is at it: a folder, a shared disk, and servers of objects."""

import json
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from pretend_remote import Pretended

from dgbench.api import boards
from dgbench.cli.work import there
from dgbench.core.cards import CaseRules, SelectionRules, SplitRules
from dgbench.core.errors import DamagedError, StoreError
from dgbench.core.files import write_json
from dgbench.core.leases import Leases
from dgbench.core.remote import Bucket, Folder, Remote, check, remote_at
from dgbench.core.seals import DONE, MIDWAY, described, seal, write_sealed
from dgbench.core.spec import Spec, identity
from dgbench.runs.joining import join
from dgbench.runs.listed import INDEX
from dgbench.runs.sharing import Shared
from dgbench.runs.store import BusyError, Kind, Store
from dgbench.runs.todo import todo
from dgbench.runs.verify import verify
from in_process import carry_out
from small import small_board

SPEC: Spec = {"schema": "dgbench.run/1", "of": "a test"}
ID = identity(SPEC)
LIST: Spec = {
    "schema": INDEX,
    "criterion": "augmented",
    "keep": "all",
    "starts": {},
    "manifests": {},
    "cases": [],
    "entries": [],
}
LARGE = bytes(range(256)) * 200


class Place:
    """One store, and machines that work on it, each with a clock of its own."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind, self.folder = kind, folder
        self.remote: Remote | None = None
        if kind == "shared disk":
            self.remote = Folder(f"file://{folder / 'disk'}")
        elif kind == "objects":
            self.remote = Pretended(latency=0.0005)
        elif kind == "bucket":
            memory = pytest.importorskip("obstore.store", reason="obstore is in the extra s3").MemoryStore()
            self.remote = Bucket("s3://bucket", memory)
        elif kind == "server":
            self.remote = Bucket("s3://bucket", _served(folder.name))

    def machine(self, name: str, clock: Callable[[], float] = time.monotonic, length: float = 9.0) -> Store:
        if self.remote is None:
            return Store(self.folder / "store")
        root = self.folder / "copies" / name
        return Store(root, Shared(self.remote, root, Leases(self.remote, length, clock)))

    def damage(self) -> None:
        """Change a byte of the large file where the store keeps it."""
        if self.remote is None:
            path = self.folder / "store" / "runs" / ID / "predictions.parquet"
            path.write_bytes(LARGE[:-1] + b"?")
        else:
            (key,) = [key for key in self.remote.below(f"runs/{ID}/") if key.endswith("predictions.parquet")]
            self.remote.write(key, LARGE[:-1] + b"?")


@cache
def _server() -> str:
    """The address of a server that speaks as S3 does, with one bucket; it ends with the process."""
    server = pytest.importorskip("moto.server", reason="needs moto's server, which no extra of dgbench brings")
    served = server.ThreadedMotoServer(port=0, verbose=False)
    served.start()
    host, port = served.get_host_and_port()
    address = f"http://{host}:{port}"
    assert urlopen(Request(f"{address}/bucket", method="PUT")).status == 200
    return address


def _served(prefix: str) -> Any:
    """A store of obstore on that server."""
    store = pytest.importorskip("obstore.store", reason="obstore is in the extra s3")
    return store.S3Store(
        "bucket",
        prefix=prefix,
        endpoint=_server(),
        region="us-east-1",
        access_key_id="test",
        secret_access_key="test",
        client_options={"allow_http": True},
    )


KINDS = ("folder", "shared disk", "objects", "bucket", "server")
SHARED = KINDS[1:]


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return Place(request.param, tmp_path)


@pytest.fixture(params=SHARED)
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return Place(request.param, tmp_path)


def work(store: Store, spec: Spec = SPEC, by: str = "somebody", large: bytes = LARGE) -> bool:
    """Do a piece of work, as a run is done; whether there was something to do."""
    with store.claim("run", spec) as folder:
        if folder is None:
            return False
        finish(folder, by, large)
        return True


def finish(folder: Path, by: str, large: bytes = LARGE) -> None:
    (folder / "predictions.parquet").write_bytes(large)
    write_json(folder / "result.json", {"by": by})
    seal(folder, {"seconds": 1.0})


def test_a_piece_of_work_has_one_owner_and_then_it_is_everybodys(place: Place) -> None:
    mine, theirs = place.machine("mine"), place.machine("theirs", clock=lambda: time.monotonic() + 10.0**9)
    with mine.claim("run", SPEC) as folder:
        assert folder is not None
        assert not theirs.finished("run", ID)
        with pytest.raises(BusyError), theirs.claim("run", SPEC):
            pass
        finish(folder, "mine")
    time.sleep(0.2)  # who was told that another is at it does not ask again at once
    for store in (mine, theirs, place.machine("a third one")):
        assert not work(store)
        assert store.read("run", ID, "result.json") == {"by": "mine"}
        assert store.file("run", ID, "predictions.parquet").read_bytes() == LARGE
        assert store.pieces("run") == [ID]


def test_machines_share_the_work_and_none_is_done_twice(place: Place) -> None:
    specs = [SPEC | {"number": number} for number in range(12)]
    did: list[int] = []

    def sweep(name: str, order: int) -> None:
        store = place.machine(name)
        waiting = list(range(len(specs)))[::order]
        while waiting:
            number = waiting.pop(0)
            try:
                if work(store, specs[number], name):
                    did.append(number)
            except BusyError:
                waiting.append(number)

    threads = [threading.Thread(target=sweep, args=of) for of in (("one", 1), ("two", -1), ("three", 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(did) == list(range(len(specs)))
    assert all(place.machine("last").damage("run", identity(spec)) is None for spec in specs)


def test_what_is_stopped_midway_is_not_finished_for_anybody(place: Place) -> None:
    mine = place.machine("mine")
    with suppress(RuntimeError), mine.claim("run", SPEC) as folder:
        assert folder is not None
        (folder / "predictions.parquet").write_bytes(LARGE)
        raise RuntimeError
    theirs = place.machine("theirs")
    assert not mine.finished("run", ID)
    assert not theirs.finished("run", ID)
    assert work(theirs)


def test_what_is_damaged_is_set_aside_and_done_again(place: Place) -> None:
    work(place.machine("mine"))
    place.damage()
    theirs = place.machine("theirs")
    with pytest.raises(DamagedError, match="predictions") as error:
        theirs.file("run", ID, "predictions.parquet")
    assert theirs.mend_after(error.value) == ("run", ID)
    assert theirs.damage("run", ID) is None
    assert not theirs.finished("run", ID)
    assert not place.machine("a third one").finished("run", ID)
    if place.remote is not None:
        kept = [key for key in place.remote.below("damaged/") if key.endswith("predictions.parquet")]
        assert [place.remote.read(key) for key in kept] == [LARGE[:-1] + b"?"]
    assert work(theirs)
    last = place.machine("last")
    assert last.damage("run", ID) is None
    assert last.file("run", ID, "predictions.parquet").read_bytes() == LARGE


def test_what_two_machines_set_aside_is_kept_twice(shared: Place) -> None:
    assert shared.remote is not None
    bad = {LARGE[:-1] + b"1", LARGE[:-1] + b"2"}
    for number, content in enumerate(sorted(bad)):
        work(shared.machine("mine"))
        (key,) = [key for key in shared.remote.below(f"runs/{ID}/") if key.endswith("predictions.parquet")]
        shared.remote.write(key, content)
        finder = shared.machine(f"finder {number}")
        assert finder.finished("run", ID)
        assert finder.mend("run", ID) is not None
    kept = [key for key in shared.remote.below("damaged/") if key.endswith("predictions.parquet")]
    assert {shared.remote.read(key) for key in kept} == bad


def test_who_is_stopped_having_just_finished_has_finished_for_all(shared: Place) -> None:
    with suppress(KeyboardInterrupt), shared.machine("mine").claim("run", SPEC) as folder:
        assert folder is not None
        finish(folder, "mine")
        raise KeyboardInterrupt
    theirs = shared.machine("theirs")
    assert not work(theirs)
    assert theirs.damage("run", ID) is None


def test_a_piece_that_goes_while_it_is_looked_at_does_not_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place("objects", tmp_path)
    remote = place.remote
    assert remote is not None
    work(place.machine("mine"))
    remover, looker = place.machine("theirs"), place.machine("theirs")  # two processes of one machine
    assert remover.finished("run", ID)
    reading, tried = remote.read, []

    def read(key: str) -> bytes:
        content = reading(key)
        if key.endswith(DONE) and not tried:
            tried.append(key)
            with suppress(BusyError), remover.owned("run", ID):
                shutil.rmtree(remover.folder("run", ID))
        return content

    monkeypatch.setattr(remote, "read", read)
    there = looker.finished("run", ID)
    assert tried
    assert there == bool(remote.below("runs/"))


def test_a_copy_that_is_damaged_is_fetched_again(shared: Place) -> None:
    mine = shared.machine("mine")
    work(mine)
    path = mine.folder("run", ID) / "predictions.parquet"
    path.write_bytes(b"\0" * len(LARGE))
    assert mine.file("run", ID, "predictions.parquet").read_bytes() == LARGE
    path.write_bytes(b"short")
    shutil.rmtree(mine.folder("run", ID) / "result.json", ignore_errors=True)
    assert shared.machine("mine").file("run", ID, "predictions.parquet").read_bytes() == LARGE


def test_large_files_are_fetched_when_they_are_read(shared: Place) -> None:
    work(shared.machine("mine"))
    theirs = shared.machine("theirs")
    assert theirs.finished("run", ID)
    path = theirs.folder("run", ID) / "predictions.parquet"
    assert path.read_bytes() == b"\0" * len(LARGE)
    assert json.loads((theirs.folder("run", ID) / "result.json").read_text()) == {"by": "somebody"}
    theirs.file("run", ID, "predictions.parquet")
    assert path.read_bytes() == LARGE


def test_after_a_lease_another_machine_goes_on_and_the_first_seal_stays(shared: Place) -> None:
    now = 0.0
    mine, theirs = shared.machine("mine", length=90.0), shared.machine("theirs", lambda: now, 90.0)
    with mine.claim("run", SPEC) as folder:  # and then it is silent: its thread renews by seconds that do not pass here
        assert folder is not None
        with pytest.raises(BusyError):
            work(theirs)
        now = 91.0
        assert work(theirs, by="theirs", large=LARGE[::-1])
        finish(folder, "mine")
    for store in (mine, theirs, shared.machine("a third one")):
        assert store.read("run", ID, "result.json") == {"by": "theirs"}
        assert store.file("run", ID, "predictions.parquet").read_bytes() == LARGE[::-1]
        assert store.damage("run", ID) is None


def test_who_lost_a_lease_may_still_be_the_first_to_finish(shared: Place) -> None:
    now = 0.0
    mine, theirs = shared.machine("mine", length=90.0), shared.machine("theirs", lambda: now, 90.0)
    with ExitStack() as both:
        folder = both.enter_context(mine.claim("run", SPEC))
        with suppress(BusyError), theirs.claim("run", SPEC):
            pytest.fail("two at once")
        now = 91.0
        other = both.enter_context(theirs.claim("run", SPEC))
        assert folder is not None
        assert other is not None
        finish(other, "theirs", LARGE[::-1])  # the last to come is the first to leave
        finish(folder, "mine")
    for store in (mine, theirs, shared.machine("a third one")):
        assert store.read("run", ID, "result.json") == {"by": "theirs"}
        assert store.damage("run", ID) is None


def _leaping() -> Callable[[], float]:
    """A clock by which every lease is over that is looked at twice."""
    return map(float, range(0, 10**6, 100)).__next__


def test_a_server_that_goes_away_at_any_time_leaves_all_or_nothing(tmp_path: Path) -> None:
    for fails in range(40):
        place = Place("objects", tmp_path / str(fails))
        remote, mine = place.remote, place.machine("mine")
        assert isinstance(remote, Pretended)
        remote.fails = fails
        whole = False
        with suppress(StoreError):
            whole = work(mine)
        remote.fails = None
        theirs = place.machine("theirs", _leaping())
        if theirs.finished("run", ID):
            assert theirs.damage("run", ID) is None
            assert theirs.file("run", ID, "predictions.parquet").read_bytes() == LARGE
        done_here = (mine.folder("run", ID) / DONE).is_file()
        again = place.machine("mine", _leaping())
        for _ in range(3):
            with suppress(BusyError):  # its own lease of before is over when it was silent
                assert work(again) is not done_here  # what was finished is published, not done again
                break
        assert place.machine("last").file("run", ID, "predictions.parquet").read_bytes() == LARGE
        if whole:
            return
    pytest.fail("it never came through")


def _midway(folder: Path, step: int) -> None:
    (folder / "state").mkdir(exist_ok=True)
    state = folder / "state" / f"{step:06d}.safetensors"
    state.write_bytes(LARGE + bytes([step]))
    files = {state.relative_to(folder).as_posix(): described(state)}
    write_sealed(folder / MIDWAY, {"step": step, "files": files})


def test_another_machine_goes_on_where_one_was_stopped(shared: Place) -> None:
    spec: Spec = {"schema": "dgbench.training/1"}
    with suppress(KeyboardInterrupt), shared.machine("mine").claim("training", spec) as folder:
        assert folder is not None
        _midway(folder, 40)
        raise KeyboardInterrupt
    with shared.machine("theirs").claim("training", spec) as folder:
        assert folder is not None
        assert (folder / "state" / "000040.safetensors").read_bytes() == LARGE + bytes([40])
        (folder / "weights.bin").write_bytes(LARGE)
        shutil.rmtree(folder / "state")
        seal(folder, {"seconds": 1.0})
    assert shared.remote is not None
    left = shared.remote.below(f"trainings/{identity(spec)}/")
    assert sorted(key.rpartition("/")[2] for key in left) == ["done.json", "spec.json", "weights.bin"]


def _states(keys: list[str]) -> list[str]:
    """Which states there are, by what the files are called."""
    return [Path(key).stem for key in keys if key.endswith(".safetensors")]


def test_of_what_a_training_resumes_from_the_last_stays(shared: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dgbench.runs.sharing.STATE", 0.01)
    spec: Spec = {"schema": "dgbench.training/1"}
    remote, below = shared.remote, f"trainings/{identity(spec)}/"
    assert remote is not None
    with suppress(RuntimeError), shared.machine("mine").claim("training", spec) as folder:
        assert folder is not None
        for step in (40, 80, 120):
            _midway(folder, step)
            until = time.monotonic() + 10.0
            while _states(remote.below(below)) != [f"{step:06d}"]:
                assert time.monotonic() < until
                time.sleep(0.01)
        raise RuntimeError
    with suppress(RuntimeError), shared.machine("theirs").claim("training", spec) as folder:
        assert folder is not None
        assert (folder / "state" / "000120.safetensors").read_bytes() == LARGE + bytes([120])
        raise RuntimeError
    theirs = shared.machine("theirs")
    with theirs.owned("training", identity(spec)):
        shutil.rmtree(theirs.folder("training", identity(spec)))
    assert remote.below(below) == []


def test_what_a_machine_has_got_further_with_stays(shared: Place) -> None:
    spec: Spec = {"schema": "dgbench.training/1"}
    mine = shared.machine("mine")
    with suppress(KeyboardInterrupt), mine.claim("training", spec) as folder:
        assert folder is not None
        _midway(folder, 40)
        raise KeyboardInterrupt
    with suppress(RuntimeError), mine.claim("training", spec) as folder:
        assert folder is not None
        _midway(folder, 80)
        raise RuntimeError  # nothing is uploaded
    with mine.claim("training", spec) as folder:
        assert folder is not None
        assert json.loads((folder / MIDWAY).read_text())["step"] == 80


def test_what_is_let_go_goes_everywhere(shared: Place) -> None:
    mine, theirs = shared.machine("mine"), shared.machine("theirs")
    work(mine)
    assert theirs.finished("run", ID)
    with mine.owned("run", ID):
        folder = mine.folder("run", ID)
        note = json.loads((folder / DONE).read_text())
        kept = {name: about for name, about in note["files"].items() if name != "predictions.parquet"}
        write_sealed(folder / DONE, {"seconds": 1.0, "files": kept})
        (folder / "predictions.parquet").unlink()
    assert shared.remote is not None
    assert not [key for key in shared.remote.below("runs/") if key.endswith("predictions.parquet")]
    with pytest.raises(DamagedError):  # it had not heard of that
        theirs.file("run", ID, "predictions.parquet")
    assert theirs.mend("run", ID) is None
    assert theirs.done("run", ID)["files"].keys() == kept.keys()  # type: ignore[index]


def test_a_piece_that_is_removed_is_removed_everywhere(shared: Place) -> None:
    mine, theirs = shared.machine("mine"), shared.machine("theirs")
    work(mine)
    assert theirs.finished("run", ID)
    with theirs.owned("run", ID):
        shutil.rmtree(theirs.folder("run", ID))
    assert shared.remote is not None
    assert shared.remote.below("runs/") == []
    assert not shared.machine("a third one").finished("run", ID)


def test_what_others_removed_is_no_piece_of_a_copy_and_no_damage(shared: Place) -> None:
    work(shared.machine("mine"))
    theirs = shared.machine("theirs")
    assert theirs.finished("run", ID)
    with (remover := shared.machine("a third one")).owned("run", ID):
        shutil.rmtree(remover.folder("run", ID))
    theirs = shared.machine("theirs")  # on whose disk stand-ins lie
    assert [found.pieces for found in verify(theirs)] == [0] * 4
    assert work(theirs)


def test_a_seal_that_is_damaged_elsewhere_is_found_by_all(shared: Place) -> None:
    assert shared.remote is not None
    work(shared.machine("mine"))
    key = f"runs/{ID}/{DONE}"
    shared.remote.write(key, shared.remote.read(key).replace(b"1.0", b"2.0"))
    for name in ("mine", "fresh"):
        found = {found.kind: found for found in verify(shared.machine(name), set_aside=False)}
        assert len(found["run"].damaged) == 1
    verify(shared.machine("fresh"))
    assert shared.remote.below("runs/") == []
    assert work(shared.machine("mine"))


def test_lists_and_failures_are_seen_by_all(shared: Place) -> None:
    board, mine = small_board("erm"), shared.machine("mine")
    mine.write_index(board, LIST)
    mine.note_failure("ab" * 8, {"error": "it fell over", "status": "failed", "last_step": 3})
    theirs = shared.machine("theirs")
    assert theirs.read_index(board) == LIST
    assert [path.name for path in theirs.indices()] == [mine.index(board).name]
    ended = theirs.failure("ab" * 8)
    assert ended is not None
    assert (ended.cause, ended.last_step) == ("it fell over", 3)
    theirs.note_failure("ab" * 8, None)
    theirs.put_index(theirs.index(board), None)
    last = shared.machine("mine")  # on whose disk both are
    assert last.failure("ab" * 8) is None
    with pytest.raises(StoreError, match="holds nothing"):
        last.read_index(board)


def test_a_server_that_creates_what_is_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not know conditional puts"):
        Shared(Pretended(conditional=False), tmp_path).begin()


def test_who_only_reads_makes_no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DGBENCH_CACHE", str(tmp_path / "cache"))
    url = f"file://{tmp_path / 'mistyped'}"
    store = Store.at(url)
    assert store.pieces("run") == store.indices() == []
    assert not store.finished("run", ID)
    with pytest.raises(StoreError, match=f"there is no store in {url}"):
        there(url)
    assert not (tmp_path / "mistyped").exists()
    assert work(store)
    assert there(url).pieces("run") == [ID]


def test_what_is_no_shared_store_is_not_taken_for_one(tmp_path: Path) -> None:
    work(Store(tmp_path / "store"))
    with pytest.raises(StoreError, match="store merge"):
        check(remote_at(f"file://{tmp_path / 'store'}"))
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "dgbench.json").write_text('{"schema":"dgbench.shared/9"}')
    with pytest.raises(StoreError, match="another version"):
        check(remote_at(f"file://{tmp_path / 'later'}"))
    for address in ("ftp://host/store", "file://", "file://host/store", "https://host/store"):
        with pytest.raises(StoreError, match=address):
            remote_at(address)


@pytest.mark.parametrize("name", ["../../evil", "/tmp/evil", "a/../../evil", "a//b", ""])
def test_a_seal_from_elsewhere_names_no_file_outside(name: str, tmp_path: Path) -> None:
    place = Place("objects", tmp_path)
    work(place.machine("mine"))
    assert place.remote is not None
    before = set(tmp_path.rglob("*"))
    hostile = {"seconds": 1.0, "files": {name: [5, "0" * 64]}}
    write_sealed(tmp_path / "seal", hostile)
    place.remote.write(f"runs/{ID}/{DONE}", (tmp_path / "seal").read_bytes())
    place.remote.write("runs/../evil/done.json", (tmp_path / "seal").read_bytes())
    place.remote.write("boards/../../evil.json", b"{}")
    theirs = place.machine("theirs")
    theirs.indices()
    assert not theirs.finished("run", ID)
    made = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    assert all(path.is_relative_to(tmp_path / "copies") or path.name == "seal" for path in made)
    assert not any("evil" in path.name for path in made)
    assert work(theirs)  # and the seal is set aside


def _files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", KINDS)
def test_merging_brings_what_is_finished_and_to_do_it_twice_does_nothing(kind: str, tmp_path: Path) -> None:
    place, other = Place(kind, tmp_path / "into"), Store(tmp_path / "other")
    specs = [SPEC | {"number": number} for number in range(3)]
    for spec in specs:
        work(other, spec)
    board = small_board("erm")
    other.write_index(board, LIST)
    other.note_failure("ab" * 8, {"error": "it fell over"})
    with suppress(RuntimeError), other.claim("run", SPEC):
        raise RuntimeError
    into = place.machine("mine")
    work(into, specs[0], by="it was there")
    before = _files(other.root)
    first = join(into, other)
    assert (first.runs, first.there, first.boards, first.damaged) == (2, 1, 1, ())
    assert _files(other.root) == before
    after = _files(into.root)
    second = join(into, other)
    assert (second.runs, second.trainings, second.bytes, second.there, second.boards) == (0, 0, 0, 3, 0)
    assert _files(into.root) == after
    last = place.machine("last")
    assert last.read("run", identity(specs[0]), "result.json") == {"by": "it was there"}
    assert not last.finished("run", ID)
    for spec in specs[1:]:
        assert last.damage("run", identity(spec)) is None
        assert (last.folder("run", identity(spec)) / DONE).read_bytes() == (
            other.folder("run", identity(spec)) / DONE
        ).read_bytes()
    assert last.failure("ab" * 8) is not None


def test_merging_verifies_before_it_copies(tmp_path: Path) -> None:
    into, other = Store(tmp_path / "into"), Store(tmp_path / "other")
    good, bad, named = (SPEC | {"number": number} for number in range(3))
    for spec in (good, bad, named):
        work(other, spec)
    (other.folder("run", identity(bad)) / "predictions.parquet").write_bytes(LARGE[::-1])
    other.folder("run", identity(named)).rename(other.folder("run", "ab" * 8))
    done = join(into, other)
    assert done.runs == 1
    assert len(done.damaged) == 2
    assert into.pieces("run") == [identity(good), identity(bad)] or not into.finished("run", identity(bad))
    with pytest.raises(StoreError, match="the store itself"):
        join(into, Store(tmp_path / "into"))


def test_a_board_on_a_shared_disk_is_that_of_a_folder_to_the_bit(tmp_path: Path) -> None:
    few, url = SplitRules(validation=0.02, test=0.02), f"file://{tmp_path}/disk"
    cases = {"digits": CaseRules(targets=("print", "dot-matrix"))}
    rules = small_board("erm", backbone="dgbench:convnet-small", split=few).model_copy(
        update={"cases": cases, "selection": SelectionRules(views_per_domain=2)}
    )
    for place in (tmp_path / "folder", url):
        assert carry_out(rules, place).runs
    other = Store(tmp_path / "other", Shared(Folder(url), tmp_path / "other"))  # of a machine that comes later
    alone, plan = Store(tmp_path / "folder"), boards.plan(rules)
    pieces: list[tuple[Kind, str]] = [("training", id_) for id_ in plan.trainings]
    for kind, id_ in pieces + [("run", id_) for id_ in plan.runs]:
        mine, theirs = alone.done(kind, id_), other.done(kind, id_)
        assert mine is not None
        assert theirs is not None
        assert mine["files"] == theirs["files"]
        assert other.damage(kind, id_) is None
    weights = [key for key in Folder(url).below("trainings/") if key.endswith(".safetensors")]
    assert len(weights) == len(list(alone.root.glob("trainings/*/weights/*")))  # those that nobody wants went here, too
    assert not todo(plan, other).runs
    tables = [boards.leaderboard(rules, store=place).to_polars("cells") for place in (tmp_path / "folder", url)]
    assert tables[0].equals(tables[1])
