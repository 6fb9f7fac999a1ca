"""Which weights a training writes, which stay, and what is done again when others are wanted."""

import hashlib
import itertools
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from smallest import smallest

from dgbench.api import boards
from dgbench.core.cards import BoardCard, CaseRules, Keep, SelectionRules, SplitRules
from dgbench.core.errors import StoreError
from dgbench.core.files import write_json
from dgbench.core.pieces import DECAYS, every
from dgbench.core.rules import rules_identity
from dgbench.core.seals import seal, write_sealed
from dgbench.core.spec import Spec
from dgbench.models.effective import effective_state
from dgbench.runs import keeping
from dgbench.runs.candidates import candidate_at
from dgbench.runs.collect import in_case
from dgbench.runs.execute import do_training
from dgbench.runs.index import index
from dgbench.runs.keeping import excess, let_go
from dgbench.runs.launch import tidy, units_of
from dgbench.runs.notes import Measured, Note, Predicted
from dgbench.runs.parts import part_of
from dgbench.runs.plan import Plan
from dgbench.runs.planning import make_plan
from dgbench.runs.roll import table
from dgbench.runs.setting import stored
from dgbench.runs.store import Store
from dgbench.runs.todo import Todo, todo
from dgbench.runs.verify import verify
from dgbench.runs.wishes import Boards
from dgbench.selection.criteria import FROM_RECORDS, choose, get
from dgbench.selection.records import METRICS, RUNS
from dgbench.train import loop
from dgbench.train.spec import TrainingSpec
from in_process import carry_out
from small import small_board

pytestmark = pytest.mark.usefixtures("computing_as_a_worker")
CPU = torch.device("cpu")
ALL = ("erm", "ema", "swad", "t3a", "swad + t3a", "wise_ft", "adanpc", "ema(decay=0.9)")
STEPS = (2, 4, 6)


def board(
    *algorithms: str,
    keep: Keep | None = None,
    draws: int = 1,
    name: str = "small",
    backbone: str = "dgbench:convnet-small",
) -> BoardCard:
    """One target, two sources, three checkpoints; the first and the last are candidates. Few images are looked at."""
    case = CaseRules(targets=("print",), sources=("handwritten", "dot-matrix"))
    changes = {"cases": {"digits": case}, "keep": keep, "draws": draws, "name": name}
    changes["selection"] = SelectionRules(views_per_domain=3)
    few = SplitRules(validation=0.02, test=0.02)
    return small_board(*algorithms, backbone=backbone, steps=6, checkpoints=3, split=few).model_copy(update=changes)


def weights(root: Path) -> dict[str, set[str]]:
    """The names of the pieces that are there, by training."""
    found: dict[str, set[str]] = {}
    for path in root.glob("trainings/*/weights/*"):
        found.setdefault(path.parts[-3], set()).add(path.stem)
    return found


def of(rules: BoardCard, algorithm: str) -> str:
    """The training of an algorithm."""
    return next(entry.training for entry in make_plan(rules).entries if entry.algorithm == algorithm)


def predictions(root: Path) -> dict[str, str]:
    return {
        path.parent.name: hashlib.sha256(pl.read_parquet(path).write_ndjson().encode()).hexdigest()
        for path in root.glob("runs/*/predictions.parquet")
    }


def contents(root: Path) -> dict[Path, bytes]:
    return {path.relative_to(root): path.read_bytes() for path in root.glob("trainings/*/weights/*")}


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All recipes, all weights kept."""
    root = tmp_path_factory.mktemp("everything")
    carry_out(board(*ALL, keep="all"), root)
    return root


def test_with_all_every_piece_stays(everything: Path) -> None:
    found = weights(everything)
    assert len(found) == 3  # ERM's, WiSE-FT's and the probe's
    rules = board(*ALL)
    assert found[of(rules, "erm")] == every(STEPS)
    assert found[of(rules, "wise_ft")] == every(STEPS)
    assert every(STEPS) == {
        *(f"{step:06d}" for step in STEPS),
        *(f"{step:06d}-mean" for step in STEPS),
        *(f"ema-{decay}" for decay in DECAYS),
    }


def test_what_was_chosen_stays_and_predictions_are_those_of_a_store_that_keeps_all(
    everything: Path, tmp_path: Path
) -> None:
    rules = board(*ALL)
    carry_out(rules, tmp_path)
    assert predictions(tmp_path) == predictions(everything)
    chosen = boards.select(rules, store=tmp_path).cells
    checkpoints = {f"{step:06d}" for name, step in chosen.select("algorithm", "step").iter_rows() if name in (
        "erm", "t3a", "adanpc"
    )}  # fmt: skip
    found = weights(tmp_path)
    averages = {name for name in found[of(rules, "erm")] if name.startswith("candidate-")}
    assert len(averages) == 1, "SWAD's mean stays itself, once for both predictors"
    assert found[of(rules, "erm")] == checkpoints | averages | {"ema-0.99", "ema-0.9"}
    assert found[of(rules, "wise_ft")] == {"000006"}
    assert all(found.values())
    kept, whole = contents(tmp_path), contents(everything)
    assert [path for path in kept if "candidate" not in path.name and kept[path] != whole[path]] == []
    assert not [damage for result in verify(Store(tmp_path)) for damage in result.damaged]
    assert carry_out(rules, tmp_path) == Todo({}, frozenset(), {})
    assert contents(tmp_path) == kept


def test_what_stays_of_swad_is_its_mean(everything: Path, tmp_path: Path) -> None:
    rules = board("swad(converge=1)")
    carry_out(rules, tmp_path)
    (training,) = make_plan(rules).trainings.values()
    (run,) = make_plan(rules).runs.values()
    ((name,),) = weights(tmp_path).values()
    ((step, state),) = part_of("averaging", run.averaging, "here").candidates(stored(training, Store(everything), CPU))
    kept = stored(training, Store(tmp_path), CPU).piece(name)
    assert name.endswith(f"-{step:06d}")
    assert kept.keys() == state.keys()
    assert [key for key in state if not torch.equal(kept[key], state[key])] == []


@pytest.mark.parametrize("keep", ["none", "chosen", "shown"])
def test_a_recipe_that_comes_later_finds_its_weights_or_has_them_trained_again(
    keep: Keep, everything: Path, tmp_path: Path
) -> None:
    """To the same bits, and what was kept stays as it was."""
    first, later = board("erm", "swad", "wise_ft", keep=keep), board(*ALL, keep=keep)
    carry_out(first, tmp_path)
    before = contents(tmp_path)
    if keep == "none":
        assert before == {}
    erm, probe, wise = of(first, "erm"), *(id_ for id_ in make_plan(first).trainings if id_ != of(first, "erm"))
    left = carry_out(later, tmp_path)
    assert left.first == frozenset()
    needed = {"ema", "ema(decay=0.9)"}
    if keep == "none":
        needed |= {"swad + t3a"}
    if not {path.stem for path in before if path.parts[1] == erm} >= {"000002", "000006"}:
        needed |= {"t3a", "adanpc"}
    assert set(left.again[erm]) == needed
    assert wise not in left.runs
    assert probe not in left.again, "nothing that starts from it has anything to do"
    assert predictions(tmp_path) == predictions(everything)
    after = contents(tmp_path)
    assert {path: after.get(path) for path in before} == before
    assert len(weights(tmp_path)) == (0 if keep == "none" else 3)


def test_what_a_training_starts_from_is_done_again_for_it(everything: Path, tmp_path: Path) -> None:
    carry_out(board("wise_ft", keep="none"), tmp_path)
    later = board("wise_ft", "wise_ft(alpha=0.3)", "wise_ft + t3a", keep="none")
    left = todo(make_plan(later), Store(tmp_path))
    assert left.first == frozenset()
    assert set(left.again) == set(make_plan(later).trainings)
    carry_out(later, tmp_path)
    expected = predictions(everything)
    assert {run: found for run, found in predictions(tmp_path).items() if run in expected}.items() <= expected.items()
    assert len(predictions(tmp_path)) == 3
    assert weights(tmp_path) == {}


def test_boards_of_one_store_keep_each_others_weights(tmp_path: Path) -> None:
    """One has not begun: what its runs will read is written and stays, until it is done."""
    store, waiting = Store(tmp_path), board("ema", name="waiting", keep="none")
    store.write_index(waiting, index(make_plan(waiting), "none"))
    carry_out(board("erm", keep="none"), tmp_path)
    assert weights(tmp_path) == {of(waiting, "ema"): {"ema-0.99"}}
    left = carry_out(waiting, tmp_path)
    assert (left.first, left.again) == (frozenset(), {})
    assert weights(tmp_path) == {}


@pytest.mark.parametrize("how", ["damaged", "older"])
def test_what_a_list_that_cannot_be_read_may_want_is_not_let_go(how: str, tmp_path: Path) -> None:
    rules = board("erm")
    older = index(make_plan(rules)) | {"schema": "dgbench.index/3"}
    path = tmp_path / "boards" / "other" / "0.json"
    write_sealed(path, {key: value for key, value in older.items() if key not in ("criterion", "keep", "starts")})
    if how == "damaged":
        path.write_text("{}")
    carry_out(rules, tmp_path)
    assert weights(tmp_path)[of(rules, "erm")] >= {"000002", "000006"}
    path.unlink()
    carry_out(rules, tmp_path)
    assert len(weights(tmp_path)[of(rules, "erm")]) == 1


def test_the_rule_that_was_given_last_holds_and_changes_no_identity(tmp_path: Path) -> None:
    store = Store(tmp_path)
    rules = {keep: board("erm", keep=keep) for keep in ("all", "none", None)}
    assert len({store.index(one) for one in rules.values()}) == 1
    assert len({rules_identity(one) for one in rules.values()}) == 1
    assert store.keep(rules[None]) == "chosen"
    for keep in ("all", "none"):
        assert store.keep(rules[keep]) == keep
        store.write_index(rules[keep], index(make_plan(rules[keep]), store.keep(rules[keep])))
        assert store.keep(rules[None]) == keep


def test_weights_that_were_let_go_come_back_when_a_rule_asks_for_them(everything: Path, tmp_path: Path) -> None:
    """And only then: what a board is looked at again for costs no training."""
    carry_out(board("erm", "swad", keep="none"), tmp_path)
    assert carry_out(board("erm", "swad"), tmp_path) == Todo({}, frozenset(), {})
    assert weights(tmp_path) == {}
    chosen = board("erm", "swad", keep="chosen")
    left = carry_out(chosen, tmp_path)
    assert left.again == {of(chosen, "erm"): ("erm", "swad")}
    assert (left.first, left.runs) == (frozenset(), {})
    whole = contents(everything)
    kept = contents(tmp_path)
    assert len(kept) == 2
    assert [path for path in kept if "candidate" not in path.name and kept[path] != whole[path]] == []
    assert carry_out(chosen, tmp_path).again == {}
    assert contents(tmp_path) == kept


def test_the_one_candidate_that_stayed_is_found_and_another_is_refused(tmp_path: Path) -> None:
    rules = board("erm", "swad")
    carry_out(rules, tmp_path)
    plan = make_plan(rules)
    erm, swad = (next(plan.runs[e.run] for e in plan.entries if e.algorithm == name) for name in ("erm", "swad"))
    trajectory = stored(plan.trainings[erm.training], Store(tmp_path), CPU)
    chosen = dict(boards.select(rules, store=tmp_path).cells.select("algorithm", "step").iter_rows())
    for name, run in (("erm", erm), ("swad", swad)):
        part = part_of("averaging", run.averaging, "here")
        assert candidate_at(part, run.averaging, trajectory, chosen[name])
    other = 8 - chosen["erm"]  # of 2 and 6
    with pytest.raises(StoreError, match=f"the weights of step {other} were not kept"):
        candidate_at(part_of("averaging", erm.averaging, "here"), erm.averaging, trajectory, other)


class _KilledError(Exception):
    pass


def _killed(*_: Any) -> None:
    raise _KilledError


@pytest.mark.parametrize("where", ["write_sealed", "_strangers"])
def test_who_is_killed_while_weights_go_leaves_a_whole_training(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the seal is written, and between the seal and the removal."""
    rules = board("erm", "swad")
    carry_out(board("erm", "swad", keep="all"), tmp_path)
    store, id_ = Store(tmp_path), of(rules, "erm")
    store.write_index(rules, index(make_plan(rules), "chosen"))
    before = excess(Boards.of(store), id_)
    assert before is not None
    with monkeypatch.context() as patch:
        patch.setattr(keeping, where, _killed)
        with pytest.raises(_KilledError):
            let_go(Boards.of(store), id_, lambda spec: stored(spec, store, CPU))
    assert store.finished("training", id_)
    assert not [damage for result in verify(store) for damage in result.damaged]
    assert weights(tmp_path)[id_] >= every(STEPS), "nothing is gone yet"
    tidy(make_plan(rules), store)
    left = weights(tmp_path)[id_]
    assert len(left) == 2
    assert not [damage for result in verify(store) for damage in result.damaged]
    assert before.bytes == sum(
        size for name, (size, _) in _files(everything_of(store, id_)).items() if Path(name).stem not in left
    )


def everything_of(store: Store, id_: str) -> Path:
    """A copy of a training with all its weights, done elsewhere."""
    root = store.root.parent / f"{store.root.name}-all"
    do_training(store.training(id_), Store(root), CPU)
    return Store(root).folder("training", id_)


def _files(folder: Path) -> dict[str, Any]:
    return {str(path): [path.stat().st_size, ""] for path in (folder / "weights").glob("*")}


def test_a_kept_file_that_is_damaged_is_damage_and_one_that_was_let_go_is_not(tmp_path: Path) -> None:
    rules = board("erm")
    carry_out(rules, tmp_path)
    store, id_ = Store(tmp_path), of(rules, "erm")
    assert store.damage("training", id_) is None
    (path,) = store.folder("training", id_).glob("weights/*")
    kept = path.read_bytes()
    path.unlink()
    damage = store.damage("training", id_)
    assert damage is not None
    assert damage.file == f"weights/{path.name}"
    left = carry_out(rules, tmp_path)
    assert left.first == {id_}
    assert contents(tmp_path) == {path.relative_to(tmp_path): kept}, "and no more than was chosen"


class _StoppedError(Exception):
    pass


def _stop_at(stop: int) -> Callable[[int], None]:
    def at(step: int) -> None:
        if step == stop:
            raise _StoppedError

    return at


@pytest.mark.parametrize(
    ("now", "first_step"),
    [({"000006"}, 5), ({"000006", "ema-0.99"}, 5), ({"000006", "000004-mean"}, 1), (None, 1)],
)
def test_a_training_that_was_stopped_goes_on_where_it_kept_what_is_wanted(
    now: set[str] | None, first_step: int, everything: Path, tmp_path: Path
) -> None:
    training = make_plan(board("erm")).trainings[of(board("erm"), "erm")]
    store, before = Store(tmp_path), {"000006", "ema-0.99"}
    with pytest.raises(_StoppedError):
        do_training(training, store, CPU, _stop_at(5), keep=before)
    steps: list[int] = []
    do_training(training, store, CPU, steps.append, keep=now)
    assert steps == list(range(first_step, 7))
    whole = contents(everything)
    assert weights(tmp_path)[training.id] == (before if first_step > 1 else now or every(STEPS))
    assert [path for path, content in contents(tmp_path).items() if whole[path] != content] == []


def test_a_training_done_again_can_be_stopped_and_gone_on_with(everything: Path, tmp_path: Path) -> None:
    """All the while it is finished for those who look, and sound."""
    training = make_plan(board("erm")).trainings[of(board("erm"), "erm")]
    store = Store(tmp_path)
    do_training(training, store, CPU, keep={"000006"})
    note = store.done("training", training.id)
    assert not do_training(training, store, CPU, keep={"000002"}), "nobody said that it was not enough"
    more: dict[str, Any] = {"keep": {"000004-mean", "000006"}, "enough": lambda pieces: "000004-mean" in pieces}
    with pytest.raises(_StoppedError):
        do_training(training, store, CPU, _stop_at(5), **more)
    assert store.done("training", training.id) == note
    assert store.damage("training", training.id) is None
    steps: list[int] = []
    assert do_training(training, store, CPU, steps.append, **more)
    assert steps == [5, 6]
    assert not (store.folder("training", training.id) / "state").exists()
    whole = contents(everything)
    assert weights(tmp_path)[training.id] == {"000006", "000004-mean"}
    assert [path for path, content in contents(tmp_path).items() if whole[path] != content] == []
    again = store.done("training", training.id)
    assert note is not None
    assert again is not None
    assert {key: again[key] for key in note if key != "files"} == {key: note[key] for key in note if key != "files"}
    assert verify(store)[0].damaged == ()


@pytest.mark.parametrize("algorithm", ["lora", "linear_probe(head='random')", "pego", "drm", "erm"])
def test_the_weights_before_the_first_step_are_built_again_to_the_bit(
    algorithm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = board(algorithm, backbone=smallest(algorithm)).model_copy(
        update={"hyperparameters": {"sampler.augmentation": "crop"}}
    )
    plan, store = make_plan(rules), Store(tmp_path)
    training = plan.trainings[plan.entries[0].training]
    kept: dict[str, torch.Tensor] = {}

    def note(network: Any) -> None:
        kept.update(effective_state(network))

    attach = loop.attach
    with monkeypatch.context() as patch:
        patch.setattr(loop, "attach", lambda spec, parts, network: (attach(spec, parts, network), note(network)))
        do_training(training, store, CPU, keep={"000006"})
    found = stored(training, store, CPU).initial()
    assert found.keys() == kept.keys()
    assert [name for name in kept if not torch.equal(found[name], kept[name])] == []
    whole = stored(training, store, CPU).at(6)
    assert whole.keys() == kept.keys()
    trajectory = stored(training, store, CPU)
    monkeypatch.setattr(TrainingSpec, "seed", lambda self, *of: 1)
    with pytest.raises(StoreError, match="before the first step come out otherwise"):
        trajectory.initial()


@cache
def _row() -> dict[str, Any]:
    return make_plan(board("erm")).entries[0].row()


def _entry(algorithm: str, target: str, draw: int, families: list[str]) -> dict[str, Any]:
    row = _row() | {"algorithm": algorithm, "target": target, "domain": target, "draw": draw}
    return row | {"run": f"{algorithm}-{target}-{draw}", "training": f"t{draw}", "families": families}


def _finish(store: Store, entry: dict[str, Any], rng: random.Random) -> None:
    """A run with two candidates whose accuracies are drawn from few values, so that there are ties."""
    rows = [
        {"step": step, "split": split, "domain": domain, "view": view, "accuracy": rng.choice([0.2, 0.4, 0.6]),
         "nll": rng.choice([0.5, 1.0]), "n": 10, "digest": "0"}
        for step in (4, 6)
        for split, domain, view in [
            *(("validation", domain, view) for domain in ("a", "b") for view in ("clean", "blur", "color", "hsv")),
            ("target", entry["target"], "clean"),
        ]
    ]  # fmt: skip
    folder = store.folder("run", entry["run"])
    write_json(folder / "result.json", {"metrics": rows})
    seal(folder, {"seconds": 1.0})


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("keep", ["chosen", "shown"])
def test_what_stays_while_draws_are_missing_holds_whatever_will_be_chosen(
    keep: Keep, seed: int, tmp_path: Path
) -> None:
    """And no more than that of those that are done, once all are."""
    rng, store = random.Random(seed), Store(tmp_path)
    entries = [
        _entry(algorithm, target, draw, rng.choice([[], ["blur"], ["color"]]))
        for algorithm, target, draw in itertools.product(("erm", "sam"), ("print", "dot-matrix"), range(4))
    ]
    content: Spec = {"schema": "dgbench.index/4", "criterion": "augmented", "keep": keep, "starts": {}}
    content |= {"manifests": {}, "cases": []}
    write_sealed(tmp_path / "boards" / "b" / "0.json", content | {"entries": entries})

    def stays() -> set[tuple[str, int]]:
        boards = Boards.of(store)
        (listed,) = boards._boards
        return {(entry["run"], step) for entry, step in boards._chosen(listed, set(listed.cells))}

    waiting = rng.sample(entries, len(entries))
    history = []
    done: set[str] = set()
    while waiting:
        for entry in waiting[:3]:
            _finish(store, entry, rng)
            done.add(entry["run"])
        waiting = waiting[3:]
        history.append((set(done), stays()))
    metrics = [
        entry | in_case(row, entry)
        for entry in entries
        for row in store.read("run", entry["run"], "result.json")["metrics"]
    ]
    measured = {"train_seconds": 0.0, "run_seconds": 0.0, "device": "", "hyperparameters": ""}
    runs = table([entry | measured for entry in entries], RUNS)
    names = ["augmented"] if keep == "chosen" else list(FROM_RECORDS)
    winners = {
        (str(run), int(step))
        for name in names
        for run, step in choose(table(metrics, METRICS), runs, get(name)).select("run", "step").iter_rows()
    }
    assert history[-1][1] == winners
    for finished, kept in history:
        assert {(run, step) for run, step in winners if run in finished} <= kept
        if keep == "chosen":
            assert len(kept) <= len(finished), "one of each draw at most"


def test_a_plan_says_what_its_runs_need(tmp_path: Path) -> None:
    """As units of work: enough for its runs, or to be done again."""
    rules = board("erm", keep="none")
    carry_out(rules, tmp_path)
    plan: Plan = make_plan(board("erm", "ema", keep="none"))
    left = todo(plan, Store(tmp_path))
    assert left.again == {of(rules, "erm"): ("ema",)}
    (unit,) = units_of(plan, left)
    assert not unit.trained
    assert unit.enough(Store(tmp_path), frozenset({"ema-0.99"}))
    assert not unit.enough(Store(tmp_path), frozenset({"000004", "000006"}))
    assert [run.averaging["part"] for run in unit.runs] == ["ema"]


def test_who_comes_late_does_nothing_again(tmp_path: Path) -> None:
    """A rival did the same work and let go of what it read: training, runs, and what others started from."""
    rules = board("erm", "swad", "wise_ft", keep="none")
    plan, store = make_plan(rules), Store(tmp_path)
    late = units_of(plan, todo(plan, store))
    carry_out(rules, tmp_path)
    told: list[Note | Measured | Predicted] = []
    for unit in late:
        unit.do(store, "cpu", told.append)
    assert sum(note.done for note in told if isinstance(note, Note)) == 0
