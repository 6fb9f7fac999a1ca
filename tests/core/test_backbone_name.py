"""Names of backbones: read, printed, refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dgbench.core.backbone_name import PACKAGED, BackboneName, parse
from dgbench.core.errors import DGBenchError, UnknownNameError

words = st.text("abcxyz_0123", min_size=1, max_size=8)
sizes = st.none() | st.integers(8, 1024)
patterns = st.none() | st.sampled_from([r"blocks\.[0-3]\.", "(patch_embed|blocks\\.0)", "a{1,2}b", "x,y"])
shares = st.floats(0.001, 1, allow_nan=False)
statistics = st.tuples(st.tuples(shares, shares, shares), st.tuples(shares, shares, shares))
normalizations = st.sampled_from(["auto", "imagenet", "clip", "half"]) | statistics
pieces = st.sampled_from([*" a/\\'\"()=,#~.αé", "''", ", size=9", ")", "頁", "sha256:"])
lines = st.lists(pieces, min_size=1, max_size=12).map("".join).filter(str.strip)
"""What a path can be: with spaces, quotes, commas, equals signs, brackets, backslashes, any script."""
places = st.sampled_from([".", "model", "state_dict.module.encoder_q", "0.a b", "x,y=1"])


@st.composite
def backbone_names(draw: st.DrawFn) -> BackboneName:
    options: dict[str, Any] = {"size": draw(sizes), "normalize": draw(normalizations), "freeze": draw(patterns)}
    family = draw(st.sampled_from(["packaged", "timm", "open_clip", "dgbench"]))
    if family == "packaged":
        return BackboneName(family, draw(st.sampled_from(PACKAGED)), **options)
    if draw(st.booleans()):
        own = {"weights": draw(lines), "under": draw(st.none() | places), "pretrained_on": draw(st.none() | lines)}
        return BackboneName(family, draw(words), **own, **options)
    last = "task" if family == "dgbench" else "tag"
    return BackboneName(family, draw(words), **{last: draw(st.none() | words)}, **options)


@given(backbone_names())
@example(BackboneName("timm", "0", weights="'", pretrained_on="'"))
@example(BackboneName("timm", "0", weights='"a', under='"'))
@example(BackboneName("timm", "0", weights="a", under="b,", pretrained_on="c, d"))
def test_the_canonical_name_reads_as_the_same_backbone(name: BackboneName) -> None:
    assert parse(name.canonical) == name
    assert parse(name.canonical).canonical == name.canonical


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("efficientnet-lite0", BackboneName("packaged", "efficientnet-lite0")),
        ("timm:resnet50", BackboneName("timm", "resnet50")),
        ("timm:resnet50.a1_in1k", BackboneName("timm", "resnet50", tag="a1_in1k")),
        ("open_clip:ViT-B-16/openai", BackboneName("open_clip", "ViT-B-16", tag="openai")),
        ("dgbench:vit-micro@letters", BackboneName("dgbench", "vit-micro", task="letters")),
        ("mobilenet-v2( size = 64 )", BackboneName("packaged", "mobilenet-v2", size=64)),
        (
            r"timm:x(freeze='blocks\.(0|1)\.', size=96, normalize=clip)",
            BackboneName("timm", "x", size=96, normalize="clip", freeze=r"blocks\.(0|1)\."),
        ),
        ("timm:x(freeze=a{1,2}b, size=96)", BackboneName("timm", "x", size=96, freeze="a{1,2}b")),
        ("timm:x()", BackboneName("timm", "x")),
        ("timm:x(weights=~/my nets/a.pth)", BackboneName("timm", "x", weights="~/my nets/a.pth")),
        (
            "timm:x(weights='my nets, size=9/it''s (α).pth', pretrained_on=\"'real' photos, 2,000\", under=model.)",
            BackboneName(
                "timm", "x", weights="my nets, size=9/it's (α).pth", pretrained_on="'real' photos, 2,000", under="model"
            ),
        ),
        (r"timm:x(weights=C:\nets\a, b.pth, size=96)", BackboneName("timm", "x", weights=r"C:\nets\a, b.pth", size=96)),
        (
            "timm:x(normalize=0.5/0.25 0.5 1)",
            BackboneName("timm", "x", normalize=((0.5, 0.5, 0.5), (0.25, 0.5, 1.0))),
        ),
    ],
)
def test_examples(text: str, expected: BackboneName) -> None:
    assert parse(text) == expected


def test_options_have_one_order_and_defaults_go_unsaid() -> None:
    assert parse("timm:x(normalize=half,size=96)").canonical == "timm:x(size=96, normalize=half)"
    assert parse("timm:x(normalize=auto)").canonical == "timm:x"


def test_checkpointing_changes_no_number_and_so_no_identity() -> None:
    name = parse("timm:x(checkpointing=true)")
    assert name.checkpointing
    assert name.canonical == "timm:x"


def test_without_its_task_a_backbone_keeps_its_options() -> None:
    assert parse("dgbench:vit-micro@letters(size=32)").without_task().canonical == "dgbench:vit-micro(size=32)"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("efficientnet-lite", "named 'efficientnet-lite'. Did you mean 'efficientnet-lite0'"),
        ("tim:resnet50", "family of backbones named 'tim'. Did you mean 'timm'"),
        ("timm:resnet50(sice=64)", "option of a backbone named 'sice'. Did you mean 'size'"),
        ("timm:resnet50(normalize=Clip)", "normalize: expected one of auto, imagenet, clip, half, got 'Clip'"),
        ("timm:resnet50(normalize=1/2/3)", "normalize: could not convert string to float: '2/3'"),
        ("timm:resnet50(normalize=128/64)", "expected a mean in [0, 1] and a standard deviation in (0, 1]"),
        ("timm:resnet50(normalize=0.5/0)", "a standard deviation in (0, 1]"),
        ("timm:resnet50(normalize=0.5 0.5/0.5)", "for each of three channels, got [0.5, 0.5]"),
        ("timm:resnet50.a1_in1k(weights=a.pth)", "it names two sets of weights, 'a1_in1k' and weights=a.pth"),
        ("dgbench:vit-micro@letters(weights=a.pth)", "it names two sets of weights, 'letters' and weights=a.pth"),
        ("efficientnet-lite0(weights=a.pth)", "name the network: timm:NAME(weights=PATH)"),
        ("timm:resnet50(pretrained_on=photos)", "pretrained_on=photos speaks of weights of your own"),
        ("timm:resnet50.a1_in1k(under=model)", "under=model speaks of weights of your own"),
        ("timm:resnet50(weights='')", "expected option=value"),
        ("timm:resnet50(size=big)", "size: expected a number of pixels from 8 to 4096, got 'big'"),
        ("timm:resnet50(size=4)", "from 8 to 4096, got '4'"),
        ("timm:resnet50(size)", "cannot read 'size', expected option=value"),
        ("timm:resnet50(size=64, size=96)", "'size' is given twice"),
        ("timm:resnet50(freeze=(a)", "freeze: '(a' is no regular expression"),
        ("timm:resnet50(checkpointing=yes)", "checkpointing: expected true or false, got 'yes'"),
        ("timm:resnet50 large", "cannot read the backbone 'timm:resnet50 large'"),
        ("timm:", "expected timm:NAME"),
        ("open_clip:ViT-B-16/", "expected open_clip:NAME or open_clip:NAME/..."),
        ("timm:resnet50@letters", "'@' names a task of dgbench's own backbones"),
        ("", "cannot read the backbone ''"),
    ],
)
def test_what_cannot_be_meant_is_one_clear_error(text: str, words: str) -> None:
    with pytest.raises(DGBenchError) as error:
        parse(text)
    assert words in str(error.value)


def test_an_unknown_backbone_is_shown_how_names_look() -> None:
    with pytest.raises(UnknownNameError, match="timm:NAME"):
        parse("resnet50")
