import json
from dataclasses import fields, replace
from pathlib import Path

import pytest

from dgbench.algorithms.adapters.domain_heads import DomainHeads
from dgbench.api.boards import plan, rules
from dgbench.core.cards import SelectionRules, SplitRules, board_names
from dgbench.core.dataset_card import dataset_card
from dgbench.core.decoding import Decoding
from dgbench.core.errors import CardError, DataError, RecipeError, UnknownNameError
from dgbench.core.reader_cards import BuiltIn
from dgbench.core.rules import rules_identity
from dgbench.data.catalogue import outline
from dgbench.runs.launch import launch
from dgbench.runs.plan import RunSpec
from dgbench.runs.planning import make_plan
from dgbench.runs.store import Store
from dgbench.selection.criteria import ranking
from dgbench.train.spec import TrainingSpec
from small import WHOLE, small_board

CELLS = 4 * 3  # targets x trials
AFTER_TRAINING = ("ema", "swad", "t3a", "adanpc")


def test_the_quick_board_counts_as_by_hand() -> None:
    made = plan("quick")
    algorithms = set(made.board.algorithms)
    assert len(algorithms) == 18
    # Each of these shapes its own training; WiSE-FT's starts from the linear probe's head, so it is not ERM's.
    own = {
        "erm",
        "mixup",
        "irm",
        "vrex",
        "coral",
        "sam",
        "asam",
        "udim",
        "drm",
        "linear_probe",
        "lora",
        "pego",
        "wise_ft",
        "bang",
    }
    assert own | set(AFTER_TRAINING) == algorithms
    assert len(made.runs) == 18 * CELLS == 216
    assert len(made.trainings) == 14 * CELLS + 1 == 169  # and the backbone's pretraining


def test_erm_and_what_comes_after_training_share_one_training_per_cell() -> None:
    by_algorithm: dict[str, dict[tuple[str, int], str]] = {}
    for entry in plan("quick").entries:
        by_algorithm.setdefault(entry.algorithm, {})[entry.target, entry.trial] = entry.training
    assert len(set(by_algorithm["erm"].values())) == CELLS
    for name in AFTER_TRAINING:
        assert by_algorithm[name] == by_algorithm["erm"]


def test_more_alphas_and_more_compositions_add_runs_but_no_training() -> None:
    before = plan("quick")
    alphas = [f"wise_ft(alpha={tenth / 10})" for tenth in (1, 2, 3, 4, 6, 7, 8, 9)] + ["wise_ft(alpha=0.55)"]
    more = [*before.board.algorithms, *alphas, "sam + adanpc", "sam + swad"]
    after = plan(rules("quick", algorithms=more))
    assert set(after.trainings) == set(before.trainings)
    assert len(after.runs) == len(before.runs) + 11 * CELLS


def test_trainings_come_after_those_they_start_from() -> None:
    seen: set[str] = set()
    for id_, training in plan("quick").trainings.items():
        assert id_ == training.id
        assert {training.weights, training.reference} - {None} <= seen
        seen.add(id_)


def test_no_target_is_among_the_sources_of_its_training() -> None:
    made = plan("quick")
    for run in made.runs.values():
        assert run.target not in made.trainings[run.training].sources
        assert len(made.trainings[run.training].sources) == 3


def test_the_identity_of_a_training_is_blind_to_the_board_and_to_what_comes_after() -> None:
    one = small_board("erm")
    other = rules(one.model_copy(update={"name": "renamed", "title": "Another title", "criterion": "source"}))
    assert set(make_plan(one).trainings) == set(make_plan(other).trainings)
    longer = small_board("erm", steps=6)
    assert not set(make_plan(one).trainings) & set(make_plan(longer).trainings)


def test_how_many_domains_a_step_sees_is_part_of_the_identity_where_there_are_more() -> None:
    board = small_board("erm", "drm")
    assert "domains_per_step" not in str(board.described(without=set()))

    def first(**changes: object) -> TrainingSpec:
        training = board.training.model_copy(update=changes)
        return next(iter(make_plan(board.model_copy(update={"training": training})).trainings.values()))

    before, all_three = first(), first(domains_per_step=3)
    some = first(domains_per_step=2, domains_drawn="size")
    assert (before.batch, some.batch) == (12, 8)
    assert "domains_drawn" not in before.spec()
    assert before == all_three
    assert some.spec() == {**before.spec(), "domains_per_step": 2, "domains_drawn": "size"}
    assert TrainingSpec.read(some.spec()) == some
    assert some.id != before.id
    over = SelectionRules(average="examples")
    (by_image, *_) = make_plan(board.model_copy(update={"selection": over})).trainings.values()
    assert by_image.spec() == {**before.spec(), "average": "examples"}
    assert "average" not in str(board.described(without=set()))


NEEDED: dict[str, object] = {
    "training": "1234",
    "averaging": {"part": "last"},
    "predictor": {"part": "pl", "lr": 0.1},
    "target": "print",
    "views_per_domain": 3,
}
OTHERWISE: dict[str, object] = {"part": "validation", "weighs": True, "stream_batch": 7, "among": "present"}
OTHERWISE |= {"stream_mode": "by_class"}


@pytest.mark.parametrize("said", [{}, *({name: value} for name, value in OTHERWISE.items()), OTHERWISE], ids=list)
def test_a_run_is_read_from_what_identifies_it(said: dict[str, object]) -> None:
    spec = RunSpec(**NEEDED, **said)  # type: ignore[arg-type]
    assert RunSpec.of(json.loads(json.dumps(spec.spec()))) == spec
    assert NEEDED.keys() | OTHERWISE.keys() == {one.name for one in fields(RunSpec)}
    assert not said or spec.id != RunSpec(**NEEDED).id  # type: ignore[arg-type]
    assert RunSpec.of({}).spec() != {}, "what says nothing is no run"


def test_how_many_images_a_predictor_is_shown_at_once_is_part_of_the_identity_of_runs() -> None:
    board = small_board("erm", "t3a")
    before, eight = make_plan(board), make_plan(board.model_copy(update={"stream_batch": 8}))
    assert set(before.trainings) == set(eight.trainings)
    assert not set(before.runs) & set(eight.runs)
    spec = next(iter(before.runs.values())).spec()
    assert spec["stream"]["batch"] == 32
    assert spec | {"stream": spec["stream"] | {"batch": 8}} == next(iter(eight.runs.values())).spec()
    assert "stream_batch" not in board.described(without=set())
    assert rules_identity(board) != rules_identity(eight.board)


def test_how_a_predictor_meets_images_is_said_where_it_is_not_the_usual_way() -> None:
    board, plain = small_board("t3a"), small_board("erm")
    before, after = make_plan(board), make_plan(board.model_copy(update={"stream_mode": "episodic"}))
    assert set(make_plan(plain).runs) == set(make_plan(plain.model_copy(update={"stream_mode": "episodic"})).runs)
    assert set(before.trainings) == set(after.trainings)
    assert not set(before.runs) & set(after.runs)
    usual, other = (next(iter(plan.runs.values())).spec() for plan in (before, after))
    assert "mode" not in usual["stream"]
    assert usual | {"stream": usual["stream"] | {"mode": "episodic"}} == other
    assert "stream_mode" not in board.described(without=set())
    assert rules_identity(board) != rules_identity(after.board)


def test_a_head_for_each_domain_is_refused_where_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DomainHeads, "most_domains", 2)
    with pytest.raises(RecipeError, match=r"'drm': the adapter DomainHeads .* at most 2, and '.*' has 3: each would"):
        make_plan(small_board("erm", "drm"))


def test_how_pictures_are_decoded_is_part_of_the_identity_of_a_training() -> None:
    training = next(iter(make_plan(small_board("erm")).trainings.values()))
    ways = (training.decoding, Decoding("white"), Decoding("black"), Decoding(exif=True), Decoding(bits=12))
    others = [replace(training, decoding=decoding) for decoding in ways]
    assert len({other.id for other in others}) == len(ways)
    assert [TrainingSpec.read(other.spec()) for other in others] == others


@pytest.mark.parametrize(
    ("algorithms", "words"),
    [(("erm", "erm"), "lists 'erm' 2 times"), (("erm + sam + asam",), "two parts for the slot 'optimizer'")],
)
def test_a_board_that_contradicts_itself_is_refused(algorithms: tuple[str, ...], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        make_plan(small_board(*algorithms))


def test_attention_is_asked_of_the_backbone_before_anything_runs() -> None:
    with pytest.raises(RecipeError, match=r"PEGO needs matrices .*, which dgbench:convnet-small has not"):
        make_plan(small_board("pego", backbone="dgbench:convnet-small"))


@pytest.mark.parametrize("backbone", ["dgbench:vit-mikro", "dgbench:vit-micro@digits", "vit-micro"])
def test_an_unknown_backbone_gets_a_suggestion(backbone: str) -> None:
    with pytest.raises(UnknownNameError, match=r"Did you mean|Known"):
        make_plan(small_board("erm", backbone=backbone))


def test_a_single_source_trains_once_for_all_its_targets() -> None:
    made = make_plan(small_board("erm", "t3a").model_copy(update={"protocol": "single-source"}))
    assert len(made.cases) == 4 * 3
    assert len(made.trainings) == 4, "one for each source, whatever is tested and however it is predicted"
    assert len(made.runs) == 2 * 4 * 3
    assert {entry.target: entry.domain for entry in made.entries}["print > handwritten"] == "handwritten"


def test_several_datasets_are_one_plan() -> None:
    made = make_plan(small_board("erm").model_copy(update={"dataset": ("digits", "letters")}))
    assert [case.name for case in made.cases][:2] == ["digits/handwritten", "digits/print"]
    assert len(made.trainings) == len(made.runs) == 4 + 3


def test_domains_that_show_the_same_things_need_things_never_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    known = outline("digits")
    monkeypatch.setattr(
        "dgbench.runs.planning.outline", lambda name, build, progress: replace(known, shared_groups=True)
    )
    with pytest.raises(CardError, match=r"set 'test' in \[split\] above 0"):
        make_plan(small_board("erm", split=WHOLE))
    split = SplitRules(validation=0.1, test=0.2)
    made = make_plan(small_board("erm").model_copy(update={"split": split}))
    assert {training.test for training in made.trainings.values()} == {0.2}


def test_data_that_is_not_here_is_planned_and_refused_when_it_is_to_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    known = outline("digits")
    monkeypatch.setattr("dgbench.runs.planning.outline", lambda name, build, progress: replace(known, manifest=None))
    made = make_plan(small_board("erm", "sam"))
    assert (made.absent, len(made.trainings), len(made.runs)) == (("digits",), 8, 8)
    monkeypatch.setattr("dgbench.runs.launch.dataset_card", lambda name: dataset_card("pacs"))
    monkeypatch.setenv("DGBENCH_DATA", str(tmp_path))
    with pytest.raises(DataError, match="DGBENCH_DATA"):
        launch(made, Store(tmp_path / "store"), device="cpu")
    assert not (tmp_path / "store").exists()


def test_pretraining_data_is_not_built_to_count_what_there_is_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DGBENCH_CACHE", str(tmp_path))
    made = make_plan(small_board("erm", backbone="dgbench:vit-micro@letters"))
    reader = dataset_card("letters").reader
    assert isinstance(reader, BuiltIn)
    assert {one.manifest for one in made.trainings.values() if one.dataset == "letters"} == {reader.manifest}
    assert list(tmp_path.glob("datasets/*")) == []


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache with nothing in it but what these tests need in turn; what is built is built once."""
    return tmp_path_factory.mktemp("bare")


@pytest.mark.parametrize("name", board_names())
def test_every_board_can_be_planned_without_its_data(
    name: str, bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What its rules ask for exists: algorithms, backbones, domains, hyperparameters."""
    monkeypatch.setenv("DGBENCH_DATA", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("DGBENCH_CACHE", str(bare))
    made = plan(rules(name, trials=1))
    assert made.runs
    assert {entry.algorithm for entry in made.entries} == set(made.board.algorithms)
    ranking(made.board.criterion, name)


def test_what_python_shows_of_a_plan_is_one_line() -> None:
    assert repr(make_plan(small_board("erm", "sam"))) == (
        "<Plan of 'small': 8 runs of 2 algorithms in 4 cases, from 8 trainings>"
    )
