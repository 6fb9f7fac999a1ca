import tomllib
from pathlib import Path

import pytest
from pydantic import ValidationError

from dgbench.core.cards import card_names
from dgbench.core.dataset_card import DatasetCard, dataset_card
from dgbench.core.errors import CardError, UnknownNameError
from dgbench.core.paths import shipped

NAMES = card_names("datasets")
ON_DISK = [name for name in NAMES if dataset_card(name).reader.kind not in ("built-in", "union")]


def content(name: str = "digits") -> dict[str, object]:
    return tomllib.loads((shipped("datasets") / f"{name}.toml").read_text())


@pytest.mark.parametrize("name", NAMES)
def test_every_shipped_card_says_whose_the_data_is_and_on_which_terms(name: str) -> None:
    card = dataset_card(name)
    assert card.name == name
    assert card.licence
    assert card.redistribution
    assert card.sources
    assert all(source.what and source.licence and source.citation for source in card.sources)
    assert card.path is None, "only cards of a user's own data say where it lies"


@pytest.mark.parametrize("name", ON_DISK)
def test_every_shipped_card_of_data_on_disk_says_how_to_get_it(name: str) -> None:
    card = dataset_card(name)
    assert card.get
    assert card.size
    assert card.roots


@pytest.mark.parametrize("name", NAMES)
def test_wording_fits_the_classes(name: str) -> None:
    card = dataset_card(name)
    if not isinstance(card.wording.templates, str):
        assert all(template.count("{}") == 1 for template in card.wording.templates)
    assert set(card.wording.names) <= set(card.classes if isinstance(card.classes, tuple) else ())


@pytest.mark.parametrize(
    ("name", "counts", "images"),
    [
        ("pacs", [2048, 2344, 1670, 3929], "9,991"),
        ("domainnet", [48129, 51605, 72266, 172500, 172947, 69128], "586,575"),
        ("digits-dg", [6000] * 4, "24,000"),
        ("terra-incognita", [None] * 4, "~24,330"),
        ("office-home", [None] * 4, "~15,588"),
        ("vlcs", [None] * 4, "~10,729"),
        ("waterbirds", [None] * 2, "~11,788"),
        ("mini-domainnet", [None] * 4, "?"),
    ],
)
def test_counts_are_those_of_the_papers_and_only_sure_ones_are_demanded(
    name: str, counts: list[int | None], images: str
) -> None:
    card = dataset_card(name)
    assert [domain.count for domain in card.domains] == counts
    assert card.images == images


def test_orders_that_are_easily_mistaken() -> None:
    names = {name: [d.name for d in dataset_card(name).domains] for name in NAMES}
    assert names["terra-incognita"] == sorted(names["terra-incognita"]), "as text: 100 before 38"
    assert [n[0] for n in names["pacs"]] == list("acps")
    assert [n[0] for n in names["vlcs"]] == list("CLSV")
    assert [n[0] for n in names["office-home"]] == list("ACPR")
    assert names["cifar-10-c"][0] == "clean"
    assert len(set(names["cifar-10-c"][1:]) & set(names["imagenet-c"])) == 15 * 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": "red"}, "Extra inputs"),
        ({"classes": ["0", "0"]}, "named twice: 0"),
        ({"classes": ["0"]}, "at least two classes"),
        ({"domains": []}, "at least 1"),
        ({"domains": [{"name": "a", "count": 1}] * 2}, "named twice: a"),
        ({"domains": [{"name": "a\nb"}]}, "one line of text"),
        ({"name": "a/b"}, "lower-case letters and digits"),
        ({"domains": [{"name": "a", "count": 0}]}, "greater than or equal to 1"),
        ({"reader": {"kind": "built-in", "builder": "digits", "manifest": "0"}}, "pattern"),
        ({"reader": {"kind": "made", "builder": "os:system"}, "roots": ["x"]}, "names a builder that .* registers"),
        ({"reader": {"kind": "tre"}}, "'tree'"),
        ({"reader": {"kind": "tree", "layouts": []}, "roots": ["x"]}, "at least 1"),
        ({"reader": {"kind": "tree", "layouts": ["{domain}/{class}"]}}, "needs 'roots'"),
        ({"sources": [{"what": "x", "licence": "y"}]}, "citation"),
        ({"alpha": "grey"}, "'drop', 'white' or 'black'"),
        ({"bits": 7}, "greater than or equal to 8"),
        ({"bits": 17}, "less than or equal to 16"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(change: dict[str, object], message: str) -> None:
    DatasetCard.model_validate(content())
    with pytest.raises(ValidationError, match=message):
        DatasetCard.model_validate(content() | change)


def test_images_are_counted_roughly_where_a_domain_is() -> None:
    def images(*domains: dict[str, object]) -> str:
        named = [{"name": f"d{number}", **domain} for number, domain in enumerate(domains)]
        return DatasetCard.model_validate(content() | {"domains": named}).images

    assert images({"count": 1000}, {"count": 234}) == "1,234"
    assert images({"count": 1000}, {"about": 234}) == "~1,234"
    assert images({"count": 1000, "about": 9}) == "1,000"
    assert images({"count": 1000}, {}) == "?"


def test_an_unknown_dataset_gets_a_suggestion() -> None:
    with pytest.raises(UnknownNameError, match="'letters'"):
        dataset_card("leters")


def test_a_users_own_card_comes_first_and_its_path_is_relative_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "datasets").mkdir()
    text = (shipped("datasets") / "pacs.toml").read_text()
    (tmp_path / "datasets" / "pacs.toml").write_text('path = "../mine"\n' + text)
    assert dataset_card("pacs").path == (tmp_path / "datasets" / "../mine")
    assert dataset_card("datasets/pacs.toml").path == dataset_card("pacs").path


def test_a_misspelt_field_of_the_reader_is_named(tmp_path: Path) -> None:
    path = tmp_path / "pacs.toml"
    text = (shipped("datasets") / "pacs.toml").read_text()
    path.write_text(text.replace("layouts =", "layout ="))
    with pytest.raises(CardError, match=r"pacs\.toml") as error:
        dataset_card(str(path))
    assert "layout" in str(error.value)


@pytest.mark.parametrize(
    ("official", "what"),
    [
        ({"measure": "nll"}, "'accuracy', 'macro', 'macro_f1', 'worst_class', 'worst_group', 'rmse'"),
        ({"measure": "worst_group"}, "needs 'groups' that count"),
        ({"groups": [{"name": "a", "where": {"y": "0"}}] * 2}, "groups must differ; named twice: a"),
        ({"groups": [{"name": "a", "where": {}}]}, "at least 1 item"),
        ({"groups": [{"name": n, "where": {n: "0"}} for n in "ab"]}, "by the same columns"),
        (
            {"groups": [{"name": n, "where": {"y": n}, **w} for n, w in (("a", {"weight": 1}), ("b", {}))]},
            "'weight' each",
        ),
    ],
)
def test_official_groups_that_nobody_could_tell_apart(official: dict[str, object], what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        DatasetCard.model_validate(content("waterbirds") | {"official": official})


def test_official_groups_need_columns() -> None:
    groups = content("waterbirds")["official"]
    with pytest.raises(ValidationError, match="only readers 'table' and 'wilds' look at them"):
        DatasetCard.model_validate(content("digits") | {"official": groups})


@pytest.mark.parametrize(
    ("name", "domain", "message"),
    [
        ("iwildcam", {"each": "location"}, "'each' says by what it is many domains and 'many' how many; say both"),
        ("iwildcam", {"many": 9}, "say both"),
        ("digits", {"each": "scanner", "many": 9}, "only the reader 'wilds' divides a domain by 'each'"),
    ],
)
def test_a_domain_that_is_many(name: str, domain: dict[str, object], message: str) -> None:
    assert dataset_card("iwildcam").domain_count == 245
    others = content(name)["domains"][1:]
    with pytest.raises(ValidationError, match=message):
        DatasetCard.model_validate(content(name) | {"domains": [{"name": "one", **domain}, *others]})
