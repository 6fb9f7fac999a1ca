"""Good things to begin with: a store, a model, a submission, by dgbench's own commands; pictures, sweeps, weights."""

from __future__ import annotations

import contextlib
import json
import os
import tomllib
from pathlib import Path

import numpy as np
import polars as pl
import torch
from PIL import Image
from safetensors.torch import save_file

import dgbench
from dgbench.core.errors import DataError
from dgbench.core.paths import shipped
from dgbench.data.catalogue import load
from dgbench.data.disk.look.toml import as_toml
from dgbench.runs.failures import Failure, note
from dgbench.runs.store import Store

CARD = """
name = "shapes"
title = "Shapes"
summary = "Noise."
path = "pictures"
licence = "CC0"
redistribution = "yes"
classes = ["dot", "line"]
[reader]
{reader}
[[domains]]
name = "ink"
[[domains]]
name = "wood"
"""
TREE = 'kind = "tree"\nlayouts = ["{domain}/{class}"]'
TABLE = 'kind = "table"\nfile = "list.csv"\nimage = "image"\nlabel = "label"\ndomain = "domain"'
ARROW = 'kind = "arrow"\nfile = "list.parquet"\nimage = "image"\nlabel = "label"\ndomain = "domain"'


def board(folder: Path) -> Path:
    """A board of two algorithms in one cell, with few steps, that chooses by clean images."""
    content = tomllib.loads((shipped("leaderboards") / "quick" / "board.toml").read_text(encoding="utf-8"))
    content |= {"name": folder.name, "criterion": "source", "trials": 1, "draws": 1, "algorithms": ["erm", "adanpc"]}
    content["training"] |= {"steps": 4, "checkpoints": 2, "batch_per_domain": 4}
    content |= {"split": {"validation": 0.1, "test": 0.1}, "cases": {"digits": {"targets": ["print"]}}, "keep": "all"}
    folder.mkdir(parents=True)
    (folder / "board.toml").write_text(as_toml(content), encoding="utf-8")
    return folder / "board.toml"


def make(room: Path) -> None:
    """Make every seed; two minutes on one core."""
    os.environ["DGBENCH_CACHE"] = str(room / "cache")
    with contextlib.suppress(DataError):  # without its packages boards of it are refused; else each would draw it
        load("emoji")
    toy = board(room / "boards" / "toy")
    store = room / "store" / "store"
    dgbench.run(toy, store=store, device="cpu", workers=1)
    dgbench.leaderboard(toy, store=store)
    note(Store(store), Failure("0" * 16, "erm", "print", 0, "it broke", "in a line"))
    dgbench.export(toy, "adanpc", room / "model" / "model", store=store, device="cpu")
    dgbench.make_submission(toy, "erm", room / "submission", store=store)
    Image.new("RGB", (9, 9)).save(room / "model" / "a.png")
    pictures(room / "data")
    cards(room)
    sweep(room / "sweep")
    waterbirds(room / "wilds")
    weights(room / "weights")


def pictures(folder: Path) -> None:
    """Three cards, each with a folder of pictures: as a tree, by a table of text, by one of Parquet."""
    draw = np.random.default_rng(0)
    for reader, text in {"tree": TREE, "table": TABLE, "arrow": ARROW}.items():
        rows = []
        for number in range(8):
            domain, kind = ("ink", "wood")[number % 2], ("dot", "line")[number // 2 % 2]
            suffix = ("png", "jpg", "tif", "bmp", "webp", "gif")[number % 6]
            path = folder / reader / "pictures" / domain / kind / f"{number}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = draw.integers(0, 256, (8, 8, 3), np.uint8)
            Image.fromarray(pixels).save(path)
            rows.append((str(path.relative_to(folder / reader / "pictures")), kind, domain))
            if number > 5:
                np.save(path.with_suffix(".npy"), pixels)
                path.unlink()
                rows[-1] = (rows[-1][0].replace(path.suffix, ".npy"), kind, domain)
        table = pl.DataFrame(rows, ["image", "label", "domain"], orient="row")
        table.write_csv(folder / reader / "pictures" / "list.csv")
        if reader == "arrow":
            encoded = pl.Series([(folder / reader / "pictures" / name).read_bytes() for name in table["image"]])
            table = table.with_columns(image=pl.struct(bytes=encoded, path="image"))
            table.filter(~pl.col("image").struct["path"].str.ends_with("npy")).write_parquet(
                folder / reader / "pictures" / "list.parquet"
            )
        (folder / reader / "shapes.toml").write_text(CARD.format(reader=text), encoding="utf-8")


def cards(room: Path) -> None:
    """A card of an algorithm, and one of a dataset."""
    for kind, name in {"algorithm": "algorithms/sam.toml", "card": "datasets/pacs.toml"}.items():
        folder, called = room / kind, "algorithm.toml" if kind == "algorithm" else "dataset.toml"
        folder.mkdir(parents=True)
        where, _, file = name.partition("/")
        content = tomllib.loads((shipped(where) / file).read_text(encoding="utf-8"))
        content |= {"name": called.removesuffix(".toml")} if "name" in content else {}
        (folder / called).write_text(as_toml(content), encoding="utf-8")


def sweep(folder: Path) -> None:
    """What DomainBed's sweeps leave behind, with a pickle that nobody may open."""
    for number in range(4):
        job = folder / "sweep" / f"job{number}"
        job.mkdir(parents=True)
        args = {"dataset": "VLCS", "algorithm": "ERM", "test_envs": [number % 2], "trial_seed": 0, "hparams_seed": 0}
        lines = []
        for step in (0, 300):
            seen = {f"env{env}_{part}_acc": 0.5 + step / 1000 for env in range(3) for part in ("in", "out")}
            lines.append(json.dumps({**seen, "args": args | {"trial_seed": number // 2}, "hparams": {}, "step": step}))
        (job / "results.jsonl").write_text("\n".join(lines) + "\n")
        (job / "done").write_text("done")
        (job / "model.pkl").write_bytes(b"cos\nsystem\n(S'touch opened'\ntR.")


def waterbirds(folder: Path) -> None:
    """A set of WILDS without its pictures, and predictions in the benchmark's form."""
    rows = [(i, f"{i}.png", (i // 3) % 2, i % 3, i % 2) for i in range(60)]
    data = folder / "wilds" / "data" / "waterbirds_v1.0"
    data.mkdir(parents=True)
    header = ["img_id", "img_filename", "y", "split", "place"]
    pl.DataFrame(rows, header, orient="row").write_csv(data / "metadata.csv")
    (data / "RELEASE_v1.0.txt").write_text("")
    predicted = folder / "wilds" / "predictions" / "erm"
    predicted.mkdir(parents=True)
    for seed in range(2):
        name = f"waterbirds_split:test_seed:{seed}_epoch:best_pred.csv"
        (predicted / name).write_text("".join(f"{i % 2}\n" for i in range(20)))


def weights(folder: Path) -> None:
    """A file of weights in each form that is read."""
    folder = folder / "weights"
    folder.mkdir(parents=True)
    tensors = {name: torch.arange(6.0).reshape(2, 3) for name in ("blocks.0.weight", "head.weight")}
    save_file(tensors, folder / "a.safetensors")
    torch.save({"state_dict": tensors, "epoch": 3}, folder / "b.pth")
    torch.save(tensors, folder / "c.bin", _use_new_zipfile_serialization=False)
