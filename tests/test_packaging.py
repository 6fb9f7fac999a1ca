import ast
import importlib.metadata
import importlib.util
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
FOR_USERS = ("wilds", "emoji", "notebook", "tensorboard", "mlflow", "wandb", "trackio", "ray", "slurm", "s3")
"""Extras that bring what some commands need."""
NOT_INSTALLED = ("mlflow", "wandb", "trackio", "ray")
"""Extras that 'make' does not install: they hold back pillow and pyarrow, or are large."""


def test_the_folder_of_cards_hides_no_library() -> None:
    """Hugging Face's `datasets` is a library; the folder of that name here holds cards only."""
    spec = importlib.util.find_spec("datasets")
    assert spec is not None
    assert spec.origin is not None
    assert not Path(spec.origin).is_relative_to(ROOT / "datasets")
    for folder in ("algorithms", "datasets", "leaderboards"):
        assert not list((ROOT / folder).rglob("*.py"))


def test_importing_dgbench_costs_nothing() -> None:
    code = "import sys, dgbench; print(len([m for m in ('torch', 'polars', 'pydantic') if m in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """All within one, and none of their expressions, which are most of a file."""
    for field in ("body", "orelse", "finalbody", "handlers", "cases"):
        for child in getattr(node, field, ()):
            yield child
            yield from statements(child)


@cache
def modules_in(folder: str) -> set[str]:
    """The modules that the code in a folder imports, wherever it does so."""
    found = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in statements(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                found.add(str(node.module))
    return found


def imported(*folders: str) -> set[str]:
    """The distributions that the code in some folders imports."""
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    modules = set().union(*map(modules_in, folders))
    rooms = {path.name for folder in ("scripts", "tests") for path in (ROOT / folder).iterdir()}
    own = {"dgbench", *(path.stem for path in files), *rooms}
    known = distributions()
    foreign = {module.partition(".")[0] for module in modules} - sys.stdlib_module_names
    return {normal(name) for module in foreign if module in known or module not in own for name in known[module]}


@cache
def distributions() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


def normal(requirement: str) -> str:
    return re.split(r"[<>=!~;\[ ]", requirement)[0].lower().replace("_", "-")


def project() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return found


def declared(*extras: str) -> set[str]:
    lists = [project()["dependencies"], *(project()["optional-dependencies"][extra] for extra in extras)]
    return {normal(requirement) for listed in lists for requirement in listed}


def test_what_is_imported_is_declared() -> None:
    extras = project()["optional-dependencies"]
    assert set(extras) == {*FOR_USERS, "dev", "docs", "all"}
    assert extras["all"] == [f"dgbench[{','.join(FOR_USERS)}]"]
    assert imported("dgbench") - {"dgbench"} <= declared(*FOR_USERS)
    assert imported("dgbench", "scripts", "tests") - {"dgbench"} <= declared(*FOR_USERS, "dev", "docs")


def test_what_is_declared_is_used() -> None:
    """Imported, or named: typefaces and weights are packages of which files alone are read."""
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "dgbench").rglob("*.py"))
    for name in declared(*FOR_USERS) - imported("dgbench"):
        assert f'"{name}' in source or f'"{name.replace("-", "_")}' in source, f"nothing uses {name}"


def test_the_versions_of_python_that_are_named_are_those_that_are_tested() -> None:
    named = [line.rpartition(" ")[2] for line in project()["classifiers"] if "Python :: 3." in line]
    assert project()["requires-python"] == f">={named[0]}"
    assert f"VERSIONS := {named[0]} {named[-1]}\n" in (ROOT / "Makefile").read_text()
    assert f"Python {named[0]} or newer" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert "{}.{}".format(*sys.version_info) in named


def test_the_constraints_name_every_dependency_by_its_exact_version() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    pinned = dict(line.lower().replace("_", "-").split("==") for line in lines)
    assert not declared("dev", "docs", *(extra for extra in FOR_USERS if extra not in NOT_INSTALLED)) - set(pinned)


def test_a_wheel_carries_the_cards(tmp_path: Path) -> None:
    hatchling = pytest.importorskip("hatchling.build")
    import os

    before = Path.cwd()
    os.chdir(ROOT)
    try:
        name = hatchling.build_wheel(str(tmp_path))
    finally:
        os.chdir(before)
    names = set(zipfile.ZipFile(tmp_path / name).namelist())
    for file in ("algorithms/sam.toml", "datasets/digits.toml", "leaderboards/quick/board.toml"):
        assert f"dgbench/_shipped/{file}" in names
    assert "dgbench/py.typed" in names
    assert not any(name.startswith(("algorithms/", "datasets/", "tests/")) for name in names)
    # The cards are found where the wheel puts them.
    site = tmp_path / "site"
    zipfile.ZipFile(tmp_path / name).extractall(site)
    code = (
        "from dgbench.core.cards import board_names, algorithm_card; print(board_names(), algorithm_card('sam').title)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(site)},
    )
    assert "quick" in done.stdout, done.stderr
