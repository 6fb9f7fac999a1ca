"""Networks as shapes are those that are built with weights, in shape; and torch's compiler is left alone and whole."""

import subprocess
import sys

PROGRAM = """
import sys
import torch
from dgbench.core.backbone_name import parse
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
import torch
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


def test_networks_are_built_as_shapes_without_the_compiler_which_knows_later_what_to_pass_over() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_who_wants_more_of_the_compiler_while_a_shape_is_made_has_it() -> None:
    done = subprocess.run([sys.executable, "-c", ASKING], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
