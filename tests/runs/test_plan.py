import pytest

from dgbench.api import plan, rules
from dgbench.core.errors import RecipeError, UnknownNameError
from dgbench.runs.plan import make_plan
from small import small_board

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


@pytest.mark.parametrize(
    ("algorithms", "words"),
    [(("erm", "erm"), "lists 'erm' 2 times"), (("erm + sam + asam",), "two parts for the slot 'optimizer'")],
)
def test_a_board_that_contradicts_itself_is_refused(algorithms: tuple[str, ...], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        make_plan(small_board(*algorithms))


def test_attention_is_asked_of_the_backbone_before_anything_runs() -> None:
    with pytest.raises(RecipeError, match="PEGO needs attention, which dgbench:convnet-small has not"):
        make_plan(small_board("pego", backbone="dgbench:convnet-small"))


@pytest.mark.parametrize("backbone", ["dgbench:vit-mikro", "dgbench:vit-micro@digits", "vit-micro"])
def test_an_unknown_backbone_gets_a_suggestion(backbone: str) -> None:
    with pytest.raises(UnknownNameError, match=r"Did you mean|Known"):
        make_plan(small_board("erm", backbone=backbone))
