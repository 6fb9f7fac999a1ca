"""What cannot be a layout, a name, a dataset or a place is one error."""

import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from dgbench.core.dataset_card import dataset_card
from dgbench.core.errors import CardError, DataError
from dgbench.data.disk.look import look, write


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two domains, two classes, two images of each."""
    root = tmp_path / "pics"
    for number, cell in enumerate(("p/a", "p/b", "q/a", "q/b") * 2):
        (root / cell).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (2, 2), (number, 0, 0)).save(root / cell / f"{number}.png")
    return root


@pytest.mark.parametrize(
    ("layout", "error", "message"),
    [
        ("{domain}/{clas}", CardError, "names the class"),
        ("{domain}/{class}/{wat}", CardError, "'{wat}' is no placeholder"),
        ("{class}-{class}/{domain}", CardError, "'{class}' stands in it twice"),
        ("{class}", DataError, "names the domain"),
        ("{domain}/{class}/x", DataError, "no image lies 3 folders deep"),
        ("{split}/{domain}/{class}", DataError, "no image lies 3 folders deep"),
        ("{split}/{class}/{domain}.*", DataError, "neither train, val nor test"),
        ("a\x00{domain}{class}", CardError, "no control characters"),
        ("\udce9{domain}{class}", CardError, "no control characters"),
        ("(((", CardError, "names the class"),
    ],
)
def test_a_layout_that_cannot_be_is_one_error(layout: str, error: type[Exception], message: str, tree: Path) -> None:
    with pytest.raises(error) as raised:
        look(str(tree), layout=layout)
    assert message in str(raised.value)


@pytest.mark.parametrize("name", ["Pets", "a b", "a/b", "..", "-", "", "\udce9", "x" * 300, "nul"])
def test_a_name_that_cannot_be_is_one_error(name: str, tree: Path) -> None:
    if name:
        with pytest.raises(CardError, match="name: "):
            look(str(tree), name=name)
    else:
        assert look(str(tree), name=name).name == "pics"


def test_a_folder_of_which_no_name_can_be_made(tree: Path) -> None:
    root = tree.rename(tree.with_name("!!"))
    with pytest.raises(DataError, match="no name can be made from '!!'; give one with --name"):
        look(str(root))


@pytest.mark.parametrize("name", ["", "a\0b", "\ud800", "x" * 5000, "../datasets/x", "x\0.toml", "y" * 5000 + ".toml"])
def test_a_dataset_that_cannot_be_is_one_error(name: str) -> None:
    with pytest.raises(Exception, match=r"there is no dataset named|cannot be read") as raised:
        dataset_card(name)
    assert type(raised.value).__name__ in ("UnknownNameError", "CardError")


@pytest.mark.parametrize("source", ["", "a\0b", "~nobody-at-all/x", "\ud800", "x" * 5000, "loop"])
def test_a_place_that_cannot_be_is_one_error(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(DataError):
        look(source)


def test_cards_are_found_by_names_that_look_the_same(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(look(str(tree), name="épinal"), tmp_path / "datasets")
    path.rename(path.with_name(unicodedata.normalize("NFD", path.name)))
    assert dataset_card("épinal").name == dataset_card(unicodedata.normalize("NFD", "épinal")).name == "épinal"
