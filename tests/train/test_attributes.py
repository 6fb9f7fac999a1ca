"""Whatever an object of somebody's class has become, a fresh one becomes, by way of tensors and JSON alone."""

import functools
import sys
import types
from collections import OrderedDict, deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from dgbench.core.files import read_json, write_json
from dgbench.train.attributes import Attributes, UnkeepableError, restore
from dgbench.train.trajectory import save


class Inner(nn.Module):
    """A module of the same package, with an attribute of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.seen = 0


class Odd(nn.Module):
    """All that can be kept."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Inner()
        self.hidden = [nn.Linear(3, 1), nn.Dropout(0.5)]
        self.register_buffer("empty", torch.Tensor())
        self.register_buffer("unsaved", torch.zeros(2), persistent=False)
        self.weight = torch.ones(3, 2).t().requires_grad_()
        self.same = self.weight
        self.parameters_too = list(self.inner.parameters())
        self.optimizer = torch.optim.AdamW([*self.inner.parameters(), self.weight], lr=0.001, amsgrad=True)
        self.schedules = {"one": torch.optim.lr_scheduler.OneCycleLR(self.optimizer, 0.01, total_steps=20)}
        self.scaler = torch.amp.GradScaler("cpu", enabled=True)
        self.generator = torch.Generator().manual_seed(1)
        self.table: OrderedDict[Any, Any] = OrderedDict([(1, "one"), ("two", None)])
        self.queue: deque[Any] = deque([1, 2.5], maxlen=3)
        self.kinds: set[str] = set()
        self.pair: tuple[Any, ...] = (0, torch.zeros(1, dtype=torch.float64))
        self.number: Any = np.float64(0)
        self.best = float("-inf")
        self.loss = nn.functional.mse_loss

    def update(self) -> Tensor:
        """Numbers that depend on all that there is."""
        x = torch.rand(4, 3, generator=self.generator) + sum(float(each) for each in self.queue) / 100
        self.optimizer.zero_grad()
        made = (
            self.hidden[1](self.hidden[0](self.inner.linear(x))) + (x @ self.weight.t()).mean() * len(self.kinds) / 10
        )
        loss = self.loss(made, torch.zeros_like(made) + self.pair[1].float() + float(self.number))
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.schedules["one"].step()
        self.queue.append(float(loss.detach()) / 1000)
        self.table.move_to_end(1)
        self.table["two"] = [self.queue, torch.full((2, 2), float(loss.detach()))]
        self.kinds.add(f"{len(self.kinds)}")
        self.pair = (self.pair[0] + 1, self.pair[1] + 0.5)
        self.number = np.float64(self.number + 0.25)
        self.best = max(self.best, -float(loss.detach()))
        self.empty = torch.full((self.pair[0],), self.best)
        self.unsaved += 1
        self.inner.seen += 1
        self.inner.linear.bias.requires_grad_(self.inner.seen % 2 == 0)
        self.hidden[1].training = not self.hidden[1].training
        return loss.detach()


def kept(root: nn.Module, folder: Path) -> tuple[dict[str, Tensor], Any]:
    """As a store gives it back."""
    found = Attributes(root)
    save(folder / "kept.safetensors", found.tensors)
    write_json(folder / "kept.json", found.plain)
    return load_file(folder / "kept.safetensors"), read_json(folder / "kept.json")


def run(odd: Odd, steps: range) -> list[Tensor]:
    losses = []
    for step in steps:
        torch.manual_seed(step)
        losses.append(odd.update())
    return losses


def odd() -> Odd:
    torch.manual_seed(0)
    return Odd()


def test_a_fresh_object_goes_on_as_the_other_would_have(tmp_path: Path) -> None:
    one, other = odd(), odd()
    run(one, range(5))
    assert Attributes(one).needs == Attributes(other).needs
    restore(other, *kept(one, tmp_path))
    assert other.weight is other.same is other.optimizer.param_groups[0]["params"][-1]
    assert other.parameters_too[0] is other.inner.linear.weight
    assert other.table["two"][0] is other.queue
    assert (type(other.table), type(other.number), other.queue.maxlen) == (OrderedDict, np.float64, 3)
    assert list(other.table) == list(one.table)
    assert other.weight.stride() == one.weight.stride()
    for before, after in zip(run(one, range(5, 9)), run(other, range(5, 9)), strict=True):
        assert torch.equal(before, after)
        assert before.isfinite()
    first, second = (Attributes(each) for each in (one, other))
    assert first.plain == second.plain
    assert first.tensors.keys() == second.tensors.keys()
    assert all(torch.equal(tensor, second.tensors[name]) for name, tensor in first.tensors.items())


def test_a_set_is_kept_in_one_order_whatever_its_own() -> None:
    """Numbers that are 8 apart want one place in a small set, and stand in the order in which they came."""
    one, other = odd(), odd()
    one.met, other.met = {0, 8}, {8, 0}
    assert list(one.met) != list(other.met)
    assert Attributes(one).plain == Attributes(other).plain


class Descent(torch.optim.SGD):
    """An optimizer that torch does not know."""


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (iter([1]), "'held' is of the type list_iterator"),
        ([1, {"a": object()}], r"'held\[1\]\['a'\]' is of the type object"),
        (Descent([torch.zeros(1)], lr=0.1), "'held' is of the type Descent"),
        (torch.ones(2, requires_grad=True) * 2, "'held' is a tensor with a graph"),
        (np.array(["text"]), "'held' is of the type ndarray"),
        ({(1, 2): 3}, "'held' is of the type dict"),
    ],
    ids=["iterator", "nested", "optimizer", "graph", "text", "keys"],
)
def test_what_cannot_be_kept_is_named(value: Any, why: str) -> None:
    made = odd()
    made.held = value
    with pytest.raises(UnkeepableError, match=why):
        Attributes(made)


def test_two_tensors_with_one_memory_are_not_torn_apart() -> None:
    made = odd()
    made.view = made.weight.detach()[0]
    with pytest.raises(UnkeepableError, match="'view' is a view of another tensor"):
        Attributes(made)
    other = odd()
    other.view = other.inner.linear.weight.detach()[0]
    with pytest.raises(UnkeepableError, match="'view' is a view of another tensor"):
        Attributes(other)


class Aliased(nn.Module):
    """Of all that has two names, the first is not the first in the alphabet."""

    def __init__(self) -> None:
        super().__init__()
        self.z = torch.zeros(2)
        self.best = self.z
        self.queue: deque[Tensor] = deque(maxlen=3)
        self.before = self.queue
        self.many = nn.ModuleList(Inner() for _ in range(12))
        for number in (2, 10):
            self.many[number].shared = self.z if number == 2 else self.many[2].shared


def test_what_has_two_names_keeps_them_however_they_sort(tmp_path: Path) -> None:
    one, other = Aliased(), Aliased()
    one.z += 1
    one.queue.append(torch.ones(1))
    restore(other, *kept(one, tmp_path))
    assert other.z is other.best is other.many[2].shared is other.many[10].shared
    assert other.before is other.queue
    assert (other.z.tolist(), len(other.queue)) == ([1, 1], 1)


def module_of(package: str, **attributes: Any) -> nn.Module:
    made: nn.Module = type("Bank", (nn.Module,), {"__module__": package})()
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of an installed package."""
    found = types.ModuleType("library")
    found.__file__ = "/usr/lib/python3/site-packages/library.py"
    monkeypatch.setitem(sys.modules, "library", found)
    return "library"


@pytest.mark.parametrize("package", ["sibling", "library", "torch.nn"])
@pytest.mark.parametrize("hidden", [False, True], ids=["registered", "hidden"])
def test_tensors_of_modules_come_back_whatever_file_their_class_is_in(
    package: str, hidden: bool, library: str, tmp_path: Path
) -> None:
    pair = []
    for value in (1.0, 0.0):
        bank = module_of(package, memory=torch.full((2,), value), count=int(value))
        pair.append(module_of("mine", bank=[bank] if hidden else bank))
    one, other = pair
    restore(other, *kept(one, tmp_path))
    found: Any = other.bank[0] if hidden else other.bank  # type: ignore[index]
    assert (found.memory.tolist(), found.count) == ([1, 1], 1)


def test_objects_of_installed_packages_stay_and_what_they_gather_does_not(library: str, tmp_path: Path) -> None:
    one, other = (module_of(library, config=object(), queue=deque(range(n))) for n in (2, 0))
    config = other.config
    restore(module_of("mine", inner=other), *kept(module_of("mine", inner=one), tmp_path))
    assert other.config is config
    assert list(other.queue) == [0, 1]  # type: ignore[arg-type]
    with pytest.raises(UnkeepableError, match=r"'inner.config' is of the type object"):
        Attributes(module_of("mine", inner=module_of("sibling", config=object())))
    with pytest.raises(UnkeepableError, match=r"'inner.queue\[0\]' is of the type object"):
        Attributes(module_of("mine", inner=module_of(library, queue=[object()])))


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
def test_weights_that_torch_computes_anew_are_not_looked_at() -> None:
    linear = [nn.utils.spectral_norm(nn.Linear(3, 3)), nn.utils.weight_norm(nn.Linear(3, 3))]
    made = module_of("mine", both=nn.Sequential(*linear))
    for _ in range(2):
        Attributes(made)
        made.both(torch.ones(2, 3))
    made.both.memory = linear[0].weight * 2
    with pytest.raises(UnkeepableError, match=r"'both\.memory' is a tensor with a graph"):
        Attributes(made)


def _remembers(*held: Any) -> Callable[[], Any]:
    return lambda: held[0]


def _default(memory: list[int]) -> None:
    memory.append(0)


_default.__defaults__ = ([],)


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (_remembers({"n": 0}), "dict"),
        (_remembers(deque()), "deque"),
        (_default, "list"),
        (deque().append, "deque"),
        (functools.partial(print, []), "list"),
        (OrderedDict().move_to_end, "OrderedDict"),
        (_remembers(_remembers(torch.zeros(1))), "Tensor"),
    ],
    ids=["closure", "queue", "default", "built-in", "partial", "method", "nested"],
)
def test_what_is_called_with_what_changes_cannot_be_kept(value: Any, what: str) -> None:
    made = module_of("mine", held=[value])
    with pytest.raises(UnkeepableError, match=rf"'held\[0\]' is called with a {what} that it holds"):
        Attributes(made)


def test_what_is_called_with_what_stays_stays() -> None:
    made = odd()
    made.forms = [
        *(torch.relu, nn.functional.cross_entropy, nn.functional.max_pool2d, len, Odd.update, made.inner.forward),
        _remembers(made, made.inner, made.inner.linear.weight, 2, "text", nn.Linear, torch.float32),
        functools.partial(torch.sum, dim=1),
        torch.no_grad()(made.inner.forward),
        dict.fromkeys,
    ]
    assert Attributes(made).needs == Attributes(made).needs


def test_a_number_that_a_function_counts_is_seen() -> None:
    count = 0

    def tick() -> int:
        nonlocal count
        count += 1
        return count

    made = module_of("mine", tick=tick)
    before = Attributes(made).needs
    assert Attributes(made).needs == before
    tick()
    assert Attributes(made).needs != before


def test_keys_that_are_no_finite_numbers_come_back(tmp_path: Path) -> None:
    one, other = module_of("mine", table={float("inf"): 1, None: 2, 3: 4}), module_of("mine", table={})
    restore(other, *kept(one, tmp_path))
    assert other.table == {float("inf"): 1, None: 2, 3: 4}
