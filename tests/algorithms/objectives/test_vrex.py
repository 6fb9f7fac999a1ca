from __future__ import annotations

import pytest
import torch

from dgbench.algorithms.objectives.vrex import VREx


def test_toy_value(two):
    penalty = VREx(penalty_weight=1, anneal=0).loss(two()) - two().domain_risks().mean()
    assert penalty.item() == pytest.approx(0.003364839, abs=1e-9)


def test_is_the_biased_variance_of_the_domains_risks(uneven):
    risks = torch.stack([values.mean() for values in uneven.split(uneven.cross_entropy)])
    expected = risks.mean() + 10 * (risks - risks.mean()).square().sum() / 3
    torch.testing.assert_close(VREx(anneal=0).loss(uneven), expected)


def test_identical_domains_have_no_penalty(twins):
    torch.testing.assert_close(VREx(penalty_weight=1e6, anneal=0).loss(twins()), twins().domain_risks().mean())


def test_one_domain_has_no_penalty(one):
    assert torch.equal(VREx(anneal=0).loss(one()), one().domain_risks().mean())
