"""The protocol of a board in words."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from dgbench.core.cards import BoardCard
from dgbench.core.dataset_card import dataset_card
from dgbench.core.registry import StreamMode

_MODES: dict[StreamMode, str] = {
    "per_target": "",
    "episodic": ", and forgets them before the next",
    "by_class": ", one class after the other",
}
"""What is said of how it meets them."""


def protocol(card: BoardCard) -> str:
    """One paragraph: what is trained on what, and how it is tested."""
    training = card.training
    sets = "1 set of hyperparameters is tried" if card.draws == 1 else f"{card.draws} sets of hyperparameters are tried"
    datasets = " and ".join(filter(None, (", ".join(card.dataset[:-1]), card.dataset[-1])))
    kin = any(domain.family for name in card.dataset for domain in dataset_card(name).domains)
    pool = "; ".join(", ".join(rules.sources) for rules in card.cases.values() if rules.sources)
    others = f"the others{f' among {pool}' if pool else ''}{', but for those of the same family,' if kin else ''}"
    chosen = {name: rules.targets for name, rules in card.cases.items() if rules.targets}
    which = "; ".join(f"{', '.join(targets)} of {name}" for name, targets in chosen.items())
    left_out = f"Of the domains {which} each in turn" if chosen else f"Each domain of {datasets} in turn"
    if len(card.dataset) == 1 and len([*chain(*chosen.values())]) == 1:
        left_out = f"The domain {which}"
    asked = {
        "leave-one-domain-out": f"{left_out} is left out; a model learns from {others} and is tested on",
        "single-source": f"Each domain of {datasets} in turn trains alone, and its models are tested on each of the "
        "others, on",
        "fixed": f"On {datasets} models learn from fixed source domains and are tested on each target, on",
    }[card.protocol]
    if card.split.test:
        tested = f"{100 * card.split.test:g} % of it that no trial ever trains on, in any domain"
    else:
        tested = "its official test part" if card.split.official else "the whole of it"
    kept = "the official validation part" if card.split.official else f"{100 * card.split.validation:g} %"
    half = " Networks compute in bfloat16." if training.precision == "bfloat16" else ""
    shown = f"{card.stream_batch} images at a time" if card.stream_batch > 1 else "one image at a time"
    adapts = f" What adapts to the images that it predicts is shown {shown}{_MODES[card.stream_mode]}."
    adapts = adapts if "online" in card.tracks else ""
    trials = f"{card.trials} trials"
    if card.looks:
        trials += f", up to {card.most} of algorithms that are open near the top,"
    seen = "each source domain"
    if training.domains_per_step is not None:
        how = "uniformly" if training.domains_drawn == "uniform" else "by their numbers of images"
        seen = f"each of {training.domains_per_step} source domains, drawn {how} where there are more"
    return (
        f"{asked} {tested}. {trials} draw other splits, heads and batches, the same for every algorithm. "
        f"Training takes {training.steps} steps of {training.batch_per_domain} images from {seen}; {kept} "
        f"of every source domain is kept for validation, at {training.checkpoints} checkpoints{_viewed(card)}.{half}"
        f"{adapts} For every algorithm {sets}.{_unlabelled(card)}{_value(card)}{''.join(_lacking(card))}{_among(card)}"
    )


def _viewed(card: BoardCard) -> str:
    most = card.selection.views_per_domain
    by = "class" if dataset_card(card.dataset[0]).value is None else "tenths of their values"
    which = "all of them" if most == "all" else f"up to {most:,} of them, drawn by {by},"
    average = "; validation is averaged over all images of all of them" if card.selection.average == "examples" else ""
    return f"; {which} are also looked at under shifts{average}"


def _unlabelled(card: BoardCard) -> str:
    """What the track of that name sees of a target."""
    if "unlabelled" not in card.tracks:
        return ""
    which = "the very images that are tested" if card.unlabelled == "tested" else "images of it that are not tested"
    return (
        f" On the track 'unlabelled' a model also learns from its target, without labels: from {which}, as many in a "
        "step as of a source domain."
    )


def _value(card: BoardCard) -> str:
    """What is predicted, where that is a value."""
    value = dataset_card(card.dataset[0]).value
    if value is None:
        return ""
    within = f", in {value.unit}" if value.unit else ""
    return (
        f" Predicted is a value, the {value.what}{within}, by squared error; networks learn it standardised over the "
        "images that they train on."
    )


def _among(card: BoardCard) -> str:
    """Among which classes is predicted, where not among all."""
    return " Each target is predicted among the classes that it has examples of." if card.among == "present" else ""


def _lacking(card: BoardCard) -> Iterator[str]:
    """A sentence for each domain that may be tested and lacks classes: what accuracy on it is over."""
    for name in card.dataset:
        dataset = dataset_card(name)
        targets = card.cases[name].targets if name in card.cases else ()
        for domain in dataset.domains:
            if domain.without and (domain.name in targets or not targets):
                count = dataset.class_count
                yield (
                    f" Accuracy on {domain.name} is over {count - len(domain.without)} of {count} classes: it has no "
                    f"example of {', '.join(domain.without[:8])}{', ...' if len(domain.without) > 8 else ''}."
                )
