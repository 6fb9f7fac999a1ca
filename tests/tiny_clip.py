"""A CLIP model of a thousandth of the usual size, known to open_clip by name."""

from __future__ import annotations

import json
import tempfile
from functools import cache
from pathlib import Path

from dgbench.core import registry
from dgbench.core.cards import algorithm_card, card_names

TEXT = tuple(
    name
    for name in card_names("algorithms")
    if (adapter := algorithm_card(name).recipe.adapter) is not None
    and "text_head" in registry.load("adapter", adapter.part)().provides()
)
"""The cards whose head stays made of texts: boards on other networks refuse them."""

TOWERED = (*TEXT, "cooked")
"""The cards whose trainings need a text tower."""

NAME = "dgbench-tiny"


def register(folder: Path, name: str = NAME, **changes: object) -> str:
    """Make a small model known to open_clip; its backbone's name."""
    import open_clip

    config = {
        "embed_dim": 32,
        "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "head_width": 32, "patch_size": 8},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
    }
    path = folder / f"{name}.json"
    path.write_text(json.dumps(config | changes))
    open_clip.add_model_config(path)
    return f"open_clip:{name}"


@cache
def tinier() -> str:
    """The name of one whose embeddings of words are no longer most of the work; this process knows it from then on."""
    text = {"context_length": 77, "vocab_size": 49408, "width": 8, "heads": 2, "layers": 1}
    folder = Path(tempfile.mkdtemp(dir=Path.home()))  # which goes with the session
    return register(folder, "dgbench-tinier", text_cfg=text)


def weights(folder: Path) -> str:
    """The backbone's name with a file of weights for both towers, so that whoever builds it gets the same."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    name = register(folder)
    torch.manual_seed(7)
    model = open_clip.create_model(NAME)
    with torch.no_grad():
        model.text_projection.mul_(3)  # texts of a new model all but agree
    save_file(model.state_dict(), folder / "both.safetensors")
    return f"{name}(weights={folder / 'both.safetensors'})"
