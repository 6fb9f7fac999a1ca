"""Labels and colours are recovered from the images and counted."""

from pathlib import Path

import numpy as np
import pytest
from idx_files import write_mnist
from numpy.typing import NDArray

from dgbench.core.dataset_card import dataset_card
from dgbench.core.errors import DataError
from dgbench.core.reader_cards import Made
from dgbench.data.disk.readers import read
from dgbench.data.domain import Dataset, Domain
from dgbench.data.sets.colored_mnist import build

TRAIN, TEST = 12_000, 2_000
CARDS = {"irm": "colored-mnist", "domainbed": "colored-mnist-domainbed", "inverse": "inverse-cmnist"}
PROTOCOLS = list(CARDS)

Source = tuple[Path, NDArray[np.uint8], NDArray[np.uint8]]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    root = tmp_path_factory.mktemp("MNIST")
    return (root, *write_mnist(root, TRAIN, TEST))


@pytest.fixture(scope="module")
def built(source: Source) -> dict[str, Dataset]:
    return {protocol: build(source[0], protocol) for protocol in PROTOCOLS}


def digits_of(domain: Domain, source: Source) -> NDArray[np.int64]:
    """Which image each one is, as its position among all; images are random, so a few pixels tell."""
    _, images, _ = source
    stride = 28 // domain.inputs.shape[1]
    where = {image.tobytes(): row for row, image in enumerate(images[:, ::stride, ::stride])}
    assert isinstance(domain.inputs, np.ndarray)
    return np.array([where[image.tobytes()] for image in domain.inputs.max(axis=3)])


def red(domain: Domain) -> NDArray[np.bool_]:
    """Whether an image is red; it must be red or green, and nothing else."""
    assert isinstance(domain.inputs, np.ndarray)
    lit = domain.inputs.any(axis=(1, 2))
    assert (lit[:, 0] ^ lit[:, 1]).all()
    assert not lit[:, 2].any()
    return np.asarray(lit[:, 0])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_shape_and_colour_are_right_as_often_as_the_paper_says(
    protocol: str, source: Source, built: dict[str, Dataset]
) -> None:
    shape = 0.9 if protocol == "inverse" else 0.75
    colour = {"agree-90": 0.9, "agree-80": 0.8, "agree-75": 0.75, "agree-10": 0.1}
    for domain in built[protocol].domains:
        small = source[2][digits_of(domain, source)] < 5
        tolerance = 4 * 0.5 / np.sqrt(len(domain))
        assert abs((small == domain.labels).mean() - shape) < tolerance
        assert abs((red(domain) == domain.labels).mean() - colour[domain.name]) < tolerance
        assert abs(domain.labels.mean() - 0.5) < 2 * tolerance, "classes are balanced where digits are"
        # The two mistakes are independent, so that neither tells of the other.
        wrong_shape, wrong_colour = small != domain.labels, red(domain) != domain.labels
        assert abs((wrong_shape & wrong_colour).mean() - wrong_shape.mean() * wrong_colour.mean()) < tolerance / 2


def test_irm_keeps_the_last_sixth_for_the_test_at_half_the_size(source: Source, built: dict[str, Dataset]) -> None:
    *train, test = built["irm"].domains
    assert [len(d) for d in built["irm"].domains] == [5000, 5000, 2000]
    assert all(d.inputs.shape[1:] == (14, 14, 3) for d in built["irm"].domains)
    assert digits_of(test, source).tolist() == list(range(10_000, 12_000))
    dealt = np.concatenate([digits_of(d, source) for d in train])
    assert sorted(dealt) == list(range(10_000))
    assert abs(np.corrcoef(dealt, np.arange(10_000))[0, 1]) < 0.05, "dealt from a shuffled pack"


def test_domainbed_deals_all_images_at_full_size(source: Source, built: dict[str, Dataset]) -> None:
    domains = built["domainbed"].domains
    assert [len(d) for d in domains] == [4667, 4667, 4666]
    assert domains[0].inputs.shape[1:] == (28, 28, 3)
    assert sorted(np.concatenate([digits_of(d, source) for d in domains])) == list(range(TRAIN + TEST))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_card_makes_it(protocol: str, source: Source, built: dict[str, Dataset]) -> None:
    card = dataset_card(CARDS[protocol])
    assert isinstance(card.reader, Made)
    listing = read(card, source[0])
    assert listing.classes == card.classes
    assert built[protocol].name == card.name
    for found, domain in zip(listing.domains, built[protocol].domains, strict=True):
        assert found.labels.tolist() == domain.labels.tolist()
        assert (found.pictures.read(7) == domain.inputs[np.array([7])]).all()


def test_the_counts_on_the_cards_are_those_of_seventy_thousand_digits() -> None:
    counts = {p: [d.count for d in dataset_card(name).domains] for p, name in CARDS.items()}
    assert counts["irm"] == counts["inverse"] == [50_000 // 2, 50_000 // 2, 10_000]
    assert counts["domainbed"] == [len(range(i, 70_000, 3)) for i in range(3)]


def test_the_same_data_at_every_call(source: Source, built: dict[str, Dataset]) -> None:
    assert build(source[0]).manifest == built["irm"].manifest
    assert len({dataset.manifest for dataset in built.values()}) == 3


def test_an_unknown_protocol(source: Source) -> None:
    with pytest.raises(DataError, match=r"'domainbad'\. Did you mean 'domainbed'"):
        build(source[0], "domainbad")
