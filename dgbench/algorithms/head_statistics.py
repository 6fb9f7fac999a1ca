"""Closed forms for the gradient of the cross-entropy in a linear head: no per-sample backward, no double backward.

For logits ``z = W phi + b`` and a target ``y`` the gradient in the logits is the residual ``r = softmax(z) - y``, and
the gradient of one example in ``[W | b]`` is the outer product ``r [phi, 1]'``. Everything here follows from that, and
is differentiable by one ordinary backward.
"""

from __future__ import annotations

from dgbench.algorithms.later import F, Tensor, torch
from dgbench.algorithms.step import Forward


def residuals(forward: Forward) -> Tensor:
    """Gradient of each example's cross-entropy in its logits, ``[n, C]``; every row sums to 0."""
    return forward.logits.softmax(1) - forward.batch.targets(forward.logits.shape[1])


def slopes(forward: Forward, shares: Tensor) -> Tensor:
    """Gradient in the logits, ``[n, C]``, of ``sum_i shares_i CE_i``: residuals at their shares ``[n]``; of squared
    errors twice the residuals ``z - y``.

    torch's own backward of the softmax is called, so that the bits are those of a graph.
    """
    batch = forward.batch
    if batch.y.is_floating_point():
        return shares[:, None] * (2 * (forward.logits - batch.targets(1)))
    scores = forward.log_probabilities
    if batch.target is None:
        given = torch.zeros_like(scores).scatter_(1, batch.y[:, None], -shares[:, None])
    else:
        given = -shares[:, None] * batch.target
    return torch._log_softmax_backward_data(given, scores, 1, scores.dtype)


def gradient_moments(forward: Forward) -> tuple[Tensor, Tensor]:
    """Mean and mean square, over the examples of each domain, of the head's gradient ``[W | b]``.

    Both are ``[M, C, d + 1]``, with the bias in the last column. The n outer products are never formed.
    """
    r = residuals(forward)
    phi = F.pad(forward.features, (0, 1), value=1.0)
    share = forward.domain_means(torch.eye(len(r), dtype=r.dtype, device=r.device))  # [M, n], rows sum to 1
    return (
        torch.einsum("mn,nc,nd->mcd", share, r, phi),
        torch.einsum("mn,nc,nd->mcd", share, r.square(), phi.square()),
    )


def inner_products(features: Tensor) -> Tensor:
    """Of all examples' features, each with a 1 for the bias, ``[n, n]``.

    The inner product of two sums of outer products, ``sum_i a_i phi_i'`` and ``sum_j b_j phi_j'``, is
    ``sum_ij (a_i.b_j) (phi_i.phi_j)``: with these, what has the size of the head is never formed.
    """
    return from_both_sides(one_sided(features))


def one_sided(features: Tensor) -> Tensor:
    """The inner products, with a gradient in those features alone that stand for the rows."""
    return features @ features.detach().t() + 1


def from_both_sides(products: Tensor) -> Tensor:
    """The same numbers with their whole gradient, for one matrix product backward in place of two."""
    return products + products.t() - products.detach()


def spread(forward: Forward, rows: Tensor, inner: Tensor) -> Tensor:
    """How far matrices differ between domains: ``mean_e ||Z_e - mean Z||_F^2``, a scalar, at least 0.

    Args:
        forward: Says which example is of which domain.
        rows: What stands for each example in ``Z_e = mean_{i in e} rows_i phi_i'``, ``[n, C]``: with residuals ``Z`` is
            the gradient of a domain's risk in the head.
        inner: Inner products of the ``phi_i``, ``[n, n]``.
    """
    shares = forward.domain_shares()
    apart = shares - shares.mean(0)
    return ((apart @ (rows @ rows.t() * inner)) * apart).sum() / forward.domains


def squared_norms(forward: Forward) -> tuple[Tensor, Tensor]:
    """Squared norm of each example's gradient in the weight and in the bias, ``[n]`` each."""
    bias = residuals(forward).square().sum(1)
    return bias * forward.features.square().sum(1), bias


def curved(p: Tensor, u: Tensor) -> Tensor:
    """``(diag(p) - p p') u`` of each example: the Hessian of its cross-entropy in the logits, along ``u [n, C]``."""
    return p * (u - (p * u).sum(1, keepdim=True))
