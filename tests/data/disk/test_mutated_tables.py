"""Tables with something wrong in them: each becomes a card that reads, or one error that a user can mend."""

import random
from pathlib import Path

from PIL import Image

from dgbench.core.dataset_card import dataset_card
from dgbench.core.errors import DGBenchError
from dgbench.data.disk.look import look, write
from dgbench.data.disk.readers import read

TABLE = """image,label,domain
img/0.png,owl,north
img/1.png,búho,north
img/2.png,owl,south
img/3.png,búho,south
img/4.png,owl,south
"""


def test_mutated_tables_are_read_or_explained(tmp_path: Path) -> None:
    """400 tables with bytes flipped, cut out, doubled and put in: a card that reads, or the one clear error."""
    (tmp_path / "img").mkdir()
    for number in range(5):
        Image.new("RGB", (4, 3), (number, 0, 0)).save(tmp_path / "img" / f"{number}.png")
    table = tmp_path / "fuzz.csv"
    seeds = [TABLE.encode(), TABLE.replace(",", ";").encode("utf-16"), TABLE.replace(",", "\t").encode("latin-1")]
    spice = [
        b'"',
        b"\n",
        b"\r",
        b",",
        b";",
        b"\t",
        b"\0",
        b"\xff",
        b"\xfe",
        b"nan",
        b"../",
        b"\\",
        b" ",
        b"\xe2\x80\xae",
    ]
    outcomes = {"read": 0, "explained": 0}
    for seed in range(400):
        draw = random.Random(seed)
        content = bytearray(draw.choice(seeds))
        for _ in range(draw.randint(1, 2)):
            place = draw.randrange(len(content) + 1)
            match draw.randrange(4):
                case 0 if content:
                    content[place % len(content)] = draw.randrange(256)
                case 1:
                    del content[place : place + draw.randint(1, 20)]
                case 2:
                    content[place:place] = content[: draw.randint(1, 40)]
                case _:
                    content[place:place] = draw.choice(spice)
        table.write_bytes(content)
        try:
            card = dataset_card(str(write(look(str(table)), tmp_path / f"cards-{seed}")))  # a path is read once
            assert card.path is not None
            found = read(card, card.path).domains
            assert [len(domain) for domain in found] == [domain.count for domain in card.domains]
            outcomes["read"] += 1
        except DGBenchError:
            outcomes["explained"] += 1
    assert min(outcomes.values()) > 40, outcomes
