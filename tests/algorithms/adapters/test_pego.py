"""PEGO's penalty against worked examples and against full matrices; PEGO beside LoRA."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from dgbench.algorithms.adapters.lora import LoRA
from dgbench.algorithms.adapters.pego import PEGO, non_orthogonality
from dgbench.models.backbones import build
from dgbench.models.low_rank import LowRankDelta, low_rank_deltas
from dgbench.models.network import Backbone, Matrix, Network


def attached(adapter: LoRA | PEGO) -> Network:
    torch.manual_seed(0)
    network = Network(build("dgbench:vit-micro"), classes=10)
    adapter.attach(network, domains=2)
    return network


def shake(network: Network) -> None:
    torch.manual_seed(5)
    with torch.no_grad():
        for _, delta in low_rank_deltas(network):
            delta.B.normal_()


def naive(weight: Tensor, A: Tensor, B: Tensor) -> Tensor:
    """Every product as the paper's formula has it."""
    D = [b @ a for a, b in zip(A, B, strict=True)]
    total = sum((weight @ d.T).abs().sum() for d in D)
    return total + sum((D[n] @ D[m].T).abs().sum() for n in range(len(D)) for m in range(n + 1, len(D)))


E1, E2, E3, E4 = torch.eye(4)
D1 = (E1 + 2 * E2, E3)  # a column times a row
D2 = (E2 + E3, E4)
D3 = (E1 + 2 * E2, E1 + E3)
DEFICIENT = torch.diag(torch.tensor([1.0, 1.0, 0.0, 0.0]))


@pytest.mark.parametrize(
    ("weight", "changes", "expected"),
    [
        (DEFICIENT, [D1, D2], 0.0),
        (DEFICIENT, [D1, D1], 9.0),
        (DEFICIENT, [D3], 3.0),
        (DEFICIENT, [D1, D3], 12.0),
        (torch.eye(4), [D1], 3.0),
    ],
)
def test_worked_examples(weight: Tensor, changes: list[tuple[Tensor, Tensor]], expected: float) -> None:
    A = torch.stack([row[None] for _, row in changes])
    B = torch.stack([column[:, None] for column, _ in changes])
    assert non_orthogonality(weight, A, B).item() == expected


@pytest.mark.parametrize("terms", [1, 2, 5])
def test_thin_products_equal_full_ones_in_value_and_gradient(terms: int) -> None:
    torch.manual_seed(0)
    weight = torch.randn(10, 7, dtype=torch.float64)
    A = torch.randn(terms, 3, 7, dtype=torch.float64, requires_grad=True)
    B = torch.randn(terms, 10, 3, dtype=torch.float64, requires_grad=True)
    thin, full = non_orthogonality(weight, A, B), naive(weight, A, B)
    torch.testing.assert_close(thin, full)
    torch.testing.assert_close(torch.autograd.grad(thin, (A, B)), torch.autograd.grad(full, (A, B)))


def test_order_of_the_group_does_not_matter() -> None:
    torch.manual_seed(0)
    weight, A, B = torch.randn(6, 5), torch.randn(4, 2, 5), torch.randn(4, 6, 2)
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(non_orthogonality(weight, A[order], B[order]), non_orthogonality(weight, A, B))


def test_penalty_sums_over_q_and_v_of_every_block_with_its_weight() -> None:
    adapter = PEGO(rank=2, groups=3, penalty_weight=0.01)
    network = attached(adapter)
    shake(network)
    expected = torch.zeros(())
    for block in range(2):
        stored = network.get_submodule(f"backbone.blocks.{block}.attn.qkv").parametrizations.weight
        expected = expected + naive(stored.original[:48], stored[0].A, stored[0].B)
        expected = expected + naive(stored.original[96:], stored[1].A, stored[1].B)
    torch.testing.assert_close(adapter.penalty(network), 0.01 * expected)


def test_penalty_and_its_gradient_are_zero_at_the_start() -> None:
    adapter = PEGO()
    network = attached(adapter)
    penalty = adapter.penalty(network)
    penalty.backward()
    assert penalty.item() == 0
    for _, delta in low_rank_deltas(network):
        assert not delta.A.grad.any()
        assert not delta.B.grad.any()


def test_on_a_full_rank_weight_the_penalty_shrinks_the_change() -> None:
    torch.manual_seed(0)
    weight = torch.randn(16, 16)
    delta = LowRankDelta(weight, rank=2, terms=2)
    with torch.no_grad():
        delta.B.normal_()
    before = (delta.B @ delta.A).norm().item()
    optimizer = torch.optim.Adam(delta.parameters(), lr=0.02)
    for _ in range(300):
        optimizer.zero_grad()
        non_orthogonality(weight, delta.A, delta.B).backward()
        optimizer.step()
    assert (delta.B @ delta.A).norm().item() < 0.05 * before


def test_one_group_without_penalty_is_lora() -> None:
    pego, lora = attached(PEGO(rank=4, groups=1, penalty_weight=0)), attached(LoRA(rank=4, alpha=4))
    for network in (pego, lora):
        shake(network)
    x = torch.randn(2, 3, 16, 16)
    assert torch.equal(pego(x), lora(x))
    assert PEGO(groups=1, penalty_weight=0).penalty(pego).item() == 0


def test_size_on_a_vit_b() -> None:
    """12 blocks, d = 768: 147,456 numbers for each member of the group."""
    with torch.device("meta"):
        blocks = nn.Sequential(*(nn.Linear(768, 3 * 768) for _ in range(12)))
        rows = {"q": (0, 768), "k": (768, 1536), "v": (1536, 2304)}
        matrices = tuple(Matrix(f"{i}", "weight", role, rows[role], i) for i in range(12) for role in rows)
        network = Network(Backbone("vit-b", blocks, 768, 224, (0, 0, 0), (1, 1, 1), matrices), classes=7)
        PEGO(rank=4, groups=4).attach(network, domains=3)
    assert sum(p.numel() for p in network.parameters() if p.requires_grad) == 4 * 147_456 + 7 * 769


def test_loras_change_scales_with_alpha_over_rank() -> None:
    small, large = attached(LoRA(rank=2, alpha=2)), attached(LoRA(rank=2, alpha=6))
    for network in (small, large):
        shake(network)
    for (weight, one), (_, three) in zip(low_rank_deltas(small), low_rank_deltas(large), strict=True):
        torch.testing.assert_close(three.scale * three.B @ three.A, 3 * one.scale * one.B @ one.A)
        assert (one.scale, three.scale) == (1, 3)
        assert weight.shape == (48, 48)


def test_lora_can_change_keys_too() -> None:
    network = attached(LoRA(targets="qkv"))
    assert sorted({delta.start for _, delta in low_rank_deltas(network)}) == [0, 48, 96]
