"""A program that is a copy of a process that has imported everything does what one does that begins anew."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from nursery import python

linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere programs are not copied")
TOLD = """
import os, sys
print(__name__, sys.argv, sys.path, os.getcwd(), os.environ["SAID"], os.environ.get("PYTHONPATH"), sep="\\n")
print(repr(sys.stdin.read()), sys.stdout.encoding, sys.stderr.errors, file=sys.stderr)
class Mine: pass
print(Mine.__module__, sys.modules["__main__"].__dict__.get("Mine") is Mine, globals().get("__file__"))
sys.exit(int(sys.argv[-1]))
"""
WAYS = {
    "file": ["told.py", "one", "3"], "code": ["-c", TOLD, "two words", "0"], "module": ["-m", "told", "7"],
    "option": ["-q", "told.py", "1"], "error": ["-c", "import nowhere"], "text": ["-c", "import sys; sys.exit('why')"],
    "number": ["-c", "import sys; sys.exit(300)"],
    "later": ["-c", "import atexit, threading; atexit.register(print, 'last'); after = threading.main_thread().join\n"
              "threading.Thread(target=lambda: (after(), print('then'))).start(); print('first')"],
    "at once": ["-u", "-c", "import os, sys; sys.stdout.write('at once'); os._exit(0)"],
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "told.py").write_text(TOLD)
    (tmp_path / "beside").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAID", "ä b")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "beside"))
    return tmp_path


@pytest.mark.parametrize("way", WAYS)
def test_it_is_told_and_ends_as_any_other(way: str, folder: Path) -> None:
    copied, fresh = (
        subprocess.run([program, *WAYS[way]], input="given", capture_output=True, text=True)
        for program in (python(), sys.executable)
    )
    assert copied.returncode == fresh.returncode
    assert copied.stdout == fresh.stdout
    assert copied.stderr.splitlines()[-1:] == fresh.stderr.splitlines()[-1:]  # frames differ


@linux
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_signals_reach_it(number: signal.Signals, folder: Path) -> None:
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    ended = []
    for program in (python(), sys.executable):
        process = subprocess.Popen([program, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        process.send_signal(number)
        ended.append(process.wait(60))
        process.stdout.close()
        deadline = time.monotonic() + 60
        while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not Path(f"/proc/{pid}").exists()
    assert ended[0] == ended[1] < 0


@linux
def test_what_is_read_early_is_read_anew(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import sys; print('torch' in sys.modules)"
    assert subprocess.run([python(), "-c", code], capture_output=True, text=True).stdout == "True\n"
    again = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}])"
    assert subprocess.run([python(), "-c", again], capture_output=True, text=True).stdout == "True\n"
    monkeypatch.setenv("HF_HOME", str(folder))
    assert subprocess.run([python(), "-c", code], capture_output=True, text=True).stdout == "False\n"
