"""What is spoilt, in which ways, and by which command it is read."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dgbench.core.paths import shipped
from dgbench.data.disk.look.toml import as_toml
from fuzzing import binary, mutate, store, submission
from fuzzing.mutate import Mutation

Reader = tuple[str, ...] | Callable[[Path], None]
"""A command line of dgbench, given in the folder of the case; or a function of that folder."""


@dataclass(frozen=True)
class Kind:
    """A kind of things that come from others.

    Attributes:
        seed: The folder of good ones: each case spoils a copy of what lies in it.
        mutations: In which ways.
        readers: One of them reads a case.
    """

    seed: str
    mutations: tuple[Mutation, ...]
    readers: tuple[Reader, ...]


TOY = "toy/board.toml"
_OF_A_BOARD = (("leaderboard", TOY), ("leaderboard", TOY, "--metric", "nll"), ("select", TOY), ("plan", TOY))
_OF_A_STORE = (
    *_OF_A_BOARD, ("leaderboard", TOY, "--json"), ("explain", TOY, "erm"), ("criteria", TOY), ("statistics", TOY),
    ("store", "ls"), ("store", "du"), ("store", "verify"), ("store", "verify", "--dry-run"),
    ("store", "prune", "--keep", "chosen", "--yes"), ("store", "prune", "toy", "--forget", "--yes"),
    ("store", "prune", "--unlisted", "--yes"), ("compare", TOY, "erm", "adanpc"),
    ("export", TOY, "adanpc", "-o", "exported"),
)  # fmt: skip


_LOOKS = (("data", "check"), ("show",))


def a_card(folder: Path, random_: random.Random) -> None:
    """A hostile value in any field of a card, or bits and cuts in its text."""
    path = mutate.one(folder, random_, "**/*.toml")
    content = path.read_bytes()
    if random_.random() < 0.25:
        path.write_bytes(mutate.garbled(content, random_))
    else:
        text = as_toml(mutate.poisoned(tomllib.loads(content.decode()), random_, mutate.HOSTILE[1:]))
        path.write_bytes(text.encode("utf-8", "surrogatepass"))


def another_card(folder: Path, random_: random.Random) -> None:
    """The same of one of the cards that come with dgbench, under the name of the seed."""
    path = mutate.one(folder, random_, "**/*.toml")
    kind = "leaderboards/*/board.toml" if path.name == "board.toml" else f"{path.stem}s/*.toml"
    chosen = random_.choice(sorted(shipped(kind.partition("/")[0]).glob(kind.partition("/")[2])))
    content = tomllib.loads(chosen.read_text(encoding="utf-8"))
    if "name" in content:
        content["name"] = path.parent.name if path.name == "board.toml" else path.stem
    path.write_text(as_toml(content), encoding="utf-8")
    a_card(folder, random_)


KINDS: dict[str, Kind] = {
    "stores": Kind("store", store.MUTATIONS, _OF_A_STORE),
    "submissions": Kind("submission", submission.MUTATIONS, (submission.verdict,)),
    "cards of algorithms": Kind(
        "algorithm", (a_card, another_card), (("plan", TOY, "-a", "algorithm.toml"), ("show", "algorithm.toml"))
    ),
    "cards of datasets": Kind(
        "card", (a_card, another_card), (("show", "dataset.toml"), ("data", "check", "dataset.toml"))
    ),
    "boards": Kind("boards", (a_card, another_card), (("plan", TOY), ("show", TOY), ("leaderboard", TOY))),
    "datasets": Kind(
        "data", (binary.a_picture, binary.a_table, a_card, mutate.no_file),
        tuple((*words, f"{reader}/shapes.toml") for reader in ("tree", "table", "arrow") for words in _LOOKS),
    ),
    "models": Kind("model", (binary.a_model, mutate.bytes_of_a_file, mutate.no_file), (("predict", "model", "a.png"),)),
    "weights": Kind("weights", (binary.some_weights, mutate.no_file), (binary.read_weights,)),
    "packs": Kind("weights", (binary.a_pack,), (binary.read_pack,)),
    "digits": Kind("weights", (binary.a_digit_file,), (binary.read_digits,)),
    "sweeps": Kind(
        "sweep", (binary.a_sweep, mutate.bytes_of_a_file, mutate.no_file),
        (("import", "domainbed", "sweep"), ("import", "domainbed", "sweep", "--protocol", "domainbed")),
    ),
    "predictions of WILDS": Kind(
        "wilds", (binary.predictions, mutate.bytes_of_a_file, mutate.no_file),
        (("import", "wilds", "wilds/predictions"),),
    ),
}  # fmt: skip
"""By name."""
