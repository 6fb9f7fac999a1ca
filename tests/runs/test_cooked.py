"""COOkeD on a tiny CLIP: which trainings it is made of, and that it says the mean of what these say."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
import tiny_clip

import dgbench
from dgbench.api import boards
from dgbench.core.cards import BoardCard, CaseRules
from dgbench.core.errors import RecipeError
from dgbench.core.paths import shipped
from dgbench.runs.parts import networks
from dgbench.runs.planning import make_plan
from dgbench.runs.sizes import sizes
from in_process import carry_out
from small import small_board

pytestmark = pytest.mark.usefixtures("computing_as_a_worker")
TUNED, PROBE = "lp_ft(adapter.head=zero_shot)", "linear_probe(head=zero_shot)"
CARD = (shipped("algorithms") / "cooked.toml").read_text(encoding="utf-8")
ALONE = (TUNED, "zero_shot", PROBE)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_clip.weights(tmp_path_factory.mktemp("clip")).replace(")", ", pretrained_on=unknown)")


def board(backbone: str, *algorithms: str) -> BoardCard:
    return small_board(*algorithms, backbone=backbone, steps=2, checkpoints=1)


def test_it_shares_its_three_trainings_with_the_algorithms_that_they_are(backbone: str) -> None:
    plan = make_plan(board(backbone, "cooked", *ALONE, "cooked + coral"))
    ids = {entry.algorithm: entry.training for entry in plan.entries}
    spec = plan.trainings[ids["cooked"]]
    assert spec.reads() == tuple(ids[name] for name in ALONE)
    assert networks(spec) == 3
    other = plan.trainings[ids["cooked + coral"]].reads()
    assert other[1:] == spec.reads()[1:], "nothing but the trained classifier has another objective"
    assert other[0] != spec.reads()[0]
    kept, one = (sizes(make_plan(board(backbone, name)), "chosen").weights for name in ("cooked", TUNED))
    assert kept == 3 * one > 0, "all three networks stay"


def test_it_says_the_mean_of_what_the_three_say(backbone: str, pictures: str, tmp_path: Path) -> None:
    rules = boards.rules(board(backbone, "cooked", *ALONE), datasets=[pictures])
    rules = rules.model_copy(update={"cases": {pictures: CaseRules(targets=("wood",))}})
    carry_out(rules, tmp_path)
    said = {}
    for name in rules.algorithms:
        table = dgbench.predictions(rules, algorithm=name, target="wood", store=tmp_path).collect()
        said[name] = table.sort("split", "domain", "view", "index")["p_label"]
    together = said.pop("cooked")
    assert len({tuple(p.round(3)) for p in said.values()}) == 3
    mean = sum(said.values(), pl.zeros(len(together), eager=True)) / 3
    assert (mean - together).abs().max() < 1e-5


def test_a_classifier_that_starts_elsewhere_is_refused(backbone: str) -> None:
    with pytest.raises(RecipeError, match=r"needs zero shot head, which no part provides; take an adapter that starts"):
        make_plan(board(backbone, "cooked(adapter.head=random)"))


def test_without_a_text_tower_it_is_refused() -> None:
    with pytest.raises(RecipeError, match="needs a text tower"):
        make_plan(board("dgbench:vit-micro", "cooked"))


def test_of_a_frozen_backbone_the_probe_is_left(backbone: str, tmp_path: Path) -> None:
    card = CARD.replace('[recipe.adapter]\npart = "full"\nhead = "zero_shot"\n', "").replace("cooked", "alone", 1)
    (tmp_path / "alone.toml").write_text(card)
    for entry in make_plan(board(backbone, f"{PROBE} + {tmp_path / 'alone.toml'}")).entries:
        assert "acts on moving features" in entry.without_effect
        assert entry.hyperparameters["averaging"]["part"] == "last"


def test_a_criterion_that_looks_at_weights_is_refused(backbone: str) -> None:
    with pytest.raises(RecipeError, match="the averaging COOkeD keeps several networks"):
        make_plan(boards.rules(board(backbone, "cooked"), criterion="flatness"))
