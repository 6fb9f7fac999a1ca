from __future__ import annotations

import re
from pathlib import Path

import pytest
from scripts_loaded import load_script
from torch.utils.flop_counter import FlopCounterMode

script = load_script("measure_steps")


def test_what_is_measured_has_steps_of_its_own_on_what_the_backbone_offers() -> None:
    names = set(script.names("dgbench:convnet-small"))
    assert {"sam", "fishr", "disam", "trm", "urm", "levi", "drm"} <= names
    assert not {"erm", "swad", "adanpc", "coop", "lora"} & names
    assert set(script.names("dgbench:vit-micro")) - names == {"lora", "pego", "soma"}


@pytest.mark.parametrize("name", ["sam", "fishr", "linear_probe"])
def test_a_row_has_passes_and_a_ratio(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    script.main(["--only", name, "--rounds", "1", "--batch", "2", "--backbone", "dgbench:convnet-small"])
    lines = capsys.readouterr().out.splitlines()
    row = re.fullmatch(rf"\| `{name}` \| ([\d.]+) \| ([\d.]+)( \*)? \|", lines[2])
    assert row is not None
    passes, ratio = float(row[1]), float(row[2])
    assert passes == script.passes(name)
    assert ratio > 0
    assert row[3] or abs(ratio / passes - 1) < 0.26


def arithmetic(name: str, folder: Path) -> int:
    """Additions and multiplications of all matrix products and convolutions of a step."""
    one = script.training(name, "dgbench:convnet-small(size=64)", 4, folder)
    with FlopCounterMode(display=False) as counted:
        script.seconds(one, script.LATE, 4)
    return int(counted.get_total_flops())


@pytest.fixture(scope="module")
def of_erm(tmp_path_factory: pytest.TempPathFactory) -> int:
    return arithmetic("erm", tmp_path_factory.mktemp("erm"))


@pytest.mark.parametrize("optimizer", ["erm", "sam"])
@pytest.mark.parametrize("name", ["erm", "miro", "local_mean_teacher", "adrmx", "itta", "iga", "iga(weights='head')"])
def test_passes_are_the_arithmetic_of_a_step(name: str, optimizer: str, of_erm: int, tmp_path: Path) -> None:
    both = f"{name} + {optimizer}"
    assert arithmetic(both, tmp_path) / of_erm == pytest.approx(script.passes(both), rel=0.25)
