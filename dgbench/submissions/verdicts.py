"""What a check comes to: a code, what was found, and what mends it. Nothing here knows what is checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal

import polars as pl

from dgbench.core.errors import DGBenchError
from dgbench.core.visible import visible

Outcome = Literal["passed", "marked", "refused", "not looked at"]

_MOST = 10
"""Findings that a verdict names."""
_LONGEST = 400
"""Characters of one."""


@dataclass(frozen=True)
class Finding:
    """Something that a check found.

    Attributes:
        text: One line.
        refuses: Whether the submission cannot stand with it; else it is for people to look at.
    """

    text: str
    refuses: bool


def refuse(text: str) -> Finding:
    """What a submission cannot stand with."""
    return Finding(line(text), True)


def mark(text: str) -> Finding:
    """What files alone cannot settle, and people should look at."""
    return Finding(line(text), False)


def line(text: str) -> str:
    """A text that may quote a stranger: on one line, short, and nothing in it acts."""
    shown = visible(" ".join(text[: 4 * _LONGEST].split()))
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}..."


@dataclass(frozen=True)
class Verdict:
    """What one check said.

    Attributes:
        code: ``E`` refuses, ``W`` marks.
        rule: What is asked, in one line.
        outcome: What came of it.
        reasons: What was found; empty where it passed.
        remedy: What to do about it.
    """

    code: str
    rule: str
    outcome: Outcome
    reasons: tuple[str, ...] = ()
    remedy: str = ""

    def __str__(self) -> str:
        reasons = f": {'; '.join(self.reasons)}" if self.reasons else ""
        return f"{self.code} {self.outcome}: {self.rule}{reasons}" + (f". {self.remedy}" if self.reasons else "")


@dataclass(frozen=True)
class Check:
    """One rule of a board.

    Attributes:
        code, rule, remedy: As a verdict has them.
        look: What is wrong; nothing where all is well. It may raise DGBenchError, which is a finding that refuses.
    """

    code: str
    rule: str
    remedy: str
    look: Callable[[Any], Iterator[Finding]]

    def verdict(self, evidence: Any) -> Verdict:
        """The verdict on a submission. Whatever stands in it, there is one."""
        findings: list[Finding] = []
        try:
            findings += islice(self.look(evidence), _MOST + 1)
        except DGBenchError as error:
            findings.append(refuse(str(error)))
        except (Exception, pl.exceptions.PanicException) as error:  # noqa: BLE001 (a stranger's file may do anything)
            findings.append(refuse(f"it cannot be looked at ({type(error).__name__}: {error})"))
        return self.of(findings)

    def of(self, findings: list[Finding]) -> Verdict:
        """The verdict that findings come to."""
        findings = sorted(findings, key=lambda found: not found.refuses)
        refused = any(found.refuses for found in findings) and self.code.startswith("E")
        outcome: Outcome = "refused" if refused else "marked" if findings else "passed"
        reasons = [found.text for found in findings[:_MOST]] + ["and more"] * (len(findings) > _MOST)
        return Verdict(self.code, self.rule, outcome, tuple(reasons), self.remedy if findings else "")

    def unseen(self) -> Verdict:
        """The verdict where what came before does not let it be looked at."""
        return Verdict(self.code, self.rule, "not looked at")
