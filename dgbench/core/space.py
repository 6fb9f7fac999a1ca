"""Where hyperparameters are searched."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, FiniteFloat, model_validator


class Space(BaseModel):
    """Where a hyperparameter is searched.

    ``choice`` draws one of ``values``; ``uniform``, ``loguniform`` and ``integer`` draw between ``low`` and ``high``,
    both included.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["choice", "uniform", "loguniform", "integer"]
    values: tuple[Any, ...] | None = None
    low: FiniteFloat | None = None
    high: FiniteFloat | None = None

    @model_validator(mode="after")
    def _complete(self) -> Space:
        if self.kind == "choice":
            if not self.values or self.low is not None or self.high is not None:
                raise ValueError("kind 'choice' takes a list 'values', and neither 'low' nor 'high'")
        elif self.low is None or self.high is None or self.values is not None or not self.low < self.high:
            raise ValueError(f"kind '{self.kind}' takes 'low' below 'high', and no 'values'")
        elif self.kind == "loguniform" and self.low <= 0:
            raise ValueError("kind 'loguniform' takes 'low' above 0")
        return self

    def at(self, u: float) -> Any:
        """The value at quantile ``u`` in [0, 1)."""
        if self.values is not None:
            return self.values[int(u * len(self.values))]
        assert self.low is not None
        assert self.high is not None
        if self.kind == "integer":
            return int(self.low + u * (self.high - self.low + 1))
        if self.kind == "loguniform":
            return float(self.low * (self.high / self.low) ** u)
        return self.low + u * (self.high - self.low)

    def __str__(self) -> str:
        if self.values is not None:
            return "one of " + ", ".join(map(str, self.values))
        return f"{self.kind} in [{self.low:g}, {self.high:g}]"
