"""What leaves a board as a folder is the model that the board tested: the same weights, pictures and predictions."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import open_clip
import polars as pl
import pytest
import timm
import tiny_clip
import torch
import yaml
from comparing.called import within
from hub.stand_in import TOKEN, at, environment, hub
from huggingface_hub import ModelCard, parse_eval_result_entries
from safetensors.torch import load_file
from torch import Tensor

import dgbench
from dgbench.api.boards import rules
from dgbench.cli.present import present
from dgbench.core.cards import BoardCard
from dgbench.core.errors import DGBenchError, RecipeError, StoreError
from dgbench.core.files import read_json
from dgbench.exported.card import FILES, read_card
from dgbench.exported.choose import Choice, chosen, over_images
from dgbench.exported.model import Model, load
from dgbench.exported.write import write
from dgbench.models.backbones import build
from dgbench.runs.deterministic import as_worker
from dgbench.runs.execute import do_runs, do_training
from dgbench.runs.planning import make_plan
from dgbench.runs.store import Store
from dgbench.selection.criteria import CRITERIA, choose
from dgbench.train.evaluate import CHUNK, score
from exported_boards import ALGORITHMS, HALVED, IN_BLOCKS, SHAPES, Ran, few_views, target


def export(ran: Ran, algorithm: str, folder: Path) -> tuple[Choice, Model]:
    choice = chosen(ran.board, algorithm, ran.store, criterion="augmented")
    write(choice, ran.store, folder)
    return choice, load(folder)


def replayed(model: Model, choice: Choice) -> pl.DataFrame:
    """The target's images by row, through the exported model, in the order and the batches of a run."""
    training = choice.plan.trainings[choice.entry.training]
    domain, rows = target(choice)
    images = torch.from_numpy(np.array(domain.inputs[rows]))
    seed = training.seed("stream", domain.name, "clean")
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    with as_worker("cpu"), torch.no_grad():
        see = model.ready if model.sees_images else lambda chunk: model.features(model.ready(chunk))
        shown = torch.cat([see(chunk) for chunk in images.split(CHUNK)])[order]
        stream = model.stream()
        observe = stream.observe if model.sees_images else stream.observe_features
        scores = torch.cat([observe(batch) for batch in shown.split(model.card.algorithm.stream_batch)])
    scored = score(scores, torch.from_numpy(domain.labels[rows])[order], model.scores)
    columns = {
        "index": torch.from_numpy(rows)[order].int(),
        "prediction": scored.prediction.short(),
        "confidence": scored.confidence,
    }
    return pl.DataFrame({name: column.numpy() for name, column in columns.items()}).sort("index")


def stored(choice: Choice, store: Store) -> pl.DataFrame:
    table = pl.read_parquet(store.file("run", choice.entry.run, "predictions.parquet"))
    rows = table.filter((pl.col("split") == "target") & (pl.col("step") == choice.step))
    return rows.select("index", "prediction", "confidence").sort("index")


@pytest.mark.parametrize("algorithm", [name for name in ALGORITHMS if name != "ensemble"])  # which is no one network
def test_every_recipe_predicts_what_its_run_predicted(
    algorithm: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    ran: Ran = request.getfixturevalue("blocks" if algorithm in IN_BLOCKS else "digits")
    choice, model = export(ran, algorithm, tmp_path / "model")
    assert replayed(model, choice).equals(stored(choice, ran.store)), "to the last bit"
    assert {path.name for path in (tmp_path / "model").iterdir()} <= FILES
    assert model.card.selection.target == "print"
    assert "print" not in model.card.selection.sources


@pytest.mark.parametrize("algorithm", SHAPES)
def test_statistics_of_batches_and_pictures_of_files_leave_with_it(algorithm: str, shapes: Ran, tmp_path: Path) -> None:
    choice, model = export(shapes, algorithm, tmp_path / "model")
    assert replayed(model, choice).equals(stored(choice, shapes.store))


@pytest.mark.parametrize("algorithm", HALVED)
def test_a_model_in_bfloat16_predicts_in_bfloat16(algorithm: str, halved: Ran, tmp_path: Path) -> None:
    """Whole networks and heads on stored features alike; in float32 the same weights say something else."""
    choice, model = export(halved, algorithm, tmp_path / "model")
    assert replayed(model, choice).equals(stored(choice, halved.store)), "to the last bit"
    assert model.card.backbone.precision == "bfloat16"
    assert "computed in bfloat16" in (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    model.network.precision = "float32"
    assert not replayed(model, choice).equals(stored(choice, halved.store))


def test_averages_have_statistics_of_their_own(shapes: Ran, tmp_path: Path) -> None:
    """SWAD estimates them again on training batches; an average of the running ones is something else."""
    export(shapes, "swad", tmp_path / "a")
    export(shapes, "erm", tmp_path / "b")
    swad, erm = (load_file(tmp_path / name / "model.safetensors") for name in "ab")
    counted = "bn1.num_batches_tracked"
    assert (int(swad[counted]), int(erm[counted])) == (10, 0), (
        "ten batches of their own; a trajectory keeps no counters"
    )
    assert not torch.equal(swad["bn1.running_var"], erm["bn1.running_var"])


@pytest.mark.parametrize("algorithm", ["erm", "lora", "linear_probe", "drm"])
def test_timm_takes_the_backbone_as_it_is(algorithm: str, shapes: Ran, tmp_path: Path) -> None:
    _, model = export(shapes, algorithm, tmp_path / "model")
    network = timm.create_model("test_efficientnet", num_classes=0)
    network.load_state_dict(load_file(tmp_path / "model" / "model.safetensors"), strict=True)
    x = torch.randn(4, 3, 32, 32)
    assert torch.equal(network.eval().to(memory_format=torch.channels_last)(x), model.features(x))
    by_folder = timm.create_model(f"local-dir:{tmp_path / 'model'}", pretrained=True).eval()
    torch.testing.assert_close(by_folder(x), model.features(x))
    data = timm.data.resolve_model_data_config(by_folder)
    assert tuple(data["input_size"]) == (3, 32, 32)
    assert tuple(data["mean"]) == model.card.preprocessing.mean


def test_a_recipe_that_the_board_does_not_list_is_found_by_its_runs(digits: Ran) -> None:
    board = digits.board.model_copy(update={"algorithms": ("erm",)})
    assert chosen(board, "sam", digits.store, criterion="augmented").entry.algorithm == "sam"


def test_the_criterion_chooses_and_the_card_says_how(shapes: Ran, tmp_path: Path) -> None:
    """Three checkpoints stand; two criteria need not agree, and each card has its own score."""
    records = dgbench.records(shapes.board, store=shapes.store.root)
    for name in ("augmented", "source_nll"):
        choice = chosen(shapes.board, "erm", shapes.store, criterion=name)
        card = write(choice, shapes.store, tmp_path / name)
        picked = choose(records.metrics, records.runs, CRITERIA[name]).filter(pl.col("algorithm") == "erm")
        assert (card.selection.step, card.selection.score) == picked.select("step", "score").row(0)
        assert card.selection.criterion == name
        own = records.metrics.filter(
            pl.col("algorithm") == "erm", pl.col("step") == choice.step, pl.col("view") == "clean"
        )
        reached = own.filter(pl.col("split") == "target").row(0, named=True)
        assert card.scores.target is not None
        assert (card.scores.target.value, card.scores.target.n) == (reached["accuracy"], reached["n"])
        assert set(card.scores.validation) == {"ink", "paint"}
        assert "t-interval" not in (card.scores.algorithm or card.scores.target).interval, "there is one trial"
        assert read_card(tmp_path / name) == card
        page = (tmp_path / name / "README.md").read_text(encoding="utf-8")
        assert f"criterion `{name}`" in page
        assert "CC0" in page
        block = ModelCard(page).data
        assert (block.license, block.library_name) == ("other", "dgbench")
        said = {(result.dataset_config, result.dataset_split): result for result in block.eval_results}
        target = said.pop((choice.entry.domain, "test"))
        assert (target.metric_value, target.metric_args["images"]) == (reached["accuracy"], reached["n"])
        assert target.metric_args["criterion"] == name
        assert {key[0]: result.metric_value for key, result in said.items()} == {
            domain: measured.value for domain, measured in card.scores.validation.items()
        }


def test_a_model_for_the_hub_is_the_exported_one_and_what_was_damaged_is_not_copied(
    shapes: Ran, tmp_path: Path
) -> None:
    model, out = tmp_path / "model", tmp_path / "out"
    card = dgbench.export(shapes.board, "erm", model, store=shapes.store.root)
    assert dgbench.publish_model(model, out) is None
    assert {path.name: path.read_bytes() for path in out.iterdir()} == {
        path.name: path.read_bytes() for path in model.iterdir()
    }
    dgbench.publish_model(model, out, benchmark="me/shapes-board")
    (listed,) = (out / ".eval_results").iterdir()
    (result,) = parse_eval_result_entries(yaml.safe_load(listed.read_text(encoding="utf-8")))
    assert card.scores.target is not None
    assert (result.dataset_id, result.task_id, result.value) == (
        "me/shapes-board", card.selection.target, card.scores.target.value,
    )  # fmt: skip
    assert dgbench.load(out).card == card
    with pytest.raises(DGBenchError, match="OWNER/NAME"):
        dgbench.publish_model(model, out, benchmark="shapes")
    (model / "head.safetensors").write_bytes(b"x")
    with pytest.raises(DGBenchError, match=r"is not what 'card\.json' says"):
        dgbench.publish_model(model, out)
    assert (out / "head.safetensors").read_bytes() != b"x"


@pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning")  # of huggingface_hub
def test_the_verb_sends_only_when_asked_and_says_in_one_line_what_went_wrong(
    shapes: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, out = tmp_path / "model", tmp_path / "out"
    dgbench.export(shapes.board, "erm", model, store=shapes.store.root)

    verb = ("publish", "model", model, "-o", out)
    with hub() as there:
        fresh = [sys.executable, "-X", "importtime", "-m", "dgbench.cli", *verb]
        kept = subprocess.run(fresh, capture_output=True, text=True, env=environment(there))
        assert kept.stdout.splitlines() == [str(out), "nothing was sent; --push OWNER/NAME sends it"]
        assert there.asked == []
        assert "| torch\n" not in kept.stderr
        at(there, monkeypatch)
        sent = within(*verb, "--push", "me/model")
        repository = there.repositories["me/model"]
        assert sent.stdout.splitlines() == [str(out), f"{there.address}/me/model/commit/{1:040x}"]
        assert repository.files == {path.name: path.read_bytes() for path in out.iterdir()}
        assert (repository.kind, repository.visibility) == ("model", "private")
        there.fails = ("/api/models/me/model/commit", 403)
        failed = within(*verb, "--push", "me/model")
        assert failed.returncode == 2
        said = failed.stderr.splitlines()
        assert [line for line in said if line.startswith("dgbench: me/model: could not be pushed (")] == said[-1:]
        assert repository.commits == 1
        for done in (kept, sent, failed):
            assert TOKEN not in done.stdout + done.stderr
            assert "Traceback" not in done.stderr


def test_a_board_for_the_hub_is_the_leaderboard_of_the_store(shapes: Ran, tmp_path: Path) -> None:
    assert dgbench.publish_board(shapes.board, tmp_path / "out", store=shapes.store.root, licence="cc0-1.0") is None
    made = dgbench.leaderboard(shapes.board, store=shapes.store.root)
    ranks = pl.read_parquet(tmp_path / "out" / "data" / "ranks.parquet")
    assert ranks["accuracy"].to_list() == [entry.accuracy.mean for entry in made.entries]
    assert pl.read_parquet(tmp_path / "out" / "data" / "runs.parquet").equals(made.records.runs)
    assert "license: cc0-1.0" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    forms = {"out": tmp_path / "files", "forms": ("eee", "hub"), "benchmark": "me/shapes"}
    present("quick", shapes.board, None, shapes.store.root, **forms, as_json=False, quiet=True)  # type: ignore[arg-type]
    written = {path.name for path in (tmp_path / "files").rglob("*") if path.is_file()}
    assert {"leaderboard.tex", "methods.bib", "README.md"} <= written
    assert len(list((tmp_path / "files" / "every-eval-ever").rglob("*.json"))) == len(made.entries)
    assert len(list((tmp_path / "files" / "hub").glob("*/.eval_results/*.yaml"))) == len(made.entries)


@pytest.mark.parametrize(("accuracy", "n"), [(0.0, 10), (0.5, 10), (0.93, 1000), (1.0, 1)])
def test_the_interval_over_images_holds_the_shares_that_a_test_would_not_reject(accuracy: float, n: int) -> None:
    """Wilson: all p with |accuracy - p| <= z sqrt(p (1 - p) / n)."""
    measured = over_images(accuracy, n)
    assert measured.low is not None
    assert measured.high is not None
    for p in np.linspace(0, 1, 2001):
        inside = abs(accuracy - p) <= 1.959963984540054 * math.sqrt(p * (1 - p) / n) + 1e-12
        assert inside == (measured.low - 1e-9 <= p <= measured.high + 1e-9)


def test_what_is_not_there_is_said(digits: Ran, tmp_path: Path) -> None:
    board, store = digits.board, digits.store
    with pytest.raises(StoreError, match=r"no target 'prnt'\. Did you mean 'print'"):
        chosen(board, "erm", store, criterion="augmented", target="prnt")
    with pytest.raises(StoreError, match="trials 0 to 0, not 1"):
        chosen(board, "erm", store, criterion="augmented", trial=1)
    with pytest.raises(RecipeError, match="reads target labels"):
        chosen(board, "erm", store, criterion="oracle")
    with pytest.raises(
        StoreError, match=r"is not finished; 'dgbench run small -a 'coral \+ sam'' does what is missing"
    ):
        chosen(board, "coral + sam", store, criterion="augmented")


def test_weights_that_were_let_go_are_named_with_the_remedy(digits: Ran, tmp_path: Path) -> None:
    """The board keeps what its criterion chose; another one may have chosen another checkpoint."""
    records = dgbench.records(digits.board, store=digits.store.root)
    picked = {
        name: choose(records.metrics, records.runs, CRITERIA[name]).select("algorithm", "step")
        for name in ("augmented", "source")
    }
    other = picked["source"].join(picked["augmented"], on=["algorithm", "step"], how="anti")["algorithm"]
    assert len(other), "two checkpoints stand: some algorithm's choice differs"
    refused = 0
    for algorithm in other:
        choice = chosen(digits.board, algorithm, digits.store, criterion="source")
        weights = digits.store.folder("training", choice.entry.training) / "weights"
        if (weights / f"{choice.step:06d}.safetensors").exists():  # another algorithm with that training chose it
            continue
        refused += 1
        with pytest.raises(StoreError, match=r"were not kept.*'dgbench run BOARD --keep shown' trains again"):
            write(choice, digits.store, tmp_path / "model")
    assert refused
    assert not list(tmp_path.iterdir())


def test_nothing_but_an_exported_model_is_written_over(digits: Ran, tmp_path: Path) -> None:
    choice, _ = export(digits, "erm", tmp_path / "model")
    before = read_json(tmp_path / "model" / "card.json")
    _, model = export(digits, "t3a", tmp_path / "model")
    assert model.card.algorithm.name == "t3a" != before["algorithm"]["name"]
    (tmp_path / "model" / "notes.txt").write_text("mine")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").touch()
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    for name in ("model", "photos", "file"):
        with pytest.raises(DGBenchError, match="is there and is no exported model, or holds other files"):
            write(choice, digits.store, tmp_path / name)
    write(choice, digits.store, tmp_path / "empty")
    assert (tmp_path / "model" / "notes.txt").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file", "model", "photos"], "no leftovers"
    modes = {path.stat().st_mode for path in (tmp_path / "empty").iterdir()}
    assert modes == {(tmp_path / "file").stat().st_mode}, "others may read what the umask lets them"


def test_a_folder_is_whole_or_as_it_was(digits: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    choice, _ = export(digits, "erm", tmp_path / "model")
    before = {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()}

    def fails(card: object) -> str:
        raise OSError("the disk is gone")

    monkeypatch.setattr("dgbench.exported.write.readme", fails)
    for name in ("model", "new"):
        with pytest.raises(OSError, match="disk is gone"):
            write(choice, digits.store, tmp_path / name)
    assert {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_an_online_model_is_a_stream_and_nothing_else(digits: Ran, tmp_path: Path) -> None:
    _, model = export(digits, "t3a", tmp_path / "model")
    x = torch.rand(64, 3, 16, 16)
    with pytest.raises(DGBenchError, match=r"take model.stream\(\)"):
        model(x)
    stream = model.stream()
    first = [stream.observe(batch) for batch in x.split(32)]
    again = stream.observe(x[:32])
    stream.reset()
    assert torch.equal(stream.observe(x[:32]), first[0]), "a reset forgets, bit for bit"
    assert not torch.equal(again, first[0]), "what was seen makes a difference"


def test_a_plain_model_is_a_module(digits: Ran, tmp_path: Path) -> None:
    _, model = export(digits, "erm", tmp_path / "model")
    x: Tensor = torch.rand(8, 3, 16, 16, requires_grad=True)
    scores = model(x)
    assert scores.shape == (8, len(model.classes))
    scores.sum().backward()
    assert x.grad is not None, "who explains or attacks a model wants gradients"
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert torch.equal(model.stream().observe(x), scores)


def done_here(board: BoardCard, folder: Path) -> Ran:
    """A board whose runs are done by this process."""
    plan, store = make_plan(board, fetch=True), Store(folder)
    cpu = torch.device("cpu")
    with as_worker("cpu"):
        for id_, training in plan.trainings.items():
            do_training(training, store, cpu)
            do_runs(training, [run for run in plan.runs.values() if run.training == id_], store, cpu)
    return Ran(board, plan, store)


@pytest.mark.parametrize("recipe", ["erm", "linear_probe"])
def test_what_left_comes_in_again_as_weights_of_ones_own(recipe: str, shapes: Ran, tmp_path: Path) -> None:
    """And leaves again: also where no training holds a copy of the backbone."""
    _, first = export(shapes, "erm", tmp_path / "first")
    name = f"timm:test_efficientnet(weights={tmp_path / 'first'})"
    backbone = build(name)
    x = torch.randn(4, 3, 32, 32)
    assert torch.equal(backbone.module.eval().to(memory_format=torch.channels_last)(x), first.features(x))
    assert (backbone.mean, backbone.std, backbone.size) == (
        first.card.preprocessing.mean, first.card.preprocessing.std, 32,
    )  # fmt: skip
    ran = done_here(rules(few_views(shapes.board), algorithms=[recipe], backbone=name), tmp_path / "store")
    choice, second = export(ran, recipe, tmp_path / "second")
    assert replayed(second, choice).equals(stored(choice, ran.store))
    if recipe == "linear_probe":
        assert torch.equal(second.features(x), first.features(x))
    learnt = second.card.backbone
    assert learnt.pretrained_on == "shapes (ink, paint)"
    assert learnt.weights is not None
    assert learnt.weights in learnt.name
    assert str(tmp_path) not in (tmp_path / "second" / "card.json").read_text()
    assert "ask whoever made them" in second.card.licences.weights
    with pytest.raises(DGBenchError, match="is of the backbone timm:test_efficientnet, not of timm:test_resnet; take"):
        build(f"timm:test_resnet(weights={tmp_path / 'first'})")
    (tmp_path / "first" / "card.json").write_text("{}")
    with pytest.raises(DGBenchError, match="is of no exported model of dgbench"):
        build(name)


@pytest.mark.parametrize(
    "recipe",
    [
        "linear_probe(head=zero_shot)",
        "wise_ft(head=zero_shot)",
        "linear_probe(head=zero_shot) + t3a",
        *tiny_clip.TEXT,
        "clip_lora + swad",
        "flyp + ema + t3a",
    ],
)
def test_a_tower_of_open_clip_and_a_head_of_words(recipe: str, shapes: Ran, tmp_path: Path) -> None:
    """Done in this process: workers do not know the tiny model."""
    backbone = tiny_clip.register(tmp_path)
    tracks = {"inductive": backbone, "online": backbone}
    board = few_views(shapes.board).model_copy(update={"tracks": tracks})
    ran = done_here(rules(board, algorithms=[recipe]), tmp_path / "store")
    store = ran.store
    choice, model = export(ran, recipe, tmp_path / "model")
    assert model.network.unit_features
    assert replayed(model, choice).equals(stored(choice, store))
    tower = open_clip.create_model(tiny_clip.NAME).visual
    tower.load_state_dict(load_file(tmp_path / "model" / "model.safetensors"), strict=True)
    assert not (tmp_path / "model" / "config.json").exists(), "that would be timm's"
