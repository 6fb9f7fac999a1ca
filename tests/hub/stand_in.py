"""A Hub of our own on this machine: what huggingface_hub asks of one when it makes a repository and commits files.

Large files come over LFS, small ones in the commit itself. A commit is taken whole or not at all.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from huggingface_hub import constants

TOKEN = "hf_" + "secretsecretsecretsecret"
LARGE = 4_000
"""Bytes of a file that comes over LFS; binary ones always do."""


@dataclass
class Repository:
    """Files of the last commit, and what a repository is."""

    kind: str
    visibility: str
    files: dict[str, bytes] = field(default_factory=dict)
    commits: int = 0


@dataclass
class Hub:
    """What has arrived, and where it breaks.

    Attributes:
        address: For ``HF_ENDPOINT``.
        fails: The path that is answered with an error begins so; and the status.
    """

    address: str = ""
    fails: tuple[str, int] | None = None
    repositories: dict[str, Repository] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)


def environment(state: Hub) -> dict[str, str]:
    """Of a program that takes the stand-in for the Hub."""
    own = {"HF_ENDPOINT": state.address, "HF_TOKEN": TOKEN, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
    return os.environ | own


def at(state: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this process take it for the Hub."""
    monkeypatch.setattr(constants, "ENDPOINT", state.address)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)


@contextmanager
def hub() -> Iterator[Hub]:
    """A Hub that listens on this machine until the block ends."""
    state = Hub()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            self._serve("POST")

        def do_PUT(self) -> None:
            self._serve("PUT")

        def _serve(self, verb: str) -> None:
            path, body = self.path.partition("?")[0], self.rfile.read(int(self.headers.get("Content-Length", 0)))
            state.asked.append(f"{verb} {path}")
            if state.fails and path.startswith(state.fails[0]):
                self._answer({"error": "the stand-in was told to fail here"}, state.fails[1])
            elif verb == "PUT":
                state.large[path.rpartition("/")[2]] = body
                self._answer({})
            elif self.headers.get("Authorization") != f"Bearer {TOKEN}":
                self._answer({"error": "Invalid username or password."}, 401)
            else:
                self._answer(*_answer(state, path, body))

        def _answer(self, content: Any, status: int = 200) -> None:
            sent = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(sent)))
            if status >= 400:
                self.send_header("X-Error-Message", content["error"])
            self.end_headers()
            self.wfile.write(sent)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _answer(state: Hub, path: str, body: bytes) -> tuple[Any, int]:
    """What the Hub says to a question that it takes."""
    if path == "/api/validate-yaml":
        return {"errors": [], "warnings": []}, 200
    if path == "/api/repos/create":
        asked = json.loads(body)
        name = f"{asked['organization']}/{asked['name']}"
        if name in state.repositories:
            return {"error": "You already created this repo", "url": f"{state.address}/{name}"}, 409
        private = asked.get("visibility", "private" if asked.get("private") else "public")
        state.repositories[name] = Repository(asked.get("type", "model"), private)
        return {"url": f"{state.address}/{name}"}, 200
    if path.endswith("/info/lfs/objects/batch"):
        objects = [
            {**one, "actions": {"upload": {"href": f"{state.address}/lfs/{one['oid']}"}}}
            for one in json.loads(body)["objects"]
        ]
        return {"transfer": "basic", "objects": objects}, 200
    _, _, _, owner, name, verb, _ = path.split("/")
    repository = state.repositories[f"{owner}/{name}"]
    if verb == "preupload":
        modes = [
            {
                "path": one["path"],
                "uploadMode": "lfs" if one["size"] > LARGE or one["path"].endswith(".parquet") else "regular",
                "shouldIgnore": False,
            }
            for one in json.loads(body)["files"]
        ]
        return {"files": modes}, 200
    assert verb == "commit"
    files = dict(repository.files)
    for line in body.splitlines():
        item = json.loads(line)
        value = item["value"]
        if item["key"] == "file":
            files[value["path"]] = base64.b64decode(value["content"])
        elif item["key"] == "lfsFile":
            content = state.large[value["oid"]]
            assert hashlib.sha256(content).hexdigest() == value["oid"]
            assert len(content) == value["size"]
            files[value["path"]] = content
    repository.files = files
    repository.commits += 1
    oid = f"{repository.commits:040x}"
    return {"commitUrl": f"{state.address}/{owner}/{name}/commit/{oid}", "commitOid": oid, "success": True}, 200
