"""The public function that says what a dataset is like.

    found = dgbench.diagnose("digits")
    print([(pair.first, pair.second, pair.shift) for pair in found.pairs])
    found.write(Path("digits.html"))

Nothing is trained, and nothing is put into a store.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from dgbench.core.errors import DataError
from dgbench.diagnostics import diagnosis
from dgbench.runs.device import DeviceName

IMAGES = 1000


@dataclass(frozen=True, repr=False)
class Diagnosis(diagnosis.Diagnosis):
    """What a dataset is like; in a notebook it shows itself as tables.

    Attributes:
        dataset: Its name.
        side: Of the images in pixels, as they were looked at.
        backbone: Whose features told domains apart; None for pixels.
        images: How many were looked at in a domain, at most.
        domains: Each of them: how many images there are, their intrinsic dimension, how sharply labels change.
        pairs: All pairs of them: diversity and correlation shift, how well they are told apart, near-duplicates.
        difficulty: How many bits it takes to generalise; None where images do not differ enough to say.
    """

    def write(self, path: Path) -> None:
        """Write a page with plots, and with near-duplicates side by side; whole, or not at all.

        Raises:
            DiskError: it cannot be written.
        """
        from dgbench.board.render.diagnosed import page

        page.write(self, path)

    def __repr__(self) -> str:
        return f"<Diagnosis of '{self.dataset}': {len(self.domains)} domains, {self.images} images of each at most>"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from dgbench.board.render.diagnosed import page

        return page.summary(self)


def diagnose(
    dataset: str,
    *,
    domains: Sequence[str] | None = None,
    images: int = IMAGES,
    backbone: str | None = None,
    device: DeviceName = "auto",
    progress: Callable[[int, int], None] = lambda done, of: None,
) -> Diagnosis:
    """Say what a dataset is like: how its domains differ, in how many directions images vary, how hard it is.

    Args:
        dataset: By its name, or the path of its card.
        domains: Only these; all by default, of which there may be twelve.
        images: How many of each domain are looked at, at most. They are drawn by a seed, the same each time.
        backbone: Domains are told apart by its features in place of pixels, and the features' dimension is estimated,
            too.
        device: Where features are computed.
        progress: Is told how much is done, and of how much.

    Raises:
        UnknownNameError: there is no such dataset, domain or backbone.
        CardError: a value is predicted of it, and no class.
        DataError: the data is not on this machine, or there is too much or too little to compare.
        DGBenchError: the weights of the backbone cannot be had.
    """
    from dgbench.core.dataset_card import dataset_card, refuse_values
    from dgbench.data.catalogue import listing
    from dgbench.diagnostics.look import SIDE, domains_of, look
    from dgbench.runs.device import resolve_device

    if isinstance(domains, str):
        raise DataError(f"domains is a text; write ['{domains}']")
    name = dataset_card(dataset).name
    refuse_values([dataset], "a diagnosis compares classes")
    wanted = domains_of(dataset, domains)
    before = 0
    total = len(wanted) * (2 if backbone is None else 3) + len(wanted) * (len(wanted) - 1) // 2

    def one_more() -> None:
        nonlocal before
        before += 1
        progress(before, total)

    seen = []
    for each in look(dataset, wanted, images):
        seen.append(each)
        one_more()
    if backbone is not None:
        from dgbench.train.frozen import frozen_features

        rows = {each.name: each.rows for each in seen}
        features = frozen_features(backbone, dataset, rows, resolve_device(device), one_more)
        seen = [replace(each, features=features[each.name]) for each in seen]
    classes = len(listing(dataset).classes)
    made = diagnosis.diagnose(name, classes, seen, side=SIDE, images=images, backbone=backbone, progress=one_more)
    return Diagnosis(**{part.name: getattr(made, part.name) for part in fields(made)})
