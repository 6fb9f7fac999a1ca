"""Zero-shot heads: sentences, their means, and the head of a model against the model's own logits."""

from __future__ import annotations

import math
from pathlib import Path

import open_clip
import pytest
import tiny_clip
import torch
from safetensors.torch import load_file, save_file

from dgbench.core.backbone_name import parse
from dgbench.core.dataset_card import Wording
from dgbench.core.errors import DGBenchError
from dgbench.models import zero_shot
from dgbench.models.backbones import build, settled
from dgbench.models.network import Network
from dgbench.models.wording import TEMPLATES, sentences, spoken
from dgbench.models.zero_shot import class_embeddings, set_zero_shot_head, zero_shot_head

CLASSES = ("Alarm_Clock", "dog", "t-shirt")


def test_each_sentence_has_the_same_say_whatever_its_length() -> None:
    """Without the inner normalisation the longer one would win: [.894, .447]."""
    rows = class_embeddings(torch.tensor([[[2.0, 0.0], [0.0, 1.0]]]))
    torch.testing.assert_close(rows, torch.full((1, 2), 0.5**0.5))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Alarm_Clock", "alarm clock"),
        ("t-shirt", "t shirt"),
        (" The__Eiffel_Tower ", "the eiffel tower"),
        ("dog", "dog"),
    ],
)
def test_names_are_said_as_words(name: str, said: str) -> None:
    assert spoken(name, {}) == said


def test_the_wordings_own_words_are_said_as_they_are() -> None:
    wording = Wording(templates=("a {}.", "no {} here."), names={"dog": "Labrador"})
    assert sentences(CLASSES, wording) == [
        ["a alarm clock.", "no alarm clock here."],
        ["a Labrador.", "no Labrador here."],
        ["a t shirt.", "no t shirt here."],
    ]


@pytest.mark.parametrize("name", TEMPLATES)
def test_sets_of_templates_differ_and_fit(name: str) -> None:
    said = sentences(CLASSES, Wording(templates=name))  # type: ignore[arg-type]
    assert all(len(set(of_class)) == len(TEMPLATES[name]) for of_class in said)
    assert sum(len(of_class) for of_class in said) == len({sentence for of_class in said for sentence in of_class})


@pytest.mark.parametrize(
    ("wording", "words"),
    [
        (Wording(names={"dig": "hound"}), r"no class 'dig'\. Did you mean 'dog'"),
        (Wording(templates=("a photo",)), "'a photo' must have one"),
        (Wording(templates=("{} and {}",)), "must have one"),
        (Wording(templates=()), "at least one sentence"),
    ],
)
def test_wordings_that_do_not_fit_are_refused(wording: Wording, words: str) -> None:
    with pytest.raises(DGBenchError, match=words):
        sentences(CLASSES, wording)


@pytest.mark.parametrize("custom_text", [False, True])
def test_the_head_of_a_random_model_equals_a_direct_computation(custom_text: bool, tmp_path: Path) -> None:
    """Image to logits, against open_clip's whole model and a loop over classes and templates."""
    changes = {"custom_text": True} if custom_text else {}
    name = tiny_clip.register(tmp_path, f"dgbench-tiny-{custom_text}".lower(), **changes)
    wording = Wording(templates="varied", names={"dog": "hound"})

    torch.manual_seed(0)
    network = Network(build(name), len(CLASSES), unit_features=True).eval()
    torch.manual_seed(0)
    set_zero_shot_head(network, name, CLASSES, wording)

    torch.manual_seed(0)
    whole = open_clip.create_model(name.removeprefix("open_clip:")).eval()
    read = open_clip.get_tokenizer(name.removeprefix("open_clip:"))
    images = torch.randn(4, 3, 32, 32)
    expected = torch.zeros(4, len(CLASSES))
    with torch.no_grad():
        seen = torch.nn.functional.normalize(whole.encode_image(images), dim=1)
        for column, said in enumerate(("alarm clock", "hound", "t shirt")):
            mean = torch.zeros(32)
            for template in TEMPLATES["varied"]:
                embedded = whole.encode_text(read([template.replace("{}", said)]))[0]
                mean += embedded / embedded.norm()
            expected[:, column] = whole.logit_scale.exp() * seen @ (mean / mean.norm())
        torch.testing.assert_close(network(images), expected, rtol=1e-4, atol=1e-4)
    assert network.head.bias.requires_grad
    assert not network.head.bias.any()


def test_the_scale_is_part_of_the_rows(tmp_path: Path) -> None:
    rows = zero_shot_head(tiny_clip.register(tmp_path), CLASSES, Wording())
    assert rows.shape == (3, 32)
    torch.testing.assert_close(rows.norm(dim=1), torch.full((3,), 1 / 0.07))


def test_texts_are_read_once_as_long_as_the_weights_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zero_shot._kept.cache_clear()  # other tests of this process have read texts with the same weights
    towers: list[str] = []
    tower = zero_shot.text_tower
    monkeypatch.setattr(zero_shot, "text_tower", lambda name: towers.append(name) or tower(name))
    named, file = parse(tiny_clip.weights(tmp_path)), tmp_path / "both.safetensors"
    name = settled(named).canonical
    first, again = (zero_shot_head(name, CLASSES, Wording()) for _ in range(2))
    assert torch.equal(first, again)
    assert len(towers) == 1
    assert not torch.equal(zero_shot_head(name, CLASSES, Wording(names={"dog": "hound"})), first)
    state = load_file(file)
    save_file(state | {"logit_scale": state["logit_scale"] + math.log(2)}, file)
    torch.testing.assert_close(zero_shot_head(settled(named).canonical, CLASSES, Wording()), 2 * first)
    assert len(towers) == 3


def test_features_of_length_one() -> None:
    torch.manual_seed(0)
    plain = Network(build("dgbench:vit-micro"), 3)
    unit = Network(plain.info, 3, unit_features=True)
    x = torch.randn(5, 3, 16, 16)
    features = plain.features(x)
    torch.testing.assert_close(unit.features(x), features / features.norm(dim=1, keepdim=True))
    unit.head.weight.data, unit.head.bias.data = 100 * torch.eye(3, 48), torch.zeros(3)
    unit.backbone = torch.nn.Identity()  # features as they are: [3, 4] gives logits [60, 80]
    torch.testing.assert_close(unit(torch.tensor([[3.0, 4.0] + 46 * [0.0]])), torch.tensor([[60.0, 80.0, 0.0]]))


def test_a_backbone_without_texts_is_refused() -> None:
    with pytest.raises(DGBenchError, match="needs a text tower, which 'dgbench:vit-micro' has not"):
        zero_shot_head("dgbench:vit-micro", CLASSES, Wording())


def test_a_head_of_texts_wants_features_of_length_one(tmp_path: Path) -> None:
    name = tiny_clip.register(tmp_path)
    with pytest.raises(ValueError, match="unit_features"):
        set_zero_shot_head(Network(build(name), 3), name, CLASSES, Wording())
