"""Whatever stands in a card, a board or any TOML file: nothing of it runs, and what is wrong is refused in one line."""

from __future__ import annotations

import ast
import datetime
import importlib
import os
import random
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pydantic import BaseModel

from dgbench import api
from dgbench.core import registry
from dgbench.core.backbone_name import parse
from dgbench.core.cards import AlgorithmCard, BoardCard, algorithm_card, board_names
from dgbench.core.dataset_card import DatasetCard, dataset_card
from dgbench.core.errors import CardError, DGBenchError
from dgbench.core.paths import shipped
from dgbench.core.recipe import compose, resolve
from dgbench.core.spec import canonical
from dgbench.core.toml import DEEPEST, LARGEST, LARGEST_NUMBER, read_toml, validated
from dgbench.data.disk.look.toml import as_toml
from dgbench.data.disk.readers import read
from dgbench.data.pixels.in_flight import LIMIT

Content = dict[str, Any]
Where = tuple[str | int, ...]
PACKAGE = Path(api.__file__).parent

CANARY = "canary_of_dgbench"
"""A module that can be imported, and must never be."""
PAYLOADS = (f"{CANARY}:fire", f"{CANARY}.fire", "os:system", f"; touch {CANARY} #", f"$(touch {CANARY})")
PAYLOADS += (f"__import__('{CANARY}')", f"hf-hub:{CANARY}/net", f"../{CANARY}")

MODELS: dict[str, type[BaseModel]] = {"algorithms": AlgorithmCard, "datasets": DatasetCard, "leaderboards": BoardCard}
COLUMNS = {"image": "image", "label": "label", "domain": "domain", "split": "part", "group": "patient"}
COLUMNS |= {"splits": {"a": "train"}}
READERS: list[Content] = [
    {"kind": "table", "file": "list.csv", "separator": ";", "encoding": "utf-8", "folder": ".", **COLUMNS},
    {"kind": "hub", "id": "owner/name", "revision": "main", **COLUMNS},
    {"kind": "arrow", "file": "data.parquet", **COLUMNS},
]
SLOTS = {
    "sampler": {"part": "balanced"},
    "adapter": {"part": "full", "head": "random"},
    "objective": {"part": "cross_entropy"},
    "optimizer": {"part": "adamw"},
    "averaging": {"part": "last"},
    "predictor": {"part": "argmax"},
}
FULL: dict[str, Content] = {
    "algorithms": {"licence": "MIT", "recipe": SLOTS},
    "datasets": {
        "path": "pictures",
        "alpha": "white",
        "exif": True,
        "bits": 12,
        "classes": ["cat", "dog"],
        "domains": [{"name": "art", "without": ["dog"]}, {"name": "photo"}],
    },
    "leaderboards": {"defaults": SLOTS, "search": {"adapter.head": {"kind": "choice", "values": ["random"]}}},
}
"""Fields that not every shipped card sets, or none."""


def shipped_cards(kind: str) -> list[Path]:
    return sorted(shipped(kind).glob("*/board.toml" if kind == "leaderboards" else "*.toml"))


def samples(kind: str) -> list[Content]:
    """Every shipped card, and some with fields that none of them sets."""
    found = [tomllib.loads(path.read_text(encoding="utf-8")) for path in shipped_cards(kind)]
    more = [{"reader": reader} for reader in READERS] if kind == "datasets" else [{}]
    return [*found, *(found[-1] | FULL[kind] | each for each in more)]


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


def changed(content: Any, where: Where, value: Any) -> Any:
    """The content with another value at one place."""
    if not where:
        return value
    copy = dict(content) if isinstance(content, dict) else list(content)
    copy[where[0]] = changed(copy[where[0]], where[1:], value)
    return copy


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
    api.plan(api.rules("quick", algorithms=["erm"]))  # libraries look about when they are imported
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


def use_algorithm(path: Path, root: Path) -> None:
    algorithm_card(str(path))
    resolve(compose(str(path)), api.rules("quick"))


def use_board(path: Path, root: Path) -> None:
    board = api.rules(str(path), trials=1, draws=1)
    api.plan(board.model_copy(update={"algorithms": board.algorithms[:2]}))


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


DEEP = 100_000
STRANGE: list[Any] = [
    *("", " ", "\t", "a\nb", "\x00", "\x1b[31m", "\u202e", "e\u0301", "x" * 9999, "../..", "/", "{}", "{", "%s", "nan"),
    *(0, -1, 1, 2**31, 2**63, -(2**70), 0.0, -0.0, 1e308, float("inf"), float("-inf"), float("nan"), True, False),
    *(datetime.date(1, 1, 1), datetime.time(0), datetime.datetime(9999, 12, 31), [], {}, [[]], [{}], {"": ""}),
    *([1, "a"], {"a": {"b": {"c": {}}}}, ["a"] * 99, {"kind": "made"}, {"part": "sam"}, [None], 10**5000, ["a", "a"]),
]
"""Values as a file can hold them, and two that it cannot."""
HEAPS = {
    "lists": "x = " + "[" * DEEP + "]" * DEEP,
    "unclosed lists": "x = " + "[" * DEEP,
    "tables": "x = " + "{a = " * DEEP + "1" + "}" * DEEP,
    "a dotted key": ".".join(["a"] * DEEP) + " = 1",
    "a quoted dotted key": " . ".join(["'a'"] * DEEP) + " = 1",
    "a deep header": "[" + ".".join(["a"] * DEEP) + "]",
    "a somewhat deep key": ".".join(["a"] * 20) + " = 1",
    "somewhat deep lists": "x = " + "[" * 50 + "]" * 50,
    "a long number": "x = " + "9" * DEEP,
    "a long hexadecimal number": "x = 0x" + "f" * DEEP,
    "a large file": "#" * (LARGEST + 1),
    "a large text": f"x = '{'y' * LARGEST}'",
    "no TOML": "\x00\x01\x02",
    "a bare return": "x = 1\ry = 2",
    "nothing": "",
}


def refusal(read_it: Callable[[], Any], kind: type[Exception]) -> Exception | None:
    """The error of a kind that reading ends in, if it does; any other one fails the test."""
    try:
        read_it()
    except kind as error:
        return error
    return None


def refused_in_one_line(read_it: Callable[[], Any], what: str) -> bool:
    """Whether it was refused; any error but a short line fails the test."""
    error = refusal(read_it, CardError)
    assert error is None or (str(error).isprintable() and len(str(error)) < 4000), what
    return error is not None


@pytest.mark.parametrize("heap", HEAPS)
def test_a_heap_is_no_card(heap: str, tmp_path: Path) -> None:
    path = tmp_path / "card.toml"
    path.write_text(HEAPS[heap])
    for model in MODELS.values():
        assert refused_in_one_line(lambda model=model: read_toml(path, model), heap)  # type: ignore[misc]


def test_bytes_that_are_no_text_are_no_card(tmp_path: Path) -> None:
    path = tmp_path / "card.toml"
    chance = random.Random(0)
    for _ in range(100):
        path.write_bytes(chance.randbytes(chance.randrange(1, 2000)))
        assert refused_in_one_line(lambda: read_toml(path, DatasetCard), "bytes")


def test_a_mark_of_byte_order_is_no_fault(tmp_path: Path) -> None:
    path = tmp_path / "pacs.toml"
    path.write_bytes(b"\xef\xbb\xbf" + (shipped("datasets") / "pacs.toml").read_bytes())
    assert dataset_card(str(path)).name == "pacs"


@pytest.mark.parametrize("kind", MODELS)
def test_a_card_with_a_strange_value_is_read_or_refused(kind: str) -> None:
    """Each kind of field of each shipped card in turn, with each strange value; keys too."""
    chance = random.Random(kind)
    contents = samples(kind)
    refused = 0
    for _ in range(1500):
        content: Any = chance.choice(contents)
        where: list[str | int] = []
        inner: Any = content
        while isinstance(inner, dict | list) and inner and (not where or chance.random() < 0.8):
            where.append(chance.choice(list(inner)) if isinstance(inner, dict) else chance.randrange(len(inner)))
            inner = inner[where[-1]]
        value = chance.choice(STRANGE)
        if chance.random() < 0.1:
            content = changed(content, tuple(where[:-1]), {str(chance.choice(STRANGE[:15])): value})
        else:
            content = changed(content, tuple(where), value)
        refused += refused_in_one_line(
            lambda content=content: validated(content, MODELS[kind], "card.toml"),  # type: ignore[misc]
            f"{where} {value!r:.99}" if not isinstance(value, int) else str(where),
        )
    assert refused > 500


@pytest.mark.parametrize("kind", MODELS)
def test_a_card_with_slips_of_the_pen_is_read_or_refused(kind: str, tmp_path: Path) -> None:
    """A few characters are lost, doubled, exchanged or put in; lines change places."""
    chance = random.Random(kind)
    texts = [path.read_text(encoding="utf-8") for path in shipped_cards(kind)]
    path = tmp_path / "card.toml"
    refused = 0
    for _ in range(400):
        text = chance.choice([text for text in texts if len(text) < 20_000])
        for _ in range(chance.randrange(1, 4)):
            at = chance.randrange(len(text))
            to = at + chance.randrange(1, 20)
            mutations = [
                text[:at] + text[to:],
                text[:to] + text[at:],
                text[:at] + chance.choice("[]{}=\"'\n.#\\0a\x7f"),
            ]
            text = chance.choice([*mutations, text[:at] + chance.choice("[]{}=\"'\n,.#\\é") + text[at:]]) or "#"
        path.write_text(text, encoding="utf-8")
        refused += refused_in_one_line(lambda: read_toml(path, MODELS[kind]), text)
    assert refused > 200


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
    board = api.rules("quick")
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


def test_a_board_is_not_called_board_but_after_its_folder(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    path = tmp_path / "mine" / "board.toml"
    path.write_bytes((shipped("leaderboards") / "quick" / "board.toml").read_bytes())
    with pytest.raises(CardError, match=r"expected 'mine', the name of the folder of the file, got 'quick'"):
        api.rules(path)


@pytest.mark.parametrize(
    "name", ["x" * 5000, "a\x00b", "a\x00b.toml", "~nobody/x.toml", "..", ".", "", "/dev/zero.toml"]
)
@pytest.mark.parametrize("look_up", [dataset_card, algorithm_card, api.rules])
def test_a_name_that_no_file_can_have_is_one_error(name: str, look_up: Callable[[str], object]) -> None:
    with pytest.raises(DGBenchError) as error:
        look_up(name)
    assert str(error.value).isprintable()


# What the page docs/security.md says of the program itself.

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
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "7", done.stderr
    without = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert "there is no builder named 'rings'" in without.stderr


CALLS = {
    "importlib.import_module": {
        "__init__.py",  # the public functions
        "core/registry.py",  # parts and builders
        "data/disk/readers/__init__.py",  # a kind of reader, one of a fixed list
        "data/shifts/__init__.py",  # a family of shifts, one of a fixed list
    },
    # Between a process and the workers that it started, through pipes that nobody else has; pickle.load, which reads
    # files, is allowed nowhere.
    "pickle.dumps": {"core/processes.py", "core/worker.py"},
    "pickle.loads": {"core/processes.py", "core/worker.py"},
    "subprocess.Popen": {"core/processes.py"},
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
    for track in api.rules(name).tracks.values():
        assert parse(track).family in ("packaged", "timm", "open_clip", "dgbench")
