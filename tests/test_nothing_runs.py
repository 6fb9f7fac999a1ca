"""Whatever stands in a card, a board or any TOML file: nothing of it runs, and what is wrong is refused in one line."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pydantic import BaseModel
from sample_cards import MODELS, Content, Where, changed, refusal, samples

from dgbench.api import boards
from dgbench.core import registry
from dgbench.core.backbone_name import parse
from dgbench.core.cards import algorithm_card
from dgbench.core.dataset_card import dataset_card
from dgbench.core.errors import DGBenchError
from dgbench.core.recipe import compose, resolve
from dgbench.core.spec import canonical
from dgbench.data.disk.look.toml import as_toml
from dgbench.data.disk.readers import read

CANARY = "canary_of_dgbench"
"""A module that can be imported, and must never be."""
PAYLOADS = (f"{CANARY}:fire", f"{CANARY}.fire", "os:system", f"; touch {CANARY} #", f"$(touch {CANARY})")
PAYLOADS += (f"domainbed:{CANARY}:fire", f"__import__('{CANARY}')", f"hf-hub:{CANARY}/net", f"../{CANARY}")


def fields(card: BaseModel) -> Iterator[tuple[str, str]]:
    """The fields that are set, of the card and of all that it holds."""
    for name in card.model_fields_set & set(type(card).model_fields):
        yield type(card).__name__, name
    pending: list[Any] = [getattr(card, name) for name in type(card).model_fields]
    while pending:
        value = pending.pop()
        if isinstance(value, BaseModel):
            yield from fields(value)
        elif isinstance(value, dict):
            pending += value.values()
        elif isinstance(value, list | tuple):
            pending += value


def models(kind: type[BaseModel]) -> set[type[BaseModel]]:
    """A model and all that it can hold."""
    found, pending = set(), [kind]
    while pending:
        each: Any = pending.pop()
        if isinstance(each, type) and issubclass(each, BaseModel):
            if each not in found:
                found.add(each)
                pending += [field.annotation for field in each.model_fields.values()]
        else:
            pending += getattr(each, "__args__", ())
    return found


@pytest.mark.parametrize("kind", MODELS)
def test_the_samples_set_every_field_that_there_is(kind: str) -> None:
    """Else the tests below would not walk over it."""
    known = {(model.__name__, name) for model in models(MODELS[kind]) for name in model.model_fields}
    assert known - {field for each in samples(kind) for field in fields(MODELS[kind].model_validate(each))} == set()


def places(content: Content) -> Iterator[Where]:
    """Where the content has a text."""
    pending: list[tuple[Where, Any]] = [((), content)]
    while pending:
        where, value = pending.pop()
        if isinstance(value, str):
            yield where
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        pending += (((*where, key), item) for key, item in items)


def variants(kind: str) -> Iterator[tuple[Where, Content]]:
    """For every field that holds text, in one sample that has it, and for each payload: the sample with it there."""
    seen = set()
    for content in samples(kind):
        reader = content.get("reader", {}).get("kind")
        for where in places(content):
            field = (reader if where[0] == "reader" else None, *(key for key in where if isinstance(key, str)))
            if field not in seen:
                seen.add(field)
                for payload in PAYLOADS:
                    yield where, changed(content, where, payload)


_watching: list[str] | None = None


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    """Whatever starts a program."""
    starts = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "subprocess.Popen", "pty.spawn")
    if _watching is not None and event in starts:
        _watching.append(f"{event} {arguments}")


class Finder:
    """Is asked for every module that is not imported yet, and knows none."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        if _watching is not None and CANARY in name:
            _watching.append(f"import {name}")


@pytest.fixture(scope="module")
def canary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("canary")
    (folder / f"{CANARY}.py").write_text(f"open({str(folder / 'sang')!r}, 'w').close()\ndef fire(*a, **k): pass\n")
    sys.path.insert(0, str(folder))
    # libraries look about when they are imported
    boards.plan(boards.rules("quick", algorithms=["erm"], backbone="dgbench:vit-micro"))
    sys.addaudithook(_audit)
    sys.meta_path.insert(0, Finder)  # type: ignore[arg-type]
    yield folder
    sys.meta_path.remove(Finder)  # type: ignore[arg-type]
    sys.path.remove(str(folder))
    assert CANARY not in sys.modules
    assert not (folder / "sang").exists()


@contextmanager
def nothing_runs() -> Iterator[None]:
    global _watching
    _watching = []
    try:
        yield
        assert _watching == []
    finally:
        _watching = None


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Where every reader finds something to begin with."""
    for name in ("art/cat", "art/dog", "photo/cat"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(tmp_path / "pictures" / name / "0.png")
    (tmp_path / "pictures" / "list.csv").write_text("image,label,domain\nart/cat/0.png,cat,art\n")
    return tmp_path / "pictures"


def use_dataset(path: Path, root: Path) -> None:
    card = dataset_card(str(path))
    if card.reader.kind != "built-in":
        read(card, root)
    elif card.reader.builder != "emoji":  # which asks npm for packs that its own code pins
        registry.load_builder(card.reader.builder)


quick = cache(lambda: boards.rules("quick"))


def use_algorithm(path: Path, root: Path) -> None:
    algorithm_card(str(path))
    resolve(compose(str(path)), quick())


def use_board(path: Path, root: Path) -> None:
    board = boards.rules(str(path), trials=1, draws=1)
    boards.plan(board.model_copy(update={"algorithms": board.algorithms[:2]}))


USES: dict[str, Callable[[Path, Path], None]] = {
    "algorithms": use_algorithm,
    "datasets": use_dataset,
    "leaderboards": use_board,
}


def test_what_runs_is_seen(canary: Path) -> None:
    with pytest.raises(AssertionError, match="Popen"), nothing_runs():
        subprocess.run([sys.executable, "--version"], check=True, capture_output=True)
    with pytest.raises(AssertionError, match="import canary"), nothing_runs(), pytest.raises(ImportError):
        importlib.import_module(f"{CANARY}_that_is_nowhere")


@pytest.mark.parametrize("kind", MODELS)
def test_no_field_of_a_card_can_name_code(kind: str, canary: Path, pictures: Path) -> None:
    """Each field that holds text gets what would run if anybody imported it, called it or gave it to a shell."""
    refused = used = 0
    with nothing_runs():
        for number, (where, content) in enumerate(variants(kind)):
            path = pictures.parent / f"card{number}.toml"  # another name each time: cards are remembered
            named = content if where == ("name",) else content | {"name": path.stem}
            path.write_text(as_toml(named), encoding="utf-8")
            if refusal(lambda path=path: USES[kind](path, pictures), DGBenchError) is None:  # type: ignore[misc]
                used += 1
            else:
                refused += 1
    assert refused > 10
    assert used > 10
    assert not (pictures.parent / CANARY).exists()
    assert not Path(CANARY).exists()


VALUES = ["nan", "inf", "1e999", "[" * 5000, "[" * 900, "{a=" * 3000, "9" * 5000, "9" * 900, "0x" + "f" * 5000, "a=b"]
VALUES += [
    "1979-01-01",
    "''",
    "\n",
    "'a'\nb = 1",
    "true",
    "[1, 2]",
    "{a = 1}",
    "\x00",
    "²",
    "-1",
    '"""',
    "x" * 900,
    "(",
    ")",
]
VALUES += ["(" * 300 + ")" * 300, "a{99999999999999}", "(?P<a", "99999", "٣٢", "$(id)", f"__import__('{CANARY}')"]


@pytest.mark.filterwarnings("ignore:Possible nested set:FutureWarning")
def test_whatever_stands_in_the_expressions_of_a_board_it_is_one_error(canary: Path) -> None:
    """Algorithms with their settings, and backbones with their options: texts with a grammar of their own."""
    board = quick()
    expressions = [
        f"{card}({key}={{}})" for card, key in (("sam", "rho"), ("wise_ft", "alpha"), ("erm", "optimizer.lr"))
    ]
    backbones = [f"timm:resnet18({key}={{}})" for key in ("size", "freeze", "normalize", "checkpointing")]
    backbones += ["timm:resnet18(weights={}, pretrained_on={}, under={})"]
    refused = 0
    with nothing_runs():
        for value in VALUES:
            for template in (*expressions, "sam + {}", "{}", "{}.toml", *backbones, "timm:{}", "dgbench:vit-micro@{}"):
                text = template.replace("{}", value)

                def read_it(text: str = text, backbone: bool = template.partition("(")[0].find(":") > 0) -> None:
                    parse(text) if backbone else canonical(resolve(compose(text), board).specs)

                error = refusal(read_it, DGBenchError)
                refused += error is not None
                assert error is None or (str(error).isprintable() and len(str(error)) < 4000), f"{template} {value:.20}"
    assert refused > 300
