import io

import numpy as np
from board.synthetic import candidate, info, picture, tables
from PIL import Image

from dgbench.board.build import build
from dgbench.board.pictures import of_board, previews
from dgbench.board.render import files, html
from dgbench.data.catalogue import load
from small import small_board


def test_a_preview_shows_two_of_each_class() -> None:
    digits = load("digits")
    pictures = previews("digits")
    assert list(pictures) == [d.name for d in digits.domains]
    for name, png in pictures.items():
        picture = Image.open(io.BytesIO(png))
        assert picture.size == (10 * 16 * 3, 2 * 16 * 3)
        assert len(png) < 20_000
        tile = np.asarray(picture)[: 3 * 16 : 3, 3 * 16 : 2 * 3 * 16 : 3]
        domain = digits.domain(name)
        ones = domain.inputs[domain.labels == 1]
        assert (ones == tile).all((1, 2, 3)).any(), "the second picture is a 1 of this domain"


def test_a_board_has_pictures_where_its_cases_are_domains() -> None:
    board = small_board("erm")
    assert of_board(board) == previews("digits")
    for change in ({"dataset": ("digits", "glyphs")}, {"protocol": "single-source"}):
        assert of_board(board.model_copy(update=change)) == {}


def test_they_are_drawn_where_a_page_shows_them_and_nowhere_else() -> None:
    drawn = []

    def draw() -> dict[str, bytes]:
        drawn.append(True)
        return {"a": picture(1)}

    pool = [candidate("erm", "a", trial, clean={"s": 0.5}) for trial in range(2)]
    made = build(*tables(pool), info(algorithms=("erm",), domains=("a",), trials=2), draw)
    assert files.table(made)["algorithm"].to_list() == ["erm"]
    assert drawn == []
    assert "data:image/png" in html.render(made)
    assert drawn == [True]
