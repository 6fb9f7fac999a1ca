"""Packs in miniature, written as npm packs them."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dgbench.data.sets.emoji.packs import FOLDER, Pack

WritePack = Callable[..., Pack]


def archive(members: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name, content in members.items():
            data = json.dumps(content).encode()
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return file.getvalue()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where packs lie that were fetched elsewhere."""
    folder = tmp_path / "fetched"
    folder.mkdir()
    monkeypatch.setenv(FOLDER, str(folder))
    return folder


@pytest.fixture
def write_pack(folder: Path) -> WritePack:
    def write(name: str, **members: Any) -> Pack:
        """A pack whose members are named by keywords, ``__`` for a folder's slash and ``_`` for a hyphen."""
        content = archive({f"{key.replace('__', '/').replace('_', '-')}.json": m for key, m in members.items()})
        pack = Pack(name, "1.0.0", hashlib.sha256(content).hexdigest())
        (folder / pack.file).write_bytes(content)
        return pack

    return write


@pytest.fixture
def unicode(write_pack: WritePack) -> Pack:
    """Nine emoji, of which three are concepts: a bear (with FE0F), a fire engine and a cook."""
    entries = [
        ("1F43B-FE0F", "bear", 1),
        ("1F692", "fire engine", 2),
        ("1F9D1-200D-1F373", "cook", 3),
        ("1F468-200D-1F373", "man cook", 3),
        ("1F46E-200D-2640-FE0F", "woman police officer", 3),
        ("1F6B6-200D-27A1-FE0F", "person walking: facing right", 3),
        ("1F3C1", "chequered flag", 4),
        ("1F9F8", "teddy", 4),
    ]
    data: list[dict[str, Any]] = [{"hexcode": code, "label": label, "subgroup": s} for code, label, s in entries]
    data[1]["skins"] = [{"hexcode": "1F692-1F3FB", "label": "fire engine: light skin tone", "subgroup": 2}]
    data.append({"hexcode": "1F1E6", "label": "regional indicator A"})
    nothing: dict[str, str] = {}
    return write_pack(
        "emojibase-data",
        en__data=data,
        meta__groups={
            "subgroups": {"1": "animal-mammal", "2": "transport-ground", "3": "person-role", "4": "country-flag"}
        },
        meta__unicode_names={"1F43B": "BEAR FACE", "1F692": "FIRE ENGINE", "1F3C1": "CHEQUERED FLAG"},
        en__shortcodes__emojibase={"1F43B": ["teddy", "bruin"], "1F692": "truck", "1F3C1": "truck"},
        en__shortcodes__emojibase_legacy=nothing,
        en__shortcodes__iamcal={"1F692": "fire_engine"},
        en__shortcodes__joypixels=nothing,
    )
