import tomllib

import pytest
from pydantic import ValidationError

from dgbench.core.cards import card_names
from dgbench.core.dataset_card import DatasetCard, dataset_card
from dgbench.core.errors import UnknownNameError
from dgbench.core.paths import shipped


@pytest.mark.parametrize("name", card_names("datasets"))
def test_every_shipped_card_reads(name: str) -> None:
    card = dataset_card(name)
    assert card.name == name
    assert all(source.licence and source.citation for source in card.sources)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": "red"}, "Extra inputs"),
        ({"classes": ["0", "0"]}, "named twice: 0"),
        ({"domains": [{"name": "a", "description": "", "count": 1}] * 2}, "named twice: a"),
        ({"manifest": "0"}, "pattern"),
        ({"builder": "dgbench.data.digits"}, "pattern"),
        ({"sources": []}, "at least 1"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(change: dict[str, object], message: str) -> None:
    content = tomllib.loads((shipped("datasets") / "digits.toml").read_text())
    with pytest.raises(ValidationError, match=message):
        DatasetCard.model_validate(content | change)


def test_an_unknown_dataset_gets_a_suggestion() -> None:
    with pytest.raises(UnknownNameError, match="'letters'"):
        dataset_card("leters")
