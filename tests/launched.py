"""A program that is a copy: this has a nursery make one, hands signals on to it, and ends as it does.

It is told where the nursery listens, by which name it was started, and then what ``python`` would be told. Nothing is
imported here that takes time.
"""

import json
import os
import select
import signal
import socket
import sys

HANDED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(place: str, program: str, arguments: list[str]) -> None:
    what = next((one for one in arguments if one != "-u"), "-i")
    if what.startswith("-") and what not in ("-m", "-c", "-"):  # for an interpreter that is not there yet
        os.execv(sys.executable, [sys.executable, *arguments])
    ended, tells = os.pipe()
    alive, _held = os.pipe()  # the other end of the second is closed when this process is gone
    folder = os.getcwd()  # noqa: PTH109 (pathlib takes as long to import as all the rest)
    asked = {"environment": dict(os.environ), "folder": folder, "files": [0, 1, 2, 3]}
    asked["arguments"] = [program, *arguments]
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(f"\0{place}")
        socket.send_fds(line, [b"."], [0, 1, 2, alive, tells])
        with line.makefile("rwb") as pipe:
            message = json.dumps(asked).encode()
            pipe.write(len(message).to_bytes(8, "little") + message)
            pipe.flush()
            pid = int.from_bytes(pipe.read(16)[8:], "little")
    if not pid:
        os.execv(sys.executable, [sys.executable, *arguments])
    os.close(tells)
    os.close(alive)
    for number in HANDED_ON:
        signal.signal(number, lambda given, frame: os.kill(pid, given))
    while not select.select([ended], [], [], 0.5)[0]:
        pass  # a signal that comes just before a wait is handed on after it
    said = os.read(ended, 8)
    if not said:
        sys.exit("the process that was copied for this one has died before it")
    code = int.from_bytes(said, "little", signed=True)
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


main(*sys.argv[1:3], sys.argv[3:])
