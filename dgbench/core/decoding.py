"""What is done with what loaders disagree on in image files: transparency, marks of rotation, sixteen bits."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Alpha = Literal["drop", "white", "black"]


@dataclass(frozen=True)
class Decoding:
    """How a file becomes RGB with eight bits for a channel. The defaults are what the loaders of this field do.

    Attributes:
        alpha: ``drop`` shows the colours that hide under transparent pixels; ``white`` and ``black`` lay the picture
            over that ground.
        exif: Whether a picture is turned as the camera's mark (EXIF) says. TIFF is always turned.
        bits: How many of the 16 bits of grey pictures the values really use, 8 to 16: white is ``2 ** bits - 1``, and
            larger values are white, too.
    """

    alpha: Alpha = "drop"
    exif: bool = False
    bits: int = 16

    def spec(self) -> dict[str, Any]:
        """It, as plain JSON."""
        return asdict(self)

    def words(self) -> tuple[str, ...]:
        """What differs from the defaults, for names of folders: ``("white", "upright", "12bit")``."""
        alpha = (self.alpha,) if self.alpha != "drop" else ()
        exif = ("upright",) if self.exif else ()
        bits = (f"{self.bits}bit",) if self.bits != 16 else ()
        return alpha + exif + bits


AS_LOADERS = Decoding()
"""What the loaders of this field do."""
