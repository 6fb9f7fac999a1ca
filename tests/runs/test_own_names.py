"""Data whose names are of any script, and whose domains do not have all classes, from its folder to its page."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import dgbench
from dgbench.board.render import html, markdown
from dgbench.data.disk.look import look, write
from small import small_board

DOMAINS = {"фото": "xyz", "a b": "xyz", "a-b": "xyz", "caf\udce9": "xy"}


def test_any_names_and_missing_classes_come_to_a_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for domain, labels in DOMAINS.items():
        for label in labels:
            folder = tmp_path / "pics" / domain / label
            folder.mkdir(parents=True)
            for number in range(5):
                Image.fromarray(random.integers(0, 255, (16, 16, 3), np.uint8)).save(folder / f"{number}\udcff.png")
    write(look("pics", name="мои-фото"), Path("datasets"))
    rules = dgbench.rules(small_board("erm", "t3a"), datasets=["мои-фото"])
    summary = dgbench.run(rules, store=tmp_path / "store", device="cpu", workers=1)
    assert not summary.failed
    board = dgbench.leaderboard(rules, store=tmp_path / "store")
    assert board.info.domains == ("a b", "a-b", r"caf\xe9", "фото")
    said = r"Accuracy on caf\xe9 is over 2 of 3 classes: it has no example of z."
    assert said in board.info.protocol
    assert "фото" in markdown.render(board)
    page = html.render(board)
    assert said in page
    assert page.count("data:image/png") == 4, "each domain has its picture"
