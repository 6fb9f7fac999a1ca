"""Published weights: the hub's cache, the hash, and what is said when they cannot be had."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
import torch

from dgbench.core.errors import DGBenchError
from dgbench.models.backbones import hub
from dgbench.models.backbones.facts import pretraining_data

from .conftest import Publish


def test_the_first_file_that_is_there_is_taken(publish: Publish) -> None:
    path = publish("someone/net", "b.safetensors", {"w": torch.ones(2)})
    assert hub.cached("someone/net", ("a.safetensors", "b.safetensors")) == path
    assert hub.cached("someone/net@main", ("b.safetensors",)) == path
    assert hub.cached("someone/net", ("a.safetensors",)) is None
    assert hub.cached("someone/other", ("b.safetensors",)) is None
    assert hub.fetched("someone/net", ("a.safetensors", "b.safetensors"), "x") == path


def test_missing_weights_are_one_error_with_what_to_do() -> None:
    with pytest.raises(DGBenchError) as error:
        hub.fetched("someone/net", ("a.safetensors",), "timm:net.tag")
    message = str(error.value)
    assert "\n" not in message
    for words in ("timm:net.tag", "HF_HUB_OFFLINE", "hf download someone/net", "HF_HOME", "efficientnet-lite0"):
        assert words in message


def test_the_hash_is_the_files_and_is_computed_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"one")
    expected = f"sha256:{hashlib.sha256(b'one').hexdigest()}"
    assert hub.sha256(path) == hub.sha256(path) == expected
    path.write_bytes(b"two")
    os.utime(path, ns=(0, 1))
    assert hub.sha256(path) == f"sha256:{hashlib.sha256(b'two').hexdigest()}"


def test_the_hash_of_an_unchanged_file_is_not_computed_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"one")
    first = hub.sha256(path)
    monkeypatch.setattr(hashlib, "file_digest", None)
    assert hub.sha256(path) == first


@pytest.mark.parametrize(
    ("tag", "data"),
    [
        ("openai", "WIT-400M (OpenAI)"),
        ("a1_in1k", "ImageNet-1k"),
        ("laion2b_s34b_b88k", "LAION-2B"),
        ("laion2b_ft_in12k_in1k", "LAION-2B, ImageNet-12k, ImageNet-1k"),
        ("datacomp_xl_s13b_b90k", "DataComp-1B"),
        ("datacompxl", "DataComp-1B"),
        ("something_else", "something_else"),
    ],
)
def test_a_tag_says_what_weights_were_trained_on(tag: str, data: str) -> None:
    assert pretraining_data(tag) == data
