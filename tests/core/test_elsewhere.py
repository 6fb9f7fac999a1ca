"""Who may name a class, what identifies it, and what a card says of it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dgbench.api import boards
from dgbench.core import elsewhere, registry
from dgbench.core.cards import BoardCard, board_card
from dgbench.core.elsewhere import code, trust
from dgbench.core.errors import CardError, DGBenchError, RecipeError, UnknownNameError
from dgbench.core.recipe import compose, resolve
from dgbench.core.space import Space
from dgbench.core.toml import validated
from dgbench.data.disk.look.toml import as_toml

BOARD = board_card("quick")
CLASS = """
class {name}({base}):
    def update(self, minibatches, unlabeled=None):
        return {{}}
    def predict(self, x):
        return x
"""
CARD = """
title = "Mine"
pretrained_on = "ImageNet-1k"

[hyperparameters]
lr = 0.5
width = 3

[search.lr]
kind = "loguniform"
low = 0.01
high = 1.0
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """``theirs.deep.module:Mine``, which derives from a class of the module ``alone``; nobody has named either."""
    folder = tmp_path / "theirs" / "deep"
    folder.mkdir(parents=True)
    for inner in (folder.parent, folder):
        (inner / "__init__.py").touch()
    (folder / "module.py").write_text("import alone\n" + CLASS.format(name="Mine", base="alone.Base") + "x = 1\n")
    (tmp_path / "alone.py").write_text(CLASS.format(name="Base", base=""))
    (tmp_path / "broken.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(elsewhere, "_TRUSTED", set())
    for remembered in (elsewhere._loaded, code, registry.classes):
        remembered.cache_clear()
    yield tmp_path
    registry.classes.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] in ("theirs", "alone", "broken")]:
        del sys.modules[name]


MINE = "domainbed:theirs.deep.module:Mine"


def test_nobody_imports_a_class_that_only_a_file_names(package: Path) -> None:
    rules = BOARD.model_copy(update={"algorithms": ("erm", f"{MINE} + swad")})
    (package / "mine").mkdir()
    (package / "mine" / "board.toml").write_text(
        as_toml({"name": "mine", **rules.model_dump(mode="json", exclude_defaults=True, exclude={"name"})})
    )
    found = boards.rules(package / "mine" / "board.toml")
    for use in (boards.leaderboard, boards.records):
        with pytest.raises(RecipeError, match=r"is code, which no file may name: say yourself .* -a 'domainbed:theirs"):
            use(found)  # type: ignore[operator]
    assert not {"theirs", "alone"} & sys.modules.keys()
    trust("erm")
    trust(f"{MINE} + swad")
    assert compose(found.algorithms[-1]).name == f"{MINE} + swad"
    assert {"theirs", "alone"} <= sys.modules.keys()


@pytest.mark.parametrize("slot", ["adapter", "objective", "optimizer"])
def test_no_card_and_no_board_names_the_parts_behind_it(slot: str, tmp_path: Path) -> None:
    part = {"part": "domainbed", "algorithm": "theirs.deep.module:Mine", "code": "", "hparams": {}}
    paper = {"title": "T", "authors": ["A"], "venue": "V", "year": 2026}
    path = tmp_path / "sly.toml"
    path.write_text(as_toml({"name": "sly", "title": "S", "summary": "S", "paper": paper, "recipe": {slot: part}}))
    with pytest.raises(CardError, match="a class is named by whoever runs it, never by a file"):
        compose(str(path))
    with pytest.raises(CardError, match="a class is named by whoever runs it, never by a file"):
        validated(BOARD.model_dump() | {"defaults": {slot: part}}, BoardCard, "board.toml")


def test_an_installed_package_registers_one_for_files_too(package: Path) -> None:
    about = package / "theirs-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[dgbench.domainbed]\nmine = theirs.deep.module:Mine\n")
    registry._installed.cache_clear()
    try:
        registry.classes.cache_clear()
        assert compose("domainbed:mine").slots == compose(MINE).slots
        assert compose("domainbed:mine + ema").name == "domainbed:mine + ema"
        with pytest.raises(UnknownNameError, match="Did you mean 'mine'"):
            compose("domainbed:mines")
    finally:
        registry._installed.cache_clear()


def test_its_code_is_all_of_its_package_and_of_those_that_it_derives_from(package: Path) -> None:
    trust(MINE)

    def now() -> str:
        code.cache_clear()
        return code("theirs.deep.module:Mine")

    first = now()
    (package / "theirs" / "notes.txt").write_text("no code")
    (package / "other.py").write_text("no code of it")
    assert now() == first
    seen = {first}
    for file in ("theirs/deep/module.py", "theirs/__init__.py", "theirs/helper.py", "alone.py"):
        path = package / file
        path.write_text((path.read_text() if path.exists() else "") + "# changed\n")
        seen.add(now())
    assert len(seen) == 5
    (package / "theirs" / "helper.py").rename(package / "theirs" / "renamed.py")
    assert now() not in seen
    assert compose(MINE).described() == compose(MINE).described()


def test_code_in_a_file_that_is_called_as_one_of_pythons_counts(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the class that is named, and of one that it derives from; what is Python's own does not."""
    files = {
        "sched": "import abc, graphlib\n" + CLASS.format(name="Mine", base="graphlib.Base, abc.ABC"),
        "graphlib": CLASS.format(name="Base", base=""),
    }
    for name, text in files.items():
        monkeypatch.delitem(sys.modules, name, raising=False)
        (package / f"{name}.py").write_text(text)
    trust("domainbed:sched:Mine")
    seen = {code("sched:Mine")}
    for name in files:
        with (package / f"{name}.py").open("a") as file:
            file.write("# changed\n")
        code.cache_clear()
        seen.add(code("sched:Mine"))
    for name in files:
        del sys.modules[name]
    assert len(seen) == 3


def test_a_card_says_hyperparameters_and_draws_reach_them(package: Path) -> None:
    trust(MINE)
    card = package / "mine.toml"
    card.write_text(CARD)
    recipe = compose(f"{MINE}(card={card}, width=5) + swad")
    assert (recipe.name, recipe.title) == (f"{MINE}(width=5) + swad", "Mine (width=5) + SWAD")
    assert recipe.whole is not None
    assert recipe.whole.pretrained_on == "ImageNet-1k"
    draws = [resolve(recipe, BOARD, draw=draw).specs["objective"]["hparams"] for draw in range(4)]
    assert draws[0] == {"lr": 0.5, "width": 5}
    assert len({one["lr"] for one in draws}) == 4
    space = Space(kind="loguniform", low=0.01, high=1.0)
    assert all(space.low <= one["lr"] <= space.high and one["width"] == 5 for one in draws)  # type: ignore[operator]
    assert resolve(recipe, BOARD).specs["predictor"]["part"] == "argmax"
    own = resolve(compose(f"{MINE}(lr=2, deep=true)"), BOARD).specs["objective"]["hparams"]
    assert own == {"lr": 2, "deep": True}
    with pytest.raises(RecipeError, match=r"has no hyperparameter 'with'\. Did you mean 'width'\?"):
        compose(f"{MINE}(card={card}, with=5)")
    (package / "wrong.toml").write_text(CARD.replace("search.lr", "search.rate"))
    with pytest.raises(CardError, match=r"'search' speaks of 'rate', which \[hyperparameters\] has not"):
        compose(f"{MINE}(card={package / 'wrong.toml'})")


def test_slots_that_it_leaves_open_are_filled_by_others_and_no_other(package: Path) -> None:
    trust(MINE)
    assert resolve(compose(f"{MINE}(sampler.augmentation=none)"), BOARD).specs["sampler"]["augmentation"] == "none"
    with pytest.raises(RecipeError, match=r"has two parts for the slot 'optimizer': domainbed .* and sam"):
        compose(f"{MINE} + sam")
    with pytest.raises(RecipeError, match=r"has two parts for the slot 'predictor': argmax .* and t3a"):
        compose(f"{MINE} + t3a")
    with pytest.raises(RecipeError, match=r"'objective.code' .* is no hyperparameter of this recipe"):
        resolve(compose(f"{MINE}(objective.code=other)"), BOARD)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("domainbed:nowhere:Mine", "cannot be imported: ModuleNotFoundError: .* PYTHONPATH"),
        ("domainbed:broken:Mine", "cannot be imported: ZeroDivisionError"),
        ("domainbed:alone:Missing", "cannot be imported: AttributeError"),
        ("domainbed:os:system", "is no class with the methods update"),
        ("domainbed:alone:Base.update", "cannot read"),
        ("domainbed:", "there is no class of an installed package"),
        ("domainbed:a:b:c", "cannot read"),
    ],
)
def test_what_cannot_be_run_is_one_error(name: str, why: str, package: Path) -> None:
    trust(name)
    with pytest.raises(DGBenchError, match=why) as error:
        compose(name)
    assert str(error.value).isprintable()
