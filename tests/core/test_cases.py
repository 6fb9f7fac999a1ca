import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgbench.api.boards import rules
from dgbench.core.cards import BoardCard, CaseRules
from dgbench.core.cases import Place, cases
from dgbench.core.errors import CardError

PACS = [Place("art"), Place("cartoon"), Place("photo"), Place("sketch")]


def board(protocol: str, dataset: tuple[str, ...] = ("pacs",), **rules_of: CaseRules) -> BoardCard:
    changes = {"protocol": protocol, "dataset": dataset, "cases": rules_of, "name": "b"}
    return rules("quick").model_copy(update=changes)


def test_one_domain_is_left_out_at_a_time() -> None:
    found = cases(board("leave-one-domain-out"), {"pacs": PACS})
    assert [(c.name, c.target, c.sources) for c in found] == [
        ("art", "art", ("cartoon", "photo", "sketch")),
        ("cartoon", "cartoon", ("art", "photo", "sketch")),
        ("photo", "photo", ("art", "cartoon", "sketch")),
        ("sketch", "sketch", ("art", "cartoon", "photo")),
    ]


def test_a_single_source_meets_each_of_the_others() -> None:
    found = cases(board("single-source"), {"pacs": PACS[1:]})
    assert [(c.name, c.sources, c.target) for c in found] == [
        ("cartoon > photo", ("cartoon",), "photo"),
        ("cartoon > sketch", ("cartoon",), "sketch"),
        ("photo > cartoon", ("photo",), "cartoon"),
        ("photo > sketch", ("photo",), "sketch"),
        ("sketch > cartoon", ("sketch",), "cartoon"),
        ("sketch > photo", ("sketch",), "photo"),
    ]


def test_fixed_sources_train_together_for_every_target() -> None:
    given = CaseRules(sources=("art", "photo"), targets=("sketch", "cartoon"))
    found = cases(board("fixed", pacs=given), {"pacs": PACS})
    assert [(c.name, c.sources, c.target) for c in found] == [
        ("cartoon", ("art", "photo"), "cartoon"),
        ("sketch", ("art", "photo"), "sketch"),
    ]


def test_several_datasets_put_their_name_before_the_case() -> None:
    places = {"pacs": PACS[:2], "vlcs": [Place("art"), Place("sun")]}
    found = cases(board("leave-one-domain-out", ("pacs", "vlcs")), places)
    assert [c.name for c in found] == ["pacs/art", "pacs/cartoon", "vlcs/art", "vlcs/sun"]


def test_two_cases_of_one_name_are_refused() -> None:
    places = [Place("a"), Place("b"), Place("a > b"), Place("b > b")]  # 'a > b > b' trains on 'a', or on 'a > b'
    with pytest.raises(CardError, match="two cases are called 'a > b > b'"):
        cases(board("single-source"), {"pacs": places})


@pytest.mark.parametrize("protocol", ["leave-one-domain-out", "single-source"])
@given(families=st.lists(st.sampled_from(["a", "b", "c", None]), min_size=3, max_size=6))
def test_no_family_is_on_both_sides(protocol: str, families: list[str | None]) -> None:
    places = [Place(str(number), family) for number, family in enumerate(families)]
    own = {place.name: place.family or place.name for place in places}
    try:
        found = cases(board(protocol), {"pacs": places})
    except CardError:
        assert len(set(own.values())) == 1
        return
    for case in found:
        assert own[case.target] not in {own[source] for source in case.sources}


def test_a_domain_that_is_not_there_gets_a_suggestion() -> None:
    with pytest.raises(CardError, match=r"no domain 'skech'. Did you mean 'sketch'"):
        cases(board("leave-one-domain-out", pacs=CaseRules(targets=("skech",))), {"pacs": PACS})


def test_fixed_cases_must_be_complete_and_apart() -> None:
    with pytest.raises(CardError, match=r"needs 'sources' and 'targets' in \[cases.digits\]"):
        rules(rules("quick").model_copy(update={"protocol": "fixed"}))
    with pytest.raises(CardError, match="'art' is both source and target"):
        cases(board("fixed", pacs=CaseRules(sources=("art",), targets=("art",))), {"pacs": PACS})


def test_rules_that_name_a_domain_of_the_card_mean_all_that_it_stands_for() -> None:
    traps = [Place(f"train/location-{number}", part_of="train") for number in range(3)]
    given = CaseRules(sources=("train",), targets=("test",))
    (case,) = cases(board("fixed", traps=given, dataset=("traps",)), {"traps": [*traps, Place("test")]})
    assert case.sources == ("train/location-0", "train/location-1", "train/location-2")
    few = CaseRules(sources=("train/location-1",), targets=("test",))
    (case,) = cases(board("fixed", traps=few, dataset=("traps",)), {"traps": [*traps, Place("test")]})
    assert case.sources == ("train/location-1",)
    wrong = CaseRules(sources=("trian",), targets=("test",))
    with pytest.raises(CardError, match=r"no domain 'trian'. Did you mean 'train'"):
        cases(board("fixed", traps=wrong, dataset=("traps",)), {"traps": [*traps, Place("test")]})
