"""Writing a chosen model as a folder that stands alone: whole, or not at all."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from dgbench.algorithms.slots import Source
from dgbench.core.backbone_name import BackboneName, parse
from dgbench.core.dataset_card import DatasetCard, dataset_card, headlines
from dgbench.core.errors import DGBenchError
from dgbench.core.files import whole_folder
from dgbench.core.provenance import revision
from dgbench.core.rules import rules_identity
from dgbench.core.spec import Spec
from dgbench.exported.card import BACKBONE, CONFIG, HEAD, MEMORY, README, Expectation, ModelCard, is_export, write_card
from dgbench.exported.choose import Choice
from dgbench.exported.readme import readme
from dgbench.models.backbones import timm
from dgbench.models.backbones.packages import PACKAGES
from dgbench.models.network import Backbone, Network
from dgbench.runs.deterministic import as_worker
from dgbench.runs.predict import Bench
from dgbench.runs.store import Store
from dgbench.train.spec import TrainingSpec


def refuse_foreign(folder: Path) -> None:
    """Refuse to write a model over what is no exported model; called before the work, too.

    Raises:
        DGBenchError: something else is there.
    """
    if folder.exists() and not (folder.is_dir() and (not any(folder.iterdir()) or is_export(folder))):
        raise DGBenchError(
            f"{folder} is there and is no exported model, or holds other files, too; take another folder, or move it"
        )


def write(
    choice: Choice, store: Store, folder: Path, device: str = "cpu", expected: Expectation | None = None
) -> ModelCard:
    """Write a chosen model into a folder; an exported model that is there is replaced.

    Args:
        choice: What to write.
        store: Holds its weights.
        folder: Where.
        device: Where statistics of averages and features of source images are computed, if it needs them.
        expected: What to expect of a model that learnt from all domains.

    Returns:
        Its card.

    Raises:
        DGBenchError: the folder holds something else.
        DamagedError: weights are not there, or not what was written.
        DiskError: the folder cannot be written.
    """
    refuse_foreign(folder)
    training, run = choice.plan.trainings[choice.entry.training], choice.plan.runs[choice.entry.run]
    with as_worker(device):
        bench = Bench(training, store, torch.device(device))
        network, memory = bench.recall(run, choice.step)
        setting = bench.setting
        backbone = setting.backbone_info()
        features = setting.backbone().module if setting.bank is not None else network.backbone
    name = parse(training.backbone)
    content: Spec = {
        "backbone": _described(name, backbone, network, training, choice.entry.pretrained_on),
        "preprocessing": {
            "size": training.size,
            "resize": training.resize,
            "mean": list(backbone.mean),
            "std": list(backbone.std),
            **training.decoding.spec(),
        },
        "classes": list(setting.dataset.classes),
        "algorithm": {
            "name": choice.entry.algorithm,
            "title": choice.entry.title,
            "track": choice.entry.track,
            "parts": {**training.parts, "averaging": run.averaging, "predictor": run.predictor},
            "without_effect": choice.entry.without_effect,
            "stream_batch": run.stream_batch,
            "stream_mode": run.stream_mode,
        },
        "selection": _selection(choice, training),
        "scores": choice.scores.model_dump(mode="json"),
        "expected": None if expected is None else expected.model_dump(mode="json"),
        "licences": {"data": _terms(dataset_card(training.dataset)), "weights": _weights_terms(name, choice)},
        "versions": _versions(),
    }
    with whole_folder(folder) as made:
        _save(made / BACKBONE, features.state_dict())
        heads = {key: t for key, t in network.state_dict().items() if not key.startswith("backbone.")}
        _save(made / HEAD, heads)
        if memory is not None:
            _save(made / MEMORY, _tensors(memory))
        if name.family in ("timm", "packaged"):
            (made / CONFIG).write_text(json.dumps(_timm_config(content), indent=1) + "\n", encoding="utf-8")
        card = write_card(made, content)
        (made / README).write_text(readme(card), encoding="utf-8")
        refuse_foreign(folder)  # what came meanwhile is not lost either
    return card


def _save(path: Path, state: dict[str, Tensor]) -> None:
    plain = {key: tensor.detach().cpu().contiguous().clone() for key, tensor in state.items()}
    save_file(plain, path, metadata={"format": "pt"})


def _tensors(memory: Source) -> dict[str, Tensor]:
    return {"features": memory.features, "labels": memory.labels, "domains": memory.domains}


def _described(
    name: BackboneName, backbone: Backbone, network: Network, training: TrainingSpec, pretrained_on: str
) -> dict[str, Any]:
    library, architecture, options = "dgbench", name.architecture, {}
    if name.family == "packaged":
        library, architecture, options = "timm", PACKAGES[architecture].architecture, {"num_classes": 0}
    elif name.family == "timm":
        library, options = "timm", timm.options(name)
    elif name.family == "open_clip":
        library, options = "open_clip", {} if name.size is None else {"force_image_size": name.size}
    return {
        "name": name.canonical,
        "library": library,
        "architecture": architecture,
        "options": options,
        "features": backbone.dim,
        **({} if network.activation == "identity" else {"activation": network.activation}),
        "unit": network.unit_features,
        "precision": network.precision,
        "weights": training.weights,
        "pretrained_on": pretrained_on,
    }


def _selection(choice: Choice, training: TrainingSpec) -> dict[str, Any]:
    board, entry = choice.board, choice.entry
    return {
        "board": board.name,
        "title": board.title,
        "version": board.version,
        "rules": rules_identity(board),
        "criterion": choice.criterion.name,
        "headline": headlines(board)[training.dataset],
        "score": choice.score,
        "views": list(choice.views),
        "dataset": dataset_card(training.dataset).name,
        "manifest": training.manifest,
        "sources": list(training.sources),
        "target": entry.domain or None,
        "trial": entry.trial,
        "draw": entry.draw,
        "step": choice.step,
        "training": entry.training,
        "run": entry.run,
        "backbone": entry.backbone,
    }


def _terms(card: DatasetCard) -> str:
    return f"{card.title}: {card.licence}"


def _weights_terms(name: BackboneName, choice: Choice) -> str:
    """What is known of the licence of the weights that the training started from."""
    start = next(start for start in choice.plan.starts.values() if start.shown == choice.entry.backbone)
    if start.training is not None:
        return f"trained by dgbench on {_terms(dataset_card(start.training.dataset))}"
    if name.weights is not None:
        return f"{choice.entry.backbone}: not known to dgbench; ask whoever made them"
    if start.weights is None:
        return "none: the training started from random numbers"
    said = timm.licence(name) if name.family == "timm" and name.tag else ""
    known = f"{said}, as timm says" if said else "not known to dgbench; ask whoever published them"
    return f"{choice.entry.backbone}: {known}"


def _versions() -> dict[str, str]:
    libraries = {"timm": "timm", "open_clip": "open_clip_torch", "pillow": "pillow", "safetensors": "safetensors"}
    found = {key: metadata.version(package) for key, package in libraries.items()}
    return {"dgbench": revision(), "torch": torch.__version__, **found}


def _timm_config(content: Spec) -> dict[str, Any]:
    """The backbone as timm describes models in folders and on the hub: ``timm.create_model("local-dir:DIR")``."""
    backbone, seen = content["backbone"], content["preprocessing"]
    arguments = {key: value for key, value in backbone["options"].items() if key != "num_classes"}
    return {
        "architecture": backbone["architecture"],
        "num_classes": backbone["options"]["num_classes"],
        "num_features": backbone["features"],
        **({"model_args": arguments} if arguments else {}),
        "pretrained_cfg": {
            "tag": "dgbench",
            "custom_load": False,
            "input_size": [3, seen["size"], seen["size"]],
            "interpolation": "bicubic",
            "crop_pct": 0.875 if seen["resize"] == "crop" else 1.0,
            "crop_mode": "center" if seen["resize"] == "crop" else "squash",
            "mean": seen["mean"],
            "std": seen["std"],
            "num_classes": backbone["options"]["num_classes"],
            "license": content["licences"]["weights"],
        },
    }
