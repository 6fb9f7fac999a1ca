"""Folders that say they are models: whatever is in them is refused with one error, and nothing of it runs."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import dgbench
from dgbench.core.errors import DGBenchError
from dgbench.core.files import read_json
from dgbench.core.seals import described, write_sealed
from dgbench.exported.card import LARGEST
from dgbench.exported.choose import chosen
from dgbench.exported.write import write
from exported_boards import Ran


@pytest.fixture(scope="module")
def good(digits: Ran, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good") / "model"
    write(chosen(digits.board, "adanpc", digits.store, criterion="augmented"), digits.store, folder)
    return folder


@pytest.fixture
def model(good: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(good, tmp_path / "model"))


def sealed_again(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """A card by somebody who knows how cards are sealed."""
    content = read_json(folder / "card.json")
    del content["sha256"]
    change(content)
    write_sealed(folder / "card.json", content)


def refused(folder: Path, match: str) -> None:
    with pytest.raises(DGBenchError, match=match) as caught:
        dgbench.load(folder)
    assert len(str(caught.value)) < 1000
    assert "\n" not in str(caught.value)


def test_the_good_one_is_read(model: Path) -> None:
    assert dgbench.load(model).online


def test_a_byte_that_changed_is_seen(model: Path) -> None:
    for name in ("card.json", "model.safetensors", "head.safetensors", "memory.safetensors"):
        content = (model / name).read_bytes()
        (model / name).write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
        refused(model, f"{name}.*(is not what|cannot be read)")
        (model / name).write_bytes(content)


@pytest.mark.parametrize("name", ["card.json", "model.safetensors", "head.safetensors", "memory.safetensors"])
def test_what_is_missing_or_no_file_is_named(name: str, model: Path) -> None:
    (model / name).unlink()
    refused(model, f"{name}.*(is missing|cannot be read)")
    os.mkfifo(model / name)  # reading it would never end
    refused(model, f"{name}.*is no file")
    (model / name).unlink()
    (model / name).mkdir()
    refused(model, f"{name}.*is no file")


def test_a_file_of_the_wrong_size_is_not_read(model: Path) -> None:
    """A link to something endless has no size that fits."""
    (model / "model.safetensors").unlink()
    (model / "model.safetensors").symlink_to("/dev/zero")
    refused(model, "model.safetensors.*is no file")
    with (model / "head.safetensors").open("ab") as file:
        file.truncate(2**40)
    refused(model, "safetensors.*(is not what|is no file)")


NO_CARDS = [
    "",
    "[]",
    "{}",
    "null",
    "[" * 100_000,
    '{"schema": ' * 50_000,
    "\x00\x01",
    '{"a": NaN}',
    " " * (LARGEST + 1),
]


@pytest.mark.parametrize("content", [*NO_CARDS, '{"a": "\\ud800"}'])
def test_a_card_that_is_no_card(content: str, model: Path) -> None:
    (model / "card.json").write_text(content)
    refused(model, "card.json")


PREDICTOR = ("algorithm", "parts", "predictor")
ARGMAX, DRM = ({"part": name, "version": 1} for name in ("argmax", "drm"))
LIES: list[tuple[tuple[str | int, ...], Any, str]] = [
    (("schema",), "dgbench.model/99", "expected 'dgbench.model/1', got 'dgbench.model/99'"),
    (("extra",), "x", "extra: unknown field"),
    (("files", "../../etc/passwd"), [1, "x"], "files"),
    (("files", "model.safetensors"), [-1, "x"], "model.safetensors"),
    (("preprocessing", "size"), 10**9, "preprocessing.size"),
    (("preprocessing", "mean"), ["x", 0, 0], "preprocessing.mean"),
    (("algorithm", "parts"), {}, "algorithm.parts"),
    (PREDICTOR, {"part": "argmax"}, "version: missing"),
    ((*PREDICTOR, "part"), "os:system", "no predictor part named"),
    ((*PREDICTOR, "k"), -1, "predictor.k"),
    ((*PREDICTOR, "cmd"), "rm", "no hyperparameter 'cmd'"),
    ((*PREDICTOR, "version"), 99, "version 1, the spec asks for 99"),
    (PREDICTOR, ARGMAX, "memory"),
    (PREDICTOR, DRM, "further heads"),
    (("backbone", "name"), "timm:hf-hub:evil/net", "no network of timm"),
    (("backbone", "name"), "evil:net", "family of backbones"),
    (("backbone", "name"), "dgbench:vit-micro", "not those of the network: .* missing"),
    (("backbone", "name"), "timm:vit_giant_patch14_224", "not those of the network"),
    (("backbone", "name"), 7, "backbone.name"),
    (("backbone", "features"), 7, "96 features here, the card says 7"),
    (("classes", 0), "\x1b[31m", "control characters"),
    (("classes",), [*map(str, range(11))], r"'head.weight' is \[10, 96\], not \[11, 96\]"),
]


@pytest.mark.parametrize(("where", "value", "said"), LIES)
def test_a_card_that_lies_with_a_good_seal(where: tuple[Any, ...], value: Any, said: str, model: Path) -> None:
    def lie(content: Any) -> None:
        for key in where[:-1]:
            content = content[key]
        content[where[-1]] = value

    sealed_again(model, lie)
    refused(model, said)


def with_tensors(model: Path, name: str, **tensors: torch.Tensor | None) -> None:
    found = {key: tensor for key, tensor in (load_file(model / name) | tensors).items() if tensor is not None}
    save_file(found, model / name)
    sealed_again(model, lambda card: card["files"].update({name: described(model / name)}))


def test_tensors_that_do_not_fit_are_named(model: Path) -> None:
    with_tensors(model, "head.safetensors", **{"head.bias": torch.zeros(3)})
    refused(model, r"'head.bias' is \[3\], not \[10\]")
    with_tensors(model, "head.safetensors", **{"head.bias": torch.zeros(10), "more": torch.zeros(1)})
    refused(model, "1 left over, as 'more'")
    with_tensors(model, "head.safetensors", **{"more": None, "domain_heads.weight": torch.zeros(13, 96)})
    refused(model, "domain_heads")
    with_tensors(model, "head.safetensors", **{"domain_heads.weight": torch.zeros(())})
    refused(model, "domain_heads")
    with_tensors(model, "head.safetensors", **{"domain_heads.weight": None, "consistency.weight": torch.zeros(2, 47)})
    refused(model, "1 missing, as 'consistency.bias'")
    with_tensors(model, "head.safetensors", **{"consistency.weight": None})
    assert dgbench.load(model).online
    with_tensors(model, "memory.safetensors", labels=torch.full((1,), 3))
    refused(model, "memory.safetensors.*'labels'")
    n = len(load_file(model / "memory.safetensors")["features"])
    with_tensors(model, "memory.safetensors", labels=torch.full((n,), 10))
    refused(model, "labels are no classes of the card")
    for number in (-1, 1 << 33):
        with_tensors(
            model, "memory.safetensors", labels=torch.zeros(n, dtype=torch.int64), domains=torch.full((n,), number)
        )
        refused(model, "domains are no sources of the card")
    features = load_file(model / "memory.safetensors")["features"]
    none = torch.zeros(n, dtype=torch.int64)
    with_tensors(model, "memory.safetensors", domains=none, features=torch.full_like(features, torch.nan))
    refused(model, "features are not finite numbers")


def test_no_tensors_at_all(model: Path) -> None:
    for content in (b"", b"\x80\x04K\x01.", b"\xff" * 8 + b"{}", (2**40).to_bytes(8, "little") + b"{}"):
        (model / "model.safetensors").write_bytes(content)
        sealed_again(
            model, lambda card: card["files"].update({"model.safetensors": described(model / "model.safetensors")})
        )
        refused(model, "model.safetensors cannot be read")


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text(json.dumps({}))
    for name in ("nothing", "file"):
        refused(tmp_path / name, "card.json")


def test_weights_that_are_no_numbers_are_said_where_a_picture_is_predicted(model: Path) -> None:
    weights = load_file(model / "model.safetensors")
    with_tensors(model, "model.safetensors", **{name: torch.full_like(t, torch.nan) for name, t in weights.items()})
    with pytest.raises(DGBenchError, match="no finite numbers of a picture"):
        dgbench.predict(model, [np.zeros((16, 16, 3), np.uint8)], device="cpu")
