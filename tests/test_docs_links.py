"""Links between pages lead somewhere, and the commands that pages name exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    missing = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_pages_name_exist(page: Path) -> None:
    """Code is named from the root of the repository, or from that of the package."""
    rooms = {room.name: root for root in (ROOT / "dgbench", ROOT) for room in root.iterdir() if any(room.glob("*.py"))}
    missing = []
    for name in re.findall(r"(?<![\w/])[a-z_]+/[\w/]+\.py\b", page.read_text(encoding="utf-8")):
        root = rooms.get(name.split("/")[0])  # None: a file of the reader's own, or of somebody else
        missing += [name] if root and not (root / name).is_file() else []
    assert not missing
