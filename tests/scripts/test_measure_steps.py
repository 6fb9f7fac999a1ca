from __future__ import annotations

import re

import pytest
from scripts_loaded import load_script

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
