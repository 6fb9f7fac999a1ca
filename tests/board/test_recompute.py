import dgbench
from dgbench.board.recompute import command
from small import small_board


def test_the_command_on_the_page_asks_for_the_same_rules() -> None:
    assert command(dgbench.rules("quick")) == "dgbench run quick"
    changed = dgbench.rules("quick", algorithms=["erm", "sam + t3a"], trials=5)
    assert command(small_board("erm")) == "dgbench run board.toml -a erm --trials 1 --draws 1 --criterion augmented"
    assert command(changed, "source") == "dgbench run quick -a erm -a 'sam + t3a' --trials 5 --criterion source"
