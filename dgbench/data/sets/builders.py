"""Datasets that a function makes. A card names the function as it is registered; nothing else is ever called.

What a card hands to it is checked against its signature before it is called.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from dgbench.core.dataset_card import DatasetCard
from dgbench.core.errors import CardError, UnknownNameError, did_you_mean, shown
from dgbench.core.reader_cards import BuiltIn, Made
from dgbench.core.registry import load_builder
from dgbench.data.domain import Dataset


def build(card: DatasetCard, reader: BuiltIn | Made, root: Path | None = None) -> Dataset:
    """What the builder of a card makes: of nothing (``built-in``), or of the folder ``root`` (``made``).

    Raises:
        CardError: no builder is registered under that name, it is one of the other kind, or an option does not fit.
        DataError: what the builder raises where its files are missing or damaged.
    """
    where = f"{card.name}: reader.builder"
    try:
        builder = load_builder(reader.builder)
    except UnknownNameError as error:
        raise CardError(
            f"{where}: {error} A package registers its own in the entry-point group dgbench.builders"
        ) from error
    parameters = dict(inspect.signature(builder).parameters)
    from_files = bool(parameters) and next(iter(parameters.values())).default is inspect.Parameter.empty
    if isinstance(reader, BuiltIn):
        if from_files:
            raise CardError(f"{where}: '{reader.builder}' makes data of files: the reader's kind is 'made'")
        dataset = builder()
    else:
        if not from_files:
            raise CardError(f"{where}: '{reader.builder}' takes no folder of files: the reader's kind is 'built-in'")
        del parameters[next(iter(parameters))]
        dataset = builder(root, **_checked(reader.options, parameters, get_type_hints(builder), card.name))
    if not isinstance(dataset, Dataset):
        raise CardError(f"{where}: '{reader.builder}' makes a {type(dataset).__name__} and no dataset")
    return dataset


def _checked(
    options: Mapping[str, Any],
    parameters: Mapping[str, inspect.Parameter],
    hints: Mapping[str, Any],
    card: str,
) -> dict[str, Any]:
    """The options, if each is a parameter of its type, and none that must be given is missing."""
    for name, value in options.items():
        where = f"{card}: reader.options.{name}"
        if name not in parameters:
            raise CardError(f"{where}: the builder has no such option.{did_you_mean(name, parameters)}")
        try:
            TypeAdapter(hints.get(name, Any)).validate_python(value, strict=True)
        except ValidationError as error:
            raise CardError(f"{where}: {error.errors()[0]['msg']}, got {shown(value)}") from error
    for name, parameter in parameters.items():
        if parameter.default is inspect.Parameter.empty and name not in options:
            raise CardError(f"{card}: reader.options.{name}: missing; the builder needs it")
    return dict(options)
