"""Trainings that judge others: who has them, what they learn from, what comes of them, and what a store keeps."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import polars as pl
import pytest
import torch
from scripts_loaded import load_script

from dgbench.api import boards
from dgbench.core.cards import BoardCard, CaseRules, PartChoice, RecipeSlots, SelectionRules, SplitRules
from dgbench.core.cases import Case, Place
from dgbench.core.errors import CardError, RecipeError, StoreError
from dgbench.core.files import write_json
from dgbench.core.shift_families import FAMILIES, FOLDS
from dgbench.data.catalogue import load
from dgbench.data.splits import split
from dgbench.runs.failures import failure
from dgbench.runs.index import index
from dgbench.runs.judges import domains
from dgbench.runs.overlap import sharing
from dgbench.runs.plan import Plan
from dgbench.runs.planning import make_plan
from dgbench.runs.predict import Bench
from dgbench.runs.prune import prune, pruning
from dgbench.runs.store import Store
from dgbench.runs.usage import Usage
from dgbench.runs.wishes import Boards
from dgbench.submissions.make import make
from in_process import carry_out
from small import WHOLE, small_board

if TYPE_CHECKING:
    from dgbench.runs.setting import Setting

pytestmark = pytest.mark.usefixtures("computing_as_a_worker")


def board(*algorithms: str, criterion: str = "kfold", sampler: str = "crafted", **changes: Any) -> BoardCard:
    """One target, few shifted images; every recipe trains with the sampler."""
    rules = {
        "cases": {"digits": CaseRules(targets=("print",))},
        "criterion": criterion,
        "defaults": RecipeSlots(sampler=PartChoice(part=sampler), averaging=PartChoice(part="best")),
        "selection": SelectionRules(views_per_domain=3),
    }
    return small_board(*algorithms, backbone="dgbench:convnet-small", steps=2).model_copy(update=rules | changes)


def trained_with(plan: Plan, training: str) -> tuple[str, ...]:
    """The families of a training's images."""
    return tuple(plan.trainings[training].parts["sampler"].get("shifts", ()))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("kfold")
    carry_out(board("erm", "swad"), root)
    return root


@pytest.fixture
def store(done: Path, tmp_path: Path) -> Store:
    return Store(shutil.copytree(done, tmp_path / "store"))


def test_each_training_has_one_without_each_fold_which_algorithms_share() -> None:
    rules = board("erm", "t3a", "sam", cases={})
    made, plain = make_plan(rules), make_plan(rules.model_copy(update={"criterion": "augmented"}))
    assert (len(plain.trainings), len(plain.runs), plain.judges) == (2 * 4, 3 * 4, [])
    assert (len(made.trainings), len(made.runs)) == (3 * 2 * 4, 3 * 3 * 4)
    assert made.entries == plain.entries
    assert plain.trainings.items() <= made.trainings.items()
    assert plain.runs.items() <= made.runs.items()
    for judge in made.judges:
        entry = next(entry for entry in made.entries if entry.candidate == judge.candidate)
        own, other = made.trainings[entry.training], made.trainings[judge.training]
        assert {*trained_with(made, judge.training)} == {*FAMILIES} - {*judge.views}
        assert (judge.domains, made.runs[judge.run].target) == (own.sources, "")
        alike = {name for name in own.spec() if own.spec()[name] != other.spec()[name]}
        assert alike == {"parts"}
        assert own.parts | {"sampler": {}} == other.parts | {"sampler": {}}
    assert {judge.views for judge in made.judges} == {*FOLDS}
    judging = next(group for group in sharing(made) if group.algorithms == ("(kfold)",))
    assert (judging.trainings, judging.runs) == (2 * 2 * 4, 3 * 2 * 4)


def test_only_a_board_that_asks_has_another_list(tmp_path: Path) -> None:
    rules, store = board("erm"), Store(tmp_path)
    by = {name: rules.model_copy(update={"criterion": name}) for name in ("augmented", "source")}
    assert store.index(by["augmented"]) == store.index(by["source"]) != store.index(rules)
    assert "judges" not in index(make_plan(by["augmented"]))
    assert boards.rules(by["source"], criterion="kfold") == rules


@pytest.mark.parametrize(
    ("sampler", "hyperparameters", "without"),
    [
        ("balanced", {"sampler.augmentation": "none"}, []),
        ("balanced", {"sampler.augmentation": "crop"}, [{"part": "balanced", "version": 2, "augmentation": "none"}]),
        ("crafted", {"sampler.shifts": ["blur"]}, [{"part": "balanced", "version": 2, "augmentation": "none"}]),
        ("crafted", {"sampler.shifts": ["blur", "edges"]}, ["edges", "blur"]),
    ],
)
def test_a_fold_that_training_did_not_use_is_judged_by_the_model_itself(
    sampler: str, hyperparameters: Mapping[str, Any], without: list[Any]
) -> None:
    made = make_plan(board("erm", sampler=sampler, hyperparameters=hyperparameters))
    (entry,) = made.entries
    samplers = [made.trainings[j.training].parts["sampler"] for j in made.judges if j.training != entry.training]
    assert [part if part["part"] == "balanced" else part["shifts"][0] for part in samplers] == without
    assert all(j.run == entry.run for j in made.judges if j.training == entry.training)
    assert len(made.trainings) == 1 + len(without)


def test_a_head_that_was_trained_before_is_without_the_fold_too() -> None:
    made = make_plan(board("wise_ft"))
    (entry,) = made.entries
    assert entry.families == FAMILIES
    for judge in made.judges:
        head = made.trainings[judge.training].reference
        assert head is not None
        assert {*trained_with(made, head)} == {*FAMILIES} - {*judge.views}
    plain = make_plan(board("wise_ft", sampler="balanced", hyperparameters={"sampler.augmentation": "none"}))
    assert len(plain.trainings) == 2


def test_families_that_cannot_be_left_out_are_refused_by_name() -> None:
    rules = board("erm", sampler="balanced", hyperparameters={"sampler.augmentation": "domainbed"})
    with pytest.raises(
        RecipeError, match=r"no judge for 'erm' under arithmetic, color, contrast: its sampler 'balanced'"
    ):
        make_plan(rules)
    assert make_plan(rules.model_copy(update={"criterion": "augmented"})).judges == []


def by_hand(root: Path) -> Iterator[tuple[tuple[str, int, int], float]]:
    """The score of each candidate from files alone: what models without a fold predicted of images under the fold."""
    specs = {path.parent.name: json.loads(path.read_text()) for path in root.glob("*/*/spec.json")}
    runs = {id_: spec for id_, spec in specs.items() if "averaging" in spec}

    def alike(spec: dict[str, Any]) -> dict[str, Any]:
        return spec | {"parts": spec["parts"] | {"sampler": None}}

    (path,) = root.glob("boards/*/*.json")
    for entry in json.loads(path.read_text())["entries"]:
        own, right = specs[entry["training"]], dict[tuple[str, str], list[bool]]()
        assert own["parts"]["sampler"]["shifts"] == [*FAMILIES]
        steps = []
        for fold, others in (FOLDS, FOLDS[::-1]):
            (judge,) = [
                id_
                for id_, run in runs.items()
                if alike(specs[run["training"]]) == alike(own)
                and specs[run["training"]]["parts"]["sampler"]["shifts"] == [*others]
                and run["averaging"] == entry["hyperparameters"]["averaging"]
            ]
            table = pl.read_parquet(root / "runs" / judge / "predictions.parquet")
            assert set(table["split"]) == {"validation"}
            steps = sorted(set(table["step"]))
            for row in table.iter_rows(named=True):
                if row["view"] in fold:
                    key = (steps.index(row["step"]), row["domain"], row["view"])
                    right.setdefault(key, []).append(row["prediction"] == row["label"])
        for place in range(len(steps)):
            of = {key[1:]: sum(them) / len(them) for key, them in right.items() if key[0] == place}
            assert len(of) == len(own["sources"]) * len(FAMILIES)
            yield (entry["algorithm"], entry["draw"], place), sum(of.values()) / len(of)


def test_the_score_is_that_of_a_hand_computation(done: Path) -> None:
    rules = board("erm", "swad")
    found = boards.records(rules, store=done)
    assert (found.missing, found.runs.height) == (0, 2)
    chosen = boards.select(rules, store=done)
    expected = dict(by_hand(done))
    steps = {
        (algorithm, draw): sorted(set(part["step"]))
        for (algorithm, draw), part in found.metrics.group_by("algorithm", "draw")
    }
    assert len(expected) == sum(map(len, steps.values())) == 2 + 1
    for cell in chosen.cells.iter_rows(named=True):
        own = {(d, place): score for (name, d, place), score in expected.items() if name == cell["algorithm"]}
        place = steps[cell["algorithm"], cell["draw"]].index(cell["step"])
        assert cell["score"] == pytest.approx(max(own.values()), abs=1e-12)
        assert own[cell["draw"], place] == pytest.approx(cell["score"], abs=1e-12)
        assert cell["views"] == [*FAMILIES]
    assert set(chosen.others["criterion"]) >= {"source", "augmented_all"}
    assert {criterion for criterion, _ in chosen.refusals} >= {"augmented", "augmented_worst"}
    made = boards.leaderboard(rules, store=done)
    for track in made.tracks:
        for one in track.entries:
            assert (one.contaminated, one.held_out, one.families) == ((), (), FAMILIES)
    assert "kfold" in {one.criterion.name for track in made.tracks for one in track.qualities}


def test_other_boards_do_not_speak_of_it(done: Path) -> None:
    plain = board("erm", "swad", criterion="augmented_all")
    store = Store(done)
    listed = store.index(plain)
    store.write_index(plain, index(make_plan(plain)))
    try:
        found = boards.select(plain, store=done)
        assert not [name for name, _ in found.refusals if name == "kfold"]
        assert boards.records(plain, store=done).metrics["split"].unique().sort().to_list() == ["target", "validation"]
        assert boards.select(plain, "kfold", store=done).cells.height == 2, (
            "its list is looked for where it is asked for"
        )
    finally:
        listed.unlink()


def test_judges_stay_with_their_board_and_keep_no_weights(store: Store) -> None:
    rules = board("erm", "swad")
    plan = make_plan(rules)
    trainings, runs = plan.only_judging()
    assert (len(trainings), len(runs)) == (2, 4)
    weights = {path.parts[-3] for path in store.root.glob("trainings/*/weights/*")}
    assert weights
    assert not weights & trainings
    assert pruning(store, unlisted=True).pieces == ()
    assert Usage(store).boards[0].pieces("erm") > {("training", one.training) for one in plan.entries}
    everything = Boards(store, [index(plan, "all")])
    assert all(everything.wish(id_).everything for id_ in trainings)
    prune(store, pruning(store, [rules.name], forget=True))
    assert list(store.root.glob("trainings/*")) == list(store.root.glob("runs/*")) == []


def test_a_candidate_waits_for_its_judges_and_keeps_its_weights(store: Store) -> None:
    rules = board("erm", "swad")
    judge = next(judge for judge in make_plan(rules).judges if judge.algorithm == "erm")
    shutil.rmtree(store.folder("run", judge.run))
    found = boards.records(rules, store=store.root)
    assert (found.missing, found.runs["algorithm"].to_list()) == (1, ["swad"])
    wish = Boards(store, [index(make_plan(rules))]).wish(found.runs["training"].item())
    assert {step for averaging, step in wish.candidates if averaging["part"] == "best"} == {1, 2}
    write_json(store.failure_note(judge.training), {"error": "it broke", "status": "failed"})
    found = boards.records(rules, store=store.root)
    assert [(one.algorithm, one.status, one.reason) for one in found.failed] == [("erm", "failed", "it broke")]


def test_a_candidate_whose_judge_diverged_is_never_chosen(store: Store) -> None:
    rules = board("erm", "swad")
    judge = next(judge for judge in make_plan(rules).judges if judge.algorithm == "erm")
    shutil.rmtree(store.folder("run", judge.run))
    write_json(store.failure_note(judge.training), {"error": "the loss is no number", "status": "diverged"})
    found = boards.records(rules, store=store.root)
    assert (found.missing, found.failed) == (0, ())
    chosen = boards.select(rules, store=store.root)
    assert chosen.cells["algorithm"].to_list() == ["swad"]
    assert chosen.without == (("erm", "print", 0),)
    wish = Boards(store, [index(make_plan(rules))]).wish(found.runs["training"][0])
    assert [averaging["part"] for averaging, _ in wish.candidates] == ["swad"]


def test_who_failed_is_named() -> None:
    plan = make_plan(board("erm", "wise_ft"))
    judges = {judge.algorithm: judge.training for judge in plan.judges}
    assert failure(plan, judges["erm"], "no").where == "what judges ERM, target print, trial 0"
    head = plan.trainings[judges["wise_ft"]].reference
    assert failure(plan, str(head), "no").where == "what comes before WiSE-FT, target print, trial 0"


@pytest.mark.parametrize(("draws", "further"), [(1, 4 * 3 // 2), (2, 4 * 3 // 2 + 4 * 3)])
def test_each_source_domain_is_left_out_once_and_targets_share_it(draws: int, further: int) -> None:
    """Trainings with hyperparameters of the recipe's own are shared by two targets; drawn ones differ."""
    rules = board("erm", criterion="lodo", cases={}, draws=draws, split=WHOLE)
    made, plain = make_plan(rules), make_plan(rules.model_copy(update={"criterion": "source"}))
    assert made.entries == plain.entries
    assert len(made.trainings) - len(plain.trainings) == further
    assert len(made.runs) - len(plain.runs) == len(made.judges) == 4 * 3 * draws
    for judge in made.judges:
        entry = next(entry for entry in made.entries if entry.candidate == judge.candidate)
        own, other = made.trainings[entry.training], made.trainings[judge.training]
        (held,) = judge.domains
        assert {*other.sources, held} == {*own.sources}
        assert held not in other.sources
        assert made.runs[judge.run].target == held
        assert judge.target not in (*other.sources, held)
        assert own.parts == other.parts
        assert "part" not in made.runs[judge.run].spec()
    sources = next(entry.sources for entry in made.entries if entry.target == "print")
    assert {judge.domains for judge in made.judges if judge.target == "print"} == {(name,) for name in sources}


def test_what_a_part_acts_on_may_be_gone_without_a_domain() -> None:
    """Of two sources one is left: CORAL has nothing to align, and its judge is ERM with the candidate's draw."""
    cases = {"digits": CaseRules(sources=("handwritten", "dot-matrix"), targets=("print",))}
    made = make_plan(board("erm", "coral", criterion="lodo", cases=cases, draws=2))
    trainings = {(j.algorithm, j.draw, j.domains): j.training for j in made.judges}
    for (algorithm, draw, held), training in trainings.items():
        if algorithm == "coral":
            assert training == trainings["erm", draw, held]


def test_domains_of_one_family_are_left_out_together() -> None:
    places = [Place("a"), Place("b", "kin"), Place("c", "kin"), Place("d")]
    case = Case("d", "toy", ("a", "b", "c"), "d")
    resolved: Any = None
    asked = {q.domains: q.case.sources for q in domains(case, resolved, resolved, places)}
    assert asked == {("a",): ("b", "c"), ("b",): ("a",), ("c",): ("a",)}
    alone = Case("d", "toy", ("b", "c"), "d")
    with pytest.raises(CardError, match=r"nothing to learn from for target 'd': without 'b' none .* is left"):
        list(domains(alone, resolved, resolved, places))


def test_images_that_are_kept_for_testing_judge_nobody() -> None:
    split_rules = SplitRules(validation=0.2, test=0.2)
    made = make_plan(board("erm", criterion="lodo", split=split_rules))
    judges = [made.runs[judge.run] for judge in made.judges]
    assert {run.part for run in judges} == {"validation"}
    assert {run.part for id_, run in made.runs.items() if id_ not in made.only_judging()[1]} == {"tested"}
    assert {run.part for run in make_plan(board("erm", split=split_rules)).runs.values()} == {"tested"}
    run, spec = judges[0], made.trainings[judges[0].training]
    bench = Bench.__new__(Bench)
    bench.training, bench.device, bench.dataset = spec, torch.device("cpu"), load("digits")
    bench.setting = cast("Setting", SimpleNamespace(inputs=lambda *_: None))
    shown = bench._target(run.target, run.part, images=False).shown["index"].to_list()
    divided = split(bench.dataset, run.target, spec.trial, 0.2, 0.2)
    assert shown == divided.validation.tolist()
    assert bench._target(run.target, "tested", images=False).shown["index"].to_list() == divided.test.tolist()


@pytest.fixture(scope="module")
def left_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A board whose trainings nobody made."""
    root = tmp_path_factory.mktemp("lodo")
    load_script("measure_store").fill(Store(root), board("erm", criterion="lodo"))
    return root


def test_the_score_is_the_accuracy_on_the_domain_that_was_left_out(left_out: Path) -> None:
    specs = {path.parent.name: json.loads(path.read_text()) for path in left_out.glob("*/*/spec.json")}
    runs = {id_: spec for id_, spec in specs.items() if "averaging" in spec}
    (own,) = (specs[run["training"]] for run in runs.values() if run["target"] == "print")
    reached: dict[int, list[float]] = {1: [], 2: []}
    for held in own["sources"]:
        (judge,) = [
            id_
            for id_, run in runs.items()
            if specs[run["training"]]["sources"] == [name for name in own["sources"] if name != held]
        ]
        table = pl.read_parquet(left_out / "runs" / judge / "predictions.parquet").filter(split="target")
        assert set(table["domain"]) == {held}
        for step, found in reached.items():
            right = table.filter(step=step).select((pl.col("prediction") == pl.col("label")).mean()).item()
            found.append(right)
    expected = {step: sum(values) / 3 for step, values in reached.items()}
    for criterion, candidates in (("lodo", expected), ("lodo_last", {2: expected[2]})):
        rules = board("erm", criterion=criterion)
        assert Store(left_out).index(rules) == Store(left_out).index(board("erm", criterion="lodo"))
        chosen = boards.select(rules, store=left_out).cells.row(0, named=True)
        best = max(candidates, key=lambda step: candidates[step])
        assert (chosen["step"], chosen["score"]) == (best, pytest.approx(candidates[best], abs=1e-12))
    assert {one.criterion.name for one in boards.leaderboard(rules, store=left_out).tracks[0].qualities} > {"lodo"}


def test_submissions_cannot_be_judged(done: Path, tmp_path: Path) -> None:
    rules, store = board("erm", "swad"), Store(done)
    with pytest.raises(StoreError, match=r"'kfold' judges by trainings of its own, .*; submissions do not"):
        make(rules, store.read_index(rules), store, tmp_path)
    assert list(tmp_path.iterdir()) == []
