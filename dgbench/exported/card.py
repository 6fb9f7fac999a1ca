"""The card of an exported model: what it is, how and on what it was chosen, and what is known of it.

    DIR/
      card.json            this card; it lists the files of tensors with size and SHA-256, and carries a hash of itself
      model.safetensors    the backbone, by the names of the library that builds it
      head.safetensors     head.weight [C, d], head.bias [C]; domain_heads.weight [K C, d], domain_heads.bias
      memory.safetensors   features [n, d], labels [n], domains [n]: what a predictor remembers of the source domains
      config.json          the backbone as timm describes models, where timm builds it
      README.md            the card for people

A card is data: it names parts and backbones that dgbench looks up, and nothing on it is executed.
"""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, FiniteFloat

from dgbench.core.cards import STREAM_BATCH, Card, Headline, PartChoice
from dgbench.core.decoding import Alpha, Decoding
from dgbench.core.errors import CardError, DGBenchError, shown
from dgbench.core.precision import Precision
from dgbench.core.registry import SLOTS, Slot, StreamMode, Track
from dgbench.core.seals import described, sealed_content, write_sealed
from dgbench.core.spec import Spec
from dgbench.core.toml import validated
from dgbench.core.units import Activation

SCHEMA = "dgbench.model/1"
CARD, README, CONFIG = "card.json", "README.md", "config.json"
BACKBONE, HEAD, MEMORY = "model.safetensors", "head.safetensors", "memory.safetensors"
TENSORS = (BACKBONE, HEAD, MEMORY)
FILES = frozenset((CARD, README, CONFIG, *TENSORS))
"""Every file that an exported model may consist of."""
LARGEST = 16 * 2**20
"""Bytes of a card. One with ten thousand classes has a tenth of that."""

Channels = tuple[FiniteFloat, FiniteFloat, FiniteFloat]
Share = Annotated[float, Field(ge=0, le=1)]


class BackboneFacts(Card):
    """What computes the features.

    Attributes:
        name: As dgbench calls it; it is looked up in the lists of timm, of open_clip or of dgbench.
        library: Who builds it.
        architecture, options: How: ``timm.create_model(architecture, **options)``, or
            ``open_clip.create_model(architecture).visual``.
        features: How many there are.
        activation: What each of them goes through.
        unit: Whether they are then divided by their length.
        precision: What they are computed in.
        weights: What the training started from: ``sha256:...`` of published weights, the id of a training, or nothing.
        pretrained_on: The data behind those, in words; empty where there is none.
    """

    name: str
    library: Literal["timm", "open_clip", "dgbench"]
    architecture: str
    options: dict[str, int] = Field(default_factory=dict)
    features: int = Field(ge=1)
    activation: Activation = "identity"
    unit: bool = False
    precision: Precision = "float32"
    weights: str | None = None
    pretrained_on: str = ""


class Preprocessing(Card):
    """How a picture becomes what the network sees; see :class:`~dgbench.core.decoding.Decoding` for the last three.

    Attributes:
        size: Side of the square, in pixels.
        resize: ``stretch`` to it, or scale the short side to 8/7 of it and ``crop`` the centre; bicubic, smoothed.
        mean, std: Of channels in [0, 1]; subtracted, divided by.
    """

    size: int = Field(ge=1, le=4096)
    resize: Literal["stretch", "crop"]
    mean: Channels
    std: Channels
    alpha: Alpha
    exif: bool
    bits: int = Field(ge=8, le=16)

    @property
    def decoding(self) -> Decoding:
        """How a file becomes RGB."""
        return Decoding(self.alpha, self.exif, self.bits)


class Part(PartChoice):
    """A part of some version, with every hyperparameter."""

    version: int


class Algorithm(Card):
    """The recipe, with a part in each of the six slots.

    Attributes:
        name, title, track: As the board has them.
        parts: By slot.
        without_effect: Which parts of the recipe acted on nothing.
        stream_batch, stream_mode: How many pictures the predictor was shown at once, and how.
    """

    name: str
    title: str
    track: Track
    parts: Annotated[dict[Slot, Part], Field(min_length=len(SLOTS))]
    without_effect: str = ""
    stream_batch: int = Field(ge=1, default=STREAM_BATCH)
    stream_mode: StreamMode = "per_target"


class Measured(Card):
    """A number with what is known about its error.

    Attributes:
        value: In [0, 1].
        low, high: Ends of the 95 % interval; nothing where chance was not measured.
        n: How many independent values, or images, stand behind it.
        interval: Of which kind, and over what.
    """

    value: FiniteFloat
    low: FiniteFloat | None = None
    high: FiniteFloat | None = None
    n: int = Field(ge=0)
    interval: str


class Selection(Card):
    """How and on what the model was chosen.

    Attributes:
        board, title, version, rules: Whose rules; ``rules`` is their hash.
        criterion: By its name; it read no label of ``target``.
        headline: What scores are of, by its name in ``dgbench.selection.measures``; the dataset is judged by it.
        score, views: What the model reached by it, on which views of held-out images of the source domains.
        dataset, manifest: The data, and its hash.
        sources: The domains that it learnt from.
        target: The domain that was left out; nothing where all were learnt from.
        trial, draw, step: Which repetition, which set of hyperparameters, which checkpoint.
        training, run: Their ids in the store.
        backbone: As the board calls it.
    """

    board: str
    title: str
    version: int
    rules: str
    criterion: str
    headline: Headline = "accuracy"
    score: FiniteFloat
    views: tuple[str, ...]
    dataset: str
    manifest: str
    sources: tuple[str, ...]
    target: str | None
    trial: int
    draw: int
    step: int
    training: str
    run: str
    backbone: str


class Scores(Card):
    """Accuracies.

    Attributes:
        validation: Of this model on held-out clean images of each source domain.
        target: Of this model on the domain that was left out.
        algorithm_on_target: Of the algorithm's models on that target: mean over trials.
        algorithm: Of the algorithm's models on the board: mean over targets of the mean over trials.
    """

    validation: dict[str, Measured]
    target: Measured | None = None
    algorithm_on_target: Measured | None = None
    algorithm: Measured | None = None


class Rival(Card):
    """An algorithm that stood for election: by its mean validation score, and what its models then reached."""

    algorithm: str
    title: str
    score: FiniteFloat
    accuracy: Measured


class Expectation(Card):
    """What to expect of a model that learnt from all domains.

    Attributes:
        unseen: By domain: what models of this recipe reached on it when it was left out.
        lowest, highest: Of the domains, by their means.
        mean: Over the domains.
        covers: What the interval of the mean covers.
        promises: What is not promised, a sentence each.
        chosen: How algorithm and hyperparameters were chosen, a sentence each.
        rivals: All that stood for election, the chosen one first.
    """

    unseen: dict[str, Measured]
    lowest: str
    highest: str
    mean: Measured
    covers: str
    promises: tuple[str, ...]
    chosen: tuple[str, ...]
    rivals: tuple[Rival, ...]


class Licences(Card):
    """Terms of what the model was made from; a model may fall under both."""

    data: str
    weights: str


class ModelCard(Card):
    """All that is said of an exported model.

    Attributes:
        schema_: The version of the card.
        backbone: By which name it is built, and what it had learnt from before.
        preprocessing: From a picture to what the network sees.
        classes: Their names, in the order of the scores.
        algorithm: The recipe, with all hyperparameters.
        selection: From which board, target and trial it comes, and what selected it.
        scores: Accuracies, on validation and on targets.
        expected: What to expect on a new domain; only where it learnt from all domains.
        licences: Of what it was made from.
        versions: Of what made it.
        files: For each file of the folder its size and SHA-256.
    """

    schema_: Literal["dgbench.model/1"] = Field(alias="schema")
    backbone: BackboneFacts
    preprocessing: Preprocessing
    classes: tuple[str, ...] = Field(min_length=2)
    algorithm: Algorithm
    selection: Selection
    scores: Scores
    expected: Expectation | None = None
    licences: Licences
    versions: dict[str, str]
    files: dict[Literal["model.safetensors", "head.safetensors", "memory.safetensors"], tuple[int, str]]

    @property
    def predictor(self) -> Spec:
        """Name, version and hyperparameters of the predictor."""
        return self.algorithm.parts["predictor"].model_dump()


def write_card(folder: Path, content: Spec) -> ModelCard:
    """Write the card of a model whose files of tensors are in the folder; what it says then."""
    files = {name: described(folder / name) for name in TENSORS if (folder / name).is_file()}
    content = {"schema": SCHEMA, **content, "files": files}
    card = ModelCard.model_validate(content)
    write_sealed(folder / CARD, card.model_dump(mode="json", by_alias=True))
    return card


def read_card(folder: Path) -> ModelCard:
    """The card of an exported model.

    Raises:
        CardError: there is none, or it is not what was written, or does not fit.
    """
    path = folder / CARD
    where = shown(str(path), 200) if not str(path).isprintable() else str(path)
    content = _parsed(path, where)
    schema = content.get("schema") if isinstance(content, dict) else None
    if schema != SCHEMA:
        raise CardError(f"{where}: schema: expected '{SCHEMA}', got {shown(schema)}; export the model again")
    card = validated(content, ModelCard, where)
    for name in (BACKBONE, HEAD):
        if name not in card.files:
            raise CardError(f"{where}: files: '{name}' is missing; export the model again")
    return card


def tensors(folder: Path, card: ModelCard, name: str) -> Path:
    """The path of a file of tensors that is what the card says.

    Raises:
        DGBenchError: it is not.
    """
    path, (size, digest) = folder / name, card.files[name]  # type: ignore[index]
    remedy = "copy the folder again, or export the model again"
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            raise DGBenchError(f"{path} is no file; {remedy}")
        if about.st_size != size or described(path) != [size, digest]:
            raise DGBenchError(f"{path} is not what '{CARD}' says (size or SHA-256 differ); {remedy}")
    except OSError as error:
        raise DGBenchError(f"{path} cannot be read ({error.strerror or error}); {remedy}") from error
    return path


def is_export(folder: Path) -> bool:
    """Whether a folder is an exported model, and holds nothing else."""
    try:
        read_card(folder)
        return {path.name for path in folder.iterdir()} <= FILES
    except (OSError, CardError):
        return False


def _parsed(path: Path, where: str) -> Any:
    """The content of a sealed JSON file that may come from anywhere."""
    try:
        if path.exists() and not path.is_file():
            raise CardError(f"{where}: is no file, so no card")
        with path.open("rb") as file:
            text = file.read(LARGEST + 1)
        if len(text) > LARGEST:
            raise CardError(f"{where}: has more than {LARGEST:,} bytes, and so is no card")
        return sealed_content(json.loads(text))
    except FileNotFoundError as error:
        raise CardError(f"{where}: is missing, so this is no exported model; 'dgbench export' makes one") from error
    except RecursionError as error:
        raise CardError(f"{where}: is deeper than any card is") from error
    except (OSError, ValueError) as error:
        raise CardError(f"{where}: cannot be read ({shown(str(error), 200)}); export the model again") from error
