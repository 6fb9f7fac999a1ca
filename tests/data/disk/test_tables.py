"""Tables as they lie on disks: the card that they become, and what is read by it."""

import itertools
import json
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from dgbench.core.dataset_card import dataset_card
from dgbench.core.errors import DataError, DGBenchError
from dgbench.data.disk.look import Draft, look, write
from dgbench.data.disk.readers import read
from dgbench.data.disk.readers.columns import COLUMNS
from dgbench.data.listing import Listing
from dgbench.data.pixels.pictures import Files

HEAD = ("image", "label", "domain")
ROWS = [
    ("img/0.png", "owl", "north"),
    ("img/1.png", "búho", "north"),
    ("img/2.png", "owl", "south"),
    ("img/3.png", "búho", "south"),
    ("img/4.png", "owl", "south"),
]
Row = tuple[str, str, str]
_numbers = itertools.count()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures; each test writes tables of its own beside them."""
    root = tmp_path_factory.mktemp("home")
    (root / "img").mkdir()
    for number in range(8):
        Image.new("RGB", (4, 3), (number, 0, 0)).save(root / "img" / f"{number}.png")
    return root


def lines(rows: Sequence[Sequence[str]] = ROWS, head: Sequence[str] = HEAD, separator: str = ",") -> str:
    return "".join(separator.join(row) + "\n" for row in [head, *rows])


def put(path: Path, content: str | bytes, encoding: str = "utf-8") -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def through_card(draft: Draft, folder: Path) -> Listing:
    """What is read by the card, as a file."""
    card = dataset_card(str(write(draft, folder / f"cards-{next(_numbers)}")))  # a card of one path is read once
    assert card.path is not None
    found = read(card, card.path)
    assert [len(domain) for domain in found.domains] == [domain.count for domain in card.domains]
    return found


def rows_of(listing: Listing) -> list[Row]:
    return sorted(
        (domain.pictures.name(row), listing.classes[domain.labels[row]], domain.name)
        for domain in listing.domains
        for row in range(len(domain))
    )


WRITTEN: dict[str, tuple[str | bytes, str]] = {
    "semicolons": (lines(separator=";"), "columns are separated by ';'"),
    "tabs": (lines(separator="\t"), "columns are separated by a tab"),
    "bars": (lines(separator="|"), "columns are separated by '|'"),
    "sep": ("sep=;\r\n" + lines(separator=";"), "columns are separated by ';'"),
    "semicolons with commas in a name": (
        lines(separator=";").replace("domain", "domain, or site"),
        "columns are separated by ';'",
    ),
    "utf-16": (lines().encode("utf-16"), "the table is in UTF-16"),
    "utf-16-be": (b"\xfe\xff" + lines(separator="\t").encode("utf-16-be"), "the table is in UTF-16"),
    "utf-32": (lines().encode("utf-32"), "the table is in UTF-32"),
    "latin-1": (lines().encode("latin-1"), "read as Windows-1252: is 'búho' right?"),
    "mark": (lines().encode("utf-8-sig"), "5 rows"),
    "crlf": (lines().replace("\n", "\r\n"), "5 rows"),
    "cr": (lines().replace("\n", "\r"), "5 rows"),
    "blank lines": ("\n\n" + lines().replace("\n", "\n\n") + "  \n,,\n\n", "5 rows"),
    "spaces": (lines(separator=" , ").replace("\n", " \n"), "5 rows"),
    "spaces before quotes": (lines([(a, f' "{b}"', f' "{c}"') for a, b, c in ROWS]), "5 rows"),
    "quotes": (lines([(a, f'"{b}"', f'"{c}"') for a, b, c in ROWS], [f'"{name}"' for name in HEAD]), "5 rows"),
    "quotes and semicolons": (
        lines([(a, f'"{b}"', c) for a, b, c in ROWS], [f'"{name}"' for name in HEAD], ";"),
        "columns are separated by ';'",
    ),
    "Windows": (lines([(a.replace("/", "\\"), b, c) for a, b, c in ROWS]), "5 rows"),
    "dots": (lines([(f"./{a}", b, c) for a, b, c in ROWS]), "5 rows"),
    "decomposed": (lines([(a, unicodedata.normalize("NFD", b), c) for a, b, c in ROWS[:3]] + ROWS[3:]), "5 rows"),
    "empty cells too many": (lines([(*row, "", " ") for row in ROWS]), "5 rows"),
    "a nameless column": (lines([(str(i), *row) for i, row in enumerate(ROWS)], ("", *HEAD)), "5 rows"),
    "rows that end early": (lines([(*row, "x") for row in ROWS[:2]] + ROWS[2:], (*HEAD, "remark")), "5 rows"),
    "a column twice that nobody uses": (lines([(*row, "x", "y") for row in ROWS], (*HEAD, "id", "id")), "5 rows"),
    "quoted lines": (lines([(*row, '"two\nlines, ""quoted"""') for row in ROWS], (*HEAD, "remark")), "5 rows"),
    "from its own folder": (lines([(a.removeprefix("img/"), b, c) for a, b, c in ROWS]), "start in"),
}


@pytest.mark.parametrize("how", WRITTEN)
def test_however_it_is_written_it_is_the_same_table(how: str, home: Path, tmp_path: Path) -> None:
    content, said = WRITTEN[how]
    draft = look(str(put(home / "table.csv", content)), columns=_domain_column(how))
    assert said in "\n".join(draft.said)
    found = rows_of(through_card(draft, tmp_path))
    assert [(Path("img", path).as_posix() if "/" not in path else path, b, c) for path, b, c in found] == [
        (f"./{a}" if how == "dots" else a, b, c) for a, b, c in ROWS
    ]


def _domain_column(how: str) -> dict[str, str]:
    return {"domain": "domain, or site"} if how == "semicolons with commas in a name" else {}


def test_lines_of_json_are_a_table(home: Path, tmp_path: Path) -> None:
    objects = [dict(zip(("file_name", "label", "site"), row, strict=True)) for row in ROWS]
    table = put(home / "list.jsonl", "\n".join(json.dumps(found) for found in objects) + "\n\n")
    assert rows_of(through_card(look(str(table)), tmp_path)) == ROWS
    numbers = [{"image": a, "y": 1 if b == "owl" else 0, "site": 2.0 if c == "north" else 3} for a, b, c in ROWS]
    found = through_card(look(str(put(table, "\n".join(map(json.dumps, numbers))))), tmp_path)
    assert rows_of(found) == [(a, "1" if b == "owl" else "0", "2" if c == "north" else "3") for a, b, c in ROWS]


def test_a_table_beside_images_says_what_they_are(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "Image Folder"
    (folder / "img").mkdir(parents=True)
    for path in (home / "img").iterdir():
        (folder / "img" / path.name).write_bytes(path.read_bytes())
    put(folder / "metadata.csv", lines(head=("file_name", "label", "domain")))
    draft = look(str(folder))
    assert draft.name == "image-folder"
    assert rows_of(through_card(draft, tmp_path)) == ROWS
    put(folder / "metadata.csv", b"PK\x03\x04 a workbook")
    with pytest.raises(DataError, match="expected domain/class/image"):
        look(str(folder))


@pytest.mark.parametrize(
    "head",
    [
        ("path", "class", "environment"),
        ("Filename", "Target", "Env"),
        ("file_name", "y", "site"),
        ("FILE PATH", "category", "Hospital"),
        ("img", "class_name", "center"),
        ("image-path", "Label Name", "scanner"),
        ("Image_Path", "species", "camera"),
        ("img_filename", "label_name", "location"),
        ("filepath", "categoryName", "style"),
    ],
)
def test_usual_names_of_columns(head: Row, home: Path, tmp_path: Path) -> None:
    draft = look(str(put(home / "table.csv", lines(head=head))))
    assert draft.content["reader"] | dict(zip(HEAD, head, strict=True)) == draft.content["reader"]
    assert rows_of(through_card(draft, tmp_path)) == ROWS


def test_which_of_two_columns_was_taken_is_said(home: Path) -> None:
    rows = [(*row, str(number)) for number, row in enumerate(ROWS)]
    draft = look(str(put(home / "table.csv", lines(rows, (*HEAD, "target")))))
    assert "label is the column 'label'; 'target' could be it, too: say --label COLUMN if it is" in draft.said
    draft = look(str(put(home / "table.csv", lines(rows, (*HEAD, "target")))), columns={"label": "TARGET"})
    assert "label is the column 'target'" in draft.said
    assert draft.content["reader"]["label"] == "target"


@pytest.mark.parametrize(
    ("values", "classes", "said"),
    [
        (("2", "10", "2"), ["2", "10"], "the labels are numbers"),
        (("1.0", "0.0", "1"), ["0", "1"], "the labels are numbers"),
        (("0.37", "1.5", "0.37"), ["0.37", "1.5"], "is 'label' a measurement, and no class?"),
    ],
)
def test_labels_that_are_numbers(
    values: Sequence[str], classes: list[str], said: str, home: Path, tmp_path: Path
) -> None:
    rows = [("img/0.png", values[0], "a"), ("img/1.png", values[1], "b"), ("img/2.png", values[2], "a")]
    draft = look(str(put(home / "table.csv", lines(rows))))
    assert draft.content["classes"] == classes
    assert said in "\n".join(draft.said)
    assert [label for _, label, _ in rows_of(through_card(draft, tmp_path))] == [
        value.removesuffix(".0") for value in values
    ]


def test_official_splits_are_read_and_what_becomes_of_them_is_said(home: Path, tmp_path: Path) -> None:
    rows = [(*row, part) for row, part in zip(ROWS, ("Train", "dev", "train", "test", "dev"), strict=True)]
    draft = look(str(put(home / "table.csv", lines(rows, (*HEAD, "partition")))))
    said = "\n".join(draft.said)
    assert "official splits: Train, dev, test, train; the board 'own' draws splits of its own" in said
    assert "'official = true' below [split]" in said
    north, south = through_card(draft, tmp_path).domains
    assert north.official is not None
    assert south.official is not None
    assert (north.official.tolist(), south.official.tolist()) == (
        ["train", "validation"],
        ["train", "test", "validation"],
    )
    rows = [(*row, str(i)) for i, row in enumerate(ROWS)]
    draft = look(str(put(home / "table.csv", lines(rows, (*HEAD, "fold")))))
    assert "the column 'fold' is left out: '0', '1', '2', '3', '4' is neither train, val nor test" in "\n".join(
        draft.said
    )
    assert through_card(draft, tmp_path).domains[0].official is None


WRONG: dict[str, tuple[str | bytes, str]] = {
    "nothing": ("", "is empty; expected a line of column names"),
    "blank": (" \n\n", "is empty"),
    "header only": (lines([]), "and no rows below them"),
    "no header": (lines(ROWS[1:], ROWS[0]), "its first line ('img/0.png', 'owl', 'north') is an image's"),
    "one column": ("image\nimg/0.png\n", "no separator"),
    "short": (
        lines([*ROWS[:2], ("img/2.png", "owl"), ("img/3.png",)]),
        "2 of 4 rows are wrong: too few cells, none for column 'domain' (lines 4, 5); "
        "too few cells, none for column 'label' (line 5)",
    ),
    "long": (
        lines([(*row, "note") for row in ROWS]),
        "5 of 5 rows are wrong: more cells than the 3 columns (lines 2, 3, 4",
    ),
    "empty": (
        lines([*ROWS, ("img/5.png", " ", "north"), ("img/6.png", "nan", "north")]),
        "2 of 7 rows are wrong: no value in column 'label' (lines 7, 8)",
    ),
    "missing": (
        lines([*ROWS, *((f"img/9{i}.png", "owl", "north") for i in range(5))]),
        "5 of 10 images are not there: 'img/90.png' (line 7), 'img/91.png' (line 8), 'img/92.png' (line 9) and 2 more",
    ),
    "twice": (lines([(*row, "x") for row in ROWS], (*HEAD, "label")), "2 columns are called 'label'"),
    "NUL": (lines().replace("owl", "o\0wl"), "line 2 holds the control character U+0000"),
    "utf-16 without a mark": (lines().encode("utf-16-le"), "control character U+0000"),
    "no text": (b"\x81\x8d\x8f\x90", "is no text in cp1252"),
    "open quote": (lines().replace("owl", '"owl', 1), "row that begins on line 2 cannot be read"),
    "Excel": (b"PK\x03\x04\x00", "a ZIP archive or an Excel workbook, and no table of text; save it as CSV"),
    "Parquet": (b"PAR1\x00\x00", "cannot be read"),
    "no domain": (
        lines(head=("image", "label", "colour")),
        "which column is the domain? There are image, label, colour",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_one_message_with_all_that_is(what: str, home: Path) -> None:
    content, said = WRONG[what]
    with pytest.raises(DataError) as error:
        look(str(put(home / "table.csv", content)))
    assert said in str(error.value)
    assert "table.csv" in str(error.value)


def test_wrong_lines_of_json(home: Path) -> None:
    for content, said in (
        ('{"image": 1}\n{"im\n', "line 2 is no JSON"),
        ("[1]\n", "line 1 is no JSON object"),
        ("[" * 100_000, "line 1 is no JSON"),
        ('{"image": "img/0.png", "label": "a\\u0000", "domain": "d"}', "control characters"),
        ('{"image": "img/0.png", "label": "\\ud800", "domain": "d"}', "control characters"),
        ('{"image": "img/0.png", "label": ["a"], "domain": "d"}', "1 of 1 rows is wrong: no value in column 'label'"),
    ):
        with pytest.raises(DataError) as error:
            look(str(put(home / "table.jsonl", content)))
        assert said in str(error.value)


letters = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn", "Co", "Zl", "Zp"]), min_size=1, max_size=8)
names = letters.filter(lambda name: name.strip() and name.strip().lower() != "nan")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    head=st.lists(names, min_size=3, max_size=3, unique_by=lambda name: " ".join(name.split())),
    labels=st.lists(names, min_size=2, max_size=5),
    sites=st.lists(names, min_size=2, max_size=5),
    separator=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_columns_and_values_in_any_script(
    head: list[str], labels: list[str], sites: list[str], separator: str, encoding: str, home: Path, tmp_path: Path
) -> None:
    rows = [(f"img/{i}.png", labels[i % len(labels)], sites[i % len(sites)]) for i in range(5)]
    quoted = [[f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in row] for row in [head, *rows]]
    table = put(home / "any.csv", "\n".join(separator.join(row) for row in quoted), encoding)
    given = dict(zip(HEAD, [name.strip() for name in head], strict=True))
    try:
        draft = look(str(table), name="any", columns=given)
    except DGBenchError:
        return
    found = through_card(draft, tmp_path)
    assert sum(map(len, found.domains)) == 5
    labels_of = {name.removeprefix("img/"): found.classes[d.labels[i]] for d in found.domains for i, name in _named(d)}
    for i, (_, label, _) in enumerate(rows):
        assert _same(labels_of[f"{i}.png"]) == _same(label)


def _named(domain: object) -> list[tuple[int, str]]:
    pictures = domain.pictures  # type: ignore[attr-defined]
    assert isinstance(pictures, Files)
    return list(enumerate(pictures.names))


def _same(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", name).split())


def test_aliases_belong_to_one_kind() -> None:
    every = [name for names in COLUMNS.values() for name in names]
    assert len(every) == len(set(every))
