"""What stands around a page: nothing around one that lies alone, the way to all others on a site."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property


@dataclass(frozen=True)
class Found:
    """What a search may find.

    Attributes:
        title: As readers see it, and what is searched.
        kind: ``board``, ``algorithm``, ``dataset`` or what else it is.
        href: Where it lies, from the root of the site.
    """

    title: str
    kind: str
    href: str


@dataclass(frozen=True)
class Frame:
    """Links from one page; every address is relative, so that the folder can lie anywhere.

    Attributes:
        root: From the page to the root of its site: empty where it lies there; None where there is no site.
        places: The pages that every page names: title and address from the root.
        search: All that can be found on the site.
        algorithms, runs, datasets: From names to addresses, as seen from the page.
        criteria: The same board by every criterion: title, and address from the page; None for the page itself.
        below: What a site has to say below a leaderboard, as HTML.
    """

    root: str | None = None
    places: Sequence[tuple[str, str]] = ()
    search: Sequence[Found] = ()
    algorithms: Mapping[str, str] = field(default_factory=dict)
    runs: Mapping[str, str] = field(default_factory=dict)
    datasets: Mapping[str, str] = field(default_factory=dict)
    criteria: Sequence[tuple[str, str | None]] = ()
    below: str = ""

    @cached_property
    def index(self) -> str:
        """What the page's script searches, as JSON that ends no element."""
        rows = [[found.title, found.kind, f"{self.root}{found.href}"] for found in self.search]
        return (
            json.dumps(rows, ensure_ascii=True, separators=(",", ":")).replace("<", "\\u003c").replace("&", "\\u0026")
        )


ALONE = Frame()
