"""Networks are built and trained without torch's compiler, and whoever wants that has it whole."""

import subprocess
import sys

PROGRAM = """
import sys
import torch
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


def test_the_compiler_is_not_imported_where_it_is_only_told_to_pass_over_something() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
