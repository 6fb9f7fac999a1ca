from __future__ import annotations

import io

import numpy as np
from PIL import Image

from dgbench.core.shift_families import FAMILIES
from dgbench.data.catalogue import load
from dgbench.data.gallery import CLEAN, gallery


def test_every_domain_is_shown_clean_and_under_every_family() -> None:
    found = gallery("digits")
    dataset = load("digits")
    assert list(found) == [domain.name for domain in dataset.domains]
    for domain in dataset.domains:
        views = {view: np.asarray(Image.open(io.BytesIO(png))) for view, png in found[domain.name].items()}
        assert list(views) == [CLEAN, *FAMILIES]
        height, width = domain.inputs.shape[1:3]
        examples = [domain.inputs[np.flatnonzero(domain.labels == label)[:1]][0] for label in range(8)]
        assert (views[CLEAN] == np.concatenate(examples, axis=1)).all()
        for family in FAMILIES:
            assert views[family].shape == (height, 8 * width, 3)
            assert (views[family] != views[CLEAN]).any()
    assert gallery("digits") == found
