"""Memory layouts, against an optimizer without fused kernels, addresses of single numbers, and safetensors."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor

from dgbench.core.errors import DGBenchError
from dgbench.train.layout import check_layouts, laid_out_like, same_layout
from dgbench.train.trajectory import save


@st.composite
def _dense(draw: st.DrawFn, shape: tuple[int, ...]) -> Tensor:
    """A tensor of that shape whose sides follow each other in memory in any order."""
    order = draw(st.permutations(range(len(shape))))
    back = [order.index(side) for side in range(len(shape))]
    return torch.arange(float(torch.Size(shape).numel())).view([shape[side] for side in order]).permute(back)


_pairs = st.lists(st.integers(1, 3), min_size=1, max_size=4).flatmap(
    lambda shape: st.tuples(_dense(tuple(shape)), _dense(tuple(shape)))
)


@given(_pairs)
def test_layouts_agree_where_every_number_lies_as_far_in(pair: tuple[Tensor, Tensor]) -> None:
    """``arange`` before the permutation: each number is its own distance from the start."""
    weight, tensor = pair
    assert same_layout(weight, tensor) == torch.equal(weight, tensor)
    copy = laid_out_like(weight, tensor)
    assert same_layout(weight, copy)
    assert torch.equal(copy, tensor)
    assert copy.data_ptr() != tensor.data_ptr()


@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.bool, torch.uint8])
def test_whatever_its_layout_a_tensor_is_written_as_safetensors_writes_it(kind: torch.dtype, tmp_path: Path) -> None:
    turned = torch.arange(24).to(kind).view(2, 3, 2, 2).to(memory_format=torch.channels_last)
    state = {"turned": turned, "part": turned[:, 1], "number": turned[0, 1, 0, 0], "none": turned[:0]}
    save(tmp_path / "mine", state)
    save_file(
        {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in state.items()}, tmp_path / "its"
    )
    assert (tmp_path / "mine").read_bytes() == (tmp_path / "its").read_bytes()


def test_a_counter_is_copied_as_it_is() -> None:
    step = torch.tensor(3.0)
    copy = laid_out_like(torch.zeros(2, 3), step)
    assert copy.shape == ()
    assert copy == 3
    assert copy.data_ptr() != step.data_ptr()


@pytest.mark.parametrize("kind", [torch.optim.AdamW, torch.optim.SGD])
def test_moments_loaded_into_their_layout_descend_as_a_loop_over_single_weights_does(kind: type) -> None:
    torch.manual_seed(0)
    options = {"lr": 0.1} | ({"momentum": 0.9} if kind is torch.optim.SGD else {})
    start, *slopes = (torch.randn(4, 3, 2, 2) for _ in range(3))
    ends = []
    for fused, memory in ((True, torch.channels_last), (False, torch.contiguous_format)):
        weight = start.clone().contiguous(memory_format=memory).requires_grad_()
        optimizer = kind([weight], fused=fused, **options)
        for slope in slopes:
            weight.grad = laid_out_like(weight, slope)
            optimizer.step()
            kept = {key: laid_out_like(weight, t.contiguous()) for key, t in optimizer.state[weight].items()}
            optimizer.load_state_dict(optimizer.state_dict() | {"state": {0: kept}})
            check_layouts({"weight": weight}, optimizer)
        ends.append(weight.detach())
    torch.testing.assert_close(ends[0], ends[1])


@pytest.mark.parametrize("what", ["grad", "exp_avg", "exp_avg_sq"])
def test_what_lies_otherwise_is_an_error_that_names_the_weight(what: str) -> None:
    weight = torch.randn(4, 3, 2, 2).contiguous(memory_format=torch.channels_last).requires_grad_()
    optimizer = torch.optim.AdamW([weight], fused=True)
    weight.grad = torch.ones_like(weight)
    optimizer.step()
    check_layouts({"stem.weight": weight}, optimizer)
    if what == "grad":
        weight.grad = weight.grad.contiguous()
    else:
        optimizer.state[weight][what] = optimizer.state[weight][what].contiguous()
    with pytest.raises(DGBenchError, match=rf"stem\.weight: {what} has the strides \(12, 4, 2, 1\)"):
        check_layouts({"stem.weight": weight}, optimizer)
