"""Watches whatever reads a hostile thing, and believes nothing that it says of itself.

Python's own audit events show programs that are started, modules that are imported, code that is run, pickles that name
something, sockets, and every file that is opened to be written or removed; what compiled libraries do with files is
seen afterwards, in a folder of decoys that nobody has to touch.
"""

from __future__ import annotations

import os
import signal
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any

CANARY = "canary_of_dgbench"
"""A module that could be imported, and must never be: hostile files name it."""
TOO_LONG = 20
"""Seconds of computing after which a case hangs."""
_STARTS = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "subprocess.Popen")
_STARTS += ("pty.spawn", "socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname")
_STARTS += ("pickle.find_class", "ctypes.dlopen", "webbrowser.open", "ensurepip.bootstrap")
_LEAVES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate", "os.chmod", "os.chown", "os.utime")
_LINKS = ("os.link", "os.symlink")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_LIBRARIES = tuple({os.path.realpath(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")})
_LITERAL = "<unknown>"
"""What ``ast`` says that it parses where a library reads a literal, as NumPy does: that makes a tree, and no code."""


class Hangs(BaseException):
    """A case took too long; nothing that catches errors catches this."""


@dataclass
class Watch:
    """Sees what happens during a case.

    Attributes:
        room: Holds the folders below.
        cache: dgbench's, which may be written.
        seen: What should not have happened, since the case began.
        named: What the user names, wherever links lead from there; it may be read.
    """

    room: Path
    cache: Path
    seen: list[str] = field(default_factory=list)
    named: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.room, self.cache = (Path(os.path.realpath(path)) for path in (self.room, self.cache))
        for folder in (self.case, self.cache, self.scratch, self.outside):
            folder.mkdir(parents=True, exist_ok=True)
        (self.outside / "secret").write_text("42\n")
        (self.outside / "folder").mkdir(exist_ok=True)
        modules = self.room / "modules"
        modules.mkdir(exist_ok=True)
        sang = str(self.outside / "sang")
        (modules / f"{CANARY}.py").write_text(f"open({sang!r}, 'w').close()\ndef fire(*a, **k): pass\n")
        sys.path.insert(0, str(modules))
        self._may = tuple(f"{folder}/" for folder in (self.case, self.cache, self.scratch))
        _listen()
        for ring in (signal.SIGALRM, signal.SIGPROF):
            signal.signal(ring, self._ring)

    @property
    def case(self) -> Path:
        """Where the hostile thing lies, and may be written beside."""
        return self.room / "case"

    @property
    def scratch(self) -> Path:
        """Where libraries may write what is temporary."""
        return self.room / "scratch"

    @property
    def outside(self) -> Path:
        """Decoys: nobody has to read or write here."""
        return self.room / "outside"

    @contextmanager
    def watching(self, *words: str) -> Iterator[None]:
        """During the block, by a command of these words; raises :class:`Hangs` where it takes too long."""
        self.seen.clear()
        self.named = tuple(os.path.realpath(self.case / word) for word in words)
        before, notes = self._decoys(), sys.dont_write_bytecode
        sys.dont_write_bytecode = True  # of what is imported first in the middle of a case
        signal.setitimer(signal.ITIMER_PROF, TOO_LONG)
        signal.alarm(10 * TOO_LONG)  # a machine may be busy, and a pipe takes no time
        _at_work.append(self)
        try:
            yield
        finally:
            _at_work.remove(self)
            sys.dont_write_bytecode = notes
            signal.alarm(0)
            signal.setitimer(signal.ITIMER_PROF, 0)
            if self._decoys() != before:
                self.seen.append("a decoy outside was changed")

    def _decoys(self) -> list[tuple[str, int, int]]:
        found = []
        for parent, folders, names in os.walk(self.outside):
            for name in (*folders, *names):
                path = Path(parent, name)
                stat = path.lstat()
                found.append((str(path), stat.st_mtime_ns, stat.st_size))
        return sorted(found)

    def _ring(self, *_: object) -> None:
        raise Hangs(f"took more than {TOO_LONG} s")

    def wrong(self, event: str, arguments: tuple[Any, ...]) -> str | None:
        """What is wrong with an event, in words."""
        if event == "ctypes.dlopen" and ("/" not in str(arguments[0]) or str(arguments[0]).startswith(_LIBRARIES)):
            return None  # of the system, as torch asks for that of an accelerator, or of an installed package
        if event in _STARTS:
            return f"{event} {arguments!r:.200}"
        if event == "import" and CANARY in str(arguments[0]):
            return f"import of {arguments[0]}"
        if event == "exec" and isinstance(arguments[0], CodeType):
            return self._code(arguments[0].co_filename)
        if event == "compile" and CANARY in str(arguments[0]) and arguments[1] != _LITERAL:
            return f"compile {arguments!r:.200}"
        if event == "open" and isinstance(arguments[0], str | bytes):
            return self._opened(os.path.realpath(os.fsdecode(arguments[0])), *arguments[1:])
        if event in _LEAVES or event in _LINKS:
            return self._changed(event, arguments)
        return None

    def _code(self, file: str) -> str | None:
        """Code of libraries is imported late; dataclasses and the like write some themselves."""
        if file.startswith("<"):
            return None
        real = os.path.realpath(file)
        known = real.startswith(_LIBRARIES) or "/dgbench/" in real or "/site-packages/" in real
        return None if known and not real.startswith(str(self.room)) else f"exec of {file}"

    def _opened(self, path: str, mode: str | None, flags: int) -> str | None:
        writes = bool(flags & _WRITES) if mode is None else bool({*"wax+"} & {*mode})
        if path in self.named and not writes:
            return None
        if path.startswith(str(self.outside)) and not Path(path).is_dir():
            return f"{'write' if writes else 'read'} of {path}, outside"
        return f"write of {path}, outside" if writes and not self._allowed(path) else None

    def _changed(self, event: str, arguments: tuple[Any, ...]) -> str | None:
        count = 2 if event in ("os.rename", *_LINKS) else 1
        folders = [each for each in arguments[count:] if isinstance(each, int)][-count:]
        for number, path in enumerate(arguments[:count]):
            if isinstance(path, int) or (event == "os.symlink" and number == 0):
                continue
            name = Path(os.fsdecode(path))
            if number < len(folders) and folders[number] >= 0 and event not in ("os.chmod", "os.truncate", "os.mkdir"):
                name = Path(f"/proc/self/fd/{folders[number]}", name)
            place = Path(os.path.realpath(name.parent), name.name)  # the last part is not followed
            if not self._allowed(str(place)):
                return f"{event} {place}, outside"
        return None

    def _allowed(self, path: str) -> bool:
        return f"{path}/".startswith(self._may) or path.startswith(("/dev/null", "/proc/"))


_at_work: list[Watch] = []
"""Who watches now."""


@cache
def _listen() -> None:
    """Begin to hear of audit events: for good, and once in a process."""
    sys.addaudithook(_audit)


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _at_work:
        watch = _at_work.pop()  # what is asked here is not to be watched
        try:
            wrong = watch.wrong(event, arguments)
            if wrong:
                watch.seen.append(wrong)
        finally:
            _at_work.append(watch)
