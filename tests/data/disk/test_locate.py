import os
from pathlib import Path

import pytest

from dgbench.core.dataset_card import DatasetCard
from dgbench.core.errors import DataError
from dgbench.data.disk.locate import data_roots, find, hub_home, locate

READER = {"kind": "tree", "layouts": ["{domain}/{class}"]}
HUB = {"kind": "hub", "id": "owner/name", "revision": "abc"}


def card(reader: dict[str, object] = READER, **more: object) -> DatasetCard:
    fields = {"title": "", "summary": "", "licence": "", "redistribution": "", "get": ["ask the authors"]}
    content = {"name": "mini", "reader": reader, "classes": 2, "domains": [{"name": "a"}], **fields, **more}
    return DatasetCard.model_validate(content)


def test_roots_and_names_are_tried_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    monkeypatch.setenv("DGBENCH_DATA", os.pathsep.join([str(first), "", str(second)]))
    assert data_roots() == (first, second)
    pacs = card(roots=["PACS", "kfold"])
    assert find(pacs) is None
    for place in (second / "kfold", second / "PACS", first / "kfold", first / "PACS"):
        place.mkdir(parents=True)
        assert find(pacs) == locate(pacs) == place


def test_the_default_root_is_data_in_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DGBENCH_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    assert locate(card(roots=["."])) == Path("data")


def test_a_file_is_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DGBENCH_DATA", str(tmp_path))
    (tmp_path / "mini").write_text("")
    assert find(card(roots=["mini"])) is None


def test_data_that_is_not_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DGBENCH_DATA", str(tmp_path))
    with pytest.raises(DataError) as error:
        locate(card(roots=["PACS", "kfold"]))
    for part in (
        str(tmp_path / "PACS"),
        str(tmp_path / "kfold"),
        "DGBENCH_DATA",
        "ask the authors",
        "docs/datasets.md",
    ):
        assert part in str(error.value)


def test_a_data_root_that_is_the_dataset_itself_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Pacs").mkdir()
    monkeypatch.setenv("DGBENCH_DATA", str(tmp_path / "Pacs"))
    pacs = card(roots=["kfold", "PACS"])
    assert locate(pacs) == tmp_path / "Pacs"
    (tmp_path / "Pacs" / "kfold").mkdir()
    assert locate(pacs) == tmp_path / "Pacs" / "kfold", "what lies in it comes first"
    with pytest.raises(DataError, match="is not here"):
        locate(card(roots=["x/PACS"]))
    assert locate(card(roots=[f"{tmp_path.name}/PACS"])) == tmp_path / "Pacs"


def test_a_data_root_that_holds_domains_is_told_to_be_the_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine" / "A").mkdir(parents=True)
    monkeypatch.setenv("DGBENCH_DATA", str(tmp_path / "mine"))
    with pytest.raises(DataError) as error:
        locate(card(roots=["PACS"]))
    assert (
        f"mine seems to be the dataset itself, since it holds 'A': call it 'PACS', and set DGBENCH_DATA to {tmp_path}."
        in str(error.value)
    )


def test_own_data_lies_where_its_card_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DGBENCH_DATA", str(tmp_path))
    (tmp_path / "mini").mkdir()
    own = card(path=tmp_path / "own", roots=["mini"])
    with pytest.raises(DataError, match="Mend 'path'"):
        locate(own)
    (tmp_path / "own").mkdir()
    assert locate(own) == tmp_path / "own"


def test_a_hub_dataset_is_fetched_unless_a_folder_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DGBENCH_DATA", str(tmp_path))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    hub = card(HUB, roots=["mini"])
    assert (find(hub), locate(hub)) == (None, hub_home())
    (tmp_path / "hf/hub/datasets--owner--name/snapshots/abc").mkdir(parents=True)
    assert find(hub) == hub_home() == tmp_path / "hf"
    (tmp_path / "mini").mkdir()
    assert find(hub) == locate(hub) == tmp_path / "mini"
