"""The types that hyperparameters are declared with: each carries its range, checked when a recipe is read."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Real = Annotated[float, Field(allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]
"""A share of a whole, in [0, 1]."""
Count = Annotated[int, Field(ge=1)]
Activation = Literal["identity", "tanh", "relu", "sigmoid"]
"""What each feature goes through on its way to the head."""
