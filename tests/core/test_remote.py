"""What every place of objects holds to, the pretended one of other tests among them."""

import errno
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pretend_remote import Pretended

from dgbench.core.disk import DiskError, writing
from dgbench.core.errors import DGBenchError, StoreError
from dgbench.core.remote import Bucket, Folder, Remote, check, make, remote_at


@pytest.fixture(params=["disk", "bucket", "pretended"])
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> Remote:
    if request.param == "disk":
        return Folder(f"file://{tmp_path}/of%20all")
    if request.param == "bucket":
        store = pytest.importorskip("obstore.store", reason="obstore is in the extra s3")
        return Bucket("s3://bucket", store.MemoryStore())
    return Pretended()


def test_objects_are_put_found_copied_and_removed(remote: Remote, tmp_path: Path) -> None:
    file = tmp_path / "a file"
    file.write_bytes(b"of a file" * 10**6)
    remote.write("a/b/c", b"one")
    remote.write("a/b/c", b"two")
    remote.write("a/d", file)
    remote.write("e", b"")
    assert remote.read("a/b/c") == b"two"
    assert b"".join(remote.stream("a/d")) == file.read_bytes()
    assert remote.read("e") == b""
    assert remote.below("a/") == ["a/b/c", "a/d"]
    assert remote.below("") == ["a/b/c", "a/d", "e"]
    assert remote.folders("") == ["a"]
    assert remote.folders("a/") == ["b"]
    assert remote.below("nothing/") == remote.folders("nothing/") == []
    remote.copy("a/d", "f/g")
    remote.copy("nothing", "f/h")
    assert remote.below("f/") == ["f/g"]
    assert remote.read("f/g") == file.read_bytes()
    remote.delete("a/b/c", "a/d", "nothing", "f/g")
    assert remote.below("") == ["e"]
    assert remote.folders("") == []
    for read in (remote.read, lambda key: list(remote.stream(key))):
        with pytest.raises(FileNotFoundError):
            read("a/d")


def test_of_many_that_create_an_object_one_does(remote: Remote) -> None:
    for number in range(20):
        won: list[int] = []
        start = threading.Barrier(4)

        def create(who: int, number: int = number, won: list[int] = won, start: threading.Barrier = start) -> None:
            start.wait()
            if remote.create(f"of/{number}", str(who).encode()):
                won.append(who)

        threads = [threading.Thread(target=create, args=(who,)) for who in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [str(who).encode() for who in won] == [remote.read(f"of/{number}")]
    assert len(remote.below("")) == 20  # nothing else lies about


@pytest.fixture
def taking_turns_often() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("taking_turns_often")
def test_folders_that_go_while_others_write_into_them_are_made_again(tmp_path: Path) -> None:
    remote, failed = Folder(f"file://{tmp_path}"), []

    def come_and_go(who: int) -> None:
        try:
            for _ in range(150):
                remote.write(f"deep/er/{who}", b"here")
                assert remote.read(f"deep/er/{who}") == b"here"
                remote.delete(f"deep/er/{who}")
        except (OSError, DGBenchError, AssertionError) as error:
            failed.append(error)

    threads = [threading.Thread(target=come_and_go, args=(who,)) for who in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_listed_is_not_an_empty_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remote, scandir = Folder(f"file://{tmp_path}"), os.scandir
    remote.write("boards/quick/a.json", b"{}")

    def failing(path: Path | str) -> object:
        if Path(path).name == "quick":
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", failing)
    with pytest.raises(StoreError, match="quick"):
        remote.below("boards/")
    assert remote.below("runs/") == []


def test_a_shared_disk_that_takes_nothing_says_so_with_its_address(tmp_path: Path) -> None:
    (tmp_path / "runs").write_bytes(b"a file, where there should be a folder")
    remote = Folder(f"file://{tmp_path}")
    for do in (lambda: remote.write("runs/a/b", b""), lambda: remote.create("runs/a/b", b"")):
        with pytest.raises(DiskError, match=str(tmp_path)):
            do()
    for look in (remote.read, remote.below, remote.folders, lambda key: list(remote.stream(key))):
        with pytest.raises(StoreError, match=f"file://{tmp_path}"):
            look("runs/a/")


def test_a_shared_disk_that_is_full_is_not_the_disk_of_the_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    disk, copy = tmp_path / "disk", tmp_path / "copy"
    copy.mkdir()
    with pytest.raises(DiskError, match=f"is full: {disk}"), writing(copy):
        Folder(f"file://{disk}").write("runs/a", b"here")
    assert [path for path in disk.rglob("*") if path.is_file()] == []


def test_a_place_is_marked_once(remote: Remote) -> None:
    assert not check(remote)
    assert remote.below("") == []  # to look makes nothing
    make(remote)
    before = remote.below("")
    make(remote)
    assert check(remote)
    assert remote.below("") == before == ["dgbench.json"]


def test_without_obstore_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(StoreError, match=r"dgbench\[s3\]"):
        remote_at("s3://bucket/store")
