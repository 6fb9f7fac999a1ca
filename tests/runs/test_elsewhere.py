"""Whole algorithms from elsewhere on a board: rows as of a loop written by hand, and stores that run nobody's code."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference_interface
import torch
from reference_interface import HPARAMS
from torch import nn
from typer.testing import CliRunner

from dgbench.api import boards
from dgbench.api.reproducing import reproduce
from dgbench.api.using import export
from dgbench.cli import program
from dgbench.core import elsewhere
from dgbench.core.cards import BoardCard, CaseRules, SelectionRules
from dgbench.core.elsewhere import refuse, trust, trusted
from dgbench.core.errors import RecipeError
from dgbench.core.processes import Pool
from dgbench.data.catalogue import load
from dgbench.data.splits import split
from dgbench.runs import again
from dgbench.runs.deterministic import ready
from dgbench.runs.parts import parts_of
from dgbench.runs.plan import Plan
from dgbench.runs.planning import make_plan
from dgbench.runs.setting import Setting
from dgbench.runs.store import Store
from dgbench.submissions.make import make
from dgbench.train.spec import TrainingSpec
from in_process import carry_out
from small import small_board

pytestmark = pytest.mark.usefixtures("computing_as_a_worker")
CPU = torch.device("cpu")
SET = f"({', '.join(f'{name}={value}' for name, value in HPARAMS.items())})"
NAMES = ("ERM", "DANN", "Queue")
RECIPES = {name: f"domainbed:reference_interface:{name}{SET}" for name in NAMES}
ALL = ("erm", *RECIPES.values(), *(f"{RECIPES['Queue']} + {mean}" for mean in ("swad", "ema")))


def board(*algorithms: str) -> BoardCard:
    """One target, one checkpoint, few views."""
    changes = {"cases": {"digits": CaseRules(targets=("print",))}, "selection": SelectionRules(views_per_domain=5)}
    return small_board(*algorithms, checkpoints=1).model_copy(update=changes)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for recipe in ALL:
        trust(recipe)
    folder = tmp_path_factory.mktemp("store")
    carry_out(board(*ALL), folder)
    return folder


def training_of(plan: Plan, recipe: str) -> TrainingSpec:
    return plan.trainings[next(entry.training for entry in plan.entries if entry.algorithm == recipe)]


def by_hand(name: str, spec: TrainingSpec, root: Path) -> nn.Module:
    """DomainBed's loop, on the batches of the board."""
    sources = Setting(spec, parts_of(spec), Store(root), CPU).sources()

    def seed(number: int) -> None:
        random.seed(number)
        np.random.seed(number % 2**32)
        torch.manual_seed(number)

    seed(spec.seed("init", spec.backbone))
    algorithm: Any = getattr(reference_interface, name)((3, spec.size, spec.size), 10, 3, dict(HPARAMS))
    for step in range(spec.steps):
        batch = sources.batch(parts_of(spec).sampler, step)
        seed(spec.seed("step", step))
        algorithm.update([(batch.x[batch.domain == d].contiguous(), batch.y[batch.domain == d]) for d in range(3)])
    return algorithm  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", NAMES)
def test_the_row_of_a_board_is_that_of_a_loop_by_hand(name: str, root: Path) -> None:
    rules = board(*ALL)
    spec = training_of(make_plan(rules), RECIPES[name])
    algorithm: Any = by_hand(name, spec, root).eval()
    digits = load("digits", spec.size).domain("print")
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        pictures = (
            torch.from_numpy(np.array(digits.inputs[np.arange(len(digits))])).permute(0, 3, 1, 2) / 255 - mean
        ) / std
        guessed = torch.cat([algorithm.predict(some).argmax(1) for some in pictures.split(100)]).numpy()
    found = boards.predictions(rules, algorithm=RECIPES[name], target="print", store=root).collect()
    found = found.filter(split="target").sort("index")
    assert found["step"].unique().to_list() == [spec.steps]
    tested = found["index"].to_numpy()
    np.testing.assert_array_equal(found["prediction"].to_numpy(), guessed[tested])
    (entry,) = (entry for entry in boards.leaderboard(rules, store=root).entries if entry.algorithm == RECIPES[name])
    assert entry.targets["print"].mean == pytest.approx(float((guessed == digits.labels)[tested].mean()), abs=1e-12)
    assert entry.backbone == f"domainbed:reference_interface:{name}"


def test_it_is_paired_with_the_algorithms_of_the_board(root: Path) -> None:
    """The same splits and batches, as pixels; its own normalisation."""
    plan = make_plan(board(*ALL))
    one, other = (training_of(plan, recipe) for recipe in ("erm", RECIPES["ERM"]))
    erm, theirs = (Setting(spec, parts_of(spec), Store(root), CPU).sources() for spec in (one, other))
    for step in range(2):
        batches = [sources.batch(parts_of(one).sampler, step) for sources in (erm, theirs)]
        assert torch.equal(batches[0].index, batches[1].index)
        assert torch.equal(batches[0].y, batches[1].y)
    assert (one.seed("step", 3), one.trial, one.sources) == (other.seed("step", 3), other.trial, other.sources)
    rows = split(load("digits", one.size), "dot-matrix", 0, one.validation, one.test, one.official)
    held = next(domain for domain in theirs.domains if domain.name == "dot-matrix")
    np.testing.assert_array_equal(held.train.numpy(), rows.train)


def test_nothing_that_only_looks_at_a_store_imports_a_class(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elsewhere, "_TRUSTED", set())
    monkeypatch.setattr(elsewhere, "_loaded", lambda target: pytest.fail(f"{target} is imported"))
    run = CliRunner().invoke
    for command in (
        ["store", "verify"],
        ["store", "ls"],
        ["store", "du"],
        ["store", "prune", "--keep", "chosen", "--yes"],
    ):
        done = run(program(), [*command, "--store", str(root)])
        assert done.exit_code == 0, done.output
    rules = board(*ALL)
    for use in (boards.leaderboard, boards.plan, boards.select, boards.run):
        with pytest.raises(RecipeError, match="is code, which no file may name"):
            use(rules, store=root)  # type: ignore[operator]
    assert boards.plan(board("erm"), store=root).entries


def test_workers_are_told_what_the_user_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elsewhere, "_TRUSTED", set())
    trust(f"{RECIPES['ERM']} + swad")
    told = trusted()
    with Pool(1, ready, "cpu", told) as pool:
        assert pool.submit(trusted).result() == told == ("domainbed:reference_interface:ERM",)


def test_what_would_leave_with_it_is_refused(root: Path, tmp_path: Path) -> None:
    recipe = RECIPES["ERM"]
    with pytest.raises(RecipeError, match="a model that leaves names no code, so it is not exported"):
        export(board(recipe), recipe, tmp_path / "model", store=root)
    with pytest.raises(RecipeError, match="others cannot compute it again; submit its predictions"):
        make(board(recipe), {}, Store(root), tmp_path)
    refuse("erm + swad", "nothing is refused")


def test_boards_whose_steps_see_some_domains_refuse_it() -> None:
    trust(RECIPES["ERM"])
    rules = board(RECIPES["ERM"])
    few = rules.training.model_copy(update={"domains_per_step": 2})
    with pytest.raises(RecipeError, match=r"is given the images of every source domain in every step, .* shows 2 of 3"):
        make_plan(rules.model_copy(update={"training": few}))


@pytest.mark.parametrize(
    ("settings", "why"),
    [("", "cannot be made with hparams = {}: KeyError: 'width'"), ("(width=4)", "KeyError: 'lr'. A card says")],
)
def test_a_class_that_cannot_be_made_says_what_it_lacks(settings: str, why: str, tmp_path: Path) -> None:
    recipe = f"domainbed:reference_interface:ERM{settings}"
    trust(recipe)
    plan = make_plan(board(recipe))
    (spec,) = plan.trainings.values()
    with pytest.raises(RecipeError, match=why):
        Setting(spec, parts_of(spec), Store(tmp_path), CPU).initial_network()


def test_a_run_of_a_class_is_done_again_by_whoever_named_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that takes no -a says what can be done, and begins nothing."""
    plan = make_plan(board(*ALL))
    run = next(entry.run for entry in plan.entries if entry.algorithm == RECIPES["ERM"])
    monkeypatch.setattr(elsewhere, "_TRUSTED", set())
    monkeypatch.setattr(again, "Pool", lambda *_: pytest.fail("something is begun"))
    with pytest.raises(RecipeError, match=r"in Python with dgbench.trust\('domainbed:reference_interface:ERM'\)"):
        reproduce(run, store=root, device="cpu")


def test_one_class_with_two_cards_is_told_apart_by_a_value(tmp_path: Path) -> None:
    trust(RECIPES["ERM"])
    both = []
    for width in (3, 4):
        card = tmp_path / f"{width}.toml"
        card.write_text(f"[hyperparameters]\nlr = 0.01\nwidth = {width}\n")
        both.append(f"domainbed:reference_interface:ERM(card={card}")
    with pytest.raises(RecipeError, match=r"ERM' 2 times; tell them apart by a value in parentheses, as \(lr=0.01\)"):
        make_plan(board(*(f"{one})" for one in both)))
    assert len(make_plan(board(*(f"{one}, width={width})" for one, width in zip(both, (3, 4), strict=True)))).runs) == 2
