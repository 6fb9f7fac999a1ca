"""A CLIP model of a thousandth of the usual size, known to open_clip by name."""

from __future__ import annotations

import json
from pathlib import Path

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
