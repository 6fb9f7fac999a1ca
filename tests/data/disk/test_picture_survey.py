import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dgbench.core.dataset_card import DatasetCard, dataset_card, dataset_names
from dgbench.core.decoding import AS_LOADERS, Decoding
from dgbench.core.errors import DataError
from dgbench.data.catalogue import load
from dgbench.data.disk import picture_survey
from dgbench.data.disk.check import check
from dgbench.data.disk.findings import Finding
from dgbench.data.disk.look import look, write
from dgbench.data.disk.picture_survey import Survey, picture_findings, survey
from dgbench.data.disk.readers import read
from dgbench.data.pixels.pictures import Files

SIDE = 24


def ink(seed: int, value: int = 0) -> Image.Image:
    """A drawing of one grey on nothing."""
    image = np.zeros((SIDE, SIDE, 4), np.uint8)
    image[np.random.default_rng(seed).random((SIDE, SIDE)) < 0.2] = value, value, value, 255
    return Image.fromarray(image)


def photo(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (SIDE, 2 * SIDE, 3), np.uint8))


def scan(seed: int, bits: int = 12) -> Image.Image:
    deep = np.random.default_rng(seed).integers(0, 2**bits, (SIDE, SIDE)).astype(np.uint16)
    deep[0, 0] = 2**bits - 1
    return Image.fromarray(deep)


def marked(number: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = number
    return exif


def tree(root: Path, **kinds: list[tuple[Image.Image, str, dict[str, Any]]]) -> Path:
    """Domains ``art`` and ``photo`` of ``cat`` and ``dog``, a plain picture in each; in ``art/cat`` what is given."""
    for number, folder in enumerate(("art/cat", "art/dog", "photo/cat", "photo/dog")):
        (root / folder).mkdir(parents=True)
        photo(number).save(root / folder / "plain.png")
    for kind, files in kinds.items():
        for number, (image, suffix, options) in enumerate(files):
            image.save(root / "art" / "cat" / f"{kind}{number}.{suffix}", **options)
    return root


def findings(root: Path, card: DatasetCard) -> dict[str, Finding]:
    return {finding.check: finding for finding in check(card, read(card, root))}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DGBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("DGBENCH_STREAM", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_new_card_keeps_what_pictures_show_and_says_so(home: Path) -> None:
    inks = [(ink(seed), "png", {}) for seed in (1, 2)]
    turned = [(photo(9), "jpg", {"exif": marked(6)})]
    scans = [(scan(seed), "png", {}) for seed in (3, 4, 5)]
    root = tree(home / "own", ink=inks, turned=turned, scan=scans)
    (root / "art" / "cat" / "logo.svg").write_text("<svg/>")
    draft = look(str(root))
    for line in (
        '2 of 10 pictures are transparent in places: they are laid over white (alpha = "white")',
        "1 of 10 pictures is marked as rotated by the camera: they are turned upright (exif = true)",
        "3 of 10 pictures are grey with 16 bits, values up to 4,095: 4,095 is white (bits = 12)",
        "1 .svg is not read and is left out: save as PNG or JPEG what you want to use",
    ):
        assert line in draft.said
    path = write(draft, home / "datasets")
    written = tomllib.loads(path.read_text(encoding="utf-8"))
    assert (written["alpha"], written["exif"], written["bits"]) == ("white", True, 12)
    card = dataset_card("own")
    assert card.decoding == Decoding("white", True, 12)
    found = findings(root, card)
    assert [found[name].verdict for name in ("transparency", "rotation", "16 bits", "left out")] == [
        *["ok"] * 3,
        "note",
    ]
    drawing, deep = load("own", SIDE), np.asarray(scan(3)) >> 4
    names = next(iter(read(card, root).domains)).pictures.names  # type: ignore[attr-defined]
    by_name = dict(zip((Path(name).name for name in names), drawing.domains[0].inputs, strict=True))
    assert np.array_equal(by_name["ink0.png"][..., 0], 255 - np.asarray(ink(1))[..., 3]), "black on white"
    assert np.array_equal(by_name["scan0.png"][..., 0], deep)


def test_plain_pictures_need_no_choice(home: Path) -> None:
    opaque = Image.fromarray(np.dstack([np.asarray(photo(7)), np.full((SIDE, 2 * SIDE), 255, np.uint8)]))
    root = tree(home / "own", opaque=[(opaque, "png", {}), (photo(8), "jpg", {"exif": marked(1)})])
    draft = look(str(root))
    assert not {"alpha", "exif", "bits"} & set(draft.content)
    assert len(draft.said) == 2
    card = DatasetCard.model_validate(draft.content)
    assert card.decoding == AS_LOADERS
    assert {f.verdict for name, f in findings(root, card).items() if name != "balance"} == {"ok"}


def test_images_of_other_kinds_are_named_wherever_they_lie(home: Path) -> None:
    root = tree(home / "own")
    for name in ("cover.psd", "art/scan.heic", "sketch/cat/a.jxl", "photo/dog/b.jxl"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    said = look(str(root)).said
    assert "2 .jxl, 1 .heic, 1 .psd are not read and are left out: save as PNG or JPEG what you want to use" in said
    (home / "phone" / "art" / "cat").mkdir(parents=True)
    (home / "phone" / "art" / "cat" / "a.heic").write_bytes(b"x")
    with pytest.raises(DataError, match=r"no images in it .*; 1 \.heic is not read and is left out: save as PNG"):
        look(str(home / "phone"))


def test_what_is_nearly_white_is_laid_over_black(home: Path) -> None:
    root = tree(home / "own", ink=[(ink(seed, 250), "png", {}) for seed in (1, 2)] + [(ink(3, 10), "png", {})])
    assert look(str(root)).content["alpha"] == "black"


def test_a_check_counts_what_the_card_passes_over(home: Path) -> None:
    root = tree(
        home / "own",
        ink=[(ink(seed), "png", {}) for seed in (1, 2)],
        turned=[(photo(9), "jpg", {"exif": marked(8)})],
        scan=[(scan(3, 10), "png", {})],
    )
    card = DatasetCard.model_validate(look(str(root)).content).model_copy(
        update={"alpha": "drop", "exif": False, "bits": 16}
    )
    found = findings(root, card)
    assert found["transparency"] == Finding(
        "transparency",
        "note",
        "2 of 8 pictures are transparent in places: alpha is dropped, so that colours show which nobody was to see "
        '(alpha = "drop"). alpha = "white" on the card lays them over white',
    )
    assert found["rotation"].verdict == "note"
    assert found["rotation"].text.startswith("1 of 8 pictures is marked as rotated by the camera (EXIF)")
    assert found["16 bits"].verdict == "problem", "nearly black"
    assert "values up to 1,023; the card's bits = 16 makes the brightest of them 3 of 255" in found["16 bits"].text
    assert "bits = 10 on the card" in found["16 bits"].text


@pytest.mark.parametrize(
    ("peak", "bits", "verdict"),
    [
        (65535, 16, "ok"), (40000, 16, "ok"), (9000, 16, "note"), (4095, 16, "problem"), (4095, 12, "ok"),
        (4096, 12, "problem"), (200, 8, "ok"), (255, 16, "problem"), (1000, 12, "note"), (3000, 12, "ok"),
    ],
)  # fmt: skip
def test_wrong_bits_are_found(peak: int, bits: int, verdict: str) -> None:
    found = Survey(5, deep=2, peak=peak)
    finding = picture_findings(found, Decoding(bits=bits), {})[2]
    assert (finding.check, finding.verdict) == ("16 bits", verdict)
    assert picture_findings(found, found.choice(), {})[2].verdict == "ok", "what is chosen is right"


def test_a_survey_is_bounded_and_spread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(10):
        opaque = Image.new("RGBA", (4, 4), (0, 0, 0, 255))
        (ink(number) if number >= 8 else opaque).save(tmp_path / f"{number}.png")
    pictures = Files(tmp_path, tuple(f"{number}.png" for number in range(10)))
    assert survey([pictures]) == Survey(10, transparent=2)
    monkeypatch.setattr(picture_survey, "DECODED", 3)
    found = survey([pictures])
    assert found == Survey(10, transparent=1, unlooked=7), "the first, the fifth and the ninth"
    assert replace(found, transparent=0).choice().alpha == "white", "to be safe; opaque pictures do not mind"
    assert survey([]) == Survey(0)


def test_a_survey_counts_what_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"no picture")
    ink(0).save(tmp_path / "y.png")
    (tmp_path / "y.png").write_bytes((tmp_path / "y.png").read_bytes()[:80])
    told: list[tuple[int, int]] = []
    found = survey([Files(tmp_path, ("x.png", "y.png"))], lambda done, of: told.append((done, of)))
    assert found == Survey(2, undecodable=2)
    assert told == [(1, 2), (2, 2)]


def test_cards_that_come_with_dgbench_do_what_loaders_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert {dataset_card(name).decoding for name in dataset_names()} == {AS_LOADERS}
