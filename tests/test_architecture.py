"""What ``docs/architecture.md`` promises of the tree."""

import ast
import graphlib
import re
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PLACES = re.findall(r"^\| (?!what|---)(.+) \| (.+) \|$", PAGE.split("## Where to find what")[1].split("\n## ")[0], re.M)


def test_no_module_comes_back_to_itself_not_even_for_types() -> None:
    graph = grimp.build_graph("dgbench", include_external_packages=False, exclude_type_checking_imports=False)
    imported = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert "dgbench.api.boards" in imported["dgbench"]  # under TYPE_CHECKING: such imports are seen
    order = tuple(graphlib.TopologicalSorter(imported).static_order())  # raises CycleError, which names the circle
    assert len(order) == len(graph.modules) > 200


def defined(path: Path) -> set[str]:
    """The functions, classes and constants of a module; the words of any other file."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return set(re.findall(r"[\w.]+", text))
    found: set[str] = set()
    for node in ast.parse(text).body:
        match node:
            case ast.FunctionDef() | ast.ClassDef():
                found.add(node.name)
            case ast.AnnAssign(target=ast.Name(id=name)):
                found.add(name)
            case ast.Assign(targets=[ast.Name(id=name)]):
                found.add(name)
    return found


@pytest.mark.parametrize(("what", "where"), PLACES, ids=[what for what, _ in PLACES])
def test_what_is_looked_for_is_where_the_page_says(what: str, where: str) -> None:
    named = re.findall(r"`([^`]+/[^`]*)`(?:: ((?:`[^`]+`(?:, )?)+))?", where)
    assert named
    for path, names in named:
        base = ROOT if path.startswith(("leaderboards/", "algorithms/*", "datasets/")) else ROOT / "dgbench"
        files = sorted(base.glob(path.rstrip("/")))
        assert files, path
        for file in files if names else ():
            assert set(re.findall(r"`([^`]+)`", names)) <= defined(file), file


def test_the_page_says_where_some_twenty_things_are() -> None:
    assert 20 <= len(PLACES) <= 30


def test_no_file_is_too_long_to_be_read() -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in (ROOT / "dgbench").rglob("*.py")}
    assert len(lines) > 600
    assert {path: count for path, count in lines.items() if count > 350} == {}


def packages(folder: Path) -> set[str]:
    return {f"{path.parent.name}/" for path in folder.glob("*/__init__.py")}


def test_the_tree_on_the_page_is_the_tree_of_the_package() -> None:
    drawn = PAGE.split("```")[1].split("dgbench/\n")[1]
    rooms = re.findall(r"^( +)([a-z_]+(?:/|\.py)) ", drawn, re.M)
    assert {name for indent, name in rooms if indent == "  "} == packages(ROOT / "dgbench")
    assert {name for indent, name in rooms if indent == "    "} == packages(ROOT / "dgbench" / "data")
