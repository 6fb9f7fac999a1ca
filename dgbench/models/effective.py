"""Effective weights: what a network computes with, under the names of the plain network.

A parametrised weight (LoRA and its kin) is stored as a frozen original and low-rank factors. Factors do not average:
the mean of ``B A`` and ``(-B)(-A)`` is ``B A``, but the mean factors are 0. So whatever averages, interpolates or keeps
weights works on the merged ones, and two adapters on one backbone give states with the same names. So is a text tower
that makes the head (``models/texts.py``): it is a parametrisation of the head's rows, and the rows are what is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from dgbench.models.consistency import CONSISTENCY, Consistency
from dgbench.models.elsewhere import Elsewhere
from dgbench.models.network import Network
from dgbench.models.side import sides_of, widen

_MARK, _ORIGINAL = ".parametrizations.", ".original"
AUXILIARY = "auxiliary."
"""Opens the names of what an objective keeps between steps, which is no part of the effective weights."""
BESIDE = (AUXILIARY, CONSISTENCY)
"""Opens the names of what learns beside the network, by what the objective says of it."""


def effective_view(network: Network) -> dict[str, Tensor]:
    """Parameters and buffers by the names of the plain network, parametrised ones merged, auxiliary ones left out.

    Nothing is copied that need not be: unparametrised tensors are the network's own. Outside ``no_grad`` a merged
    tensor requires gradients if one of its factors does.
    """
    if isinstance(network, Elsewhere):
        return network.tensors()
    view = {}
    for key, tensor in network.state_dict(keep_vars=True).items():
        module, parametrised, rest = key.partition(_MARK)
        if key.startswith(AUXILIARY):
            continue
        if not parametrised:
            view[key] = tensor
        elif rest.endswith(_ORIGINAL) and "." not in (name := rest.removesuffix(_ORIGINAL)):
            view[f"{module}.{name}"] = getattr(network.get_submodule(module), name)
    return view


def effective_state(network: Network) -> dict[str, Tensor]:
    """A copy of the effective weights, without a graph."""
    with torch.no_grad():
        return {key: tensor.detach().clone() for key, tensor in effective_view(network).items()}


def load_effective(network: Network, state: dict[str, Tensor]) -> None:
    """Load effective weights into a plain network, which gets what else the state has: domain heads, a side network.

    Raises:
        ValueError: the network has parametrised weights, which would no longer be what the state says.
        RuntimeError, RecipeError: names or shapes differ.
    """
    if isinstance(network, Elsewhere):
        network.load(state)
        return
    if any(parametrize.is_parametrized(module) for module in network.modules()):
        raise ValueError("effective weights go into a plain network; build one without an adapter's parametrisations")
    if network.domain_heads is None and "domain_heads.weight" in state:
        rows, columns = state["domain_heads.weight"].shape
        heads = nn.utils.skip_init(nn.Linear, columns, rows)  # type: ignore[no-untyped-call]
        network.domain_heads = heads.to(network.head.weight)
    if network.side is None and (sides := sides_of(state)) is not None:
        widen(network, *sides)
    if network.consistency is None and (weight := state.get(f"{CONSISTENCY}weight")) is not None:
        network.consistency = Consistency(*weight.shape).to(network.head.weight)
    network.load_state_dict(state)


def beside(states: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Effective states of several networks as one: every name is opened by the number of its network."""
    return {f"{number}/{name}": tensor for number, state in enumerate(states) for name, tensor in state.items()}


def apart(state: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    """The networks of :func:`beside`, each with what has no number, which all share; one, where nothing has one."""
    shared: dict[str, Tensor] = {}
    own: dict[int, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        number, numbered, rest = name.partition("/")
        if numbered and number.isdecimal():
            own.setdefault(int(number), {})[rest] = tensor
        else:
            shared[name] = tensor
    return [shared | own[number] for number in sorted(own)] or [shared]


def head_of(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """What a head starts from: the shared head of an effective state, or the mean of its several heads."""
    weight, bias = state["head.weight"], state["head.bias"]
    if "domain_heads.weight" not in state:
        return {"weight": weight, "bias": bias}
    weights, biases = state["domain_heads.weight"], state["domain_heads.bias"]
    return {"weight": weights.view(-1, *weight.shape).mean(0), "bias": biases.view(-1, len(bias)).mean(0)}


def weighted_mean(terms: Iterable[tuple[float, dict[str, Tensor]]]) -> dict[str, Tensor]:
    """``sum_i w_i state_i / sum_i w_i`` of effective states, in float32 or better; one state at a time is held.

    A tensor that is the same in all states, and a mean with all weight on one end, come out exactly. What is no
    floating point number (counters) is the last state's.

    Raises:
        ValueError: there is no state, weights sum to 0, or the names differ.
    """
    mean: dict[str, Tensor] = {}
    dtypes: dict[str, torch.dtype] = {}
    total = 0.0
    for weight, state in terms:
        total += weight
        if not mean:
            dtypes = {key: tensor.dtype for key, tensor in state.items()}
            mean = {key: tensor.to(_accumulator(tensor), copy=True) for key, tensor in state.items()}
            continue
        if differing := mean.keys() ^ state.keys():
            raise ValueError(f"cannot average states of different networks: not in both are {sorted(differing)}")
        for key, tensor in state.items():
            if not tensor.is_floating_point():
                mean[key] = tensor.clone()
            elif weight:
                mean[key].lerp_(tensor.to(mean[key].dtype), weight / total)
    if not total:
        raise ValueError("a mean needs at least one state with a weight above 0")
    return {key: tensor.to(dtypes[key]) for key, tensor in mean.items()}


def _accumulator(tensor: Tensor) -> torch.dtype:
    return torch.promote_types(tensor.dtype, torch.float32) if tensor.is_floating_point() else tensor.dtype
