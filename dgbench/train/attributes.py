"""What an object of somebody else's class has become, as named tensors and plain JSON, and how another becomes it.

A module is more than its parameters and buffers: optimizers, queues, counters and past gradients are its attributes.
They are walked, through lists, tuples, dictionaries, deques and sets, down to tensors, arrays, numbers and text; an
optimizer of torch, or a schedule of its rate, is what its ``state_dict`` says. Of modules of installed packages, what
is no such thing stays as code makes it; of torch's, lists and their like do, too. What is none of these (an iterator,
somebody's own object, a tensor with a graph, a function that holds a list) cannot be kept, and then nothing is: whoever
asks is told what it was.

It is put back into a fresh object of the class: what only code can make must be there already. Nothing is pickled.
"""

from __future__ import annotations

import functools
import math
import sys
import types
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dgbench.algorithms.slots import State

Plain = Any
"""What JSON holds."""

_MODULE = frozenset(vars(nn.Module())) - {"training"}
"""What torch keeps of any module."""
_SAYS_ITS_STATE = (torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler, torch.amp.GradScaler)
_CALLED = (types.FunctionType, types.BuiltinFunctionType, types.MethodType, functools.partial)
_STAYS = (
    *(type, types.ModuleType, range),
    *(torch.dtype, torch.device, torch.Size, torch.layout, torch.memory_format),
    *(torch.no_grad, torch.enable_grad, torch.inference_mode),
)
"""What code makes once, and nobody changes."""
_DATA = (Tensor, np.ndarray, np.generic, torch.Generator, list, tuple, dict, deque, set, nn.Module)
_OF_TORCH = (Tensor, np.ndarray, np.generic)
_ALL = (object,)
"""What is kept, beside scalars, of modules of installed packages, of torch's, and of all others."""
_ARRAYS = frozenset({"bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"})


class UnkeepableError(Exception):
    """Something that cannot be kept: where it is, and what."""


class Attributes:
    """What an object has become.

    Args:
        root: The object.

    Attributes:
        tensors: All of it that is tensors.
        plain: All that is not.
        needs: What a fresh object must have of itself, by place: modules, parameters, optimizers, functions.

    Raises:
        UnkeepableError: there is something that cannot be kept.
    """

    def __init__(self, root: nn.Module) -> None:
        self.tensors: State = {}
        self.needs: dict[str, str] = {}
        self._named = {id(t): name for name, t in _named(root)}
        self._modules = {id(module): name for name, module in root.named_modules()}
        self._seen: dict[int, str] = {}
        self._memory: set[int] = set()
        self._alive: list[Any] = []  # an id is a name only while its owner lives
        self._own = packages(type(root))
        for name, tensor in _named(root):
            self.tensors[f"own/{name}"] = tensor.detach()
            self._memory.add(tensor.untyped_storage().data_ptr())
            if tensor.grad is not None:
                self.tensors[f"grad/{name}"] = tensor.grad.detach()
        self.needs |= {f"parameter {name}": str(list(p.shape)) for name, p in root.named_parameters()}
        self.plain: Plain = {
            "frozen": [name for name, p in root.named_parameters() if not p.requires_grad],
            "buffers": [name for name, _ in root.named_buffers()],
            "modules": [[name, self._of(module, name)] for name, module in root.named_modules()],
        }

    def _of(self, module: nn.Module, name: str) -> Plain:
        """Pairs, since what is the same as before is found by what came before: JSON may sort the names of a table."""
        self.needs[f"module {name}"] = type(module).__qualname__
        wanted = _wanted(type(module), self._own)
        found = [(k, v) for k, v in vars(module).items() if k not in _MODULE and not _anew(module, k)]
        found = [(key, value) for key, value in found if _scalar(value) or isinstance(value, wanted)]
        return [[key, self._kept(value, f"{name}.{key}".lstrip("."))] for key, value in found]

    def _kept(self, value: Any, place: str) -> Plain:
        if _scalar(value):
            return {"float": repr(value)} if isinstance(value, float) and not math.isfinite(value) else value
        if isinstance(value, _STAYS):
            self.needs[place] = getattr(value, "__qualname__", None) or repr(value)
            return {"stays": True}
        if isinstance(value, _CALLED):
            self.needs[place] = self._called(value, place, [])
            return {"stays": True}
        if id(value) in self._modules:
            return {"module": self._modules[id(value)]}
        if id(value) in self._named:
            return {"named": self._named[id(value)]}
        if id(value) in self._seen:
            return {"same": self._seen[id(value)]}
        self._seen[id(value)] = place
        self._alive.append(value)
        if isinstance(value, Tensor):
            return self._loose(value, place)
        if isinstance(value, np.ndarray | np.generic) and value.dtype.name in _ARRAYS:
            self.tensors[f"loose/{place}"] = torch.from_numpy(np.array(value))
            return {"array": place, "number": isinstance(value, np.generic)}
        if isinstance(value, torch.Generator):
            self.needs[place] = f"a generator on {value.device}"
            self.tensors[f"loose/{place}"] = value.get_state()
            return {"generator": place}
        if isinstance(value, nn.Module):  # one that torch does not know of: it is in a list, or hidden
            self.needs[place] = f"{type(value).__qualname__} {[list(t.shape) for _, t in _named(value)]}"
            kept = {name: self._kept(t, f"{place}.{name}") for name, t in _named(value)}
            inside = [self._of(module, f"{place}.{name}".rstrip(".")) for name, module in value.named_modules()]
            return {"hidden": kept, "modules": inside}
        if isinstance(value, _SAYS_ITS_STATE) and _package(type(value)) == "torch":
            self.needs[place] = f"{type(value).__qualname__}{self._over(value)}"
            return {"state": self._kept(value.state_dict(), f"{place}.state_dict()")}
        if type(value) in (list, tuple, deque, set):
            ordered = sorted(value, key=repr) if type(value) is set else value  # a set's own order is chance
            inside = [self._kept(each, f"{place}[{number}]") for number, each in enumerate(ordered)]
            return {type(value).__name__: inside, **({"most": value.maxlen} if isinstance(value, deque) else {})}
        if type(value) in (dict, OrderedDict) and all(map(_scalar, value)):
            pairs = [[self._kept(key, place), self._kept(each, f"{place}[{key!r}]")] for key, each in value.items()]
            return {"dict": pairs, "ordered": type(value) is OrderedDict}
        raise UnkeepableError(f"its attribute '{place}' is of the type {type(value).__qualname__}")

    def _called(self, value: Any, place: str, around: list[Any]) -> str:
        """What can be called, and all that it holds, which must be what nobody changes, or what is kept itself."""
        if _scalar(value):
            return repr(value)
        if id(value) in self._modules or (isinstance(value, nn.Parameter) and id(value) in self._named):
            return self._modules.get(id(value)) or self._named.get(id(value), "")
        if isinstance(value, _STAYS) or any(value is each for each in around):
            return getattr(value, "__qualname__", None) or repr(value)
        if isinstance(value, types.FunctionType):
            cells = [cell.cell_contents for cell in value.__closure__ or () if cell != types.CellType()]
            held = [*cells, *(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values(), *vars(value).values()]
        elif isinstance(value, types.MethodType):
            held = [value.__self__, value.__func__]
        elif isinstance(value, types.BuiltinFunctionType):
            held = [value.__self__]
        elif isinstance(value, functools.partial):
            held = [value.func, *value.args, *value.keywords.values(), *vars(value).values()]
        elif type(value) is tuple:
            held = list(value)
        else:
            raise UnkeepableError(f"its attribute '{place}' is called with a {type(value).__qualname__} that it holds")
        name = getattr(value, "__qualname__", type(value).__qualname__)
        return f"{name}({', '.join(self._called(each, place, [*around, value]) for each in held)})"

    def _over(self, optimizer: Any) -> str:
        """Which tensors an optimizer moves."""
        groups = getattr(optimizer, "param_groups", [])
        return str([[self._named.get(id(p), list(p.shape)) for p in group["params"]] for group in groups])

    def _loose(self, tensor: Tensor, place: str) -> Plain:
        """A tensor that torch knows of no module for."""
        if tensor.grad_fn is not None:
            raise UnkeepableError(f"its attribute '{place}' is a tensor with a graph")
        if tensor.layout != torch.strided or tensor.untyped_storage().data_ptr() in self._memory - {0}:
            raise UnkeepableError(f"its attribute '{place}' is a view of another tensor, or not dense")
        self._memory.add(tensor.untyped_storage().data_ptr())
        self.tensors[f"loose/{place}"] = tensor.detach()
        grad = None if tensor.grad is None else self._kept(tensor.grad, f"{place}.grad")
        kind = [isinstance(tensor, nn.Parameter), tensor.requires_grad, tensor.device.type == "cpu"]
        strides = torch.empty_like(tensor, device="meta").stride()
        return {"tensor": place, "strides": list(strides), "kind": kind, "grad": grad}


def restore(root: nn.Module, tensors: State, plain: Plain) -> None:
    """Make a fresh object into what another had become.

    Args:
        root: The fresh object: it has all that :attr:`Attributes.needs` says.
        tensors, plain: Of :class:`Attributes`.
    """
    back = _Back(root, tensors, plain)
    modules = dict(root.named_modules())
    for name, attributes in plain["modules"]:
        back.put(modules[name], attributes, name)


class _Back:
    """Puts what was kept back to where it was."""

    def __init__(self, root: nn.Module, tensors: State, plain: Plain) -> None:
        self._tensors = tensors
        self._own = packages(type(root))
        self._modules = dict(root.named_modules())
        before = dict(root.named_buffers())
        for name in before.keys() - set(plain["buffers"]):
            self._set_buffer(name, None)
        for name in plain["buffers"]:
            kept = tensors[f"own/{name}"]
            if name not in before or _like(before[name]) != _like(kept):
                self._set_buffer(name, kept.clone())
        self._named = dict(_named(root))
        self._made: dict[str, Any] = {}
        self._used = {id(tensor) for tensor in self._named.values()}
        frozen = set(plain["frozen"])
        with torch.no_grad():
            for name, tensor in self._named.items():
                tensor.copy_(tensors[f"own/{name}"])
                if isinstance(tensor, nn.Parameter):
                    tensor.requires_grad_(name not in frozen)
                grad = tensors.get(f"grad/{name}")
                tensor.grad = None if grad is None else torch.empty_like(tensor).copy_(grad)

    def _set_buffer(self, name: str, buffer: Tensor | None) -> None:
        module, _, own = name.rpartition(".")
        self._modules[module]._buffers[own] = buffer

    @torch.no_grad()
    def put(self, module: nn.Module, attributes: Plain, place: str) -> None:
        """The attributes of a module, all of them where its class is not of an installed package."""
        there = module.__dict__
        if _wanted(type(module), self._own) is _ALL:
            for key in there.keys() - _MODULE - {key for key, _ in attributes}:
                del there[key]
        for key, kept in attributes:
            there[key] = self._back(kept, there.get(key), f"{place}.{key}".lstrip("."))

    def _back(self, kept: Plain, now: Any, place: str) -> Any:
        if not isinstance(kept, dict):
            return kept
        match kept:
            case {"float": text}:
                return float(text)
            case {"stays": True}:
                return now
            case {"module": name}:
                return self._modules[name]
            case {"named": name}:
                return self._named[name]
            case {"same": before}:
                return self._made[before]
            case {"array": key, "number": number}:
                array = self._tensors[f"loose/{key}"].cpu().numpy().copy()
                made = self._made[place] = array[()] if number else array
                return made
            case {"generator": key}:
                now.set_state(self._tensors[f"loose/{key}"].cpu())
                return self._noted(place, now)
            case {"hidden": tensors, "modules": modules}:
                for name, tensor in _named(now):
                    self._back(tensors[name], tensor, f"{place}.{name}")
                for (name, module), attributes in zip(now.named_modules(), modules, strict=True):
                    self.put(module, attributes, f"{place}.{name}".rstrip("."))
                return self._noted(place, now)
            case {"state": state}:
                now.load_state_dict(self._back(state, now.state_dict(), f"{place}.state_dict()"))
                return self._noted(place, now)
            case {"tensor": key}:
                return self._loose(kept, self._tensors[f"loose/{key}"], now, place)
            case {"dict": pairs, "ordered": ordered}:
                table: dict[Any, Any] = self._noted(place, OrderedDict() if ordered else {})
                before = now if isinstance(now, dict) else {}
                for kept_key, each in pairs:
                    key = self._back(kept_key, None, place)
                    table[key] = self._back(each, before.get(key), f"{place}[{key!r}]")
                return table
        ((kind, inside),) = [(name, each) for name, each in kept.items() if name != "most"]
        made_of: Callable[[Iterable[Any]], Any] = {"list": list, "tuple": tuple, "set": set}.get(
            kind, lambda each: deque(each, kept.get("most"))
        )
        if kind == "tuple":
            return self._noted(place, tuple(self._each(inside, now, place)))
        many = self._noted(place, made_of(()))
        (many.update if kind == "set" else many.extend)(self._each(inside, now, place))
        return many

    def _each(self, inside: list[Plain], now: Any, place: str) -> Iterator[Any]:
        before = list(now) if isinstance(now, list | tuple | deque) else []
        for number, each in enumerate(inside):
            yield self._back(each, before[number] if number < len(before) else None, f"{place}[{number}]")

    def _noted(self, place: str, made: Any) -> Any:
        self._made[place] = made
        return made

    def _loose(self, kept: Plain, tensor: Tensor, now: Any, place: str) -> Tensor:
        """A tensor in the place of another, which an optimizer may know, or a new one."""
        is_parameter, moves, on_cpu = kept["kind"]
        tensor = tensor.cpu() if on_cpu else tensor  # Adam counts its steps there, wherever its weights are
        made: Tensor
        alike = isinstance(now, Tensor) and _like(now) == _like(tensor)
        if alike and isinstance(now, nn.Parameter) == is_parameter and id(now) not in self._used:
            made = now
        else:
            made = torch.empty_strided(tensor.shape, kept["strides"], dtype=tensor.dtype, device=tensor.device)
            made = nn.Parameter(made, requires_grad=moves) if is_parameter else made
        made.requires_grad_(moves).detach().copy_(tensor)
        if kept["grad"] is not None:
            made.grad = self._back(kept["grad"], None, f"{place}.grad")
        self._used.add(id(made))
        self._made[place] = made
        return made


def packages(of: type[nn.Module]) -> frozenset[str]:
    """The packages whose classes are the algorithm's own: its, and those of the classes that it derives from."""
    return frozenset(_package(base) for base in of.__mro__) - {"torch", "builtins"}


def _wanted(of: type[Any], own: frozenset[str]) -> tuple[type[Any], ...]:
    """Which attributes of a module's class are kept."""
    if _package(of) == "torch":
        return _OF_TORCH
    file = getattr(sys.modules.get(of.__module__), "__file__", None) or ""
    if _package(of) not in own and {"site-packages", "dist-packages"} & set(Path(file).parts):
        return _DATA
    return _ALL


def _anew(module: nn.Module, key: str) -> bool:
    """Whether torch's own hooks compute a weight of its modules from others each time."""
    of = module._parameters.keys() if _package(type(module)) == "torch" else set()
    return f"{key}_orig" in of or {f"{key}_g", f"{key}_v"} <= of


def _package(of: type[Any]) -> str:
    return of.__module__.partition(".")[0]


def _named(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Parameters and buffers, each once."""
    yield from module.named_parameters()
    yield from module.named_buffers()


def _like(tensor: Tensor) -> tuple[Any, ...]:
    return tensor.shape, tensor.dtype, tensor.device


def _scalar(value: Any) -> bool:
    return value is None or type(value) in (bool, int, float, str)
