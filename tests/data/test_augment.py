import torch
import torch.nn.functional as F

from dgbench.data.augment import pad_crop


def draw(x: torch.Tensor, seed: int = 0, pad: int = 2) -> torch.Tensor:
    return pad_crop(x, torch.Generator().manual_seed(seed), pad)


def test_every_image_is_a_crop_of_its_padded_self() -> None:
    x = torch.rand(40, 3, 6, 9)
    padded = F.pad(x, (2, 2, 2, 2), mode="replicate")
    found = set()
    for image, original in zip(draw(x), padded, strict=True):
        places = [(i, j) for i in range(5) for j in range(5) if torch.equal(original[:, i : i + 6, j : j + 9], image)]
        assert len(places) == 1
        found.add(places[0])
    assert len(found) > 10, "offsets are drawn for each image"


def test_all_shifts_are_drawn_equally_often() -> None:
    x = torch.arange(9.0).expand(5000, 1, 9, 9)
    centre = draw(x, pad=2)[:, 0, 4, 4] - 4
    counts = torch.bincount((centre + 2).long(), minlength=5)
    assert ((counts - 1000).abs() < 150).all()


def test_the_generator_decides_and_no_padding_changes_nothing() -> None:
    x = torch.rand(8, 3, 16, 16)
    assert torch.equal(draw(x, 1), draw(x, 1))
    assert not torch.equal(draw(x, 1), draw(x, 2))
    assert torch.equal(draw(x, pad=0), x)
    assert draw(x.double()).dtype == torch.float64
