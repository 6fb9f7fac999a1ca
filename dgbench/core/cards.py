"""Cards: TOML files that describe an algorithm, a dataset or a board, as typed models.

A card is data. Where it names something that dgbench has (a part, a builder, a backbone), it does so by a name that is
looked up in a list, never by a module, and nothing that stands on it is executed.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from dgbench.core.errors import UnknownNameError
from dgbench.core.names import Text
from dgbench.core.paths import shipped
from dgbench.core.precision import Precision
from dgbench.core.registry import ELSEWHERE, SLOTS, Slot, StreamMode, Track
from dgbench.core.space import Space
from dgbench.core.toml import read_toml

Name = Annotated[str, Field(pattern=r"^[a-z0-9]+([_-][a-z0-9]+)*$")]


class Card(BaseModel):
    """What all cards share: nothing unknown, nothing changed after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Paper(Card):
    """Where a method was published."""

    title: str
    authors: tuple[str, ...]
    venue: str
    year: int = Field(ge=1900, le=2100)
    arxiv: str | None = Field(default=None, pattern=r"^\d{4}\.\d{4,5}$")
    code: str | None = None

    def cite(self) -> str:
        """One line: authors, title, venue and year."""
        first = self.authors[0] + (" et al." if len(self.authors) > 2 else "")
        who = " and ".join(self.authors) if len(self.authors) == 2 else first
        return f"{who}: {self.title}. {self.venue} {self.year}" + (f", arXiv {self.arxiv}" if self.arxiv else "")


class PartChoice(BaseModel):
    """One slot of a recipe: the part's name, and the hyperparameters that the recipe sets."""

    model_config = ConfigDict(extra="allow", frozen=True)

    part: str

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """What the card sets; everything else keeps the board's or the part's own value."""
        return dict(self.model_extra or {})


class RecipeSlots(Card):
    """The slots that a card fills; the board's defaults fill the others."""

    sampler: PartChoice | None = None
    adapter: PartChoice | None = None
    objective: PartChoice | None = None
    optimizer: PartChoice | None = None
    averaging: PartChoice | None = None
    predictor: PartChoice | None = None

    def filled(self) -> dict[Slot, PartChoice]:
        """The slots with a part, in the order of a training."""
        return {slot: choice for slot in SLOTS if (choice := getattr(self, slot)) is not None}

    @model_validator(mode="after")
    def _names_no_class(self) -> RecipeSlots:
        if any(choice.part == ELSEWHERE for choice in self.filled().values()):
            raise ValueError(f"'{ELSEWHERE}' is no part: a class is named by whoever runs it, never by a file")
        return self


class Published(Card):
    """Hyperparameters that a paper or its code used, for a setting; shown, never used silently."""

    setting: str
    values: dict[str, Any]


class Difference(Card):
    """Where a paper, its released code and the part here differ, and which form runs by default."""

    what: str


class AlgorithmCard(Card):
    """One algorithm: the parts it names, and where they come from."""

    name: Name
    title: str
    summary: str
    licence: str = "MIT"
    paper: Paper
    recipe: RecipeSlots = RecipeSlots()
    search: dict[str, Space] = Field(default_factory=dict)
    published: tuple[Published, ...] = ()
    differences: tuple[Difference, ...] = ()


class SplitRules(Card):
    """How the examples of a domain are divided.

    Attributes:
        validation: Share of a source domain that is kept for validation.
        test: Share of every domain that no trial trains or validates on; where it is above 0, a target is tested on
            this part alone, else on the whole of it. Datasets whose domains share groups (one concept drawn by several
            hands) need it.
        official: Whether the dataset's own train, validation and test parts are taken in place of drawn ones; a
            target is tested on its official test part where it has one.
    """

    validation: float = Field(gt=0, lt=1)
    test: float = Field(ge=0, lt=1, default=0.0)
    official: bool = False


class CaseRules(Card):
    """What a board makes of one dataset.

    Attributes:
        sources: Domains that may train; all of them if empty.
        targets: Domains that are tested; all of them if empty.
    """

    sources: tuple[Text, ...] = ()
    targets: tuple[Text, ...] = ()


STREAM_BATCH = 32
"""How many images a predictor is shown at once, unless a board says otherwise."""
DomainDraw = Literal["uniform", "size"]
"""How a step draws some of many source domains."""


class TrainingRules(Card):
    """What every training on a board shares.

    Attributes:
        steps: Of the optimizer.
        checkpoints: How many are taken, evenly spaced.
        batch_per_domain: Images of each source domain that a step sees.
        domains_per_step: How many source domains a step sees, where there are more; all of them by default.
        domains_drawn: How these are drawn: ``uniform``, each as likely as any other, or by ``size``, each by its number
            of training images.
        precision: Of forward passes.
        norm_mode: ``frozen`` keeps normalisation statistics as they were pretrained, ``train`` moves them.
    """

    steps: int = Field(ge=1, le=100_000_000)
    checkpoints: int = Field(ge=1, le=10_000)
    batch_per_domain: int = Field(ge=1, le=1_000_000)
    domains_per_step: int | None = Field(default=None, ge=1, le=1_000_000)
    domains_drawn: DomainDraw = "uniform"
    precision: Precision = "float32"
    norm_mode: Literal["train", "frozen"] = "frozen"

    @model_validator(mode="after")
    def _whole(self) -> TrainingRules:
        if self.steps % self.checkpoints:
            raise ValueError(f"'steps' ({self.steps}) must be a multiple of 'checkpoints' ({self.checkpoints})")
        if self.domains_per_step is None and self.domains_drawn != "uniform":
            raise ValueError(
                "'domains_drawn' says how the domains of a step are drawn; say in 'domains_per_step' how many"
            )
        return self


PerDomain = Annotated[int, Field(ge=1, le=1_000_000_000)] | Literal["all"]
"""How many images of a domain, at most; or all that there are."""
Average = Literal["domains", "examples"]
"""Over what validation is averaged: each source domain counts once, or each of their images."""


class SelectionRules(Card):
    """What models are selected on.

    Attributes:
        average: Over what validation is averaged. Over ``examples`` a domain counts by its images: all source domains
            together are what one domain is on other boards.
        views_per_domain: How many of the validation images of a source domain are looked at under each shift, drawn by
            class; where there are fewer, all of them. Clean validation images are always looked at whole.
    """

    average: Average = "domains"
    views_per_domain: PerDomain = 200

    def views(self, images: float) -> float:
        """How many of a domain's validation images are looked at under each shift."""
        return images if self.views_per_domain == "all" else min(images, self.views_per_domain)


Keep = Literal["all", "shown", "chosen", "none"]
"""Which weights stay when their runs are done: those that the board's criterion chose (``chosen``), also those that
other criteria would have chosen (``shown``) that need neither single predictions nor judges of their own, all, none."""
Headline = Literal["accuracy", "macro", "macro_f1", "worst_class", "worst_group", "rmse", "worst_group_rmse", "pearson",
                   "worst_group_pearson"]  # fmt: skip
"""What may rank a board: shares; of values errors and correlations (:data:`dgbench.selection.measures.MEASURES`)."""


class BoardCard(Card):
    """The rules of a leaderboard: what is compared, on what, with which budget, and how models are selected.

    Attributes:
        name: What commands and files call it.
        title: What readers call it.
        summary: What it is about, in one sentence.
        version: Raised with every change of the rules.
        dataset: One, or several; means are then taken over datasets of the means over targets.
        protocol: ``leave-one-domain-out``: each target in turn, trained on the other domains. ``single-source``: each
            domain trains alone and is tested on each of the others. ``fixed``: the sources of ``cases`` train
            together, and each of its targets is tested.
        cases: By dataset, which of its domains take part.
        tracks: The backbone of each track.
        unlabelled: Which images of their target trainings of that track see: ``untested`` ones, or those ``tested``.
        trials: Repetitions of every training, each with splits, weights and batches of its own.
        looks: Where trials may grow, after how many the board is looked at again, ascending, above ``trials``: who is
            still open near the top then gets so many, at most the last (``dgbench run --until separated``).
        draws: Sets of hyperparameters that are tried for each algorithm, target and trial, the recipe's own first.
        stream_batch, stream_mode: How many images a predictor is shown at once, and how: what adapts depends on it.
        criterion: What selects models.
        headline: By what models are ranked and selected: the official measure of each dataset, or one for all.
        among: Among which classes each target is predicted: ``all``, or, as of ImageNet-R, those ``present`` in it.
        algorithms: Recipes, such as ``pego + sam``.
        split: Which images are kept for validation and for testing.
        selection: Which of those for validation are looked at under shifts.
        training: What every training shares: steps, checkpoints, batches, precision.
        defaults: The parts of the slots that a recipe leaves open.
        hyperparameters, search: Their values, and where they are searched, by ``slot.hyperparameter``, for all recipes.
        overrides: Values for single algorithms, by the name of a card.
        keep: Which weights stay. It changes no number and is no part of any identity; where it is not said, what was
            said before of the same runs holds, and else ``chosen``.
    """

    name: Name
    title: str
    version: int = Field(ge=1)
    summary: str
    dataset: Annotated[
        tuple[str, ...], BeforeValidator(lambda v: (v,) if isinstance(v, str) else v), Field(min_length=1)
    ]
    protocol: Literal["leave-one-domain-out", "single-source", "fixed"] = "leave-one-domain-out"
    cases: dict[str, CaseRules] = Field(default_factory=dict)
    tracks: dict[Track, str] = Field(min_length=1)
    unlabelled: Literal["untested", "tested"] = "untested"
    trials: int = Field(ge=1, le=1_000)
    looks: Annotated[tuple[Annotated[int, Field(ge=2, le=1_000)], ...], Field(max_length=100)] = ()
    draws: int = Field(ge=1, le=1_000, default=1)
    stream_batch: int = Field(ge=1, le=1_000_000, default=STREAM_BATCH)
    stream_mode: StreamMode = "per_target"
    criterion: str
    headline: Literal["official"] | Headline = "official"
    among: Literal["all", "present"] = "all"
    keep: Keep | None = None
    algorithms: tuple[str, ...] = Field(min_length=1)
    split: SplitRules
    selection: SelectionRules = SelectionRules()
    training: TrainingRules
    defaults: RecipeSlots = RecipeSlots()
    hyperparameters: dict[str, Any] = Field(default_factory=dict)
    search: dict[str, Space] = Field(default_factory=dict)
    overrides: dict[str, dict[str, Any]] = Field(default_factory=dict)

    @property
    def most(self) -> int:
        """The most trials that an algorithm may have."""
        return self.looks[-1] if self.looks else self.trials

    def described(self, without: set[str]) -> dict[str, Any]:
        """As plain JSON, without some fields; of rules that came later, a board that has none of them says nothing."""
        named = ("looks", "stream_batch", "stream_mode", "among", "unlabelled")
        plain = {name: type(self).model_fields[name].default for name in named}
        said = self.model_dump(mode="json", exclude=without | {n for n, v in plain.items() if getattr(self, n) == v})
        if self.training.domains_per_step is None:
            del said["training"]["domains_per_step"], said["training"]["domains_drawn"]
        if self.selection.average == "domains":
            del said["selection"]["average"]
        return said

    @model_validator(mode="after")
    def _looks_ascend(self) -> BoardCard:
        if list(self.looks) != sorted({*self.looks} - set(range(self.trials + 1))):
            raise ValueError(
                f"'looks' ({', '.join(map(str, self.looks))}) are numbers of trials above 'trials' ({self.trials}), "
                "each above the one before"
            )
        return self

    @model_validator(mode="after")
    def _cases_of_datasets(self) -> BoardCard:
        if strangers := sorted(set(self.cases) - set(self.dataset)):
            raise ValueError(f"'cases' speaks of {', '.join(strangers)}, which 'dataset' does not list")
        if self.protocol == "fixed":
            for dataset in self.dataset:
                if not (dataset in self.cases and self.cases[dataset].sources and self.cases[dataset].targets):
                    raise ValueError(f"protocol 'fixed' needs 'sources' and 'targets' in [cases.{dataset}]")
        return self


def _card_path(folder: str, kind: str, name: str) -> Path:
    if name.endswith(".toml"):
        return Path(name)
    if name not in card_names(folder):
        raise UnknownNameError(kind, name, card_names(folder))
    return shipped(folder) / f"{name}.toml"


@cache
def card_names(folder: str) -> tuple[str, ...]:
    """Names of the cards that come with dgbench in a folder."""
    return tuple(sorted(path.stem for path in shipped(folder).glob("*.toml")))


@cache
def algorithm_card(name: str) -> AlgorithmCard:
    """The card of an algorithm, by name or by the path of a ``.toml`` file.

    Raises:
        UnknownNameError: no such card.
        CardError: the card does not fit.
    """
    return read_toml(_card_path("algorithms", "algorithm", name), AlgorithmCard)


def board_names() -> tuple[str, ...]:
    """Names of the boards that come with dgbench."""
    return tuple(sorted(path.parent.name for path in shipped("leaderboards").glob("*/board.toml")))


def board_card(name: str) -> BoardCard:
    """The rules of a board, by name or by the path of its ``board.toml``.

    Raises:
        UnknownNameError: no such board.
        CardError: the rules do not fit.
    """
    if name.endswith(".toml"):
        return read_toml(Path(name), BoardCard)
    if name not in board_names():
        raise UnknownNameError("board", name, board_names())
    return read_toml(shipped("leaderboards") / name / "board.toml", BoardCard)
