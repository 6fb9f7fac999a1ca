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
def test_scripts_that_pages_name_exist(page: Path) -> None:
    named = re.findall(r"scripts/\w+\.py", page.read_text(encoding="utf-8"))
    assert not [name for name in named if not (ROOT / name).is_file()]


def test_every_page_is_linked_from_the_readme() -> None:
    """As the repository is read; ``mkdocs.yml`` has each in the contents of the site."""
    linked = re.findall(r"\]\((docs/[^)#\s]+)", (ROOT / "README.md").read_text(encoding="utf-8"))
    pages = [
        path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").iterdir() if path.suffix in (".md", ".ipynb")
    ]
    assert sorted(set(pages) - set(linked)) == []
