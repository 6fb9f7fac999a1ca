"""The track on which trainings see images of their target: which they see, that no label and no tested image counts."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

import dgbench
from dgbench.api import boards
from dgbench.board.protocol import protocol
from dgbench.core.cards import BoardCard, CaseRules, SelectionRules, SplitRules
from dgbench.core.cases import Case
from dgbench.core.errors import CardError, DataError, RecipeError
from dgbench.core.recipe import compose, resolve
from dgbench.core.rules import rules_identity
from dgbench.data.catalogue import load
from dgbench.data.domain import Dataset
from dgbench.data.splits import split, untested
from dgbench.data.splits import tested as rows_tested
from dgbench.runs import setting
from dgbench.runs.execute import do_training
from dgbench.runs.parts import on_features, parts_of
from dgbench.runs.plan import Plan
from dgbench.runs.planning import add_cell, make_plan
from dgbench.runs.setting import Setting
from dgbench.runs.store import Store
from dgbench.train.sources import Features, Sources
from dgbench.train.spec import OfTarget, TrainingSpec
from in_process import carry_out
from small import small_board

pytestmark = pytest.mark.usefixtures("computing_as_a_worker")
CPU = torch.device("cpu")
METHODS = (
    "divdis",
    "dbat",
    "rss",
    "linear_probe + rss(augmentation=none)",
    "divdis(train=heads, augmentation=none)",
)


def board(*algorithms: str, test: float = 0.0, **changes: object) -> BoardCard:
    """One target, two sources, few images that validate; a part of each domain is tested, or a target as a whole."""
    rules: dict[str, object] = {
        "cases": {"digits": CaseRules(targets=("print",), sources=("handwritten", "dot-matrix"))},
        "selection": SelectionRules(views_per_domain=2),
        "split": SplitRules(validation=0.02, test=test),
        "unlabelled": "untested" if test else "tested",
    }
    return boards.rules(small_board(*algorithms, backbone="dgbench:convnet-small")).model_copy(update=rules | changes)


def of(plan: Plan, algorithm: str) -> TrainingSpec:
    return plan.trainings[next(entry.training for entry in plan.entries if entry.algorithm == algorithm)]


def bits(root: Path) -> dict[str, str]:
    """A hash of every piece of weights."""
    found = root.glob("trainings/*/weights/*.safetensors")
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def trained(plan: Plan, data: Dataset, root: Path) -> dict[str, str]:
    """All trainings of a plan on data that may be another's; their weights."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setting, "load", lambda name, size: data)
        for training in plan.trainings.values():
            do_training(training, Store(root), CPU)
    return bits(root)


def changed(data: Dataset, *, images: np.ndarray | None = None, labels: bool = False) -> Dataset:
    """The dataset, whose target has noise at some rows, or shuffled labels."""
    random, domain = np.random.default_rng(0), data.domain("print")
    pixels = np.array(domain.inputs)
    if images is not None:
        pixels[images] = random.integers(0, 256, pixels[images].shape, np.uint8)
    shuffled = random.permutation(domain.labels) if labels else domain.labels
    other = replace(domain, inputs=pixels, labels=shuffled)
    return replace(data, domains=tuple(other if d.name == "print" else d for d in data.domains))


def sources(spec: TrainingSpec, root: Path) -> Sources:
    return Setting(spec, parts_of(spec), Store(root), CPU).sources_to_train()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of all methods where the images that are tested may be seen."""
    root = tmp_path_factory.mktemp("whole")
    trained(make_plan(board(*METHODS)), load("digits"), root)
    return root


def test_a_training_says_what_it_sees_and_others_have_the_id_that_they_had() -> None:
    with_track = make_plan(small_board("erm", "divdis"))
    erm = small_board("erm")
    without = make_plan(erm.model_copy(update={"tracks": {"inductive": erm.tracks["inductive"]}}))
    assert set(without.trainings) < set(with_track.trainings)
    assert all("unlabelled" not in spec.spec() for spec in without.trainings.values())
    targets = {entry.target: with_track.trainings[entry.training] for entry in with_track.entries[-4:]}
    assert {spec.unlabelled for spec in targets.values()} == {OfTarget(name, "tested") for name in targets}
    for name, spec in targets.items():
        assert spec.spec()["unlabelled"] == {"domain": name, "part": "tested"}
        assert TrainingSpec.read(spec.spec()) == spec
        assert spec.batch == spec.batch_per_domain * 4
        other = replace(spec, unlabelled=OfTarget(name, "untested"))
        assert len({spec.id, other.id, replace(spec, unlabelled=None).id}) == 3
    assert {entry.algorithm: entry.track for entry in with_track.entries} == {
        "erm": "inductive",
        "divdis": "unlabelled",
    }


def test_whoever_sees_images_of_its_target_is_on_that_track_whatever_predicts() -> None:
    rules = small_board("erm")
    tracks = {name: resolve(compose(name), rules).track for name in ("erm", "t3a", "rss", "rss + t3a", "dbat + swad")}
    assert tracks == {
        "erm": "inductive",
        "t3a": "online",
        "rss": "unlabelled",
        "rss + t3a": "unlabelled",
        "dbat + swad": "unlabelled",
    }


def test_the_first_of_networks_that_disagree_is_erm_and_sees_nothing() -> None:
    made = make_plan(board("erm", "dbat(networks=3)", "dbat"))
    three, two, erm = of(made, "dbat(networks=3)"), of(made, "dbat"), of(made, "erm")
    assert three.reads() == (erm.id, two.id)
    assert erm.unlabelled is None
    assert two.unlabelled == three.unlabelled == OfTarget("print", "tested")
    assert len(made.trainings) == 3


def test_rules_that_say_nothing_of_it_are_the_rules_that_they_were() -> None:
    rules = boards.rules("quick")
    assert "unlabelled" not in rules.described(set())
    assert rules_identity(rules) == rules_identity(rules.model_copy(update={"unlabelled": "untested"}))
    assert rules_identity(rules) != rules_identity(rules.model_copy(update={"unlabelled": "tested"}))
    assert "track 'unlabelled'" not in protocol(rules)
    assert "from the very images that are tested" in protocol(board("divdis"))
    assert "from images of it that are not tested" in protocol(board("divdis", test=0.3))


@pytest.mark.parametrize("algorithm", ["divdis", "dbat", "rss", "rss + t3a"])
def test_a_board_without_the_track_refuses_by_name(algorithm: str) -> None:
    with pytest.raises(RecipeError, match=r"'.*' belongs to the track 'unlabelled', .*: it learns from unlabelled"):
        make_plan(boards.rules("quick", algorithms=[algorithm]))


def test_a_board_that_tests_all_images_has_to_say_that_they_may_be_seen() -> None:
    with pytest.raises(CardError, match=r"targets are tested whole.*'test' in .split.*unlabelled = "):
        make_plan(board("divdis", unlabelled="untested"))


def test_what_cannot_be_is_refused_with_the_reason() -> None:
    rules = board("divdis")
    for recipe in ("divdis + fish", "rss + mldg", "dbat + and_mask"):
        with pytest.raises(RecipeError, match="unlabelled images, which are of none of them"):
            resolve(compose(recipe), rules)
    with pytest.raises(RecipeError, match="needs divdis head 2"):
        resolve(compose("divdis(choice=2)"), rules)
    without = compose("divdis")
    del without.slots["adapter"]
    with pytest.raises(RecipeError, match=r"needs divdis heads.*adapter 'divdis'"):
        resolve(without, rules)


def test_a_model_of_all_domains_has_no_target_to_learn_from() -> None:
    rules = board("divdis")
    made, probe = make_plan(rules), resolve(compose("linear_probe"), rules)
    everything = Case("", "digits", made.cases[0].sources, "")
    with pytest.raises(RecipeError, match="'divdis' learns from unlabelled images of a target"):
        add_cell(made, everything, resolve(compose("divdis"), rules), probe, 0, 0)


def test_judges_see_what_takes_the_place_of_the_target() -> None:
    """One that leaves out a source domain learns from it without labels; one of weights has the candidate's."""
    left_out = make_plan(board("rss", test=0.3, criterion="lodo"))
    for judge in left_out.judges:
        seen = left_out.trainings[judge.training].unlabelled
        assert seen == OfTarget(judge.domains[0], "untested")
        assert left_out.runs[judge.run].part == "validation"
    transductive = make_plan(board("rss", test=0.3, criterion="lodo", unlabelled="tested"))
    seen_there = {transductive.trainings[judge.training].unlabelled for judge in transductive.judges}
    assert {one.part for one in seen_there if one} == {"validation"}
    weighed = make_plan(board("rss", criterion="flatness"))
    assert {judge.training for judge in weighed.judges} == {entry.training for entry in weighed.entries}


@pytest.mark.parametrize("test", [0.0, 0.3])
def test_steps_see_the_images_that_the_rules_say_by_seeds_of_their_own(test: float, tmp_path: Path) -> None:
    spec = of(make_plan(board("rss", test=test)), "rss")
    data, rules = load("digits"), (spec.trial, spec.validation, spec.test, spec.official)
    seen, twin = sources(spec, tmp_path), sources(spec, tmp_path)
    target, sampler = seen.target, parts_of(spec).sampler
    assert target is not None
    assert len(data.domain("print")) == len(target.inputs)
    looked_at, asked = rows_tested(data, "print", *rules), target.pool.numpy()
    if test:
        assert not set(asked) & {*looked_at, *split(data, "print", *rules).validation}
        assert len(asked) == len(split(data, "print", *rules).train) > 100
    else:
        assert np.array_equal(asked, looked_at)
    ahead = [seen.batch(sampler, step) for step in range(40)]
    late = twin.batch(sampler, 29)
    assert late.unlabelled is not None
    assert torch.equal(late.unlabelled.x, ahead[29].unlabelled.x)  # type: ignore[union-attr]
    index = torch.cat([batch.unlabelled.index for batch in ahead if batch.unlabelled])
    assert len(index) == 40 * spec.batch_per_domain
    assert len(index[: len(asked)].unique()) == min(len(asked), len(index))
    plain = Setting(replace(spec, unlabelled=None), parts_of(spec), Store(tmp_path), CPU).sources_to_train()
    assert torch.equal(plain.batch(sampler, 29).x, late.x)
    assert plain.batch(sampler, 29).unlabelled is None
    other = sources(replace(spec, order=1), tmp_path).batch(sampler, 29).unlabelled
    assert other is not None
    assert not torch.equal(other.index, late.unlabelled.index)


def test_nothing_is_left_to_see_where_official_parts_test_all(tmp_path: Path) -> None:
    data, official = load("digits"), ("train", "validation", "test")
    domain = data.domain("print")
    parts = np.array([official[row % 3] for row in range(len(domain))])
    divided = replace(data, domains=(replace(domain, official=parts),))
    assert np.array_equal(untested(divided, "print", 0, 0.1, 0.0, official=True), np.flatnonzero(parts == "train"))
    for none in (np.where(parts == "train", "test", parts), None):
        whole = replace(data, domains=(replace(domain, official=none),))
        with pytest.raises(DataError, match=r"of the target 'print' all images are tested.*unlabelled = "):
            untested(whole, "print", 0, 0.1, 0.0, official=True)


def test_weights_are_the_same_bits_whatever_the_labels_of_the_target_are(whole: Path, tmp_path: Path) -> None:
    made = make_plan(board(*METHODS))
    assert trained(made, changed(load("digits"), labels=True), tmp_path / "shuffled") == bits(whole) != {}
    other = trained(made, changed(load("digits"), images=np.arange(900)), tmp_path / "noise")
    for name in METHODS:
        mine = [path for path in other if of(made, name).id in path]
        assert mine
        assert any(other[path] != bits(whole)[path] for path in mine), name


def test_weights_are_the_same_bits_whatever_the_tested_images_are(tmp_path: Path) -> None:
    made, data = make_plan(board("divdis", "dbat", "rss", test=0.5)), load("digits")
    spec = of(made, "rss")
    rows = rows_tested(data, "print", spec.trial, spec.validation, spec.test, spec.official)
    true = trained(made, data, tmp_path / "true")
    assert trained(made, changed(data, images=rows), tmp_path / "ruined") == true != {}


def test_stopped_on_the_way_they_end_with_the_same_bits(whole: Path, tmp_path: Path) -> None:
    class StoppedError(Exception):
        pass

    def stop(step: int) -> None:
        if step == 3:
            raise StoppedError

    for training in make_plan(board(*METHODS)).trainings.values():
        with pytest.raises(StoppedError):
            do_training(training, Store(tmp_path), CPU, stop)
        do_training(training, Store(tmp_path), CPU)
    assert bits(tmp_path) == bits(whole)


@pytest.mark.parametrize("name", METHODS[3:])
def test_a_head_sees_features_of_the_target_s_images(name: str, whole: Path) -> None:
    spec = of(make_plan(board(*METHODS)), name)
    assert on_features(parts_of(spec))
    made = Setting(spec, parts_of(spec), Store(whole), CPU)
    seen = made.sources_to_train()
    assert seen.target is not None
    assert isinstance(seen.target.inputs, Features)
    batch = seen.batch(parts_of(spec).sampler, 2).unlabelled
    assert batch is not None
    rows = seen.target.pool[batch.index]
    with torch.no_grad():
        network = made._extractor().eval()
        images = torch.from_numpy(np.array(load("digits").domain("print").inputs[rows.numpy()]))
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (network.info.mean, network.info.std))
        expected = network.features((images.permute(0, 3, 1, 2) / 255 - mean) / std)
    torch.testing.assert_close(batch.x, expected, rtol=1e-3, atol=1e-4)


def test_a_step_may_see_some_of_the_sources_and_the_target(tmp_path: Path) -> None:
    rules = board("divdis", cases={"digits": CaseRules(targets=("print",))})
    few = rules.training.model_copy(update={"domains_per_step": 2})
    made = make_plan(rules.model_copy(update={"training": few}))
    spec = of(made, "divdis")
    assert (spec.domains_in_step, spec.batch) == (2, 3 * spec.batch_per_domain)
    assert trained(made, load("digits"), tmp_path)


APART = ("divdis", "divdis(choice=0)", "divdis(choice=1)", "dbat", "rss")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[BoardCard, Path]:
    """A board of all tracks, and its store."""
    rules, root = board("erm", "t3a", *APART, keep="chosen"), tmp_path_factory.mktemp("ran")
    assert len(carry_out(rules, root).first) == 4
    return rules, root


def test_a_board_ranks_them_apart(ran: tuple[BoardCard, Path]) -> None:
    rules, root = ran
    found = boards.leaderboard(rules, store=root)
    own = {track.name: {entry.algorithm for entry in track.entries} for track in found.tracks}
    assert own == {"inductive": {"erm"}, "online": {"t3a"}, "unlabelled": set(APART)}
    accuracy = {entry.algorithm: entry.accuracy.mean for entry in found.entries}
    assert accuracy["divdis"] in (accuracy["divdis(choice=0)"], accuracy["divdis(choice=1)"])


def test_a_model_that_leaves_says_what_it_saw_and_predicts_the_same(
    ran: tuple[BoardCard, Path], tmp_path: Path
) -> None:
    rules, root = ran
    card = dgbench.export(rules, "divdis", tmp_path / "model", target="print", store=root, device="cpu")
    assert card.algorithm.track == "unlabelled"
    said = (tmp_path / "model" / "README.md").read_text(encoding="utf-8")
    assert "of print images were seen, without their labels" in said
    table = pl.read_parquet(root / "runs" / card.selection.run / "predictions.parquet")
    then = table.filter(pl.col("split") == "target", pl.col("step") == card.selection.step).sort("index")
    model = dgbench.load(tmp_path / "model")
    with torch.no_grad():
        scores = model(model.ready(torch.from_numpy(np.array(load("digits").domain("print").inputs))))
    assert scores.argmax(1).tolist() == then["prediction"].to_list()


def test_none_of_them_is_deployed(ran: tuple[BoardCard, Path], tmp_path: Path) -> None:
    rules = boards.rules(ran[0], algorithms=APART[:2])
    carry_out(rules, ran[1])
    with pytest.raises(RecipeError, match="a model of all domains has no target"):
        dgbench.deploy(rules, tmp_path / "model", store=ran[1], device="cpu")
