"""Heads that stay made of texts: CoOp, MSGCoOp, CLIP-LoRA and FLYP on a tiny CLIP, against open_clip's own model."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import open_clip
import pytest
import tiny_clip
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from dgbench.algorithms.adapters.both_towers import BothTowers
from dgbench.algorithms.adapters.clip_lora import CLIPLoRA
from dgbench.algorithms.adapters.coop import CoOp
from dgbench.algorithms.adapters.msgcoop import MSGCoOp, alike
from dgbench.algorithms.objectives.contrastive import Contrastive
from dgbench.algorithms.slots import Adapter
from dgbench.algorithms.step import Batch, Closure
from dgbench.core.backbone_name import parse
from dgbench.core.dataset_card import Wording
from dgbench.core.errors import DGBenchError, RecipeError
from dgbench.core.recipe import build_part, compose, resolve
from dgbench.models.backbones import build, settled
from dgbench.models.backbones.own.source import found
from dgbench.models.effective import effective_state, load_effective, weighted_mean
from dgbench.models.low_rank import LowRankDelta
from dgbench.models.network import Network
from dgbench.models.texts import prompts, rows_of
from dgbench.models.wording import TEMPLATES
from dgbench.models.zero_shot import class_embeddings, set_zero_shot_head
from dgbench.runs.planning import make_plan
from small import small_board

CLASSES = ("Alarm_Clock", "dog", "t-shirt")
SAID = ["a photo of a alarm clock.", "a photo of a hound.", "a photo of a t shirt."]
WORDINGS = {kind: Wording(templates=kind, names={"dog": "hound"}) for kind in ("photo", "varied")}
ADAPTERS: dict[str, Adapter] = {
    "coop": CoOp(),
    "msgcoop": MSGCoOp(jitter=0.0),
    "clip_lora": CLIPLoRA(),
    "block_lora": CLIPLoRA(rank=4, blocks=2),
    "both_towers": BothTowers(),
}


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> str:
    return settled(parse(tiny_clip.weights(tmp_path_factory.mktemp("clip")))).canonical


@cache
def _plain(backbone: str, templates: str) -> Network:
    network = Network(build(backbone), len(CLASSES), unit_features=True)
    set_zero_shot_head(network, backbone, CLASSES, WORDINGS[templates])
    return network.eval()


def plain(backbone: str, templates: str = "photo") -> Network:
    """A copy: to build one, and to read its texts, takes longer than all that is done with it."""
    return copy.deepcopy(_plain(backbone, templates))


@cache
def _attached(backbone: str, adapter: Adapter, templates: str) -> Network:
    network = plain(backbone, templates)
    torch.default_generator.manual_seed(1)
    adapter.attach(network, domains=3)
    return network


def attached(backbone: str, adapter: Adapter, templates: str = "photo") -> Network:
    return copy.deepcopy(_attached(backbone, adapter, templates))


def moved(backbone: str, adapter: Adapter) -> Network:
    """As after training: everything trainable is somewhere else."""
    network = attached(backbone, adapter)
    torch.default_generator.manual_seed(2)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
    return network


def images(count: int = 4) -> Tensor:
    return torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(3))


@cache
def _whole(backbone: str) -> Any:
    model = open_clip.create_model(tiny_clip.NAME)
    model.load_state_dict(load_file(found(parse(backbone).weights or "")))
    return model.eval()


def whole(backbone: str) -> Any:
    """open_clip's own model with the same weights."""
    return copy.deepcopy(_whole(backbone))


@cache
def tokenizer() -> Any:
    return open_clip.get_tokenizer(tiny_clip.NAME)


def read(sentences: list[str]) -> Tensor:
    tokens: Tensor = tokenizer()(sentences)
    return tokens


def logits(model: Any, x: Tensor, texts: Tensor) -> Tensor:
    """``exp(scale)`` times cosines, ``[n, C]``."""
    seen = F.normalize(model.encode_image(x), dim=1)
    found: Tensor = model.logit_scale.exp() * seen @ F.normalize(texts, dim=1).T
    return found


@pytest.mark.parametrize("name", ADAPTERS)
def test_training_starts_from_the_zero_shot_head(name: str, backbone: str) -> None:
    before, network = plain(backbone), attached(backbone, ADAPTERS[name])
    model = whole(backbone)
    with torch.no_grad():
        torch.testing.assert_close(network(images()), before(images()), rtol=1e-4, atol=1e-4)
        expected = logits(model, images(), model.encode_text(read(SAID)))
        torch.testing.assert_close(network(images()), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("coop", 4 * 32),
        ("msgcoop", 4 * 4 * 32),
        ("clip_lora", 3 * 2 * (2 * (64 + 64) + 1 * (32 + 32))),  # q, k, v of two blocks for images and one for texts
        ("block_lora", 3 * (2 * (2 * 64 + 4 * 64) + (2 * 32 + 4 * 32))),  # A of rank 2, and two B of rank 2
    ],
)
def test_few_numbers_are_trained(name: str, count: int, backbone: str) -> None:
    network = attached(backbone, ADAPTERS[name])
    assert sum(p.numel() for p in network.parameters() if p.requires_grad) == count
    assert not network.head.bias.requires_grad


@pytest.mark.parametrize("name", ADAPTERS)
def test_what_is_trained_learns_and_nothing_else(name: str, backbone: str) -> None:
    adapter, network = ADAPTERS[name], moved(backbone, ADAPTERS[name])
    raw = {key: value.clone() for key, value in network.state_dict().items()}
    (F.cross_entropy(network(images()), torch.tensor([0, 1, 2, 0])) + adapter.penalty(network)).backward()
    for key, parameter in network.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, key
    torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1).step()
    changed = {key for key, value in network.state_dict().items() if not torch.equal(value, raw[key])}
    assert changed
    assert changed <= {key for key, parameter in network.named_parameters() if parameter.requires_grad}
    assert adapter.freezes_backbone() == (not any(key.startswith("backbone.") for key in changed))


def test_all_of_both_towers_is_trained(backbone: str) -> None:
    network = attached(backbone, BothTowers())
    trained = sum(p.numel() for p in network.parameters() if p.requires_grad)
    assert trained == sum(p.numel() for p in whole(backbone).parameters())
    frozen = attached(backbone.replace("(", r"(freeze=transformer\.resblocks\.0,"), BothTowers())
    assert trained > sum(p.numel() for p in frozen.parameters() if p.requires_grad) > 0


def test_a_prompt_is_vectors_in_the_place_of_words(backbone: str) -> None:
    """By hand: the embedding of each sentence with four vectors after the opening mark, through the tower."""
    network, model = moved(backbone, CoOp()), whole(backbone)
    tokens = read(SAID)
    words = prompts(rows_of(network))
    with torch.no_grad():
        embedded = model.token_embedding(tokens)
        embedded[:, 1:5] = words[0]
        x = model.transformer(embedded + model.positional_embedding, attn_mask=model.attn_mask)
        ends = model.ln_final(x)[torch.arange(3), tokens.argmax(1)]
        expected = logits(model, images(), ends @ model.text_projection)
        torch.testing.assert_close(network(images()), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["clip_lora", "block_lora"])
def test_changes_of_both_towers_are_those_of_their_matrices(name: str, backbone: str) -> None:
    network, model = moved(backbone, ADAPTERS[name]), whole(backbone)
    adapter = ADAPTERS[name]
    assert isinstance(adapter, CLIPLoRA)
    towers = {"backbone.": model.visual, "head.parametrizations.weight.0.tower.": model}
    factors = {key: value for key, value in network.state_dict().items() if key.endswith((".A", ".B"))}
    assert len(factors) == 2 * 3 * 3
    with torch.no_grad():
        for key in (key for key in factors if key.endswith(".A")):
            start, tower = next((s, t) for s, t in towers.items() if key.startswith(s))
            path, _, rest = key.removeprefix(start).partition(".parametrizations.in_proj_weight.")
            weight = tower.get_submodule(path).in_proj_weight
            rows = weight.view(3, -1, weight.shape[1])[int(rest[0])]
            A, B = factors[key], factors[key[:-1] + "B"]
            change = sum(b @ A[0] for b in B) / math.sqrt(adapter.rank)
            assert int(torch.linalg.matrix_rank(change, atol=1e-6)) == adapter.rank // adapter.blocks
            rows.add_(change)
        expected = logits(model, images(), model.encode_text(read(SAID)))
        torch.testing.assert_close(network(images()), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ADAPTERS)
def test_a_plain_network_takes_the_rows_that_the_texts_came_to(name: str, backbone: str) -> None:
    network, other = moved(backbone, ADAPTERS[name]), plain(backbone)
    state = effective_state(network)
    assert state.keys() == other.state_dict().keys()
    with torch.no_grad():
        assert not torch.allclose(network(images()), other(images()), atol=1e-3)
        load_effective(other, state)
        torch.testing.assert_close(other(images()), network(images()), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ADAPTERS)
def test_rows_are_averaged_and_not_what_they_follow_from(name: str, backbone: str) -> None:
    network, other = moved(backbone, ADAPTERS[name]), plain(backbone)
    start, end = effective_state(attached(backbone, ADAPTERS[name])), effective_state(network)
    load_effective(other, weighted_mean([(1.0, start), (1.0, end)]))
    torch.testing.assert_close(other.head.weight, (start["head.weight"] + end["head.weight"]) / 2)


@pytest.mark.parametrize("name", ADAPTERS)
def test_a_stopped_training_goes_on_from_raw_weights(name: str, backbone: str) -> None:
    network, other = moved(backbone, ADAPTERS[name]), attached(backbone, ADAPTERS[name])
    other.load_state_dict(network.state_dict())
    assert torch.equal(other(images()), network(images()))


def test_several_prompts_speak_with_one_voice_each(backbone: str) -> None:
    """Logits are the mean of those of each prompt alone."""
    network = moved(backbone, MSGCoOp())
    alone = attached(backbone, CoOp())
    found = []
    with torch.no_grad():
        for words in prompts(rows_of(network)):
            prompts(rows_of(alone)).copy_(words[None])
            found.append(alone(images()))
        torch.testing.assert_close(network(images()), torch.stack(found).mean(0), rtol=1e-4, atol=1e-4)


def test_one_prompt_without_weights_is_coop(backbone: str) -> None:
    adapter = MSGCoOp(contexts=1, guidance=0.0, diversity=0.0, jitter=0.0)
    network, other = attached(backbone, adapter), attached(backbone, CoOp())
    assert torch.equal(network(images()), other(images()))
    assert adapter.penalty(network).item() == 0


@pytest.mark.parametrize(("units", "expected"), [(torch.ones(4, 3, 1), 1.0), (torch.eye(4)[:, None], 0.0)])
def test_prompts_that_agree_and_prompts_that_have_nothing_in_common(units: Tensor, expected: float) -> None:
    assert alike(units).item() == expected


def test_the_penalty_is_that_of_the_formula(backbone: str) -> None:
    adapter = MSGCoOp(contexts=3, guidance=2.0, diversity=0.5, jitter=0.1)
    network = attached(backbone, adapter, "varied")
    texts = rows_of(network).units().detach()
    model = whole(backbone)
    away, shared = 0.0, 0.0
    for c, said in enumerate(("alarm clock", "hound", "t shirt")):
        ensemble = model.encode_text(read([template.format(said) for template in TEMPLATES["varied"]])).detach()
        direction = class_embeddings(ensemble[None])[0]
        away += 1 - float(F.cosine_similarity(texts[:, c].mean(0), direction, dim=0))
        shared += sum(float(texts[n, c] @ texts[m, c]) ** 2 for n, m in itertools.combinations(range(3), 2)) / 3
    assert adapter.penalty(network).item() == pytest.approx(2 * away / 3 + 0.5 * shared / 3, rel=1e-4)


def test_jitter_is_the_standard_deviation_of_what_prompts_are_apart(backbone: str) -> None:
    plain, moved = (prompts(rows_of(attached(backbone, MSGCoOp(contexts=9, jitter=one)))) for one in (0.0, 0.5))
    assert (moved - plain).std().item() == pytest.approx(0.5, rel=0.1)


@pytest.mark.parametrize("jitter", [0.0, 0.02])
def test_prompts_that_start_alike_stay_alike(jitter: float, backbone: str) -> None:
    adapter = MSGCoOp(contexts=2, jitter=jitter)
    network = attached(backbone, adapter)
    words = prompts(rows_of(network))
    optimizer = torch.optim.SGD([words], lr=0.01)
    for _ in range(3):
        optimizer.zero_grad()
        (F.cross_entropy(network(images()), torch.tensor([0, 1, 2, 0])) + adapter.penalty(network)).backward()
        optimizer.step()
    apart = (words[0] - words[1]).abs().max().item()
    assert apart > 1e-3 if jitter else apart < 1e-6


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam])
def test_blocks_that_share_an_a_are_one_whose_b_learns_n_times_as_fast(kind: type[torch.optim.Optimizer]) -> None:
    torch.manual_seed(0)
    weight, x, y = torch.randn(6, 5), torch.randn(20, 5), torch.randn(20, 6)
    blocks = LowRankDelta(weight, rank=2, terms=3, shared=True)
    one = LowRankDelta(weight, rank=2)
    with torch.no_grad():
        one.A.copy_(blocks.A)
    assert blocks.A.shape == (1, 2, 5)

    def train(delta: LowRankDelta, rate: float) -> Iterator[None]:
        optimizer = kind([{"params": [delta.A], "lr": 0.01}, {"params": [delta.B], "lr": rate}])
        for _ in range(5):
            optimizer.zero_grad()
            (x @ delta(weight).T - y).square().mean().backward()
            optimizer.step()
            yield

    for _ in zip(train(blocks, 0.01), train(one, 0.03), strict=True):
        torch.testing.assert_close(blocks.change(), one.change(), rtol=1e-4, atol=1e-6)
    stacked = torch.cat(list(blocks.B), dim=1) @ blocks.A[0].repeat(3, 1)
    torch.testing.assert_close(blocks.change(), stacked)
    torch.testing.assert_close(blocks.B[0], blocks.B[2])


def closure(network: Network, y: Tensor) -> Closure:
    n = len(y)
    batch = Batch(images(n), y, torch.zeros(n, dtype=torch.int64), torch.arange(n), sizes=(n,))
    return Closure(network, Contrastive().loss, batch, step=0, steps=1, domains=1)


def test_images_find_their_texts_and_texts_their_images(backbone: str) -> None:
    """open_clip's own loss, on pairs."""
    network, model = moved(backbone, BothTowers()), whole(backbone)
    y = torch.tensor([0, 2, 1, 0, 1])
    with torch.no_grad():
        start = {
            key.removeprefix("head.parametrizations.weight.0.tower."): t for key, t in network.state_dict().items()
        }
        start |= {key.replace("backbone.", "visual."): t for key, t in network.state_dict().items()}
        model.load_state_dict({key: start[key] for key in model.state_dict()})
        seen, said = model.encode_image(images(5)), model.encode_text(read([SAID[c] for c in y]))
        unit = F.normalize(seen, dim=1), F.normalize(said, dim=1)
        expected = open_clip.ClipLoss()(*unit, model.logit_scale.exp())
    torch.testing.assert_close(closure(network, y)("descent"), expected, rtol=1e-4, atol=1e-5)
    grads = {key: p.grad for key, p in network.named_parameters()}
    assert grads["head.parametrizations.weight.0.tower.logit_scale"] is not None
    assert grads["backbone.conv1.weight"] is not None


def test_of_images_of_one_class_each_is_as_likely() -> None:
    logits_, y = torch.tensor([[3.0, 1.0]] * 4), torch.zeros(4, dtype=torch.int64)

    class Pass:
        logits = logits_
        batch = Batch(torch.zeros(4, 1), y, y, y, sizes=(4,))

    assert Contrastive().loss(Pass()).item() == pytest.approx(math.log(4))  # type: ignore[arg-type]


@pytest.mark.parametrize("recipe", ["coop", "flyp"])
def test_a_network_without_texts_is_refused(recipe: str) -> None:
    with pytest.raises(DGBenchError, match=rf"'{recipe}': .* needs a text tower, which dgbench:convnet-small has not"):
        make_plan(small_board(recipe))


def test_a_loss_of_texts_wants_a_head_of_texts() -> None:
    board = small_board("erm")
    recipe = compose("flyp")
    slots = {slot: choice for slot, choice in recipe.slots.items() if slot == "objective"}
    with pytest.raises(RecipeError, match=r"Contrastive needs text head, which no part provides; .*'both_towers'"):
        resolve(replace(recipe, slots=slots), board)


@pytest.mark.parametrize(
    ("part", "given", "words"),
    [
        ("coop", {"context": "  "}, r"adapter\.context"),
        ("clip_lora", {"rank": 3, "blocks": 2}, r"blocks \(2\) must divide rank \(3\)"),
        ("msgcoop", {"contexts": 0}, r"adapter\.contexts"),
    ],
)
def test_values_that_make_no_sense_are_refused(part: str, given: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        build_part("adapter", part, given, "a test")


def test_a_prompt_that_leaves_no_room_for_the_class_is_refused(backbone: str) -> None:
    with pytest.raises(RecipeError, match=r"takes 8\d places in a text, and .* reads 77; take fewer words"):
        attached(backbone, CoOp(context="very " * 80 + "good"))


def test_values_have_no_texts() -> None:
    assert all(adapter.serves() == {"classes"} for adapter in ADAPTERS.values())
    assert Contrastive().serves() == {"classes"}
