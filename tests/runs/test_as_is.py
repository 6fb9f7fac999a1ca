"""Models as they are: planned, evaluated, ranked and rendered like the rest, and equal to what is computed by hand."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import open_clip
import polars as pl
import pytest
import timm
import tiny_clip
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from dgbench.board.from_records import from_records
from dgbench.board.render import markdown
from dgbench.core.cards import BoardCard, CaseRules, SelectionRules, SplitRules, TrainingRules
from dgbench.core.errors import CardError, DGBenchError
from dgbench.data.catalogue import load
from dgbench.data.disk.readers.tree import imagenet
from dgbench.models.backbones.facts import CLIP, IMAGENET
from dgbench.models.wording import TEMPLATES
from dgbench.runs.collect import collect
from dgbench.runs.execute import do_training
from dgbench.runs.planning import make_plan
from dgbench.runs.store import Store
from dgbench.train.spec import TrainingSpec
from in_process import carry_out
from small import small_board

pytestmark = pytest.mark.usefixtures("computing_as_a_worker")
CPU = torch.device("cpu")
ALL, IN_R, IN_A = (3, 7, 200, 340, 700), (3, 200, 700), (7, 700)
"""Classes of the miniature, by their numbers among ImageNet's, and those that two of its domains know."""
CARD = """
name = "{name}"
title = "Miniature"
summary = "A few images."
classes = 1000
licence = "none"
redistribution = "none"
{rest}
"""
DOMAINS = """
[[domains]]
name = "{}"
"""


def write(
    folder: Path, classes: tuple[int, ...], generator: np.random.Generator, names: Sequence[str] = imagenet()[0]
) -> None:
    for number in classes:
        place = folder / names[number]
        place.mkdir(parents=True)
        for row in range(3):
            Image.fromarray(generator.integers(0, 256, (32, 32, 3), np.uint8)).save(place / f"{row}.png")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ImageNet, -R, -A and one corruption in a folder of data, in miniature; and cards that put them together."""
    home, generator = tmp_path_factory.mktemp("home"), np.random.default_rng(0)
    for part in ("train", "val"):
        write(home / "data" / "imagenet" / part, ALL, generator)
    write(home / "data" / "imagenet-r", IN_R, generator)
    write(home / "data" / "imagenet-a", IN_A, generator)
    write(home / "data" / "mini-c" / "fog" / "3", ALL, generator)
    reader = '[reader]\nkind = "tree"\nlayouts = ["{corruption}/{severity}/{class}"]\nnames = "imagenet"\n'
    (home / "datasets").mkdir()
    corrupted = CARD.format(name="mini-c", rest='roots = ["mini-c"]\n' + reader + DOMAINS.format("fog-3"))
    (home / "datasets" / "mini-c.toml").write_text(corrupted)
    for domain in ("day", "night"):
        write(home / "lamps" / domain, (0, 1, 2), generator, names=("red", "green", "blue"))
    tree = '[reader]\nkind = "tree"\nlayouts = ["{domain}/{class}"]\n'
    rest = 'path = "../lamps"\n' + tree + DOMAINS.format("day") + DOMAINS.format("night")
    lamps = CARD.format(name="lamps", rest=rest).replace("1000", '["red", "green", "blue"]')
    (home / "datasets" / "lamps.toml").write_text(lamps)
    members = {"imagenet": "imagenet/imagenet", "r": "imagenet-r/imagenet-r", "a": "imagenet-a/imagenet-a"}
    members["fog"] = "mini-c/fog-3"
    union = '[reader]\nkind = "union"\n[reader.members]\n' + "".join(f'{k} = "{v}"\n' for k, v in members.items())
    mini = CARD.format(name="mini", rest='resize = "stretch"\n' + union + "".join(map(DOMAINS.format, members)))
    (home / "datasets" / "mini.toml").write_text(mini)
    return home


@pytest.fixture
def here(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(home)
    monkeypatch.setenv("DGBENCH_DATA", str(home / "data"))
    return home


def board(backbone: str, *algorithms: str, **changes: object) -> BoardCard:
    rules: dict[str, object] = {
        "name": "as-they-are",
        "title": "As they are",
        "version": 1,
        "summary": "Models as they are.",
        "dataset": ("mini",),
        "protocol": "fixed",
        "cases": {"mini": CaseRules(sources=("imagenet",), targets=("r", "a", "fog"))},
        "tracks": {"inductive": backbone, "online": backbone},
        "trials": 1,
        "draws": 2,
        "criterion": "augmented",
        "among": "present",
        "algorithms": algorithms,
        "split": SplitRules(validation=0.1, official=True),
        "selection": SelectionRules(views_per_domain=1),
        "training": TrainingRules(steps=4, checkpoints=2, batch_per_domain=2, precision="float32", norm_mode="frozen"),
    }
    return BoardCard.model_validate(rules | changes)


def pictures(
    name: str, size: int, statistics: tuple[tuple[float, ...], ...] = IMAGENET, dataset: str = "mini"
) -> tuple[Tensor, Tensor]:
    """Normalised images of a domain, and their labels."""
    domain = load(dataset, size).domain(name)
    x = torch.from_numpy(domain.inputs[np.arange(len(domain))]).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(values)[:, None, None] for values in statistics)
    return (x - mean) / std, torch.from_numpy(domain.labels)


def noted(store: Store, rules: BoardCard, algorithm: str, target: str) -> pl.DataFrame:
    """What the run of a model as it is noted of a target."""
    (id_,) = {e.run for e in make_plan(rules).entries if (e.algorithm, e.target) == (algorithm, target)}
    table = pl.read_parquet(store.file("run", id_, "predictions.parquet")).filter(pl.col("split") == "target")
    return table.sort("index")


def agree(table: pl.DataFrame, logits: Tensor, labels: Tensor, among: tuple[int, ...]) -> None:
    """Predictions are those of logits ``[n, 1000]`` over some classes alone."""
    chances = F.softmax(logits[:, list(among)].double(), 1)
    assert table["label"].to_list() == labels.tolist()
    assert table["prediction"].to_list() == [among[place] for place in chances.argmax(1).tolist()]
    own = torch.tensor([among.index(label) for label in labels.tolist()])
    np.testing.assert_allclose(table["confidence"], chances.max(1).values, rtol=1e-4)
    np.testing.assert_allclose(table["p_label"], chances[torch.arange(len(own)), own], rtol=1e-4)


KNOWN = {"r": IN_R, "a": IN_A, "fog": ALL}


def test_a_classifier_with_its_own_head_on_the_miniature(here: Path, tmp_path: Path) -> None:
    """A checkpoint of one's own with ImageNet's 1,000 classes, as programs save it, whole and on each subset."""
    torch.manual_seed(0)
    whole = timm.create_model("test_resnet", num_classes=1000).eval()
    with torch.no_grad():
        whole.fc.bias.normal_()
    torch.save({"state_dict": {f"module.{k}": t for k, t in whole.state_dict().items()}}, here / "mine.pth")
    rules = board(
        "timm:test_resnet(weights=mine.pth, pretrained_on=noise, size=32, normalize=imagenet)", "as_is", "as_is + t3a"
    )
    carry_out(rules, tmp_path)
    for target, among in KNOWN.items():
        x, labels = pictures(target, 32)
        with torch.no_grad():
            agree(noted(Store(tmp_path), rules, "as_is", target), whole(x), labels, among)
    one = {"algorithms": ("as_is",), "cases": {"mini": CaseRules(sources=("imagenet",), targets=("r",))}}
    everywhere = rules.model_copy(update={"among": "all"} | one)
    carry_out(everywhere, tmp_path)
    x, labels = pictures("r", 32)
    with torch.no_grad():
        agree(noted(Store(tmp_path), everywhere, "as_is", "r"), whole(x), labels, tuple(range(1000)))


def test_a_zero_shot_clip_on_the_miniature(here: Path, tmp_path: Path) -> None:
    """Random weights in a file, against open_clip's own model and a loop over classes and sentences."""
    name = tiny_clip.register(tmp_path, "dgbench-as-is").removeprefix("open_clip:")
    torch.manual_seed(0)
    whole, read = open_clip.create_model(name).eval(), open_clip.get_tokenizer(name)
    torch.save(whole.state_dict(), tmp_path / "clip.pt")
    rules = board(f"open_clip:{name}(weights={tmp_path / 'clip.pt'}, pretrained_on=noise)", "zero_shot")
    carry_out(rules, tmp_path / "store")
    for target, among in KNOWN.items():
        x, labels = pictures(target, 32, CLIP)
        logits = torch.zeros(len(x), 1000)
        with torch.no_grad():
            seen = F.normalize(whole.encode_image(x), dim=1)
            for number in among:
                words = imagenet()[1][number].replace("_", " ").replace("-", " ").lower()
                said = read([template.replace("{}", words) for template in TEMPLATES["photo"]])
                logits[:, number] = whole.logit_scale.exp() * seen @ F.normalize(whole.encode_text(said), dim=1)[0]
        agree(noted(Store(tmp_path / "store"), rules, "zero_shot", target), logits, labels, among)


LAMPS = {"dataset": ("lamps",), "protocol": "leave-one-domain-out", "cases": {}, "split": SplitRules(validation=0.3)}


def test_a_checkpoint_with_the_classes_of_the_dataset_in_their_order(here: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    whole = timm.create_model("test_vit", num_classes=3, img_size=32).eval()
    torch.save(whole.state_dict(), tmp_path / "lamps.pt")
    backbone = f"timm:test_vit(weights={tmp_path / 'lamps.pt'}, pretrained_on=unknown, size=32, normalize=imagenet)"
    rules = board(backbone, "as_is", "as_is + t3a", "linear_probe", **LAMPS)
    carry_out(rules, tmp_path / "store")
    made = from_records(collect(rules, Store(tmp_path / "store")))
    for entry in made.entries:
        assert entry.rank is not None
        assert entry.cost.untrained == ("as_is" in entry.algorithm)
    assert markdown.render(made).count("nothing was trained") == 2
    x, labels = pictures("night", 32, dataset="lamps")
    with torch.no_grad():
        agree(noted(Store(tmp_path / "store"), rules, "as_is", "night"), whole(x), labels, (0, 1, 2))


def test_nothing_that_says_how_steps_are_taken_is_part_of_it(here: Path, tmp_path: Path) -> None:
    """One candidate, whatever is searched; the same on boards of other schedules; and the plan says what goes."""
    backbone = tiny_clip.register(tmp_path, "dgbench-one")
    rules = board(backbone, "zero_shot", "zero_shot + sam + swad", "erm", **LAMPS)
    search = {"optimizer.lr": {"kind": "loguniform", "low": 1e-5, "high": 1e-1}}
    searched = BoardCard.model_validate(rules.model_dump() | {"search": search})
    plan = make_plan(searched)
    training = TrainingRules(steps=8, checkpoints=4, batch_per_domain=3, precision="float32", norm_mode="train")
    longer = make_plan(searched.model_copy(update={"training": training, "hyperparameters": {"optimizer.lr": 0.5}}))
    for target in ("day", "night"):
        mine = {e.run: plan.trainings[e.training] for e in plan.entries if e.target == target and "zero" in e.algorithm}
        ((run, spec),) = mine.items()
        assert run in longer.runs
        assert (spec.steps, spec.checkpoint_steps(), plan.passes()[spec.id]) == (0, (0,), 0.0)
        assert TrainingSpec.read(spec.spec()) == spec
    assert len({e.training for e in plan.entries if e.algorithm == "erm"}) == 4
    (said,) = {e.without_effect for e in plan.entries if e.algorithm == "zero_shot + sam + swad"}
    assert said == (
        "the optimizer 'sam' acts on training, and nothing is trained; "
        "the averaging 'swad' acts on training, and nothing is trained"
    )


def test_it_is_done_again_to_the_same_bits(here: Path, tmp_path: Path) -> None:
    plan = make_plan(board(tiny_clip.register(tmp_path, "dgbench-again"), "zero_shot", **LAMPS))
    spec = next(iter(plan.trainings.values()))
    first, second = Store(tmp_path / "1"), Store(tmp_path / "2")
    for store in (first, second):
        assert do_training(spec, store, CPU)
        assert not do_training(spec, store, CPU)
    note, again = (store.done("training", spec.id) for store in (first, second))
    assert note is not None
    assert again is not None
    assert (note["initial"], sorted(note["files"])) == (again["initial"], sorted(again["files"]))
    history = [pl.read_parquet(store.file("training", spec.id, "history.parquet")) for store in (first, second)]
    assert history[0].equals(history[1])


def test_fine_tuning_starts_from_the_head_that_the_weights_came_with(here: Path, tmp_path: Path) -> None:
    """So the weights before its first step are the model as it is, and WiSE-FT's other end."""
    torch.save(timm.create_model("test_vit", num_classes=3).state_dict(), tmp_path / "start.pt")
    backbone = f"timm:test_vit(weights={tmp_path / 'start.pt'}, pretrained_on=noise, size=32)"
    plan = make_plan(board(backbone, "as_is", "wise_ft(head=pretrained)", **LAMPS))
    references = {spec.reference for spec in plan.trainings.values()}
    assert len(references) == 1
    assert {spec.steps for spec in plan.trainings.values()} == {0, 4}


@pytest.mark.parametrize(
    ("backbone", "algorithm", "words"),
    [
        ("timm:test_vit", "zero_shot", "needs a text tower, which timm:test_vit has not"),
        ("timm:test_vit", "as_is", "needs weights that came with a classifier .*, which timm:test_vit has not"),
        ("open_clip:ViT-B-32", "as_is", "needs weights that came with a classifier .*, which open_clip:ViT-B-32"),
        ("dgbench:vit-micro", "as_is", "needs weights that came with a classifier"),
        (
            "timm:test_vit.r160_in1k",
            "as_is",
            "knows 1,000 classes of ImageNet, and no one of them is called 'red', 'green', 'blue'",
        ),
    ],
)
def test_models_without_a_head_for_the_classes_are_refused(
    here: Path, backbone: str, algorithm: str, words: str
) -> None:
    with pytest.raises(DGBenchError, match=words):
        make_plan(board(backbone, algorithm, **LAMPS))


def test_a_head_of_other_classes_is_refused(here: Path, tmp_path: Path) -> None:
    torch.save(timm.create_model("test_vit", num_classes=37).state_dict(), tmp_path / "other.pt")
    backbone = f"timm:test_vit(weights={tmp_path / 'other.pt'}, pretrained_on=noise, size=32)"
    with pytest.raises(DGBenchError, match="has 37 classes, which nobody names, and there are 3 here"):
        make_plan(board(backbone, "as_is", **LAMPS))


def test_values_have_no_classes_that_are_present() -> None:
    rules = small_board("erm").model_copy(update={"dataset": ("turned-digits",), "among": "present"})
    with pytest.raises(CardError, match="among: values have no classes"):
        make_plan(rules)


def test_values_have_no_classes_to_be_shown_by() -> None:
    rules = small_board("erm").model_copy(update={"dataset": ("turned-digits",), "stream_mode": "by_class"})
    with pytest.raises(CardError, match="stream_mode: values have no classes"):
        make_plan(rules)


def test_the_rules_on_the_page_are_planned(here: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "your-own-backbone.md").read_text(encoding="utf-8")
    (rules,) = re.findall(r"```toml\n(among.*?)```", page, re.DOTALL)
    plan = make_plan(board("timm:test_vit", "erm", **tomllib.loads(rules)))
    own = {e.algorithm: plan.trainings[e.training] for e in plan.entries}
    assert {spec.steps for spec in own.values()} == {0, 4}
    assert own["as_is"].reference == own["wise_ft(head=pretrained)"].reference != own["erm"].reference
    assert {run.among for run in plan.runs.values()} == {"present"}
