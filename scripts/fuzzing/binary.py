"""What is done to models, weights, pictures and archives, by someone who knows how they are written."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import random
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from dgbench.core.errors import DGBenchError
from dgbench.core.seals import described
from dgbench.data.sets import mnist
from dgbench.data.sets.emoji import packs
from dgbench.models.backbones.own.tensors import read_tensors
from fuzzing import mutate
from fuzzing.store import sealed
from fuzzing.watch import CANARY


class _Runs:
    """Runs a program when it is unpickled."""

    def __init__(self, what: Any, *arguments: Any) -> None:
        self.what = what, arguments

    def __reduce__(self) -> Any:
        return self.what


def pickles(random_: random.Random) -> bytes:
    """A pickle that would run something."""
    payload = random_.choice((_Runs(exec, f"import {CANARY}"), _Runs(open, "ran", "w"), _Runs(eval, "1"), {"a": 1}))
    opcodes = b"c" + f"{CANARY}\nfire\n".encode() + b"(tR."
    return random_.choice(
        (pickle.dumps(payload, random_.randrange(5)), opcodes, b"cos\nsystem\n(S'id'\ntR.", b"\x80\x04.")
    )


def tensors_file(random_: random.Random) -> bytes:
    """A file of safetensors whose account of itself is a lie."""
    offsets = random_.choice(([0, 4], [4, 0], [-4, 4], [0, 2**40], [0, 2**63], [2, 6], ["0", 4], [0], None))
    shape = random_.choice(([1], [-1], [2**31, 2**31], [2**63], [0], [], ["1"], [1] * 10_000, None))
    one = {"dtype": random_.choice(("F32", "F64", "BOOL", "X9", 7)), "shape": shape, "data_offsets": offsets}
    names = random_.choice((("a",), ("a", "b"), ("head.weight",), ("__metadata__",), ("\x1b[31m",), ("x" * 10**6,)))
    header = json.dumps(dict.fromkeys(names, one)).encode()
    said = random_.choice((len(header), len(header), 0, 2**63, 10**8, len(header) + 8))
    return struct.pack("<Q", said) + header + bytes(8)


def array_file(random_: random.Random) -> bytes:
    """A ``.npy`` file that holds objects, has a huge shape, or a head that is none."""
    kind = random_.choice(("|O", "|u1", "<f8", "|V9", "S99", "('x', 1)", f"__import__('{CANARY}')"))
    shape = random_.choice(
        ("(4, 4, 3)", "(2**40,)", f"({2**40}, 3)", "(-1,)", "()", f"({2**63}, {2**63})", "(1,)" * 99)
    )
    head = f"{{'descr': {kind!r}, 'fortran_order': False, 'shape': {shape}}}".encode() + b"\n"
    version = random_.choice((b"\x01\x00", b"\x02\x00", b"\x09\x00"))
    size = struct.pack("<H", len(head)) if version == b"\x01\x00" else struct.pack("<I", len(head))
    return b"\x93NUMPY" + version + size + head + (pickles(random_) if kind == "|O" else bytes(48))


def archive(random_: random.Random) -> bytes:
    """A zip file with names that lead elsewhere, that unfolds to more than it is, or holds a pickle that runs."""
    made = io.BytesIO()
    how = random_.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(made, "w", how) as opened:
        prefix = random_.choice(("archive", "../../outside", "/tmp/outside", "", "a/../.."))
        opened.writestr(f"{prefix}/data.pkl", pickles(random_))
        opened.writestr(f"{prefix}/version", "3\n")
        opened.writestr(
            f"{prefix}/{random_.choice(('data/0', 'constants.pkl', '../../../outside/new', 'x'))}", bytes(10**6)
        )
    return made.getvalue()


def picture(random_: random.Random) -> bytes:
    """A picture that is larger inside than outside, or says so."""
    width, height = random_.choice(((10**9, 10**9), (60_000, 60_000), (2**31, 1), (0, 0), (9, 9)))
    head = struct.pack(">IIBBBBB", width & 0xFFFFFFFF, height & 0xFFFFFFFF, 8, 2, 0, 0, 0)

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    text = chunk(b"zTXt", b"a\x00\x00" + zlib.compress(bytes(10**7)))
    png = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + text
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )
    others = (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) run\n", b"GIF89a" + b"\xff" * 20, b"<svg/>", b"")
    return random_.choice((png, png, *others, array_file(random_), pickles(random_)))


def a_picture(folder: Path, random_: random.Random) -> None:
    """A hostile picture or array in place of one, or one with bits and cuts."""
    path = random_.choice(
        [each for each in mutate.files(folder, "**/pictures/**/*") if each.suffix not in (".csv", ".toml")]
    )
    if path.suffix == ".parquet":
        path.write_bytes(mutate.strange_table(path.read_bytes(), random_))
    elif random_.random() < 0.4:
        path.write_bytes(mutate.garbled(path.read_bytes(), random_))
    else:
        path.write_bytes(array_file(random_) if path.suffix == ".npy" else picture(random_))


def a_table(folder: Path, random_: random.Random) -> None:
    """Paths that lead elsewhere and other texts in the list of pictures."""
    path = mutate.one(folder, random_, "**/pictures/list.csv")
    lines = path.read_text().split("\n")
    at = random_.randrange(len(lines))
    cells = lines[at].split(",")
    texts = [each for each in mutate.HOSTILE if isinstance(each, str)]
    cells[random_.randrange(len(cells))] = random_.choice(texts)
    lines[at] = ",".join(cells) if random_.random() < 0.9 else '"' * 9
    path.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))


def a_model(folder: Path, random_: random.Random) -> None:
    """A hostile value on the card, or a file of tensors that lies, under a seal that fits."""
    card = folder / "card.json"
    content = json.loads(card.read_bytes())
    del content["sha256"]
    if random_.random() < 0.6:
        sealed(card, mutate.poisoned(content, random_))
        return
    path = random_.choice([folder / name for name in content["files"]])
    lie = random_.choice((tensors_file, pickles, archive))
    path.write_bytes(lie(random_) if random_.random() < 0.6 else mutate.garbled_ends(path.read_bytes(), random_))
    content["files"][path.name] = described(path)
    sealed(card, content)


def some_weights(folder: Path, random_: random.Random) -> None:
    """A file of weights that lies, runs or unfolds."""
    path = mutate.one(folder, random_)
    lie = random_.choice((tensors_file, pickles, archive))
    path.write_bytes(lie(random_) if random_.random() < 0.7 else mutate.garbled(path.read_bytes(), random_))


def read_weights(case: Path) -> None:
    """Every file of weights, as ``weights=PATH`` reads it; a link that the user names leads where the user wants."""
    refused = []
    for path in (each for each in sorted((case / "weights").iterdir()) if not each.is_symlink()):
        try:
            read_tensors(path)
        except DGBenchError as error:
            refused.append(error)
    if refused:
        raise refused[0]


def a_sweep(folder: Path, random_: random.Random) -> None:
    """A hostile value in a line of a sweep, or bits and cuts."""
    path = mutate.one(folder, random_, "**/results.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    at = random_.randrange(len(lines))
    if random_.random() < 0.7:
        lines[at] = mutate.strange_json(lines[at], random_) + b"\n"
        path.write_bytes(b"".join(lines))
    else:
        path.write_bytes(mutate.garbled(path.read_bytes(), random_))


def predictions(folder: Path, random_: random.Random) -> None:
    """Other things than classes in predictions in the form of WILDS."""
    path = mutate.one(folder, random_, "predictions/**/*.csv")
    lines = path.read_text().split("\n")
    values = [str(each) for each in mutate.HOSTILE if not isinstance(each, int) or abs(each) < 2**64]
    lines[random_.randrange(len(lines))] = random_.choice(values)
    path.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
    if random_.random() < 0.2:
        path.rename(path.with_name(random_.choice((path.name.replace("0", "9" * 20), "x.csv", "a\x1b_pred.csv"))))


def a_pack(folder: Path, random_: random.Random) -> None:
    """A pack of npm with members that lead elsewhere, links, devices, and what unfolds to more than it is."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz", compresslevel=1) as tar:
        for _ in range(random_.randrange(1, 4)):
            name = random_.choice(
                ("package/data.json", "../../outside/new", "/tmp/new", "package/../../x", "data.json")
            )
            member = tarfile.TarInfo(name)
            kinds = (
                tarfile.REGTYPE,
                tarfile.SYMTYPE,
                tarfile.LNKTYPE,
                tarfile.CHRTYPE,
                tarfile.FIFOTYPE,
                tarfile.DIRTYPE,
            )
            member.type = random_.choice(kinds)
            member.linkname = random_.choice(mutate.LINKS)
            text = random_.choice((*mutate.RAW, '{"a": 1}', " " * 10**7)).encode("utf-8", "surrogatepass")
            member.size = len(text) if member.isreg() else 0
            tar.addfile(member, io.BytesIO(text))
    content = made.getvalue()
    (folder / "pack.tgz").write_bytes(mutate.garbled(content, random_) if random_.random() < 0.3 else content)


def read_pack(case: Path) -> None:
    """A file in a pack of emoji."""
    packs.read(case / "weights" / "pack.tgz", "data.json")


def a_digit_file(folder: Path, random_: random.Random) -> None:
    """A file of MNIST that is cut, lies about its shape, or unfolds to far more than one is."""
    axes = random_.choice((0, 1, 3, 255))
    lengths = [random_.choice((0, 1, 28, 2**31, 2**32 - 1)) for _ in range(axes)]
    content = b"\0\0\x08" + bytes([axes]) + b"".join(struct.pack(">I", each) for each in lengths)
    content += bytes(random_.choice((0, 1, 784, 10**8 if random_.random() < 0.05 else 10)))
    packed = gzip.compress(content, 1)
    (folder / "digits.gz").write_bytes(mutate.garbled(packed, random_) if random_.random() < 0.4 else packed)


def read_digits(case: Path) -> None:
    """It, as the file that it says it is."""
    found = mnist.read_idx(case / "weights" / "digits.gz")
    assert isinstance(found, np.ndarray)
