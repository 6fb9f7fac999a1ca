"""The card of an exported model for people, as Markdown."""

from __future__ import annotations

from dgbench.board.render.hub_results import front_matter, result
from dgbench.board.render.markdown import inline, table
from dgbench.core.names import in_short
from dgbench.exported.card import BACKBONE, HEAD, MEMORY, Expectation, Measured, ModelCard
from dgbench.selection.criteria import CRITERIA
from dgbench.selection.measures import MEASURES


def readme(card: ModelCard) -> str:
    """The page; what it says is what the card says."""
    chosen, seen, backbone = card.selection, card.preprocessing, card.backbone
    beside = card.algorithm.parts["adapter"].part == "levi"
    left_out = f"{chosen.target} was left out" if chosen.target else "no domain was left out"
    if card.algorithm.track == "unlabelled":
        left_out = f"of {chosen.target} images were seen, without their labels"
    blocks = [
        f"# {inline(card.algorithm.title)} on {inline(chosen.dataset)}",
        f"{inline(chosen.backbone)}, trained on the domains {inline(in_short(chosen.sources))}; {inline(left_out)}. "
        f"It tells {len(card.classes)} classes apart: {inline(', '.join(card.classes[:20]))}"
        f"{', ...' if len(card.classes) > 20 else ''}.",
    ]
    reached = _per_cent(chosen.headline)
    blocks += [] if card.expected is None else _expectation(card.expected, reached)
    blocks += ["## What it reached", _scores(card)]
    blocks += [
        "## How it was chosen",
        f"By the rules of the board {inline(chosen.title)} (`{chosen.board}`, version {chosen.version}, rules "
        f"{chosen.rules}), criterion `{chosen.criterion}`: {CRITERIA[chosen.criterion].description} This model's score "
        f"is {chosen.score:.4f}, in trial {chosen.trial}, draw {chosen.draw}, step {chosen.step} (run {chosen.run}, "
        f"training {chosen.training}). No label of a domain that was left out was read.",
        "## How it is used",
        "    import dgbench\n\n"
        '    model = dgbench.load("DIR")\n'
        + (
            '    stream = model.stream()\n    scores = stream.observe(model.transform("picture.jpg")[None])'
            if card.algorithm.track == "online"
            else '    scores = model(model.transform("picture.jpg")[None])'
        ),
        f"Or `dgbench predict DIR picture.jpg`. Pictures become squares of {seen.size} pixels ({seen.resize}, "
        f"bicubic), scaled to [0, 1], minus {list(seen.mean)}, divided by {list(seen.std)}; "
        f"transparency: {seen.alpha}; turned as EXIF says: {'yes' if seen.exif else 'no'}; "
        f"{seen.bits} bits of grey pictures are used.",
        f"The backbone alone, in `{BACKBONE}`: `{_built_by(card)}`. Its {backbone.features} features, computed in "
        f"{'bfloat16 as torch.autocast does' if backbone.precision == 'bfloat16' else backbone.precision}, "
        f"{'are joined with those of some blocks and of a small network, and ' if beside else ''}"
        f"{f'go through {backbone.activation}, ' if backbone.activation != 'identity' else ''}"
        f"{'are divided by their length and ' if backbone.unit else ''}go to the heads in `{HEAD}`"
        f"{f'; `{MEMORY}` holds what the predictor remembers of the source images' if MEMORY in card.files else ''}.",
        "## Terms",
        f"* data: {inline(card.licences.data)}\n* weights: {inline(card.licences.weights)}",
        "## Made with",
        "\n".join(f"* {name} {inline(version)}" for name, version in card.versions.items()),
    ]
    return f"{_block(card)}\n" + "\n\n".join(blocks) + "\n"


def _block(card: ModelCard) -> str:
    """What the Hub reads of a card: accuracies of this model alone, none of others by the same recipe."""
    chosen, scores = card.selection, card.scores
    how = {"board": chosen.board, "version": chosen.version, "rules": chosen.rules, "criterion": chosen.criterion}
    measured = [(name, "validation", each) for name, each in scores.validation.items()]
    if chosen.target and scores.target is not None:
        measured.insert(0, (chosen.target, "test", scores.target))
    measure = MEASURES[chosen.headline].title
    what = f"{measure[0].upper()}{measure[1:]}"
    words = {"validation": f"{what} on held-out images of a source domain", "test": f"{what} on the domain left out"}
    found = [
        result(
            chosen.dataset,
            domain,
            split,
            each.value,
            None if each.low is None or each.high is None else (each.low, each.high),
            words[split],
            how | {"images": each.n},
            chosen.headline,
        )
        for domain, split, each in measured
    ]
    return front_matter(f"{card.algorithm.title} on {chosen.dataset}", found, [chosen.board])


def _per_cent(headline: str) -> str:
    """What is given in per cent."""
    return "Per cent correct" if headline == "accuracy" else f"Per cent of {MEASURES[headline].title}"


def _expectation(expected: Expectation, reached: str) -> list[str]:
    unseen = expected.unseen
    lowest, highest = unseen[expected.lowest], unseen[expected.highest]
    return [
        "## What to expect on a domain never seen",
        f"**{100 * lowest.value:.1f} to {100 * highest.value:.1f} {reached[0].lower()}{reached[1:]}.** So "
        "much did models of this recipe reach on each of these domains when it was left out; the worst of them was "
        f"{inline(expected.lowest)}, the best {inline(expected.highest)}.",
        table(["Domain left out", reached, "n"], [[name, _said(m), str(m.n)] for name, m in unseen.items()]),
        f"Mean over these domains: {_said(expected.mean)}. {inline(expected.covers)}",
        "What is not promised:",
        "\n".join(f"* {inline(sentence)}" for sentence in expected.promises),
        "How algorithm and hyperparameters were chosen:",
        "\n".join(f"* {inline(sentence)}" for sentence in expected.chosen),
        table(
            ["Algorithm", "Validation score", f"{reached} on domains left out"],
            [[rival.title, f"{rival.score:.4f}", _said(rival.accuracy)] for rival in expected.rivals],
        ),
    ]


def _scores(card: ModelCard) -> str:
    scores, target = card.scores, card.selection.target
    rows = [[f"held-out images of {d}", _said(m), str(m.n), m.interval] for d, m in scores.validation.items()]
    for what, measured in (
        (f"{target}, left out", scores.target),
        (f"{target}: mean of the algorithm", scores.algorithm_on_target),
        ("all targets of the board: mean of the algorithm", scores.algorithm),
    ):
        if measured is not None:
            rows.append([what, _said(measured), str(measured.n), measured.interval])
    return table(["Domain", _per_cent(card.selection.headline), "n", "Interval"], rows)


def _said(measured: Measured) -> str:
    if measured.low is None or measured.high is None:
        return f"{100 * measured.value:.1f}"
    return f"{100 * measured.value:.1f} ({100 * measured.low:.1f} to {100 * measured.high:.1f})"


def _built_by(card: ModelCard) -> str:
    backbone = card.backbone
    given = "".join(f", {key}={value}" for key, value in backbone.options.items())
    create = {
        "timm": f'timm.create_model("{backbone.architecture}"{given})',
        "open_clip": f'open_clip.create_model("{backbone.architecture}"{given}).visual',
        "dgbench": f'dgbench.models.backbones.bare("{backbone.name}").module',
    }[backbone.library]
    return f'{create}.load_state_dict(safetensors.torch.load_file("DIR/{BACKBONE}"))'
