"""The typefaces that pip packages bring, and how a character of one is drawn.

FreeType (inside Pillow) turns outlines into pixels, so another version of Pillow may draw a few pixels differently;
the manifest of the data tells.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dgbench.core.errors import DataError
from dgbench.core.seeds import generator
from dgbench.data.domain import Domain
from dgbench.data.sets.drawing.canvas import SIDE, ZOOM, Ink, paint, shrink

_HEIGHT = 160
"""Size that characters are first drawn at; pictures are scaled down from it."""
_LINE = 8
"""Width of an outline at that size."""


@dataclass(frozen=True)
class Family:
    """Faces that were designed together; ``files`` are names without the ending."""

    name: str
    package: str
    folder: str
    ending: str
    files: tuple[str, ...]

    def faces(self) -> tuple[Path, ...]:
        """Where the faces lie.

        Raises:
            DataError: the package is not installed, or lacks a face.
        """
        pip = self.package.replace("_", "-")
        found = importlib.util.find_spec(self.package)
        if found is None or found.origin is None:
            raise DataError(f"the typeface {self.name} needs the package {pip}: pip install {pip}")
        paths = tuple(Path(found.origin).parent / self.folder / f"{file}{self.ending}" for file in self.files)
        for path in paths:
            if not path.is_file():
                raise DataError(
                    f"the package {pip} lacks the typeface {path.name}: pip install --force-reinstall {pip}"
                )
        return paths


def _matplotlib(name: str, *files: str) -> Family:
    return Family(name, "matplotlib", "mpl-data/fonts/ttf", ".ttf", files)


def _package(name: str, package: str, stem: str, ending: str, *styles: str) -> Family:
    return Family(name, package, "files", ending, tuple(f"{stem}-{style}" for style in styles))


_FOUR = ("Regular", "Bold", "Italic", "BoldItalic")
_ADOBE = ("ExtraLight", "Light", "Regular", "Semibold", "Bold", "Black")
_ADOBE_ITALIC = ("ExtraLightIt", "LightIt", "It", "SemiboldIt", "BoldIt", "BlackIt")
_ROBOTO = ("Thin", "Light", "Regular", "Medium", "Bold", "Black")
_ROBOTO_ITALIC = ("ThinItalic", "LightItalic", "Italic", "MediumItalic", "BoldItalic", "BlackItalic")

FAMILIES = (
    _matplotlib("Computer Modern", "cmr10", "cmb10", "cmti10"),
    _matplotlib("Computer Modern Sans", "cmss10"),
    _matplotlib("Computer Modern Typewriter", "cmtt10"),
    # The digits of DejaVu Sans and DejaVu Sans Mono are one design, so the two are one family here.
    _matplotlib(
        "DejaVu Sans",
        *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique"),
        *("DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique", "DejaVuSansMono-BoldOblique"),
    ),
    _matplotlib("DejaVu Serif", "DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic"),
    _matplotlib("STIX", "STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta"),
    _package("Caladea", "font_caladea", "Caladea", ".ttf", *_FOUR),
    _package("Fredoka One", "font_fredoka_one", "FredokaOne", ".ttf", "Regular"),
    _package(
        "Hanken Grotesk",
        "font_hanken_grotesk",
        "HankenGrotesk",
        ".otf",
        *("Light", "Regular", "Medium", "SemiBold", "Bold"),
        *("LightItalic", "Italic", "MediumItalic", "SemiBoldItalic", "BoldItalic"),
    ),
    Family("Intuitive", "font_intuitive", "files", ".ttf", ("Intuitive",)),
    _package(
        "Manrope",
        "font_manrope",
        "Manrope",
        ".ttf",
        *("ExtraLight", "Light", "Regular", "Medium", "SemiBold", "Bold", "ExtraBold"),
    ),
    _package("Roboto", "font_roboto", "Roboto", ".ttf", *_ROBOTO, *_ROBOTO_ITALIC),
    _package("Source Sans Pro", "font_source_sans_pro", "SourceSansPro", ".otf", *_ADOBE, *_ADOBE_ITALIC),
    _package("Source Serif Pro", "font_source_serif_pro", "SourceSerifPro", ".otf", *_ADOBE, *_ADOBE_ITALIC),
)

_STYLES = {
    "serif": ("Computer Modern", "DejaVu Serif", "STIX", "Caladea", "Source Serif Pro"),
    "sans": ("Computer Modern Sans", "DejaVu Sans", "Hanken Grotesk", "Manrope", "Roboto", "Source Sans Pro"),
    "display": ("Computer Modern Typewriter", "Fredoka One", "Intuitive"),
}
STYLES = {style: tuple(f for f in FAMILIES if f.name in names) for style, names in _STYLES.items()}
"""All families, by style."""


def glyph(face: Path, character: str) -> Image.Image:
    """A character, large, cut out along its own edges; ink is white."""
    font = ImageFont.truetype(face, _HEIGHT, layout_engine=ImageFont.Layout.BASIC)
    left, top, right, bottom = (int(edge) for edge in font.getbbox(character))
    picture = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(picture).text((-left, -top), character, font=font, fill=255)
    return picture.crop(picture.getbbox())


def outlined(face: Path, character: str) -> Image.Image:
    """The outline of a character, large: a line of even width around where its ink would be, and no ink inside."""
    from scipy.ndimage import maximum_filter

    ink = np.pad(np.asarray(glyph(face, character)), _LINE)
    return Image.fromarray(maximum_filter(ink, size=2 * _LINE + 1) - ink)


def typeset(
    cut: Image.Image, heights: tuple[float, float], random: np.random.Generator, turn: float | None = None
) -> Ink:
    """A picture ``[16, 16]`` of a character as a scanner may see it.

    Its height is drawn between the two ``heights``, in pixels (its width is 14 at most). It is stretched by up to 10 %
    across, tilted by up to 5 degrees, or turned by ``turn`` degrees clockwise, and up to 1.5 pixels off the centre.
    """
    height = random.uniform(*heights)
    across = height / cut.height * random.uniform(0.9, 1.1)
    width = min(14.0, cut.width * across)
    angle = np.radians(random.uniform(-5, 5) if turn is None else turn)
    cos, sin = np.cos(angle), np.sin(angle)
    x0, y0 = SIDE / 2 + random.uniform(-1.5, 1.5, 2)
    # Pillow wants the map from the new picture to the old one: undo the shift, then the tilt, then the scaling.
    sx, sy = cut.width / width / ZOOM, cut.height / height / ZOOM
    a, b, d, e = cos * sx, sin * sx, -sin * sy, cos * sy
    c = cut.width / 2 - ZOOM * (a * x0 + b * y0)
    f = cut.height / 2 - ZOOM * (d * x0 + e * y0)
    side = SIDE * ZOOM
    placed = cut.transform((side, side), Image.Transform.AFFINE, (a, b, c, d, e, f), Image.Resampling.BILINEAR)
    return shrink(np.asarray(placed) / 255)


def printed(
    name: str,
    families: Iterable[Family],
    characters: Sequence[str],
    *,
    repeats: int,
    heights: tuple[float, float],
    seed: tuple[str, ...],
    colours: np.random.Generator,
    cut: Callable[[Path, str], Image.Image] = glyph,
) -> Domain:
    """A domain in which every family prints every character equally often, going through its faces.

    Args:
        name: Of the domain.
        families: A group of the domain is a family, numbered in this order.
        characters: A label is a position in them.
        repeats: How often a family prints a character.
        heights: Least and largest height, in pixels.
        seed: What the drawing is for; each family adds its name to it.
        colours: Draws paper and ink.
        cut: What draws a character of a face, large.
    """
    ink, labels, groups = [], [], []
    for number, family in enumerate(families):
        random = generator(*seed, family.name)
        faces = random.permutation(np.array(family.faces(), dtype=object))
        large = cache(cut)  # most families have fewer faces than they print a character
        for label, character in enumerate(characters):
            for repeat in range(repeats):
                face = faces[(label + repeat) % len(faces)]
                ink.append(typeset(large(face, character), heights, random))
                labels.append(label)
                groups.append(number)
    return Domain(name, paint(np.stack(ink), colours), np.array(labels, np.int64), np.array(groups, np.int64))
