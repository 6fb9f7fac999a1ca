import shlex

import dgbench
from dgbench.board.recompute import command
from dgbench.core.backbone_name import parse
from small import small_board


def test_the_command_on_the_page_asks_for_the_same_rules() -> None:
    assert command(dgbench.rules("quick")) == "dgbench run quick"
    changed = dgbench.rules("quick", algorithms=["erm", "sam + t3a"], trials=5)
    assert command(small_board("erm")) == "dgbench run board.toml -a erm --trials 1 --draws 1 --criterion augmented"
    assert command(changed, "source") == "dgbench run quick -a erm -a 'sam + t3a' --trials 5 --criterion source"


def test_the_command_names_the_backbone_and_no_machines_path() -> None:
    small = dgbench.rules("quick", backbone="timm:test_resnet(size=32)")
    assert command(small) == "dgbench run quick --backbone 'timm:test_resnet(size=32)'"
    own = "timm:test_resnet(weights='/home/me/my nets/best.pth', pretrained_on=unknown, size=32)"
    said = command(dgbench.rules("quick", backbone=own, trials=2))
    assert said == (
        "dgbench run quick --backbone 'timm:test_resnet(size=32, weights=best.pth, pretrained_on=unknown)' --trials 2"
    )
    apart = {"inductive": "timm:test_resnet", "online": "timm:test_vit"}  # no option says so: a file does
    mixed = dgbench.rules(dgbench.rules("quick").model_copy(update={"tracks": apart}))
    assert command(mixed).startswith("dgbench run board.toml")


def test_what_the_command_says_is_read_as_the_same_rules() -> None:
    for backbone in (
        "efficientnet-lite0(size=64)",
        "timm:x(weights='it''s \"mine\", é.pth', pretrained_on=a, under=b)",
    ):
        rules = dgbench.rules("quick", backbone=backbone)
        *_, option, name = shlex.split(command(rules))
        assert option == "--backbone"
        assert parse(dgbench.rules("quick", backbone=name).tracks["online"]) == parse(backbone)
