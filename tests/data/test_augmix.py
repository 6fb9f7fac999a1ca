"""AugMix: mixtures that can be computed by hand, and what its random numbers are."""

import pytest
import torch
from smooth import pictures, seeded

from dgbench.data.augment import augmix as am
from dgbench.data.augment.augmix import augmix
from dgbench.data.augment.rand_augment import Entry


def constant(name: str, value: float) -> Entry:
    return Entry(name, frozenset(), lambda x, amount: x.fill_(value))


def test_without_severity_and_posterized_bits_images_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Operations of no magnitude leave images alone (those without a magnitude aside), and shares sum to 1."""
    moving = tuple(entry for entry in am.OPERATIONS if entry.name not in ("AutoContrast", "Posterize", "Solarize"))
    monkeypatch.setattr(am, "OPERATIONS", moving)
    x = pictures(4, 16, 20) / 400 + 0.2
    torch.testing.assert_close(augmix(x, seeded(), severity=0), x)


def test_an_image_keeps_a_uniform_share_of_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one operation that makes all white, a black image becomes 1 - m, and m is uniform."""
    monkeypatch.setattr(am, "OPERATIONS", (am.OPERATIONS[0], constant("White", 1)))
    values = augmix(torch.zeros(4000, 3, 1, 1), seeded())[:, 0, 0, 0]
    assert values.mean().item() == pytest.approx(0.5, abs=0.02)
    assert values.var().item() == pytest.approx(1 / 12, abs=0.005)


def test_chains_have_shares_of_a_flat_dirichlet(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain that ends white counts, one that ends black does not; for w ~ Dirichlet(1, 1, 1), E sum w_i^2 = 1/2.

    With white and black as likely, E (sum of white shares)^2 = 1/4 E sum w_i^2 + 1/4 E (sum w)^2 = 3/8, and
    E (1 - m)^2 = 1/3.
    """
    monkeypatch.setattr(am, "OPERATIONS", (am.OPERATIONS[0], constant("White", 1), constant("Black", 0)))
    values = augmix(torch.zeros(8000, 3, 1, 1), seeded())[:, 0, 0, 0]
    assert values.square().mean().item() == pytest.approx(3 / 8 / 3, abs=0.006)


def test_chains_are_one_to_three_operations_long(monkeypatch: pytest.MonkeyPatch) -> None:
    halves = Entry("Halve", frozenset(), lambda x, amount: x.mul_(0.5))
    monkeypatch.setattr(am, "OPERATIONS", (am.OPERATIONS[0], halves))
    values = augmix(torch.ones(6000, 3, 1, 1), seeded(), chains=1)[:, 0, 0, 0]
    # m + (1 - m) 2^-length: half of 1 and of the mean of 1/2, 1/4, 1/8
    assert values.mean().item() == pytest.approx(0.5 + 0.5 * 7 / 24, abs=0.01)


def test_operations_are_those_of_rand_augment_without_colours() -> None:
    names = [entry.name for entry in am.OPERATIONS]
    assert names[0] == "Identity"
    assert not {"Brightness", "Color", "Contrast"} & set(names)
    assert len(names) == 9
