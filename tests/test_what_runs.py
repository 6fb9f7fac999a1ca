"""What the page ``docs/security.md`` says of the program itself: which programs it starts, and where."""

import ast
import os
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from nursery import python
from sample_cards import FULL

from dgbench.api import boards
from dgbench.core.backbone_name import parse
from dgbench.core.cards import board_names
from dgbench.core.toml import DEEPEST, LARGEST, LARGEST_NUMBER
from dgbench.data.disk.look.toml import as_toml
from dgbench.data.pixels.in_flight import LIMIT

PACKAGE = Path(boards.__file__).parents[1]
PAGE = (PACKAGE.parent / "docs" / "security.md").read_text(encoding="utf-8")


def test_the_limits_on_the_page_are_those_that_there_are() -> None:
    assert f"| {LARGEST // 2**20} MiB, ten levels, finite numbers below 2^63," in PAGE
    assert (DEEPEST, LARGEST_NUMBER) == (10, 2**63)
    assert f"| {LIMIT // 10**6} megapixels each;" in PAGE


RINGS = """
import numpy as np
from dgbench.data.domain import Domain
from dgbench.data.manifest import assemble

def build(root, radius: int = 1):
    rows = np.arange(2)
    pictures = np.full((2, 4, 4, 3), radius, np.uint8)
    return assemble("rings", ("no", "yes"), [Domain(name, pictures, rows, rows) for name in ("red", "blue")])
"""


def test_a_package_registers_a_builder_as_on_the_page(tmp_path: Path) -> None:
    (table,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    (groups,) = tomllib.loads(table)["project"]["entry-points"].items()
    entries = "".join(f"{name} = {target}\n" for name, target in groups[1].items())
    package = tmp_path / "site" / "my_package"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "rings.py").write_text(RINGS)
    about = package.with_name("my_package-1.0.dist-info")
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: my_package\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[{groups[0]}]\n{entries}")
    content = FULL["datasets"] | {"name": "mine", "title": "T", "summary": "S", "licence": "L", "redistribution": "R"}
    content |= {"path": ".", "domains": [{"name": "red"}, {"name": "blue"}]}
    content["reader"] = {"kind": "made", "builder": "rings", "options": {"radius": 7}}
    (tmp_path / "mine.toml").write_text(as_toml(content))
    program = "from dgbench.data.catalogue import load; print(load('mine.toml').domains[1].inputs.max())"
    environment = os.environ | {"PYTHONPATH": str(package.parent)}
    command = [python(), "-c", program]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "7", done.stderr
    without = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert "there is no builder named 'rings'" in without.stderr


CALLS = {
    "importlib.import_module": {
        "__init__.py",  # the public functions
        "algorithms/later.py",  # torch, and two modules of it
        "cli/__init__.py",  # a verb's module, one of a fixed list
        "core/elsewhere.py",  # a class that the user names in person, or an installed package registers
        "core/extras.py",  # a package that an extra brings, by the name that the code gives
        "core/registry.py",  # parts and builders
        "data/disk/readers/__init__.py",  # a kind of reader, one of a fixed list
        "data/shifts/__init__.py",  # a family of shifts, one of a fixed list
        "launchers/__init__.py",  # a launcher, one of a fixed list
        "trackers/__init__.py",  # a tracker, one of a fixed list
    },
    # Between a process and the workers that it started, through pipes that nobody else has, or those that an engine
    # started for it (docs/security.md); pickle.load, which reads files, is allowed nowhere.
    "pickle.dumps": {"core/processes.py", "core/worker.py", "launchers/far.py"},
    "pickle.loads": {"core/processes.py", "core/worker.py", "launchers/far.py"},
    "subprocess.Popen": {"core/processes.py", "runs/stamps.py"},
    "subprocess.run": {"core/provenance.py", "data/sets/emoji/packs.py"},
    "torch.load": {"models/backbones/own/tensors.py"},
}
FORBIDDEN = re.compile(
    r"^(eval|exec|compile|__import__|os\.(system|popen|exec.*|spawn.*|posix_spawn.*)|pickle\..*|dill\..*|joblib\.load"
    r"|subprocess\.(?!PIPE|TimeoutExpired).*|yaml\..*|runpy\..*|shelve\..*|marshal\..*)$"
)


def calls() -> Iterator[tuple[str, ast.Call, str]]:
    """Every call in the package: where it is, the call, and what it calls as far as that is said by name."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield path.relative_to(PACKAGE).as_posix(), node, ast.unparse(node.func)


def test_the_program_runs_others_in_known_places_only() -> None:
    found: dict[str, set[str]] = {name: set() for name in CALLS}
    for file, call, name in calls():
        if name in CALLS:
            found[name].add(file)
        else:
            assert not FORBIDDEN.match(name), f"{file}:{call.lineno} calls {name}"
        keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        assert keywords.get("shell", "False") == "False", f"{file}:{call.lineno}"
        if name == "subprocess.run":
            assert isinstance(call.args[0], ast.List), f"{file}:{call.lineno} gives no list of arguments"
        if name in ("np.load", "numpy.load"):
            assert keywords["allow_pickle"] == "False", f"{file}:{call.lineno}"
        if name in ("torch.load", "open_clip.load_checkpoint"):
            assert keywords["weights_only"] == "True", f"{file}:{call.lineno}"
        assert keywords.get("trust_remote_code", "False") == "False", f"{file}:{call.lineno}"
    assert found == CALLS


@pytest.mark.parametrize("name", board_names())
def test_the_tracks_of_boards_name_backbones_of_known_families(name: str) -> None:
    for track in boards.rules(name).tracks.values():
        assert parse(track).family in ("packaged", "timm", "open_clip", "dgbench")
