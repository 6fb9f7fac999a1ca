"""Names of examples: by content alone, on this machine and on any other."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from on_disk import read_listing, times, write_pictures

from dgbench.data.cache.content import identified
from dgbench.data.cache.prepare import prepare
from dgbench.data.cache.streamed import stream
from dgbench.data.catalogue import load
from dgbench.data.domain import Dataset, Domain
from dgbench.data.samples import contents_of, sample_names


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DGBENCH_CACHE", str(tmp_path / "cache"))
    write_pictures(tmp_path / "pets")
    return tmp_path / "pets"


def names(domain: Domain) -> list[str]:
    return sample_names(domain, np.arange(len(domain), dtype=np.int64))


def on_disk(root: Path, size: int = 8) -> Dataset:
    return prepare(*identified(read_listing(root), root), size, "stretch")


def test_a_name_is_the_beginning_of_the_files_sha256(root: Path) -> None:
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted((root / "art").iterdir())]
    assert names(on_disk(root).domain("art")) == [digest[:16] for digest in digests]
    assert sample_names(on_disk(root).domain("art"), np.array([3, 1])) == [digests[3][:16], digests[1][:16]]


def test_names_cost_no_second_look_at_the_pictures(root: Path) -> None:
    for domain in on_disk(root).domains:
        names(domain)
    assert (times(root, "digest"), times(root, "read")) == (10, 10)
    for domain in on_disk(root).domains:
        names(domain)
    assert (times(root, "digest"), times(root, "read")) == (10, 10)


def test_size_and_streaming_make_no_difference(root: Path) -> None:
    streamed = stream(*identified(read_listing(root), root), 16, "stretch")
    for domain in on_disk(root).domains:
        assert names(domain) == names(streamed.domain(domain.name))


def test_files_that_are_moved_renamed_and_reordered_keep_their_names(root: Path) -> None:
    before = {d.name: dict(zip(names(d), d.labels.tolist(), strict=True)) for d in on_disk(root).domains}
    moved = root.with_name("elsewhere")
    for domain in ("art", "photo"):
        (moved / domain).mkdir(parents=True)
        for number, path in enumerate(sorted((root / domain).iterdir())):
            # the last comes first now, and labels go by place in read_listing: an odd shift leaves each as it was
            shutil.move(path, moved / domain / f"{(4 - number):02d}-picture{path.suffix}")
    after = {d.name: dict(zip(names(d), d.labels.tolist(), strict=True)) for d in on_disk(moved).domains}
    assert after == before


def test_copies_in_a_domain_have_names_of_their_own_whatever_their_order() -> None:
    picture, other = np.zeros((2, 2, 3), np.uint8), np.ones((2, 2, 3), np.uint8)
    images = np.stack([picture, other, picture, picture, picture])
    labels, groups = np.array([1, 0, 0, 1, 1]), np.array([4, 0, 5, 3, 4])
    official = np.array(["train", "train", "train", "train", "test"])
    domain = Domain("d", images, labels, groups, official)
    first = hashlib.sha256(b"(2, 2, 3)" + picture.tobytes()).hexdigest()[:16]
    alone = hashlib.sha256(b"(2, 2, 3)" + other.tobytes()).hexdigest()[:16]
    copy = [first, *(hashlib.sha256(f"{first}-{k}".encode()).hexdigest()[:16] for k in (1, 2, 3))]
    # by label (row 2), then official part (row 4), then group (row 3, row 0)
    assert names(domain) == [copy[3], alone, copy[0], copy[2], copy[1]]
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(5)
        shuffled = Domain("d", images[order], labels[order], groups[order], official[order])
        assert names(shuffled) == [names(domain)[row] for row in order]


def test_names_differ_within_a_domain_and_agree_between_domains() -> None:
    contents = np.random.default_rng(0).integers(0, 300, 2000).astype(np.uint64)
    zeros = np.zeros(2000, np.int64)
    domain = Domain("a", np.empty((2000, 1, 1, 3), np.uint8), zeros, np.arange(2000), contents=contents)
    assert len(set(names(domain))) == 2000
    assert names(replace(domain, name="b")) == names(domain)


@pytest.mark.parametrize("name", ["digits", "letters"])
def test_built_in_pictures_have_one_name_at_every_size(name: str) -> None:
    native, larger = load(name), load(name, 24)
    for domain in native.domains:
        by_hand = [
            hashlib.sha256(f"{image.shape}".encode() + image.tobytes()).hexdigest()[:16]
            for image in np.asarray(domain.inputs)
        ]
        made = names(domain)
        assert set(by_hand) <= set(made)
        assert len(set(made)) == len(domain)
        assert names(larger.domain(domain.name)) == made


def test_another_process_gives_the_same_names(root: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from test_samples import names, on_disk\n"
        "print(*[name for d in on_disk(Path(sys.argv[1])).domains for name in names(d)])"
    )
    here = Path(__file__).parent
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(here), str(here.parent)]), "PYTHONHASHSEED": "7",
        "DGBENCH_CACHE": str(root.parent / "another-cache"),
    }  # fmt: skip
    copied = root.parent / "another-place" / "pets"
    shutil.copytree(root, copied)
    command = [sys.executable, "-c", code, str(copied)]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()
    assert told == [name for domain in on_disk(root).domains for name in names(domain)]


def test_contents_are_the_first_64_bits() -> None:
    digests = [hashlib.sha256(bytes([i])).digest() for i in range(3)]
    assert [f"{content:016x}" for content in contents_of(digests)] == [digest.hex()[:16] for digest in digests]
