"""Whole algorithms from elsewhere: classes with the interface of DomainBed, named by whoever runs them.

I. Gulrajani and D. Lopez-Paz: In Search of Lost Domain Generalization. ICLR 2021. Its classes have
``__init__(input_shape, num_classes, num_domains, hparams)``, ``update(minibatches, unlabeled)`` and ``predict(x)``.

``domainbed:my_package.my_module:MyAlgorithm`` names one; ``domainbed:mine`` stands for one that an installed package
registers in the group ``dgbench.domainbed``. No file does: a class is imported where the user of this program named it
(:func:`trust`), or an installed package registers it, and is refused wherever else a board, a store or a submission
speaks of it. What it is identified by is its name, its hyperparameters, and a digest of its code.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from dgbench.core import registry
from dgbench.core.cards import Card, PartChoice
from dgbench.core.errors import RecipeError, UnknownNameError, did_you_mean, shown
from dgbench.core.names import Text
from dgbench.core.registry import ELSEWHERE, Slot
from dgbench.core.space import Space
from dgbench.core.toml import read_toml

PREFIX = f"{ELSEWHERE}:"
HPARAMS = "hparams."
"""Opens the names of hyperparameters that are the class's own."""
_TARGET = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_LIBRARY = "torch"
"""Its classes are no code of the algorithm's, nor are those of Python: results note its version."""
_PYTHON = Path(os.__file__).parent
"""Where Python's own modules are: one of the user's may be called as one of these."""

_TRUSTED: set[str] = set()


class HparamsCard(Card):
    """What a class is run with.

    Attributes:
        title: What readers call it.
        pretrained_on: What its network had learnt from, for the board.
        hyperparameters: The dictionary ``hparams`` that it is given.
        search: Where some of them are searched.
    """

    title: Text | None = None
    pretrained_on: Text | None = None
    hyperparameters: dict[str, Any] = Field(default_factory=dict)
    search: dict[str, Space] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _searched_are_there(self) -> HparamsCard:
        for name in self.search.keys() - self.hyperparameters.keys():
            raise ValueError(f"'search' speaks of '{name}', which [hyperparameters] has not, for the first draw")
        return self


@dataclass(frozen=True)
class Whole:
    """A class, and what it is given.

    Attributes:
        algorithm: ``module:Class``.
        code: ``sha256:...`` of its code.
        hparams: Its hyperparameters, by name.
    """

    algorithm: str
    code: str
    hparams: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Named:
    """A class in a recipe.

    Attributes:
        name: As it is written, normalised; without what is said in parentheses.
        title: For people.
        slots: The slots that it fills.
        search: Search space, by ``hparams.NAME``.
        settings: What parentheses set, likewise, or by ``slot.hyperparameter``.
        pretrained_on: What somebody says that its network had learnt from.
    """

    name: str
    title: str
    slots: dict[Slot, PartChoice]
    search: dict[str, Space] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    pretrained_on: str | None = None


def named(term: str, given: Mapping[str, Any]) -> Named:
    """What a recipe says by ``domainbed:my_package.my_module:MyAlgorithm(card=mine.toml, lr=0.001)``.

    Args:
        term: What stands before the parentheses.
        given: What stands in them: ``card`` is the path of a :class:`HparamsCard`; all others are hyperparameters of
            the class, or with a dot of a slot that it leaves open, as ``sampler.augmentation``.

    Raises:
        RecipeError: the class may not be imported, cannot be, or has another interface; or a hyperparameter is none.
        CardError: the card does not fit.
    """
    target = _target(term.removeprefix(PREFIX))
    of = load(target)
    settings = dict(given)
    path = settings.pop("card", None)
    card = HparamsCard() if path is None else read_toml(Path(str(path)), HparamsCard)
    own = {name for name in settings if "." not in name}
    for name in sorted(own - card.hyperparameters.keys()) if path is not None else ():
        raise RecipeError(
            f"'{term}': {path} has no hyperparameter {shown(name)}.{did_you_mean(name, card.hyperparameters)}"
        )
    whole = {"algorithm": target, "code": code(target), "hparams": card.hyperparameters}
    return Named(
        term,
        card.title or of.__name__,
        {
            "adapter": PartChoice(part=ELSEWHERE),
            "objective": PartChoice.model_validate({"part": ELSEWHERE, **whole}),
            "optimizer": PartChoice(part=ELSEWHERE),
            "predictor": PartChoice(part="argmax"),
        },
        {HPARAMS + name: space for name, space in card.search.items()},
        {HPARAMS + name if name in own else name: value for name, value in settings.items()},
        card.pretrained_on,
    )


def trust(recipe: str) -> None:
    """Let the classes that a recipe names be imported in this process, and in the workers that it starts.

    A command line does so by itself. It is for what the user of a program says in person, never for what was read.

    Args:
        recipe: As ``domainbed:my_package.my_module:MyAlgorithm + swad``; one that names no class changes nothing.
    """
    _TRUSTED.update(re.findall(rf"{PREFIX}({_TARGET.pattern.replace('(', '(?:')})", recipe))


def trusted() -> tuple[str, ...]:
    """The classes that :func:`trust` was told of, as recipes: for a worker to be told, too."""
    return tuple(PREFIX + target for target in sorted(_TRUSTED))


def refuse(recipe: str, why: str) -> None:
    """Raise RecipeError where a recipe, which is not read, is a whole algorithm from elsewhere."""
    if PREFIX in recipe:
        raise RecipeError(f"'{recipe}' is a class of somebody's own: {why}")


def _target(name: str) -> str:
    """``module:Class``, also of a name that an installed package registers."""
    if ":" not in name and name not in registry.classes():
        raise UnknownNameError(f"class of an installed package ({PREFIX}NAME)", name, registry.classes())
    target = registry.classes().get(name, name)
    if not _TARGET.fullmatch(target):
        raise RecipeError(f"cannot read '{PREFIX}{target}': expected {PREFIX}my_package.my_module:MyAlgorithm")
    return target


def load(target: str) -> type[Any]:
    """The class that ``module:Class`` names.

    Raises:
        RecipeError: neither the user nor an installed package names it, or there is none with the interface.
    """
    if target not in _TRUSTED and target not in registry.classes().values():
        raise RecipeError(
            f"'{PREFIX}{target}' is code, which no file may name: say yourself that it is to run, with -a "
            f"'{PREFIX}{target}' where a command takes that, in Python with dgbench.trust('{PREFIX}{target}') before "
            "the same function of dgbench, or install a package that registers it (entry points dgbench.domainbed)"
        )
    return _loaded(target)


@cache
def _loaded(target: str) -> type[Any]:
    module, _, name = target.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except Exception as error:
        raise RecipeError(
            f"'{PREFIX}{target}' cannot be imported: {type(error).__name__}: {error}. A module that is not installed "
            "is found where PYTHONPATH says"
        ) from error
    lacking = [method for method in ("update", "predict") if not callable(getattr(found, method, None))]
    if not isinstance(found, type) or lacking:
        raise RecipeError(
            f"'{PREFIX}{target}' is no class with the methods update(minibatches, unlabeled) and predict(x)"
        )
    return found


@cache
def code(target: str) -> str:
    """``sha256:...`` of the code that decides what ``module:Class`` does, as far as a file system tells.

    Of its module, and of those of the classes that it derives from (but torch's): the file, or where it is in a package
    every ``.py`` of the outermost package around it, by path and content. What else they import is not looked at.

    Raises:
        RecipeError: a class comes from no file, or may not be imported.
    """
    of = load(target)
    digest = hashlib.sha256()
    for root in sorted({_root(of, base) for base in of.__mro__ if base is of or not _of_libraries(base)}):
        for path in [root] if root.is_file() else sorted(root.rglob("*.py")):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(root.parent).as_posix()}\n{len(content)}\n".encode() + content)
    return f"sha256:{digest.hexdigest()}"


def _of_libraries(base: type[Any]) -> bool:
    top = base.__module__.partition(".")[0]
    if top not in sys.stdlib_module_names:
        return top == _LIBRARY
    file = getattr(sys.modules.get(base.__module__), "__file__", None)  # none of what is built in
    return file is None or _PYTHON in Path(file).parents


def _root(of: type[Any], base: type[Any]) -> Path:
    """The file of a class, or the outermost package that holds it."""
    file = getattr(sys.modules.get(base.__module__), "__file__", None)
    if file is None or not Path(file).is_file():
        raise RecipeError(f"'{of.__qualname__}' derives from '{base.__qualname__}', whose code is in no file")
    root = folder = Path(file)
    while ((folder := folder.parent) / "__init__.py").is_file():
        root = folder
    return root
