"""In which numbers a network's forward passes compute. A board says which, and it is a part of every identity."""

from __future__ import annotations

from typing import Literal

Precision = Literal["float32", "bfloat16"]
"""``float32`` is float32 throughout: no TF32 on tensor cores, no bfloat16 inside products. ``bfloat16`` is what
``torch.autocast`` computes: matrix products and convolutions of bfloat16 numbers, with weights kept in float32. Either
way, what comes after the backbone (heads, losses, penalties, predictors, stored features) is float32."""
