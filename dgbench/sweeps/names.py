"""What the reference benchmark calls things. Its records number domains; its tables name them, in this order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

DATASETS: dict[str, tuple[str, ...]] = {
    "Debug28": ("0", "1", "2"),
    "Debug224": ("0", "1", "2"),
    "ColoredMNIST": ("+90%", "+80%", "-90%"),
    "RotatedMNIST": ("0", "15", "30", "45", "60", "75"),
    "VLCS": ("C", "L", "S", "V"),
    "PACS": ("A", "C", "P", "S"),
    "OfficeHome": ("A", "C", "P", "R"),
    "TerraIncognita": ("L100", "L38", "L43", "L46"),
    "DomainNet": ("clip", "info", "paint", "quick", "real", "sketch"),
    "SVIRO": ("aclass", "escape", "hilux", "i3", "lexus", "tesla", "tiguan", "tucson", "x5", "zoe"),
    "WILDSCamelyon": ("hospital_0", "hospital_1", "hospital_2", "hospital_3", "hospital_4"),
    "WILDSFMoW": ("region_0", "region_1", "region_2", "region_3", "region_4", "region_5"),
}
"""Its datasets with their domains, in the order of its tables."""

ALGORITHMS = (
    "ERM", "ERMPlusPlus", "Fish", "IRM", "GroupDRO", "Mixup", "MLDG", "CORAL", "MMD", "DANN", "CDANN", "MTL", "SagNet",
    "ARM", "VREx", "RSC", "SD", "ANDMask", "SANDMask", "IGA", "SelfReg", "Fishr", "TRM", "IB_ERM", "IB_IRM", "CAD",
    "CondCAD", "Transfer", "CausIRL_CORAL", "CausIRL_MMD", "EQRM", "RDM", "ADRMX", "URM",
)  # fmt: skip
"""Its algorithms, in the order of its tables."""


def domain_names(dataset: str, count: int) -> tuple[str, ...]:
    """The names of so many domains; ``env0``, ``env1`` and so on where it is no dataset of the reference."""
    known = DATASETS.get(dataset, ())
    return known if len(known) == count else tuple(f"env{number}" for number in range(count))


def in_order(names: Iterable[str], known: Sequence[str]) -> tuple[str, ...]:
    """Each name once: those that are known in their order, then the others by name."""
    found = set(names)
    return (*(name for name in known if name in found), *sorted(found - set(known)))
