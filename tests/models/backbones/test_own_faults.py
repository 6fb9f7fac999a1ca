"""Weights that do not fit, or are none: one error each, before anything is loaded."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_clip
import torch
from safetensors.torch import save_file

from dgbench.core.errors import DGBenchError
from dgbench.models.backbones import build, facts, timm
from dgbench.models.backbones.own.tensors import read_tensors

from .own import named, network, prefixed


@pytest.fixture(autouse=True)
def _three_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network that is meant is looked for among three, not two dozen, each of which has to be built."""
    monkeypatch.setattr(timm, "_COMPARED", 3)


class Canary:
    """Unpickled, it would make a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("beside", [True, False])
def test_a_pickle_that_would_run_is_refused_and_does_not_run(zipped: bool, beside: bool, tmp_path: Path) -> None:
    path, canary = tmp_path / "own.pth", tmp_path / "it-ran"
    content = {"state_dict": network("test_resnet").state_dict(), "extra": Canary(canary)} if beside else Canary(canary)
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(DGBenchError) as error:
        build(named("timm:test_resnet", path))
    assert not canary.exists()
    assert str(path) in str(error.value)
    assert "posix.mkdir" in str(error.value)
    assert "save_file(model.state_dict(), 'weights.safetensors')" in str(error.value)


def test_a_whole_pickled_network_is_refused(tmp_path: Path) -> None:
    torch.save(network("test_resnet"), tmp_path / "own.pth")
    with pytest.raises(DGBenchError, match=r"names 'timm.models.resnet.ResNet', which could run"):
        build(named("timm:test_resnet", tmp_path / "own.pth"))


def npz(path: Path) -> None:
    import numpy as np

    np.savez(path.open("wb"), weights=np.ones(3))


def bomb(path: Path) -> None:
    """What torch wrote, compressed afterwards: 20 kB that unfold to 20 MB."""
    plain = io.BytesIO()
    torch.save({"a": torch.zeros(5_000_000)}, plain)
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for record in source.infolist():
            target.writestr(record.filename, source.read(record))


def program(path: Path) -> None:
    torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)), path)


def truncated(saved: Callable[[Any, Path], None]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        saved({"a": torch.ones(1000)}, path)
        path.write_bytes(path.read_bytes()[:-100])

    return write


FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.touch(), "is no file of weights"),
    "text": (lambda path: path.write_text("not weights"), "is no file of weights"),
    "a pointer": (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n"), "git lfs pull"),
    "safetensors cut off": (truncated(lambda t, p: save_file(t, p)), "damaged file of safetensors"),
    "a zip cut off": (truncated(torch.save), r"is damaged .*cut off"),
    "a pickle cut off": (
        truncated(lambda t, p: torch.save(t, p, _use_new_zipfile_serialization=False)),
        "cannot be read as tensors",
    ),
    "a header that lies": (lambda path: path.write_bytes(b"\xff" * 7 + b"\x7f{}"), "damaged file of safetensors"),
    "arrays of NumPy": (npz, "a zip file, but not one that torch.save wrote"),
    "a bomb": (bomb, r"would unfold to 20,\d{3},\d{3} bytes"),
    "a program": (program, "is a program"),
    "a list": (lambda path: torch.save([torch.ones(3)], path), "holds no tensors that have names"),
    "plain pickle": (lambda path: path.write_bytes(pickle.dumps({"a": 1})), "cannot be read|holds no tensors"),
}


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning", "ignore:Detected pickle protocol:UserWarning")
@pytest.mark.parametrize("kind", FILES)
def test_what_is_no_file_of_weights_is_one_error(kind: str, tmp_path: Path) -> None:
    write, words = FILES[kind]
    write(tmp_path / "own.pth")
    with pytest.raises(DGBenchError, match=words) as error:
        read_tensors(tmp_path / "own.pth")
    assert str(tmp_path / "own.pth") in str(error.value)
    assert str(error.value).isprintable()


def test_every_cut_of_a_file_is_an_error_or_the_whole(tmp_path: Path) -> None:
    """Wherever a copy ends, it is never half of the weights."""
    torch.save({"a": torch.arange(40.0)}, tmp_path / "own.pth")
    save_file({"a": torch.arange(40.0)}, tmp_path / "own.safetensors")
    for name in ("own.pth", "own.safetensors"):
        whole = (tmp_path / name).read_bytes()
        for end in range(0, len(whole), 37):
            (tmp_path / "cut").write_bytes(whole[:end])
            with pytest.raises(DGBenchError):
                read_tensors(tmp_path / "cut")


def test_tables_within_themselves_end(tmp_path: Path) -> None:
    table: dict[str, Any] = {"a": torch.ones(2)}
    table["again"] = table
    torch.save(table, tmp_path / "own.pth")
    assert "a" in read_tensors(tmp_path / "own.pth")


def faulty(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    state = dict(network("test_resnet").state_dict())
    change(state)
    return state


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.pop("conv1.0.weight"), r"1 of its 75 tensors are missing \(conv1.0.weight\)"),
        (
            lambda s: [s.pop(key) for key in list(s) if key.startswith("layer2.")],
            r"15 of its 75 tensors are missing \(layer2.*, .*, .*, \.\.\.\)",
        ),
        (
            lambda s: s.update({"conv1.0.weight": torch.zeros(4, 1, 3, 3)}),
            r"1 of its tensors have another shape or type \(conv1.0.weight is \[4, 1, 3, 3\], expected \[",
        ),
        (
            lambda s: s.update({"layer1.0.conv1.lora_A": torch.zeros(4, 4)}),
            r"the network of the file has 1 tensors that this one has not \(layer1.0.conv1.lora_A\)",
        ),
        (
            lambda s: s.update({"conv1.0.weight": s["conv1.0.weight"].long()}),
            r"1 of its .* is \[16, 3, 3, 3\] of torch.int64",
        ),
    ],
)
def test_nothing_is_loaded_in_part(change: Callable[[dict[str, Any]], object], words: str, tmp_path: Path) -> None:
    torch.save({"model": prefixed(faulty(change), "module.")}, tmp_path / "own.pth")
    for ask in (build, lambda name: facts(name, fetch=False)):
        with pytest.raises(DGBenchError, match=r"own.pth does not fit timm:test_resnet under 'model.module': " + words):
            ask(named("timm:test_resnet", tmp_path / "own.pth"))


def test_values_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    torch.save(faulty(lambda s: s["bn1.weight"].fill_(torch.nan)), tmp_path / "own.pth")
    with pytest.raises(DGBenchError, match=r"own.pth: the tensor 'bn1.weight' holds values that are no numbers"):
        facts(named("timm:test_resnet", tmp_path / "own.pth"), fetch=False)


def test_the_network_that_is_meant_is_proposed(tmp_path: Path) -> None:
    torch.save(network("resnet10t").state_dict(), tmp_path / "own.pth")
    with pytest.raises(DGBenchError, match=r"are missing \(conv1.weight, .*Did you mean .timm:resnet10t."):
        facts(named("timm:resnet18", tmp_path / "own.pth"), fetch=False)


def test_a_deeper_network_is_not_cut_to_fit(tmp_path: Path) -> None:
    deep = network("test_vit", depth=9)
    torch.save(deep.state_dict(), tmp_path / "own.pth")
    with pytest.raises(DGBenchError, match=r"has 36 tensors that this one has not \(blocks.6.norm1.weight"):
        facts(named("timm:test_vit", tmp_path / "own.pth"), fetch=False)


def test_patches_of_another_size_are_another_network(tmp_path: Path) -> None:
    """timm would interpolate them, as it does with positions."""
    torch.save(network("test_vit", patch_size=8, img_size=80).state_dict(), tmp_path / "own.pth")
    with pytest.raises(DGBenchError, match=r"patch_embed.proj.weight is \[64, 3, 8, 8\], expected \[64, 3, 16, 16\]"):
        facts(named("timm:test_vit", tmp_path / "own.pth"), fetch=False)


def test_strange_names_are_shown_beside_the_networks(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2), "b": torch.ones(2)}, tmp_path / "own.pth")
    with pytest.raises(DGBenchError, match=r"none of its names is there; the file has a, b, the network conv1"):
        facts(named("timm:test_resnet", tmp_path / "own.pth"), fetch=False)
    with pytest.raises(DGBenchError, match=r"open_clip:dgbench-tiny \(image tower\): none of its names is there"):
        facts(named(tiny_clip.register(tmp_path), tmp_path / "own.pth"), fetch=False)


def test_names_of_tensors_do_nothing_where_they_are_printed(tmp_path: Path) -> None:
    strange = {"\x1b[31mred\u202e\n": torch.ones(2), "x" * 10_000: torch.ones(2)}
    torch.save(strange, tmp_path / "strange.pth")
    with pytest.raises(DGBenchError) as error:
        facts(named("timm:test_resnet", tmp_path / "strange.pth"), fetch=False)
    torch.save(network("test_resnet").state_dict() | strange, tmp_path / "own.pth")
    for said in (str(error.value), facts(named("timm:test_resnet", tmp_path / "own.pth"), fetch=False).report):
        assert said.isprintable()
        assert "\\x1b[31mred\\u202e\\n" in said
        assert len(said) < 1000


def test_a_long_message_of_a_library_is_cut_short(tmp_path: Path) -> None:
    name = "x" * 100_000
    head = json.dumps({name: {"dtype": "F32", "shape": [1], "data_offsets": [0, 8]}}).encode()
    (tmp_path / "a.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + bytes(8))
    with pytest.raises(DGBenchError, match="damaged file of safetensors") as caught:
        read_tensors(tmp_path / "a.safetensors")
    assert len(str(caught.value)) < 1000
