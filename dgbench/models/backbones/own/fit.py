"""Finding a network's tensors in a file: under whatever names programs put before theirs.

``module.encoder_q.conv1.weight``, ``state_dict.model.conv1.weight`` and ``featurizer.network.conv1.weight`` all end
with the name that the network itself has. So nothing is known here of the programs that wrote them: what stands before
the network's names is found, and must be the same before all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from dgbench.core.backbone_options import spelt
from dgbench.core.errors import DGBenchError
from dgbench.core.visible import visible

Tensors = Mapping[str, Tensor]
Adapt = Callable[[dict[str, Tensor]], dict[str, Tensor]]
"""Gives tensors the names and shapes that a network wants; it may raise whatever it likes on tensors of others."""

_OPTIONAL = ".num_batches_tracked"
"""Counts steps, enters no output, and is missing in files of earlier versions of torch."""
_LONG = 200
"""Characters of a name that are said."""
_POSITION = "pos"
"""In the names of embeddings and biases that belong to places in an image, so that another size has others."""
_TRIED = 8
"""Places in a file at which other names than the network's own are tried."""
_NOT_ITS = (KeyError, IndexError, ValueError, TypeError, AttributeError, RuntimeError, AssertionError)


@dataclass(frozen=True)
class Network:
    """What a network asks of a file.

    Attributes:
        name: As it is called in messages.
        tensors: Its parameters and buffers by name; their values do not matter.
        classifier: Names of layers that a file may have and a backbone has not.
        adapt: The library's own way to read files of earlier versions and of other programs.
    """

    name: str
    tensors: Tensors
    classifier: tuple[str, ...] = ()
    adapt: Adapt | None = None

    @cached_property
    def needed(self) -> frozenset[str]:
        """The tensors that a file must have."""
        return frozenset(name for name in self.tensors if not name.endswith(_OPTIONAL))

    @cached_property
    def _parts(self) -> frozenset[str]:
        return frozenset(name.partition(".")[0] for name in self.tensors if "." in name)

    def faults(self, tensors: Tensors) -> str:
        """What is wrong with tensors of these names; nothing if they fit."""
        missing = [name for name in self.tensors if name in self.needed and name not in tensors]
        if missing:
            return f"{len(missing)} of its {len(self.needed)} tensors are missing ({_some(missing)})"
        other = [
            f"{name} is {_kind(tensors[name])}, expected {_kind(own)}"
            for name, own in self.tensors.items()
            if name in tensors and not _alike(own, tensors[name])
        ]
        if other:
            return f"{len(other)} of its tensors have another shape or type ({_some(other, '; ')})"
        more = [name for name, tensor in tensors.items() if self._would_be_its(name, tensor)]
        if more:
            return f"the network of the file has {len(more)} tensors that this one has not ({_some(more)})"
        return ""

    def _would_be_its(self, name: str, tensor: Tensor) -> bool:
        """Whether a tensor lies in a part that the network has, and yet is none of its own: it is of a larger one."""
        part, dot, _ = name.partition(".")
        inside = bool(dot) and part in self._parts and name not in self.tensors
        of_classifier = any(name.startswith(f"{layer}.") for layer in self.classifier)
        return inside and not of_classifier and not name.endswith(_OPTIONAL) and tensor.is_floating_point()


@dataclass(frozen=True)
class Fitted:
    """A network's tensors in a file.

    Attributes:
        tensors: By the network's own names.
        under: What stood before the names; empty for nothing.
        several: Whether the file holds other weights of the same network, too, so that only ``under`` says which.
        changed: Names of tensors that the library gave another name or shape.
        left_out: Names of all others in the file.
    """

    tensors: dict[str, Tensor]
    under: str
    several: bool
    changed: tuple[str, ...]
    left_out: tuple[str, ...]

    def report(self, file: str, network: Network) -> str:
        """What was found and what was left out, in words."""
        words = f"{file}: {len(self.tensors)} tensors of {network.name}"
        words += f" under '{self.under}'" if self.under else ""
        if self.changed:
            words += f", of which {len(self.changed)} had other names or shapes ({_some(self.changed)})"
        if not self.left_out:
            return f"{words}; nothing else is there"
        place = f"{self.under}." if self.under else ""
        layers = tuple(f"{place}{layer}." for layer in network.classifier)
        head = [name for name in self.left_out if name.startswith(layers)]
        others = [name for name in self.left_out if name not in head]
        parts = [f"its classifier ({_some(head)})"] if head else []
        parts += [f"{len(others)} other{'s' if len(others) > 1 else ''} ({_some(others)})"] if others else []
        return f"{words}; left out: {' and '.join(parts)}"


def fit(file: str, tensors: Tensors, network: Network, under: str | None, others: Iterable[Network] = ()) -> Fitted:
    """A network's tensors among those of a file: all of them, or an error.

    Args:
        file: As it is called in messages.
        tensors: Everything that the file has.
        network: What is wanted.
        under: Where it is wanted from; None for wherever it is.
        others: Networks to propose if another than this one fits.

    Raises:
        DGBenchError: it is not there, not whole, of other shapes, there more than once, or holds what is no number.
    """
    given = None if under is None else ("" if under == "." else f"{under}.")
    if given is not None and not any(name.startswith(given) for name in tensors):
        raise DGBenchError(f"{file} has nothing under '{under}'; its names are, for instance, {_some(tensors)}")
    places = _places(tensors, network)
    fitting = {place: found for place in places if not network.faults(found := _under(tensors, place))}
    if not fitting or (given is not None and given not in fitting):
        fitting = _adapted(tensors, network, [*([] if given is None else [given]), *_tried(tensors, places)])
    if not fitting or (given is not None and given not in fitting):
        raise DGBenchError(_misfit(file, tensors, network, places if given is None else [given], others))
    place = _only(file, fitting, network) if given is None else given
    found = fitting[place]
    taken = {name: found[name] for name in network.tensors if name in found}
    for name, tensor in taken.items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise DGBenchError(f"{file}: the tensor '{name}' holds values that are no numbers; take other weights")
    return Fitted(
        taken,
        under=place.removesuffix("."),
        several=any(_differ(found, other, network) for other in fitting.values()),
        changed=tuple(name for name, tensor in taken.items() if tensor is not tensors.get(place + name)),
        left_out=(
            *(place + name for name in found if name not in taken),
            *(name for name in tensors if not name.startswith(place)),
        ),
    )


def load(module: nn.Module, fitted: Fitted) -> None:
    """Give a network the tensors of a file, in its own layout and type."""
    counts = {name: torch.zeros_like(own) for name, own in module.state_dict().items() if name.endswith(_OPTIONAL)}
    module.load_state_dict(counts | fitted.tensors)


def _places(tensors: Tensors, network: Network) -> list[str]:
    """What stands before the network's names in a file, with its dot; before most of them first."""
    places: Counter[str] = Counter()
    for name in tensors:
        at = 0
        while at >= 0:
            places[name[:at]] += name[at:] in network.needed
            at = name.find(".", at) + 1 or -1
    found = [(count, place) for place, count in places.items() if count]
    return [place for _, place in sorted(found, key=lambda one: (-one[0], len(one[1])))][:_TRIED]


def _tried(tensors: Tensors, places: list[str]) -> list[str]:
    """Places where tensors may be the network's under other names: where some match, and each table of the file."""
    tables = dict.fromkeys(name.partition(".")[0] + "." for name in tensors if "." in name)
    return list(dict.fromkeys([*places[: _TRIED // 2], "", *tables]))[:_TRIED]


def _under(tensors: Tensors, place: str) -> dict[str, Tensor]:
    return {name.removeprefix(place): tensor for name, tensor in tensors.items() if name.startswith(place)}


def _adapted(tensors: Tensors, network: Network, places: Iterable[str]) -> dict[str, dict[str, Tensor]]:
    """What the library makes of the tensors at each place where it finds the network."""
    fitting: dict[str, dict[str, Tensor]] = {}
    for place in dict.fromkeys(places) if network.adapt else ():
        with suppress(*_NOT_ITS):
            before = _under(tensors, place)
            found = network.adapt(dict(before))  # type: ignore[misc]
            if not network.faults(found) and not _resampled(before, found):
                fitting[place] = found
    return fitting


def _resampled(before: Tensors, after: Tensors) -> bool:
    """Whether anything but positions was interpolated: a library would make patches of 32 pixels of those of 16."""
    both = [name for name in after if name in before and _POSITION not in name]
    return any(after[name].numel() != before[name].numel() for name in both)


def _only(file: str, fitting: Mapping[str, Tensors], network: Network) -> str:
    """The one place where a network is, or the first of several that hold the same."""
    first, *more = fitting
    if any(_differ(fitting[first], fitting[place], network) for place in more):
        where = [place.removesuffix(".") or "." for place in fitting]
        raise DGBenchError(
            f"{file} holds {network.name} {len(where)} times, with other weights each time, under "
            f"{_some(map(repr, where))}; say which is meant: under={spelt(where[0])}"
        )
    return first


def _differ(one: Tensors, other: Tensors, network: Network) -> bool:
    return one is not other and not all(torch.equal(one[name], other[name]) for name in network.needed)


def _alike(own: Tensor, given: Tensor) -> bool:
    return own.shape == given.shape and own.is_floating_point() == given.is_floating_point()


def _kind(tensor: Tensor) -> str:
    """Its shape, and its type where that is none of weights."""
    return f"{list(tensor.shape)}" + ("" if tensor.is_floating_point() else f" of {tensor.dtype}")


def _misfit(file: str, tensors: Tensors, network: Network, places: list[str], others: Iterable[Network]) -> str:
    best = places[0] if places else ""
    found = _under(tensors, best)
    own = any(name in found for name in network.needed)
    where = f" under '{best.removesuffix('.')}'" if best else ""
    if not own:
        reason = f"none of its names is there; the file has {_some(tensors)}, the network {_some(network.tensors)}"
    else:
        reason = network.faults(found)
    tried = [_under(tensors, place) for place in places[:3]]
    close = [other.name for other in others if any(not other.faults(found) for found in tried)] if tried else []
    meant = f". Did you mean {' or '.join(map(repr, close[:3]))}?" if close else ""
    return f"{file} does not fit {network.name}{where}: {reason}{meant}"


def _some(names: Iterable[str], between: str = ", ") -> str:
    """The first few. They come from a file, so nothing in them acts where they are printed."""
    listed = list(names)
    return between.join(visible(name[:_LONG]) for name in listed[:3]) + (f"{between}..." if len(listed) > 3 else "")
