"""The words and numbers of a diagnosis, shared by the terminal and the page."""

from __future__ import annotations

from collections.abc import Sequence

from dgbench.diagnostics.diagnosis import Between, Diagnosis, Dimensions, Within
from dgbench.diagnostics.near_duplicates import ALIKE
from dgbench.diagnostics.sharpness import Sharpness
from dgbench.diagnostics.shift import FLOOR, TRIALS

_NOTHING = "–"

DOMAINS = ("Domain", "Images", "Dimension, MLE", "TwoNN", "Label sharpness")
FEATURES = ("Features, MLE", "Features, TwoNN")
PAIRS = (
    "Pair", "Diversity", "In all (noise)", "Correlation", "In all (noise)", "Told apart", "Priors", "Label sharpness",
    "Near-duplicates",
)  # fmt: skip

SHIFTS = (
    "Diversity: what one domain shows and the other does not. Correlation: the same is seen in both, and means other "
    f"classes. Both from 0 to 1, ± the standard deviation over {TRIALS} deals of the images, and calibrated: only "
    f"places count where two random halves of the same images come to {FLOOR} at most, so of few images they are low. "
    "In all: without that bound; the two then sum to the squared Hellinger distance. Noise: what the halves come to in "
    "all, which is the least that means anything. Classes are made equally frequent first. No backbone is trained for "
    "it: published values are those of trained ones, and do not compare."
)
APART = (
    "Told apart: the share of images whose domain a linear classifier of their 64 principal components finds in five "
    "folds; .5 is chance, 1 is every one. Priors: total variation between the frequencies of classes, over all images."
)
SHARP = (
    "Label sharpness: one over the smallest distance between images of two classes, with pixels in [0, 1]. It grows "
    "with the number of images that are looked at, and compares at one size alone."
)
DIMENSION = (
    "Dimension: in how many directions images can vary, by the distances to 20 neighbours (maximum likelihood) and to "
    "two (TwoNN). Equal images count once."
)
NEAR = (
    f"Near-duplicates: pairs with a cosine above {ALIKE}, seen from the mean of all images, among those that were "
    "looked at. 'dgbench data check' looks at all images, by other fingerprints."
)
HARD = (
    "Bits of inductive bias that it takes to generalise (Boopathy et al. 2023), for one dimension less and one more: a "
    "rough size, to compare datasets by. The resolution is the smallest distance that was seen between two classes, "
    "not one that was extrapolated to all images."
)


def looked_at(found: Diagnosis) -> str:
    """What the numbers are of."""
    by = "pixels" if found.backbone is None else f"features of {found.backbone}"
    return (
        f"{found.images:,} images of each domain at most, {found.side} x {found.side} pixels; domains are told apart "
        f"by {by}."
    )


def domain_header(found: Diagnosis) -> tuple[str, ...]:
    """Above the table of domains."""
    return DOMAINS + (FEATURES if found.backbone is not None else ())


def domain_row(one: Within) -> list[str]:
    """A domain in that table."""
    images = f"{one.images:,}" if one.images == one.of else f"{one.images:,} of {one.of:,}"
    row = [one.name, images, *_dimensions(one.dimension), _sharp(one.sharpness)]
    return row if one.feature_dimension is None else row + _dimensions(one.feature_dimension)


def pair_row(two: Between) -> list[str]:
    """A pair in the table of pairs."""
    shift = two.shift
    shifts = [_NOTHING] * 4
    if shift is not None:
        shifts = [
            f"{_share(shift.diversity)} ± {_share(shift.diversity_sd)}",
            f"{_share(shift.whole_diversity)} ({_share(shift.noise_diversity)})",
            f"{_share(shift.correlation)} ± {_share(shift.correlation_sd)}",
            f"{_share(shift.whole_correlation)} ({_share(shift.noise_correlation)})",
        ]
    apart = _NOTHING if two.told_apart is None else _share(two.told_apart)
    return [pair(two), *shifts, apart, _share(two.prior_distance), _sharp(two.sharpness), f"{two.near:,}"]


def pair(two: Between) -> str:
    """What a pair is called."""
    return f"{two.first} · {two.second}"


def difficulty(found: Diagnosis) -> str:
    """How hard it is, in a sentence."""
    if found.difficulty is None or found.difficulty.bits[1] is None:
        return "Generalisation difficulty: images differ too little to say."
    hard = found.difficulty
    below, here, above = ("none" if bits is None else f"10^{bits:.1f}" for bits in hard.bits)
    return (
        f"Generalisation difficulty: {here} bits ({below} to {above}), with {hard.dimension:.1f} ± 1 dimensions, "
        f"{hard.task.classes} classes, {hard.task.examples:,} images, radius {hard.task.radius:.3g}, resolution "
        f"{hard.task.resolution:.3g}, error {hard.task.error:g}."
    )


def contradictions(found: Diagnosis) -> list[str]:
    """Equal images with different labels, where there are any."""
    places: Sequence[tuple[str, Sharpness]] = [
        *((one.name, one.sharpness) for one in found.domains),
        *((pair(two), two.sharpness) for two in found.pairs),
    ]
    counts = [
        f"{name}: {of.contradictions:,} pairs of equal images have different labels"
        for name, of in places
        if of.contradictions
    ]
    return [f"{'; '.join(counts)}. Label sharpness leaves them out."] if counts else []


def notes(found: Diagnosis) -> list[str]:
    """How to read it."""
    between = [SHIFTS, APART] if found.pairs else []
    return [looked_at(found), *between, SHARP, DIMENSION, *([NEAR] if found.pairs else []), HARD]


def _dimensions(of: Dimensions) -> list[str]:
    both = (of.maximum_likelihood, of.two_nearest_neighbours)
    return [_NOTHING if value is None else f"{value:.1f}" for value in both]


def _sharp(of: Sharpness) -> str:
    return _NOTHING if of.value is None else f"{of.value:.3g}"


def _share(value: float) -> str:
    return f"{value:.2f}".removeprefix("0")
