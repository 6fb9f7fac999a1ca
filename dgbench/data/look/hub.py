"""Looking at a dataset of the Hugging Face hub."""

from __future__ import annotations

from collections import Counter

from dgbench.core.errors import DataError
from dgbench.data.look.columns import choose_columns
from dgbench.data.look.draft import Draft, draft_card, plain_name


def look_at_hub(source: str, name: str | None, given: dict[str, str]) -> Draft:
    """A draft of the card of a hub dataset; raises DataError as :func:`dgbench.data.look.look`."""
    identity, _, revision = source.partition("@")
    try:
        import datasets
    except ImportError as error:
        raise DataError("reading from the Hugging Face hub needs the package datasets: pip install datasets") from error
    try:
        found = datasets.load_dataset(identity, revision=revision or None)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise DataError(
            f"hf://{identity}: cannot be loaded ({error}). Is the name right, and the hub within reach? Data that was "
            "fetched elsewhere can be read from its folder: dgbench data new DIR"
        ) from error
    splits = list(found)
    first = found[splits[0]]
    chosen = choose_columns(first.column_names, given, f"hf://{identity}", ("image", "label"))
    chosen.pop("split", None)  # the hub's own splits are no matter of a column
    reader = {"kind": "hub", "id": identity, "revision": revision or _commit(identity), **chosen}
    if "domain" in chosen:
        domains = dict(Counter(str(value) for split in splits for value in found[split][chosen["domain"]]))
    else:
        domains = {split: len(found[split]) for split in splits}
    label = first.features[chosen["label"]]
    classes = list(getattr(label, "names", ())) or sorted({str(v) for s in splits for v in found[s][chosen["label"]]})
    said = [f"{sum(domains.values())} rows in {identity}", *(f"{k} is the column '{v}'" for k, v in chosen.items())]
    return draft_card(name or plain_name(identity.rpartition("/")[2]), said, classes, domains, reader=reader)


def _commit(identity: str) -> str:
    """The commit that the hub's default branch points to now, so that the card names data that cannot change."""
    from huggingface_hub import HfApi

    return str(HfApi().dataset_info(identity).sha)
