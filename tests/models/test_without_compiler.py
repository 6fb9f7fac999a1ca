"""Networks are built, as shapes and with weights, and trained without torch's compiler, which is left alone and whole.

A process that has imported torch is copied for each of the programs: what they ask is whether they import more.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import small

COPIES = """
import json, os, sys, traceback
import torch

told = {}
for name, program in json.loads(sys.argv[1]).items():
    reads, writes = os.pipe()
    if not os.fork():
        try:
            exec(program, {"torch": torch})
            said = "came to its end"
        except BaseException:
            said = traceback.format_exc()
        os.write(writes, said.encode())
        os._exit(0)
    os.close(writes)
    with os.fdopen(reads) as text:
        told[name] = text.read()
    os.wait()
print(json.dumps(told))
"""
SHAPES = """
import sys
from dgbench.models.backbones import bare
from dgbench.models.weightless import weightless

COMPILER = "torch._dynamo"


def marked(x):
    return 2 * x if torch.compiler.is_compiling() else x


for name in ("dgbench:vit-micro", "timm:test_efficientnet", "timm:test_vit", "timm:swin_tiny_patch4_window7_224"):
    with weightless():
        shape = bare(name)
    whole, hollow = bare(name).module.state_dict(), shape.module.state_dict()
    assert {key: tensor.shape for key, tensor in hollow.items()} == {key: tensor.shape for key, tensor in whole.items()}
    assert all(tensor.is_meta for tensor in hollow.values()), name
    assert not any(tensor.is_meta for tensor in whole.values())
    assert COMPILER not in sys.modules, name

with weightless():
    asked = []

    class Asks(torch.Tensor):
        @classmethod
        def __torch_function__(cls, function, types, args=(), kwargs=None):
            import torch._dynamo
            asked.append(torch._dynamo.disable(marked, True, wrapping=False))
            return 0

    Asks().sum()
assert COMPILER not in sys.modules
assert asked[0](3) == 3
assert COMPILER not in sys.modules, "nothing is asked while there is no compiler"
assert torch.compile(lambda x: asked[0](x) + 1, backend="eager")(torch.ones(1)).item() == 2.0, "passed over"
assert torch.compile(lambda x: marked(x) + 1, backend="eager")(torch.ones(1)).item() == 3.0, "and this is not"
assert asked[0].__name__ == "marked"

with weightless():
    import torch._dynamo.config
    assert torch.zeros(2).is_meta, "with the compiler as without"
"""
ASKING = """
from dgbench.models.weightless import weightless


class Asks(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        import sys
        import torch._dynamo
        waits = torch._dynamo.disable(recursive=False)(len)
        assert waits([0]) == 1 and not hasattr(sys.modules["torch._dynamo"], "__file__"), "nothing was asked"
        import torch._dynamo.guards
        assert torch._dynamo.guards.__file__ and waits([0]) == 1
        import torch._dynamo
        return torch._dynamo.is_compiling.__module__


with weightless():
    said = Asks().sum()
import torch._dynamo
assert said == torch._dynamo.is_compiling.__module__ and torch._dynamo.__file__
"""
NETWORKS = """
import sys, tempfile
from dgbench.algorithms.descend import descend
from dgbench.algorithms.optimizers.adamw import AdamW
from dgbench.models.backbones import build
from dgbench.models.backbones.uncompiled import uncompiled

COMPILER = "torch._dynamo"
real = torch.compiler.disable
for name, side in (("dgbench:vit-micro", 16), ("timm:resnet18", 64)):
    network = build(name).module
    base = AdamW(lr=0.1).build(list(network.parameters()))
    network(torch.zeros(2, 3, side, side)).sum().backward()
    descend(base)
    assert "timm" in sys.modules and "torchvision" in sys.modules
    assert COMPILER not in sys.modules and f"{COMPILER}.utils" not in sys.modules, name
    assert torch.compiler.disable is real

from dgbench.runs.deterministic import ready
from dgbench.runs.execute import do_training
from dgbench.runs.planning import make_plan
from dgbench.runs.store import Store
from small import small_board

ready("cpu")
# DANN's discriminator and MLDG have optimizers of their own; each recipe on one of its targets.
planned = make_plan(small_board("erm", "dann", "mldg", steps=2)).trainings.values()
for training in [one for one in planned if one.sources == next(iter(planned)).sources]:
    with tempfile.TemporaryDirectory() as store:
        do_training(training, Store.at(store), torch.device("cpu"))
    assert COMPILER not in sys.modules and "torch._inductor" not in sys.modules, training

try:
    with uncompiled():
        raise KeyError
except KeyError:
    assert torch.compiler.disable is real and f"{COMPILER}.utils" not in sys.modules

with uncompiled():
    with uncompiled():
        pass
    assert torch.compiler.disable is not real, "the outer one goes on"
    @torch.compiler.disable
    def marked(x):
        return 2 * x if torch.compiler.is_compiling() else x
    asked = sys.modules[f"{COMPILER}.utils"].is_compile_supported
    assert COMPILER not in sys.modules
with uncompiled():
    import torch._dynamo.config  # whoever imports it itself has it
    assert sys.modules[f"{COMPILER}.utils"].__file__ and torch._dynamo.utils is sys.modules[f"{COMPILER}.utils"]
assert torch.compile(lambda x: marked(x) + 1, backend="eager")(torch.ones(1)).item() == 2.0, "marked all the same"
assert asked("cpu") == torch._dynamo.utils.is_compile_supported("cpu")
"""


@pytest.fixture(scope="module")
def told() -> dict[str, str]:
    """How each program ended."""
    programs = {"shapes": SHAPES, "asking": ASKING, "networks": NETWORKS}
    environment = os.environ | {"PYTHONPATH": str(Path(small.__file__).parent)}
    command = [sys.executable, "-c", COPIES, json.dumps(programs)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    ended: dict[str, str] = json.loads(done.stdout)
    return ended


def test_networks_are_built_as_shapes_without_the_compiler_which_knows_later_what_to_pass_over(
    told: dict[str, str],
) -> None:
    assert told["shapes"] == "came to its end"


def test_who_wants_more_of_the_compiler_while_a_shape_is_made_has_it(told: dict[str, str]) -> None:
    assert told["asking"] == "came to its end"


def test_the_compiler_is_not_imported_where_networks_are_built_and_trained(told: dict[str, str]) -> None:
    """It takes longer than all else that a worker imports, and is only told to pass over something."""
    assert told["networks"] == "came to its end"
