"""Folders as they lie on real disks: what ``data new`` makes of them, and what their reader finds by that card."""

import logging
import os
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from on_disk import manifest
from PIL import Image

from dgbench.core.dataset_card import DatasetCard, dataset_card
from dgbench.core.errors import CardError, DataError
from dgbench.core.names import readable
from dgbench.data.cache.prepare import prepare
from dgbench.data.catalogue import outline
from dgbench.data.disk.check import check
from dgbench.data.disk.look import Draft, look, write
from dgbench.data.disk.readers import read
from dgbench.data.listing import Listing

Plant = Callable[..., Path]


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """Put images of their own colours into folders below ``root``."""
    colours = iter(range(256))

    def put(*folders: str, count: int = 2, root: Path = tmp_path / "pics") -> Path:
        for folder in folders:
            (root / folder).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                Image.new("RGB", (2, 2), (next(colours), 0, 0)).save(root / folder / f"{number}.png")
        return root

    return put


def cells(domains: Iterable[str], classes: Iterable[str]) -> list[str]:
    return [f"{domain}/{label}" for domain in domains for label in classes]


def counts(data: Draft | Listing) -> dict[str, int]:
    if isinstance(data, Draft):
        return {row["name"]: row["count"] for row in data.content["domains"]}
    return {domain.name: len(domain) for domain in data.domains}


def looked(root: Path, **more: str) -> tuple[Draft, DatasetCard, Listing]:
    """The draft of a folder, the card that is written, and what its reader finds."""
    draft = look(str(root), **more)
    card = dataset_card(str(write(draft, root.parent / "datasets", replace=True)))
    assert card.path is not None
    listing = read(card, card.path)
    assert counts(draft) == counts(listing)
    return draft, card, listing


def notes(draft: Draft) -> str:
    return "\n".join(line for line in draft.said if line.startswith("note: "))


@pytest.mark.parametrize(
    "domains", [["фото", "рис"], ["写真", "素描", "油画"], ["a b", "a-b", "a_b"], ["Épinal", "[red]", "site (1)"]]
)
def test_names_are_kept_in_any_script(domains: list[str], plant: Plant) -> None:
    root = plant(*cells(domains, ["کتاب", "छवि", "?"]))
    _, card, listing = looked(root)
    assert [domain.name for domain in card.domains] == sorted(domains)
    assert card.classes == ("?", "کتاب", "छवि")
    assert counts(listing) == dict.fromkeys(domains, 6)


def test_what_is_composed_and_taken_apart_is_one(plant: Plant) -> None:
    apart, whole = unicodedata.normalize("NFD", "Épinal"), "Épinal"
    root = plant(f"{apart}/naïve", f"{whole}/{unicodedata.normalize('NFD', 'naïve')}", *cells(["b"], ["naïve"]))
    plant(*cells([apart, "b"], ["x"]))
    draft, card, listing = looked(root)
    assert card.classes == ("naïve", "x")
    assert counts(listing) == {"b": 4, "Épinal": 6}
    assert "'naïve', 'Épinal' are written in two ways" in notes(draft)


def test_disks_that_take_accents_apart_have_the_same_data(plant: Plant, tmp_path: Path) -> None:
    root = plant(*cells(["é", "b"], ["û", "z"]))
    for name in ("e.png", "é.png", "f.png"):  # in this order when composed; taken apart, é comes before f, too
        Image.new("RGB", (2, 2), (0, len(name), ord(name[0]) % 256)).save(root / "b" / "z" / name)
    other = tmp_path / "other" / "pics"
    for path in root.rglob("*.png"):
        moved = other / unicodedata.normalize("NFD", path.relative_to(root).as_posix())
        moved.parent.mkdir(parents=True, exist_ok=True)
        moved.write_bytes(path.read_bytes())
    (_, _, one), (_, _, two) = looked(root), looked(other)
    assert manifest(one, root) == manifest(two, other)


def test_bytes_that_are_no_text_are_read_and_shown(plant: Plant, tmp_path: Path) -> None:
    root = plant(*cells(["p", "q"], ["a", "b"]))
    (root / "p").rename(root / "caf\udce9")
    (root / "q/a/0.png").rename(root / "q/a/\udcff.png")
    _, card, listing = looked(root)
    assert [domain.name for domain in card.domains] == [r"caf\xe9", "q"]
    assert len(manifest(listing, root)) == 64
    assert manifest(listing, root) == manifest(listing, root), "digests are kept"
    assert [len(domain) for domain in prepare(listing, manifest(listing, root), 2, "stretch").domains] == [4, 4]
    findings = {finding.check: finding for finding in check(card, listing)}
    assert findings["unreadable"].verdict == "ok"
    plant(r"caf\xe9/a")  # a name that says just that
    with pytest.raises(DataError, match=r"two folders would be called 'caf\\xe9'"):
        look(str(root))
    odd = tmp_path / "\udce9"
    root.rename(odd)
    with pytest.raises(DataError, match=r"\\xe9: this path holds bytes that are no UTF-8"):
        look(str(odd))


def test_links_are_followed_but_never_in_a_circle(plant: Plant, tmp_path: Path) -> None:
    root, elsewhere = plant(*cells("pq", "ab")), plant(*cells("rs", "ab"), root=tmp_path / "elsewhere")
    (root / "r").symlink_to(elsewhere / "r")
    (root / "s").mkdir()
    (root / "s" / "a").symlink_to(elsewhere / "s" / "a")
    (root / "s" / "b").symlink_to("../../elsewhere/s/b")
    for name, target in (("again", "."), ("p/back", ".."), ("p/a/me", "me"), ("up", "../..")):
        (root / name).symlink_to(target)
    draft, _, listing = looked(root)
    assert counts(listing) == {"p": 4, "q": 4, "r": 4, "s": 4}
    assert "16 images below" in draft.said[0]
    assert "note: 3 links lead back to a folder above and are left out: 'again', 'p/back', 'up'" in draft.said
    assert "note: 1 links lead nowhere and are left out: 'p/a/me'" in draft.said


def test_a_tree_of_links_is_a_tree(plant: Plant, tmp_path: Path) -> None:
    real, root = plant(*cells("pq", "ab"), root=tmp_path / "real"), tmp_path / "links"
    for path in real.rglob("*.png"):
        (root / path.parent.relative_to(real)).mkdir(parents=True, exist_ok=True)
        (root / path.relative_to(real)).symlink_to(path)
    assert counts(looked(root)[2]) == {"p": 4, "q": 4}
    (tmp_path / "linked").symlink_to(root)
    assert look(str(tmp_path / "linked")).content["path"] == str(root)


def test_links_that_lead_nowhere_are_named(plant: Plant, caplog: pytest.LogCaptureFixture) -> None:
    root = plant(*cells("pq", "ab"))
    (root / "p" / "a" / "gone.png").symlink_to("/nowhere.png")
    (root / "r").symlink_to("/nowhere")
    with caplog.at_level(logging.WARNING):
        draft, _, listing = looked(root)
    assert counts(listing) == {"p": 4, "q": 4}
    assert "note: 2 links lead nowhere and are left out: 'p/a/gone.png', 'r'" in draft.said
    assert "'r', 'p/a/gone.png'" in caplog.text


def test_a_class_that_a_domain_lacks_is_on_the_card(plant: Plant) -> None:
    root = plant(*cells("pq", "abc"), *cells("r", "ab"))
    draft, card, listing = looked(root)
    assert [domain.without for domain in card.domains] == [(), (), ("c",)]
    assert "note: 'r' has no 'c'. Accuracy there is over the other classes" in draft.said
    finding = next(finding for finding in check(card, listing) if finding.check == "classes")
    assert (finding.verdict, finding.text) == ("note", "accuracy on r is over 2 of 3 classes: it has no c")
    silent = card.model_copy(update={"domains": tuple(d.model_copy(update={"without": ()}) for d in card.domains)})
    with pytest.raises(DataError, match=r"r: missing 'c'\n.*without = \['c'\]"):
        read(silent, root)
    (root / "r" / "c").mkdir()
    finding = next(finding for finding in check(silent, read(silent, root)) if finding.check == "classes")
    assert finding.verdict == "problem"
    assert "its card says: without = ['c']" in finding.text
    plant("r/c")
    finding = next(finding for finding in check(card, read(card, root)) if finding.check == "classes")
    assert (finding.verdict, finding.text) == ("problem", "the card says that r is without c, but it is there")


def test_an_outline_tells_of_classes_that_are_not_there(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    root = plant(*cells("pq", "abc"), *cells("r", "ab"))
    monkeypatch.chdir(root.parent)
    looked(root)
    assert [domain.without for domain in outline("pics").domains] == [(), (), ("c",)]


def test_what_a_domain_is_without_is_a_class(plant: Plant) -> None:
    root = plant(*cells("pq", "abc"))
    content = look(str(root)).content
    content["domains"][0]["without"] = ["d"]
    with pytest.raises(CardError, match="domain 'p' is without 'd', which is no class of the card"):
        write(Draft("pics", content), root.parent)
    content["classes"] = 3
    card = Draft("pics", content).card
    with pytest.raises(CardError, match="domain 'p' is without 'd', but there is no such class"):
        read(card, root)


def test_a_class_of_one_domain_alone_is_said(plant: Plant) -> None:
    draft, *_ = looked(plant(*cells("pq", "ab"), "q/c"))
    assert "note: of 'c' there are images in one domain only: nothing is learnt of it for that domain" in draft.said


def test_one_class_is_not_enough(plant: Plant) -> None:
    with pytest.raises(DataError, match=r"only one class was found \(a\)"):
        look(str(plant("p/a", "q/a", "r/a")))


def test_names_that_differ_in_little_are_said_and_kept_apart(plant: Plant, caplog: pytest.LogCaptureFixture) -> None:
    root = plant(*cells(["p", "P", "01", "1"], ["cat", "Dog"]), *cells("q", ["cat", "dog"]))
    draft, card, listing = looked(root)
    assert counts(listing) == {"01": 4, "1": 4, "P": 4, "p": 4, "q": 4}
    assert card.classes == ("Dog", "cat", "dog")
    assert "note: the domains '01', '1'; 'P', 'p' differ in case" in notes(draft)
    assert "note: the classes 'Dog', 'dog' differ in case" in notes(draft)
    content = draft.content  # the remedy: take all but one of them off the card
    content["classes"].remove("Dog")
    content["domains"] = [{"name": name} for name in ("1", "p", "q")]
    with caplog.at_level(logging.WARNING):
        assert counts(read(Draft("pics", content).card, root)) == {"1": 8, "p": 8, "q": 4}
    assert "folders 'P', 'p'" in caplog.text


def test_a_domain_that_lies_deeper_is_named(plant: Plant) -> None:
    draft, _, listing = looked(plant(*cells("pq", "ab"), *cells(["r/r"], "ab")))
    assert counts(listing) == {"p": 4, "q": 4}
    assert "4 images do not lie 2 folders deep and are left out, in 'r/r/a', 'r/r/b'" in draft.said
    assert "the domain 'r' lies one folder deeper than the rest, in r/r: its 4 images are left out. Move" in notes(
        draft
    )
    with pytest.raises(DataError, match=r"only one domain was found \(p\)(.|\n)*'r' lies one folder deeper"):
        look(str(plant(*cells("p", "ab"), *cells(["r/r"], "a"), root=draft_root(draft, "two"))))


def draft_root(draft: Draft, name: str) -> Path:
    return Path(draft.content["path"]).parent / name


def test_folders_without_images_are_named(plant: Plant) -> None:
    root = plant(*cells("pq", "ab"))
    (root / "r" / "a").mkdir(parents=True)
    (root / "notes").mkdir()
    (root / "p" / "c").mkdir()
    draft, card, _ = looked(root)
    assert "note: there is no image in 'notes', 'r', and nothing is taken for a domain of that name" in draft.said
    assert card.classes == ("a", "b")


def test_what_systems_leave_behind_is_no_data(plant: Plant) -> None:
    root = plant(*cells("pq", "ab"))
    plant(".git/a", "__MACOSX/a", "__MACOSX/p/a", "p/.ipynb_checkpoints", "p/@eaDir", "p/a/@eaDir/0.png")
    for name in (".DS_Store", "p/a/Thumbs.db", "p/a/._0.png", "README.md"):
        (root / name).write_bytes(b"x")
    os.mkfifo(root / "p" / "a" / "pipe.png")
    draft, _, listing = looked(root)
    assert counts(listing) == {"p": 4, "q": 4}
    assert notes(draft) == ""


def test_a_layout_is_said_as_readers_read_it(plant: Plant) -> None:
    root = plant(*cells(["x-day", "x-night"], ["1/cat", "2/dog"]))
    assert counts(looked(root, layout="x-{domain}/*/{class}")[2]) == {"day": 4, "night": 4}


# Folders may be called anything that a file system takes: bytes but for '/' and NUL, up to 255.
file_names = st.one_of(
    st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1, max_size=8),
    st.binary(min_size=1, max_size=8).map(
        lambda raw: raw.replace(b"/", b"x").replace(b"\0", b"y").decode(errors="surrogateescape")
    ),
    st.sampled_from(
        ["a", "A", "é", "e\u0301", "01", "1", "a b", "a-b", "train", "{domain}", "*", "con", "{}", "\\xe9"]
    ),
).filter(lambda name: not name.startswith(".") and len(os.fsencode(name)) < 250)
folder_names = st.lists(file_names, min_size=2, max_size=4, unique_by=readable)


@given(
    domains=folder_names,
    classes=folder_names,
    files=st.lists(file_names, min_size=1, max_size=3, unique=True),
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_any_names_are_read_as_they_were_found(
    domains: list[str],
    classes: list[str],
    files: list[str],
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    home = tmp_path_factory.mktemp("any")
    root, png = home / "pics", home / "0.png"
    Image.new("RGB", (2, 2)).save(png)
    expected: dict[str, dict[str, int]] = {readable(domain): {} for domain in domains}
    for domain in domains:
        for label in classes:
            there = data.draw(st.lists(st.sampled_from(files), unique=True))
            (root / domain / label).mkdir(parents=True)
            for name in there:
                (root / domain / label / f"{name}.png").hardlink_to(png)
            if there:
                expected[readable(domain)][readable(label)] = len(there)
    expected = {domain: found for domain, found in expected.items() if found}
    known = {label for found in expected.values() for label in found}
    if len(expected) < 2 or len(known) < 2:
        with pytest.raises(DataError):
            look(str(root), layout="{domain}/{class}")
        return
    _, card, listing = looked(root, layout="{domain}/{class}")
    found = {
        domain.name: {
            label: int(count)
            for label, count in zip(listing.classes, np.bincount(domain.labels, minlength=len(known)), strict=True)
            if count
        }
        for domain in listing.domains
    }
    assert found == expected
    assert {domain.name: {*card.classes} - {*domain.without} for domain in card.domains} == {
        domain: set(labels) for domain, labels in expected.items()
    }
    before, moved = manifest(listing, root), home / "moved"
    root.rename(moved)
    again = read(card, moved)
    assert manifest(again, moved) == before
    names = [domain.pictures.name(row) for domain in again.domains for row in range(len(domain))]
    assert names == [domain.pictures.name(row) for domain in listing.domains for row in range(len(domain))]


def test_the_page_on_own_data_tells_what_is_true(plant: Plant) -> None:
    page = " ".join((Path(__file__).parents[3] / "docs" / "your-own-dataset.md").read_text(encoding="utf-8").split())
    root = plant(*cells(["Épinal", "фото", "a b", "a-b", "caf\udce9"], ["giraffe", "horse"]), "x/horse")
    draft, card, _ = looked(root)
    names = ["Épinal", "фото", "a b", "a-b", r"caf\xe9"]
    assert {domain.name for domain in card.domains} == {*names, "x"}
    assert all(f"`{name}`" in page for name in names)
    assert 'without = ["giraffe"]' in page
    assert 'without = ["giraffe"]' in (root.parent / "datasets" / "pics.toml").read_text(encoding="utf-8")
    content = draft.content  # other names, as the page says
    content["domains"][0] |= {"name": "spaced", "folders": ["a b"]}
    content["domains"][2] |= {"name": "bytes", "folders": [r"caf\xe9"]}
    assert "what the folder is called into `folders = [...]`" in page
    assert counts(read(Draft("pics", content).card, root))["bytes"] == 4
    assert counts(read(Draft("pics", content).card, root))["spaced"] == 4
