"""Pictures of all kinds, against what numpy makes of their pixels by hand."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from dgbench.core.decoding import AS_LOADERS, Decoding
from dgbench.core.errors import DataError
from dgbench.data.pixels.decode import Traits, as_rgb, header_traits, needs_pixels, opened, traits
from dgbench.data.pixels.pictures import Files, read

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (9, 7, 3), np.uint8)
GREYS = RNG.integers(0, 256, (9, 7), np.uint8)
ALPHA = RNG.integers(0, 256, (9, 7), np.uint8)
ALPHA[0, :3] = 0, 255, 128
GROUND = {"white": 255, "black": 0}
WHITE, BLACK = Decoding("white"), Decoding("black")


def over(colours: np.ndarray, alpha: np.ndarray, ground: int) -> np.ndarray:
    """A picture over a ground: exact, then rounded."""
    share = alpha[..., None].astype(np.float64) / 255
    return np.floor(share * colours + (1 - share) * ground + 0.5).astype(np.uint8)


def rgb(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, axis=2)


def decode(path: Path, decoding: Decoding = AS_LOADERS) -> np.ndarray:
    return read(Files(path.parent, (path.name,)), 0, decoding)


def look(path: Path) -> Traits:
    with opened(path, path.name) as image:
        return traits(image)


def with_alpha(mode: str) -> tuple[Image.Image, dict[str, Any], np.ndarray, np.ndarray]:
    """An image that is transparent in some way, how to save it, its colours, and its alpha."""
    if mode == "RGBA":
        return Image.fromarray(np.dstack([COLOURS, ALPHA])), {}, COLOURS, ALPHA
    if mode == "LA":
        return Image.fromarray(np.dstack([GREYS, ALPHA])), {}, rgb(GREYS), ALPHA
    if mode in ("L", "RGB"):  # one value is named as transparent
        array = GREYS if mode == "L" else COLOURS
        key = array[4, 4].tolist()
        hidden = array == key if mode == "L" else (array == key).all(axis=2)
        colours = rgb(array) if mode == "L" else array
        saved = {"transparency": key if mode == "L" else tuple(key)}
        return Image.fromarray(array), saved, colours, np.where(hidden, 0, 255).astype(np.uint8)
    assert mode == "P"  # each colour of the palette has an alpha
    image = Image.fromarray(GREYS // 16, "P")
    palette = RNG.integers(0, 256, (16, 3), np.uint8)
    image.putpalette(palette.tobytes())
    alphas = np.array([0, 255, 100, *range(13)], np.uint8)
    return image, {"transparency": alphas.tobytes()}, palette[GREYS // 16], alphas[GREYS // 16]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "L", "RGB", "P"])
def test_transparency_is_dropped_or_laid_over_a_ground(tmp_path: Path, mode: str) -> None:
    image, options, colours, alpha = with_alpha(mode)
    image.save(tmp_path / "x.png", **options)
    assert np.array_equal(decode(tmp_path / "x.png"), colours)
    for decoding in (WHITE, BLACK):
        assert np.array_equal(decode(tmp_path / "x.png", decoding), over(colours, alpha, GROUND[decoding.alpha]))
    assert look(tmp_path / "x.png").transparent


@pytest.mark.parametrize("kind", ["tiff", "webp"])
def test_transparency_of_other_formats(tmp_path: Path, kind: str) -> None:
    image, _, colours, alpha = with_alpha("RGBA")
    image.save(tmp_path / f"x.{kind}", **({"lossless": True, "exact": True} if kind == "webp" else {}))
    assert np.array_equal(decode(tmp_path / f"x.{kind}"), colours)
    assert np.array_equal(decode(tmp_path / f"x.{kind}", WHITE), over(colours, alpha, 255))


def test_a_gif_with_a_transparent_colour(tmp_path: Path) -> None:
    image, _, colours, _ = with_alpha("P")
    image.save(tmp_path / "x.gif", transparency=3)
    alpha = np.where(np.asarray(image) == 3, 0, 255)
    assert np.array_equal(decode(tmp_path / "x.gif"), colours)
    assert np.array_equal(decode(tmp_path / "x.gif", WHITE), over(colours, alpha, 255))


@pytest.mark.parametrize("alpha", ["drop", "white", "black"])
def test_opaque_pictures_do_not_depend_on_the_ground(tmp_path: Path, alpha: Any) -> None:
    Image.fromarray(np.dstack([COLOURS, np.full_like(ALPHA, 255)])).save(tmp_path / "x.png")
    assert np.array_equal(decode(tmp_path / "x.png", Decoding(alpha)), COLOURS)
    assert look(tmp_path / "x.png") == Traits()


@given(st.integers(0, 255), st.integers(0, 255), st.sampled_from(["white", "black"]))
@settings(max_examples=50)
def test_every_alpha_is_rounded_as_it_should_be(colour: int, alpha: int, ground: Any) -> None:
    file = io.BytesIO()
    Image.new("RGBA", (1, 1), (colour, colour, colour, alpha)).save(file, "PNG")
    with opened(file, "x") as image:
        value = as_rgb(image, Decoding(ground)).getpixel((0, 0))
    exact = (colour * alpha + GROUND[ground] * (255 - alpha)) / 255
    assert value == (int(exact + 0.5),) * 3


TURNED = {
    1: COLOURS,
    2: COLOURS[:, ::-1],
    3: COLOURS[::-1, ::-1],
    4: COLOURS[::-1],
    5: COLOURS.transpose(1, 0, 2),
    6: np.rot90(COLOURS, -1),
    7: COLOURS[::-1, ::-1].transpose(1, 0, 2),
    8: np.rot90(COLOURS),
}
"""What each orientation mark stands for: where the first row and the first column of the file belong."""


@pytest.mark.parametrize("mark", sorted(TURNED))
@pytest.mark.parametrize("kind", ["png", "webp"])
def test_the_camera_s_mark_turns_a_picture_where_the_card_says_so(tmp_path: Path, kind: str, mark: int) -> None:
    path = tmp_path / f"x.{kind}"
    exif = Image.Exif()
    exif[0x0112] = mark
    Image.fromarray(COLOURS).save(path, exif=exif, **({"lossless": True} if kind == "webp" else {}))
    assert np.array_equal(decode(path), COLOURS)
    assert np.array_equal(decode(path, Decoding(exif=True)), TURNED[mark])
    assert look(path).rotated == (mark != 1)
    with opened(path, "x") as image:
        assert header_traits(image) == Traits(rotated=mark != 1), "the header tells"


def test_a_jpeg_from_a_telephone(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    flat = np.kron(np.array([[0, 200]], np.uint8), np.ones((16, 16), np.uint8))
    for mode in ("RGB", "L", "CMYK"):
        Image.fromarray(flat).convert(mode).save(tmp_path / "x.jpg", exif=exif, quality=100)
        upright = decode(tmp_path / "x.jpg", Decoding(exif=True))
        assert upright.shape == (32, 16, 3)
        assert np.abs(upright.astype(int) - np.rot90(rgb(flat), -1)).max() <= 2, mode
        assert look(tmp_path / "x.jpg").rotated


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_exif_that_cannot_be_read_turns_nothing(tmp_path: Path) -> None:
    Image.fromarray(COLOURS).save(tmp_path / "x.png", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff no more")
    assert np.array_equal(decode(tmp_path / "x.png", Decoding(exif=True)), COLOURS)
    assert look(tmp_path / "x.png") == Traits()


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("kind", ["png", "tif", "big-endian.tif", "npy", "pgm"])
def test_sixteen_bits_of_grey(tmp_path: Path, kind: str, bits: int) -> None:
    deep = RNG.integers(0, 2**bits, (9, 7)).astype(np.uint16)
    deep[0, 0], path = 2**bits - 1, tmp_path / f"x.{kind}"
    if kind == "npy":
        np.save(path, deep)
    elif kind == "pgm":
        path.write_bytes(b"P5 7 9 65535\n" + deep.astype(">u2").tobytes())
    elif kind == "png":
        Image.fromarray(deep).save(path)
    else:
        Image.fromarray(deep.astype(">u2" if kind.startswith("big") else "<u2")).save(path)
    assert np.array_equal(decode(path), rgb((deep // 256).astype(np.uint8)))
    assert np.array_equal(decode(path, Decoding(bits=bits)), rgb((deep // 2 ** (bits - 8)).astype(np.uint8)))
    assert look(path) == Traits(peak=2**bits - 1)
    if bits > 8:
        clipped = np.minimum(deep // 2 ** (bits - 9), 255).astype(np.uint8)
        assert np.array_equal(decode(path, Decoding(bits=bits - 1)), rgb(clipped)), "what is above is white"


def test_sixteen_bits_with_a_transparent_value(tmp_path: Path) -> None:
    deep = np.array([[0, 4095, 300, 4000]], np.uint16)
    Image.fromarray(deep).save(tmp_path / "x.png", transparency=300)
    assert decode(tmp_path / "x.png", Decoding("drop", bits=12))[0, :, 0].tolist() == [0, 255, 18, 250]
    assert decode(tmp_path / "x.png", Decoding("white", bits=12))[0, :, 0].tolist() == [0, 255, 255, 250]
    assert decode(tmp_path / "x.png", Decoding("black", bits=12))[0, :, 0].tolist() == [0, 255, 0, 250]


def png(kind: int, deep: np.ndarray) -> bytes:
    """A PNG of sixteen bits for each channel, which Pillow cannot write; ``kind`` is its type of colour."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in deep)
    header = struct.pack(">IIBBBBB", deep.shape[1], deep.shape[0], 16, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_sixteen_bits_of_colour_keep_the_upper_eight(tmp_path: Path) -> None:
    deep = RNG.integers(0, 2**16, (9, 7, 4)).astype(np.uint16)
    colours, alpha = (deep[..., :3] // 256).astype(np.uint8), (deep[..., 3] // 256).astype(np.uint8)
    (tmp_path / "rgb.png").write_bytes(png(2, deep[..., :3]))
    (tmp_path / "rgba.png").write_bytes(png(6, deep))
    (tmp_path / "la.png").write_bytes(png(4, deep[..., 2:]))
    assert np.array_equal(decode(tmp_path / "rgb.png", Decoding("white", bits=12)), colours)
    assert np.array_equal(decode(tmp_path / "rgba.png"), colours)
    assert np.array_equal(decode(tmp_path / "rgba.png", WHITE), over(colours, alpha, 255))
    assert np.array_equal(decode(tmp_path / "la.png", BLACK), over(rgb(colours[..., 2]), alpha, 0))


def test_animations_show_their_first_picture(tmp_path: Path) -> None:
    first, second = Image.fromarray(COLOURS), Image.new("RGB", (7, 9), "red")
    for kind, options in (("png", {}), ("webp", {"lossless": True}), ("tiff", {})):
        first.save(tmp_path / f"x.{kind}", save_all=True, append_images=[second], **options)
        assert np.array_equal(decode(tmp_path / f"x.{kind}", WHITE), COLOURS), kind


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "LAB", "RGB"])
def test_large_pictures_are_converted_in_bands_to_what_they_are_at_once(
    tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Image.fromarray(COLOURS)
    if mode == "LAB":
        to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
        made = ImageCms.applyTransform(source, to_lab)
        assert made is not None
    else:
        made = source.quantize(8) if mode == "P" else source.convert(mode)
    made.save(tmp_path / "x.tif")
    at_once = np.asarray(Image.open(tmp_path / "x.tif").convert("RGB"))
    for band in (1, 15, 2**20):
        monkeypatch.setattr("dgbench.data.pixels.decode._BAND", band)
        assert np.array_equal(decode(tmp_path / "x.tif", WHITE), at_once)


@pytest.mark.parametrize("suffix", ["jpg", "jfif", "jpe"])
def test_other_names_of_jpeg(tmp_path: Path, suffix: str) -> None:
    Image.new("RGB", (8, 8), (90, 90, 90)).save(tmp_path / f"x.{suffix}", format="JPEG")
    assert (decode(tmp_path / f"x.{suffix}") == 90).all()


@pytest.mark.parametrize(
    ("content", "values"),
    [
        (b"P1 3 1 1 0 1", [0, 255, 0]),
        (b"P2 3 1 15 0 5 15", [0, 85, 255]),
        (b"P5 3 1 255\n\x00\x05\xff", [0, 5, 255]),
        (b"P5 2 1 4095\n\x00\x00\x0f\xff", [0, 255]),
    ],
)
def test_the_family_of_pgm(tmp_path: Path, content: bytes, values: list[int]) -> None:
    (tmp_path / "x.pnm").write_bytes(content)
    assert decode(tmp_path / "x.pnm")[0, :, 0].tolist() == values


def test_deep_pgm_is_what_pillow_makes_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for white in (256, 1023, 4095, 65534):
        deep = RNG.integers(0, white + 1, (9, 7))
        content = f"P5 7 9 {white}\n".encode() + deep.astype(">u2").tobytes()
        (tmp_path / "x.pgm").write_bytes(content)
        for decoding in (AS_LOADERS, Decoding(bits=14)):
            expected = np.minimum(np.asarray(Image.open(tmp_path / "x.pgm")) >> (decoding.bits - 8), 255)
            assert np.array_equal(decode(tmp_path / "x.pgm", decoding), rgb(expected.astype(np.uint8)))
        (tmp_path / "x.pgm").write_bytes(content[:-1])
        with pytest.raises(DataError, match=r"x\.pgm cannot be decoded"):
            decode(tmp_path / "x.pgm")


@pytest.mark.parametrize("array", [COLOURS, GREYS, np.dstack([COLOURS, ALPHA])], ids=["rgb", "grey", "rgba"])
def test_arrays(tmp_path: Path, array: np.ndarray) -> None:
    for layout in (array, np.asfortranarray(array)):
        np.save(tmp_path / "x.npy", layout)
        assert np.array_equal(decode(tmp_path / "x.npy"), rgb(array) if array.ndim == 2 else array[..., :3])
    if array.shape[2:] == (4,):
        assert np.array_equal(decode(tmp_path / "x.npy", WHITE), over(COLOURS, ALPHA, 255))
        assert look(tmp_path / "x.npy").transparent


@pytest.mark.parametrize(
    "array",
    [np.zeros(5, np.uint8), np.zeros((4, 4), np.float32), np.zeros((3, 4, 5), np.uint8), np.zeros((0, 4), np.uint8)],
)
def test_arrays_that_are_no_images_are_named(tmp_path: Path, array: np.ndarray) -> None:
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(DataError, match=rf"x\.npy holds {array.dtype} .*an image is uint8"):
        decode(tmp_path / "x.npy")


def test_no_array_is_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([[Path("x")]]), allow_pickle=True)
    with pytest.raises(DataError, match=r"x\.npy is no readable"):
        decode(tmp_path / "x.npy")


def test_postscript_is_a_program_and_no_picture(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n")
    with pytest.raises(DataError, match=r"x\.jpg cannot be decoded"):
        decode(tmp_path / "x.jpg")


def test_what_is_nearly_white_is_lost_on_white(tmp_path: Path) -> None:
    def draw(ink: int) -> Traits:
        image = np.zeros((8, 8, 4), np.uint8)
        image[2:4] = ink, ink, ink, 255
        Image.fromarray(image).save(tmp_path / "x.png")
        return look(tmp_path / "x.png")

    assert [draw(ink).bright for ink in (0, 128, 255)] == [False, False, True]


def test_the_header_says_of_whom_pixels_have_to_be_seen(tmp_path: Path) -> None:
    needed = {}
    for mode in ("RGBA", "LA", "L", "RGB", "P"):
        image, options, *_ = with_alpha(mode)
        image.save(tmp_path / "with.png", **options)
        Image.fromarray(COLOURS).convert("RGB" if mode == "RGBA" else "L").save(tmp_path / "without.png")
        for name in ("with", "without"):
            with opened(tmp_path / f"{name}.png", name) as opened_:
                needed[mode, name] = needs_pixels(opened_)
    assert all(value == (name == "with") for (_, name), value in needed.items()), needed


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, about damaged metadata
@given(st.binary(max_size=300), st.sampled_from(["png", "jpg", "gif", "tif", "webp", "bmp", "ppm", "npy"]))
@settings(max_examples=100, deadline=None)
def test_no_bytes_lead_to_anything_but_a_picture_or_one_clear_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, kind: str
) -> None:
    path = tmp_path_factory.getbasetemp() / f"x.{kind}"
    if kind == "npy":
        np.save(path, GREYS)
    else:
        Image.fromarray(COLOURS).save(path)
    whole = bytearray(path.read_bytes())
    for place, byte in zip(content[::2], content[1::2], strict=False):
        whole[place % len(whole)] = byte
    path.write_bytes(whole)
    try:
        assert decode(path, Decoding("white", True, 12)).ndim == 3
    except DataError as error:
        said = str(error)
    else:
        said = path.name
    assert path.name in said
