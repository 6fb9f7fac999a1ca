"""A card in the making, and the file that it becomes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dgbench.core.dataset_card import DatasetCard, dataset_names
from dgbench.core.errors import DataError
from dgbench.core.files import whole
from dgbench.core.names import made_name, readable
from dgbench.core.toml import validated
from dgbench.data.disk.locate import locate
from dgbench.data.disk.look.toml import as_toml
from dgbench.data.disk.naming import plain, some
from dgbench.data.disk.readers import read
from dgbench.data.listing import Listing


@dataclass(frozen=True)
class Draft:
    """A card in the making.

    Attributes:
        name: Of the dataset.
        content: The card, as plain data.
        said: What was found, and what it was taken for: one line each.
    """

    name: str
    content: dict[str, Any]
    said: list[str] = field(default_factory=list)

    @property
    def card(self) -> DatasetCard:
        """The card; raises CardError where it does not fit, for a name that cannot be one."""
        return validated(self.content, DatasetCard, f"the card of '{self.name}'")


def draft_card(
    name: str,
    said: list[str],
    classes: Sequence[str],
    domains: Iterable[str],
    without: Mapping[str, Sequence[str]] | None = None,
    **content: Any,
) -> Draft:
    """The card of some classes and domains, whose pictures are still to be counted.

    Args:
        name: Of the dataset.
        said: What was found until now.
        classes: In their order.
        domains: In their order.
        without: Classes that a domain lacks, where its reader must know beforehand.
        content: Further fields of the card.

    Raises:
        DataError: there is but one domain, or one class.
    """
    classes, domains = _composed(classes), _composed(domains)
    if len(domains) < 2:
        raise DataError(
            f"only one domain was found ({', '.join(domains)}); leaving one out needs two or more. Is another level of "
            "folders, or another column, the domain? Say so with --layout or --domain"
        )
    if len(classes) < 2:
        raise DataError(
            f"only one class was found ({', '.join(classes)}); telling classes apart needs two or more. Is another "
            "level of folders, or another column, the class? Say so with --layout or --label"
        )
    card = {
        "name": name,
        "title": name.replace("-", " ").capitalize(),
        "summary": f"{len(classes)} classes, {len(domains)} domains.",
        "classes": classes,
        "licence": "unknown: write the terms of your data here",
        "redistribution": "unknown",
        **content,
        "domains": [{"name": domain, "without": list((without or {}).get(domain, ()))} for domain in domains],
    }
    said = [*said, *_twins("domains", domains), *_twins("classes", classes)]
    return Draft(name, card, said)


def counted(draft: Draft) -> tuple[Draft, Listing]:
    """The draft with what its reader finds: counts, and classes that a domain lacks. What it accepts, it reads later.

    Raises:
        CardError: a name cannot be one.
        DataError: the data is not what its reader takes.
    """
    card = draft.card
    listing = read(card, locate(card))
    rows, lacking = [], []
    where: dict[str, list[str]] = defaultdict(list)
    for row, domain in zip(draft.content["domains"], listing.domains, strict=True):
        without = list(domain.without(listing.classes))
        for name in set(listing.classes) - set(without):
            where[name].append(domain.name)
        rows.append({"name": row["name"], "count": len(domain)} | ({"without": without} if without else {}))
        if without:
            lacking.append(f"'{domain.name}' has no {some(without)}")
    said = list(draft.said)
    if lacking:
        said.append(f"note: {'; '.join(lacking)}. Accuracy there is over the other classes")
    if alone := [name for name in listing.classes if len(where[name]) == 1]:
        which = "each class" if len(alone) == len(where) else some(alone)
        said.append(f"note: of {which} there are images in one domain only: nothing is learnt of it for that domain")
    total = sum(map(len, listing.domains))
    content = draft.content | {"summary": f"{total} images, {draft.content['summary']}", "domains": rows}
    return replace(draft, content=content, said=said), listing


def write(draft: Draft, folder: Path, *, replace: bool = False) -> Path:
    """Write the card as ``folder/NAME.toml``.

    Raises:
        CardError: the card does not fit.
        DataError: a card of that name is there already.
    """
    card = draft.card
    path = folder / f"{card.name}.toml"
    if not replace and (path.exists() or card.name in dataset_names()):
        raise DataError(f"there is a dataset named '{card.name}' already; give another name with --name")
    with whole(path) as temporary:
        temporary.write_text(as_toml(draft.content), encoding="utf-8")
    return path


def plain_name(text: str) -> str:
    """A name as cards want it: lower-case letters and digits of any script, with hyphens."""
    name = made_name(text)
    if not name:
        raise DataError(f"no name can be made from '{text}'; give one with --name")
    return name


def _composed(names: Iterable[str]) -> list[str]:
    """Names as they stand on a card, each once."""
    return list(dict.fromkeys(map(readable, names)))


def _twins(what: str, names: Sequence[str]) -> list[str]:
    """A line for names that differ in what readers do not mind elsewhere."""
    alike: dict[str, list[str]] = defaultdict(list)
    for name in names:
        alike[plain(name)].append(name)
    groups = [group for group in alike.values() if len(group) > 1]
    if not groups:
        return []
    return [
        f"note: the {what} {'; '.join(map(some, groups))} differ in case, spaces, hyphens or leading zeros only, and "
        "are kept apart. If they are one, take all but one of them off the card, wherever it names them: that then "
        "stands for all"
    ]
