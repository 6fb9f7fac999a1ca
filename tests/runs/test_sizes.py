"""The room that a plan says it takes, against what is written."""

from pathlib import Path

import pytest

from dgbench.api.boards import plan, rules
from dgbench.core.cards import CaseRules, SelectionRules
from dgbench.core.dataset_card import dataset_card
from dgbench.data.catalogue import load
from dgbench.runs.groundwork import groundwork
from dgbench.runs.index import index
from dgbench.runs.launch import tidy, units_of
from dgbench.runs.planning import make_plan
from dgbench.runs.sizes import sizes, to_be_written
from dgbench.runs.store import Store
from dgbench.runs.todo import todo
from in_process import carry_out
from small import WHOLE, small_board

GB = 1e9


def bytes_of(root: Path, pattern: str) -> int:
    return sum(path.stat().st_size for path in root.glob(pattern) if path.is_file())


def seen_by_any(board: str, trials: int, dataset: str | None = None) -> float:
    """Shifted images that any of some trials looks at, on average: each draws its own, at most 200 of a domain."""
    names = [dataset] if dataset else rules(board).dataset
    share = rules(board).split.validation
    counts = [domain.count or domain.about or 0 for name in names for domain in dataset_card(name).domains]
    return sum(10 * n * (1 - (1 - min(share, 200 / n)) ** trials) for n in counts if n)


def test_what_a_plan_predicts_is_within_a_quarter_of_what_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever stays: first everything, then less and less of it."""
    algorithms = ("erm", "swad", "t3a", "lora", "linear_probe(head='random')", "wise_ft")
    board = small_board(*algorithms, steps=6, checkpoints=3, split=WHOLE).model_copy(
        update={
            "cases": {"digits": CaseRules(targets=("print",), sources=("handwritten", "dot-matrix"))},
            "keep": "all",
            "selection": SelectionRules(views_per_domain=40),
        }
    )
    heads = {"overrides": {"linear_probe": {"sampler.augmentation": "none"}}}
    board = rules(board.model_copy(update=heads))
    store, made = Store(tmp_path / "store"), make_plan(board)
    before = to_be_written(made, store, workers=1)
    carry_out(board, store.root)
    written = bytes_of(store.root, "trainings/**/*") + bytes_of(store.root, "runs/**/*")
    assert before == pytest.approx(written, rel=0.25)
    assert to_be_written(made, store, workers=1) < 0.25 * before
    said = sizes(made, "all")
    assert said.predictions == pytest.approx(bytes_of(store.root, "runs/**/*"), rel=0.25)
    assert said.features == pytest.approx(bytes_of(store.root, "features/*/features.npy"), rel=0.25)
    monkeypatch.setattr("dgbench.runs.groundwork.undrawn", lambda dataset, domain, rows, family: rows)
    drawings = groundwork(units_of(made, todo(made, Store(tmp_path / "empty"))), store, load).jobs
    assert said.views == pytest.approx(3 * 16**2 * sum(job.amounts().get("views", 0) for job in drawings), rel=0.25)
    assert said.decoded == 0
    notes = bytes_of(store.root, "trainings/*/*")
    assert said.notes == pytest.approx(notes, rel=0.25)
    for keep in ("all", "chosen", "none"):
        store.write_index(board, index(made, keep))
        tidy(made, store)
        said, weights = sizes(made, keep), bytes_of(store.root, "trainings/*/weights/*")
        assert said.weights == pytest.approx(weights, rel=0.25)
        assert said.weights_at_most > weights
    assert said.weights == 0


def test_the_large_boards_fit_on_a_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither data nor published weights are here. A ResNet-50 without its classifier has 23.5 million weights."""
    monkeypatch.setenv("DGBENCH_DATA", str(tmp_path))
    monkeypatch.setenv("DGBENCH_CACHE", str(tmp_path))
    made = plan("domainbed-resnet50")
    chosen = sizes(made, "chosen")
    assert 60 * GB < chosen.weights < 110 * GB
    assert chosen.weights < chosen.weights_at_most < 1.1 * chosen.weights
    assert sizes(made, "none").weights == 0
    everything = sizes(made, "all").weights
    moved = [t for t in made.trainings.values() if t.parts["adapter"]["part"] != "linear_probe"]
    assert everything == pytest.approx(len(moved) * (2 * 10 + 3) * 4 * 23.5e6, rel=0.05)
    assert 1 * GB < chosen.predictions < 100 * GB
    assert chosen.features > 1 * GB
    # DomainNet has 586,575 images, the other four 9,991 + 10,729 + 15,588 + 24,788 or so.
    assert chosen.decoded == pytest.approx(3 * 224**2 * (586_575 + 9_991 + 10_729 + 15_588 + 24_788), rel=0.01)
    assert chosen.views == pytest.approx(3 * 224**2 * seen_by_any("domainbed-resnet50", 3), rel=0.01)
    everything = rules("domainbed-resnet50").model_copy(update={"selection": SelectionRules(views_per_domain="all")})
    one = plan(rules(everything, algorithms=["erm"], trials=1))
    assert sizes(one, "chosen").views == pytest.approx(10 * 0.2 * chosen.decoded, rel=0.01)
    assert chosen.unknown == ()


def test_shifted_images_count_where_they_are_kept() -> None:
    """By trainings that look at them, or by several networks; of the one network of `own` features are taken once."""
    own = rules("own", datasets=["digits"], algorithms=["erm", "t3a"])
    assert sizes(plan(rules(own, trials=1)), "chosen").views == 0
    pairs = sizes(plan(rules(own, trials=2)), "chosen").views  # what both look at: what each does, less what any does
    both = 2 * seen_by_any("own", 1, "digits") - seen_by_any("own", 2, "digits")
    assert pairs == pytest.approx(both * 3 * 128**2, rel=0.01)
    two = rules(
        own.model_copy(update={"tracks": {"inductive": own.tracks["inductive"], "online": "mobilenet-v2(size=128)"}})
    )
    assert sizes(plan(two), "chosen").views == pytest.approx(seen_by_any("own", 3, "digits") * 3 * 128**2, rel=0.01)
