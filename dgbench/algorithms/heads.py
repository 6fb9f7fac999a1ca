"""What a head starts from, by the words that adapters have for it."""

from typing import Literal

Head = Literal["random", "linear_probe", "zero_shot", "pretrained"]
"""Random numbers, the linear probe's head on the same data, class names, or the classifier that the backbone's weights
came with."""
ClassifierHead = Literal["zero_shot", "pretrained"]
"""Those that classify before anything is trained here."""
NEEDS: dict[Head, str] = {"zero_shot": "text", "pretrained": "head"}
"""What a backbone must provide for them."""
OFFERS: dict[Head, tuple[str, ...]] = {
    "random": (),
    "linear_probe": ("reference_head",),
    "zero_shot": ("reference_head", "zero_shot_head"),
    "pretrained": ("reference_head",),
}
"""What there is to parts before the first step."""
