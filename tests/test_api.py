import pytest

import dgbench
from dgbench.core.errors import CardError, UnknownNameError
from dgbench.core.rules import rules_identity


def test_the_public_functions_are_there_and_nothing_else_is() -> None:
    for name in dgbench.__all__:
        assert getattr(dgbench, name)
    with pytest.raises(AttributeError, match=r"it has .*leaderboard"):
        getattr(dgbench, "leaderbord")  # noqa: B009


def test_functions_stay_functions_after_their_packages_are_imported() -> None:
    import dgbench.runs.plan
    import dgbench.selection.criteria

    assert all(
        callable(getattr(dgbench, name)) for name in ("plan", "run", "select", "rules", "records", "leaderboard")
    )


def test_rules_change_what_is_asked_and_are_checked() -> None:
    rules = dgbench.rules("quick", algorithms=["erm"], trials=5)
    assert (rules.algorithms, rules.trials, rules.draws) == (("erm",), 5, 1)
    assert rules_identity(rules) != rules_identity(dgbench.rules("quick"))
    assert dgbench.rules(rules) == rules
    with pytest.raises(CardError, match="trials"):
        dgbench.rules("quick", trials=0)
    with pytest.raises(CardError, match="algorithms"):
        dgbench.rules("quick", algorithms=[])
    with pytest.raises(CardError, match=r"write \['erm'\]"):
        dgbench.rules("quick", algorithms="erm")
    with pytest.raises(UnknownNameError, match="Did you mean 'quick'"):
        dgbench.rules("quik")
