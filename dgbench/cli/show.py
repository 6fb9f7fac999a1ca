"""``dgbench show``: what is known of a name."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Union

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dgbench.cli.output import Json, new_table, print_json
from dgbench.core import registry
from dgbench.core.cards import AlgorithmCard, BoardCard, algorithm_card, board_card, board_names, card_names
from dgbench.core.composition import track_of
from dgbench.core.dataset_card import DatasetCard, card_at, dataset_card, dataset_names, headlines
from dgbench.core.errors import UnknownNameError
from dgbench.core.registry import SLOTS, Slot
from dgbench.core.shift_families import LEFT_OUT
from dgbench.data.disk.locate import find, places

if TYPE_CHECKING:
    from dgbench.selection.criteria import Criterion

Thing = Union[AlgorithmCard, DatasetCard, BoardCard, tuple[Slot, str], "Criterion"]
"""What has a name."""
_MANY = 20
"""More domains than this are not shown one by one."""


def add(app: typer.Typer) -> None:
    """Add the verb that shows one thing."""
    app.command()(show)


def show(
    name: Annotated[
        str, typer.Argument(help="an algorithm, a dataset, a board, a part as 'slot.name' or 'criterion.name'")
    ],
    as_json: Json = False,
) -> None:
    """Show what is known of a name.

    Of an algorithm: paper, recipe, hyperparameters with their ranges, needs, track, licence.
    """
    console = Console(highlight=False)
    found = list(_named(name))
    if as_json:
        print_json([_plain(thing) for thing in found] if len(found) > 1 else _plain(found[0]))
        return
    for number, thing in enumerate(found):
        if number:
            console.print()
        match thing:
            case AlgorithmCard():
                _show_algorithm(thing, name, console)
            case DatasetCard():
                _show_dataset(thing, console)
            case BoardCard():
                _show_board(thing, console)
            case (slot, part):
                _show_part(slot, part, console)
            case _:
                _show_criterion(thing, console)


def _named(name: str) -> Iterator[Thing]:
    """What has that name: one thing, or a board and its dataset of the same name.

    Raises:
        UnknownNameError: nothing has it.
    """
    slot, dot, part = name.partition(".")
    if name in board_names() or Path(name).name == "board.toml":
        yield board_card(name)
        if name in dataset_names():  # a board may be called after its dataset
            yield dataset_card(name)
    elif name.endswith(".toml"):
        yield card_at(Path(name))
    elif name in card_names("algorithms"):
        yield algorithm_card(name)
    elif name in dataset_names():
        yield dataset_card(name)
    elif dot and slot in SLOTS:
        yield slot, part
    elif dot and slot == "criterion":
        from dgbench.selection.criteria import get  # nothing else here needs tables

        yield get(part)
    else:
        from dgbench.selection.criteria import CRITERIA

        parts = [f"{slot}.{part}" for slot in SLOTS for part in registry.targets(slot)]
        parts += [f"criterion.{criterion}" for criterion in CRITERIA]
        raise UnknownNameError(
            "algorithm, dataset, board, part or criterion",
            name,
            [*card_names("algorithms"), *dataset_names(), *board_names(), *parts],
        )


def _plain(thing: Thing) -> dict[str, Any]:
    """A card as its own fields, a part as its hyperparameters, a criterion as what it says of itself."""
    if isinstance(thing, AlgorithmCard | DatasetCard | BoardCard):
        return thing.model_dump(mode="json")
    if not isinstance(thing, tuple):
        said = {name: getattr(thing, name) for name in ("name", "title", "description", "ranks")}
        return {"criterion": said.pop("name"), **said, "needs": list(thing.needs)}
    slot, name = thing
    part = registry.load(slot, name)
    fields = {
        field.name: {"default": field.default, "allowed": _allowed(part, field.name)}
        for field in dataclasses.fields(part)
    }
    return {"slot": slot, "part": name, "version": part.version, "hyperparameters": fields}


def _show_algorithm(card: AlgorithmCard, name: str, console: Console) -> None:
    console.print(f"[bold]{card.title}[/]  [dim]{card.name}[/]\n{card.summary}\n")
    console.print(f"[bold]paper[/]    {card.paper.cite()}", soft_wrap=True)
    if card.paper.code:
        console.print(f"[bold]code[/]     {card.paper.code} (the authors'; dgbench has its own)")
    console.print(f"[bold]licence[/]  {card.licence} (of the code here)")
    parts = {slot: registry.load(slot, choice.part) for slot, choice in card.recipe.filled().items()}
    instances = {slot: _instance(card, slot) for slot in parts}
    needs = sorted(frozenset().union(*(part.needs() for part in instances.values())) - _provided(instances))
    console.print(f"[bold]track[/]    {track_of(instances)}")
    console.print(
        f"[bold]needs[/]    {', '.join(n.replace('_', ' ') for n in needs) or 'nothing beyond source labels'}\n"
    )
    table = new_table()
    for heading in ("recipe", "part", "hyperparameter", "value", "allowed", "search"):
        table.add_column(heading)
    for slot, choice in card.recipe.filled().items():
        first = True
        for field in dataclasses.fields(parts[slot]):
            table.add_row(
                slot if first else "",
                choice.part if first else "",
                field.name,
                f"{getattr(instances[slot], field.name)}"
                + ("" if field.name in choice.hyperparameters else " [dim]default[/]"),
                _allowed(parts[slot], field.name),
                str(card.search.get(f"{slot}.{field.name}", "")),
            )
            first = False
        if first:
            table.add_row(slot, choice.part, "", "", "", "")
    if table.row_count:
        console.print(table)
    else:
        console.print("recipe: the board's default in every slot")
    for published in card.published:
        values = ", ".join(f"{key} = {value}" for key, value in published.values.items())
        console.print(f"\n[bold]published[/]  {published.setting}: {values}", soft_wrap=True)
    for difference in card.differences:
        console.print(f"[bold]note[/]  {difference.what}", soft_wrap=True)
    board = "unlabelled" if track_of(instances) == "unlabelled" else "quick"
    board = "domainbed-clip-vit-b16" if "text" in needs else board
    if "head" in needs:
        board = "imagenet-shifts --backbone timm:resnet50.a1_in1k"
    draws = " --draws 5" if any("several draws" in part.acts_on() for part in instances.values()) else ""
    console.print(f"\n[bold]run it[/]  dgbench run {board} -a erm -a {shlex.quote(name)}{draws}", soft_wrap=True)


def _instance(card: AlgorithmCard, slot: Slot) -> Any:
    from dgbench.core.recipe import build_part

    choice = card.recipe.filled()[slot]
    return build_part(slot, choice.part, choice.hyperparameters, f"card '{card.name}'")


def _provided(instances: dict[Slot, Any]) -> frozenset[str]:
    return frozenset().union(*(part.provides() for part in instances.values()))


def _allowed(part: type[Any], name: str) -> str:
    from pydantic import TypeAdapter

    schema = TypeAdapter(part).json_schema()["properties"][name]
    options = schema.get("anyOf", [schema])
    return " or ".join(_range(option) for option in options)


def _range(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    if schema.get("type") == "array" and "items" in schema:
        return f"some, each {_range(schema['items'])}"
    kind = {"number": "number", "integer": "integer", "boolean": "true or false", "null": "none"}.get(
        schema.get("type", ""), schema.get("type", "any")
    )
    limits = [
        f"{sign} {schema[key]:g}"
        for key, sign in (("minimum", ">="), ("exclusiveMinimum", ">"), ("maximum", "<="), ("exclusiveMaximum", "<"))
        if key in schema
    ]
    return f"{kind} {' and '.join(limits)}".strip()


def _show_dataset(card: DatasetCard, console: Console) -> None:
    console.print(
        f"[bold]{escape(card.title)}[/]  [dim]{card.name} version {card.version}[/]\n{escape(card.summary)}\n"
    )
    _show_domains(card, console)
    facts = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column(overflow="fold")
    for head, lines in _facts(card).items():
        for number, line in enumerate(lines):
            facts.add_row(head if number == 0 else "", escape(line))
    console.print(facts)


def _show_domains(card: DatasetCard, console: Console) -> None:
    """A row for each domain; the names alone where they are many."""
    if len(card.domains) > _MANY:
        names = ", ".join(domain.name for domain in card.domains)
        console.print(f"[bold]{len(card.domains)} domains[/], {card.images} images: {names}\n")
        return
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for heading in ("domain", "images", "what sets it apart"):
        table.add_column(heading, justify="right" if heading == "images" else "left")
    for domain in card.domains:
        count = f"{domain.count:,}" if domain.count else f"~{domain.about:,}" if domain.about else "?"
        family = f" (family {domain.family})" if domain.family else ""
        table.add_row(domain.name, count, escape(domain.description + family))
    table.add_row("[dim]all[/]", card.images)
    console.print(table)
    console.print()


def _facts(card: DatasetCard) -> dict[str, list[str]]:
    """What a card says beside its domains, by heading; every item is a line."""
    reader = card.reader.model_dump(mode="json", exclude_defaults=True, exclude={"kind"})
    classes = f"{card.classes} classes" if isinstance(card.classes, int) else ", ".join(card.classes)
    value = card.value
    wording = card.wording.model_dump(mode="json", exclude_defaults=True)
    return {
        "classes": [classes] if value is None else [],
        "value": [f"{value.what}, in {value.unit}" if value.unit else value.what] if value else [],
        "licence": [card.licence],
        "may be passed on": [card.redistribution],
        "size": [card.size] if card.size else [],
        "here": [_whereabouts(card)],
        "how to get it": [f"{number}. {way}" for number, way in enumerate(card.get, 1)],
        "duplicates": [card.duplicates] if card.duplicates else [],
        "notes": [f"- {note}" for note in card.notes],
        "sources": [f"- {source.what} ({source.licence}). {source.citation}" for source in card.sources],
        "read by": [f"{card.reader.kind}: {_inline(reader)}" if reader else card.reader.kind],
        "said as": [_inline(wording)] if wording else [],
        "shifts": [
            "every family of augmented validation, but for these entries:",
            *(f"- {entry}: {reason}" for entry, reason in LEFT_OUT.items()),
        ],
    }


def _whereabouts(card: DatasetCard) -> str:
    """Whether a dataset is on this machine, and where it is looked for."""
    if card.reader.kind == "built-in":
        return "made at first use"
    found = find(card)
    if found is not None:
        return str(found)
    looked = ", ".join(map(str, places(card)))
    return f"no; looked for as {looked} (DGBENCH_DATA names other folders)" if looked else "no"


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key} {_inline(item)}" for key, item in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _show_board(card: BoardCard, console: Console) -> None:
    from dgbench.selection.measures import MEASURES

    console.print(f"[bold]{card.title}[/]  [dim]{card.name} version {card.version}[/]\n{card.summary}\n")
    console.print(f"[bold]dataset[/]     {', '.join(card.dataset)}; {card.protocol}")
    console.print(f"[bold]backbones[/]   {', '.join(f'{track}: {name}' for track, name in card.tracks.items())}")
    trials = f"{card.trials} trials" + (f", looked at again after {', '.join(map(str, card.looks))}" * bool(card.looks))
    console.print(f"[bold]budget[/]      {trials}, {card.draws} hyperparameter draws, {card.training.steps} steps")
    by = ", ".join(dict.fromkeys(MEASURES[name].title for name in headlines(card).values()))
    console.print(f"[bold]criterion[/]   {card.criterion}, by {by}")
    console.print(f"[bold]algorithms[/]  {', '.join(card.algorithms)}", soft_wrap=True)


def _show_part(slot: Slot, name: str, console: Console) -> None:
    part = registry.load(slot, name)
    console.print(f"[bold]{slot}.{name}[/]  [dim]{part.__module__}, version {part.version}[/]\n")
    console.print((part.__doc__ or "").strip() + "\n", markup=False)
    table = new_table()
    for heading in ("hyperparameter", "default", "allowed"):
        table.add_column(heading)
    for field in dataclasses.fields(part):
        table.add_row(field.name, str(field.default), _allowed(part, field.name))
    console.print(table)


def _show_criterion(criterion: Criterion, console: Console) -> None:
    from dgbench.selection.criteria import NEEDS

    console.print(f"[bold]{criterion.title}[/]  [dim]{criterion.name}[/]\n{criterion.description}\n")
    for need in criterion.needs:
        console.print(f"[bold]needs[/]  {need}: {NEEDS[need]}")
    console.print("A board may be ranked by it." if criterion.ranks else "It never ranks a board.")
