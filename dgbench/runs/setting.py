"""What a training works with: its data, its network, and how the one is shown to the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import nn

from dgbench.algorithms.earlier import Said
from dgbench.core.backbone_name import parse
from dgbench.core.dataset_card import dataset_card
from dgbench.core.errors import DataError
from dgbench.core.pieces import checkpoint
from dgbench.core.registry import Slot
from dgbench.core.units import Activation
from dgbench.data.catalogue import load
from dgbench.data.domain import Images
from dgbench.data.splits import Rows
from dgbench.models.backbones import build
from dgbench.models.backbones.facts import IMAGENET
from dgbench.models.effective import head_of, load_effective
from dgbench.models.elsewhere import Elsewhere
from dgbench.models.network import Backbone, Network, placed
from dgbench.models.own_head import set_own_head
from dgbench.models.reseed import reseed
from dgbench.models.zero_shot import set_zero_shot_head
from dgbench.runs.features import FeatureBank, outlined
from dgbench.runs.parts import elsewhere, on_features, parts_of
from dgbench.runs.store import Store
from dgbench.train.evaluate import evaluating, features
from dgbench.train.parts import Parts, attach
from dgbench.train.sources import Features, Inputs, Pixels, Sources, Target, few, shown
from dgbench.train.spec import OWN_HEAD, TRAININGS, ZERO_SHOT, TrainingSpec
from dgbench.train.trajectory import Initial, StoredTrajectory, initial


class Setting:
    """What a training works with: its data, its network, and how the one is shown to the other.

    Where neither the backbone nor the images change, the network is a head, and what it sees are stored features.
    """

    def __init__(
        self, spec: TrainingSpec, parts: Parts, store: Store, device: torch.device, *, checkpointing: bool = False
    ) -> None:
        self.spec = spec
        self.parts = parts
        self.whole = elsewhere(parts)
        self.checkpointing = checkpointing
        self.store = store
        self.device = device
        self.dataset = load(spec.dataset, spec.size)
        if self.dataset.manifest != spec.manifest:
            raise DataError(
                f"the data of '{spec.dataset}' is not what training {spec.id} was planned on (manifest "
                f"{self.dataset.manifest[:12]}, planned {spec.manifest[:12]}); plan again, or restore the data"
            )
        self.bank = FeatureBank(spec, store, device, self._extractor) if on_features(parts) else None
        self.info: Backbone | None = None

    def backbone(self) -> Backbone:
        """The backbone with the weights that the training starts from, on the CPU."""
        reseed(self.spec.seed("init", self.spec.backbone))
        backbone = build(replace(parse(self.spec.backbone), checkpointing=self.checkpointing))
        for id_ in self.spec.starts_from():
            if id_ == self.spec.weights:
                past = self._stored(id_)
                state = {k.removeprefix("backbone."): t for k, t in past.at(past.steps[-1]).items()}
                backbone.module.load_state_dict({k: state[k] for k in backbone.module.state_dict()})
        self.info = replace(backbone, module=nn.Identity())
        return backbone

    def _network(self, backbone: Backbone) -> Network:
        """A network whose head starts as the spec says; random numbers do not depend on how the backbone was drawn."""
        reference = self.spec.reference
        zero_shot = reference is not None and reference.startswith(ZERO_SHOT)
        reseed(self.spec.seed("head"))
        network = self._with_head(backbone, zero_shot, self.parts.adapter.activation())
        if zero_shot:
            wording = dataset_card(self.spec.dataset).wording
            set_zero_shot_head(network, self.spec.backbone, self.dataset.classes, wording)
        elif reference is not None and reference.startswith(OWN_HEAD):
            set_own_head(network, self.spec.backbone, self.dataset.classes)
        elif reference is not None:
            past = self._stored(reference)
            probe = past.moving(checkpoint(past.steps[-1]))
            network.head.load_state_dict(head_of(probe))
        return placed(network, self.device)

    def _with_head(self, backbone: Backbone, unit: bool = False, activation: Activation = "identity") -> Network:
        """Backbone and head; it computes in the precision of the training."""
        return Network(backbone, self.dataset.outputs, unit, self.spec.precision, activation)

    def _stored(self, training: str) -> StoredTrajectory:
        """Another training, that this one starts from."""
        return stored(self.store.training(training), self.store, self.device)

    def _extractor(self) -> Network:
        """What features are stored of: never normalised nor bounded, whatever the head will want."""
        return placed(self._with_head(self.backbone()), self.device)

    def whole_network(self) -> Network:
        """Backbone and head."""
        return self._network(self.backbone())

    def initial_network(self) -> Network:
        """The network before its first step; without its backbone where that is frozen."""
        if self.whole is not None:
            seed, classes = self.spec.seed("init", self.spec.backbone), len(self.dataset.classes)
            return Elsewhere(self.whole, self.spec.size, classes, len(self.spec.sources), seed, self.device)
        if self.bank is None:
            return self.whole_network()
        return self._network(outlined(self.spec.backbone))

    def initial(self) -> Initial:
        """The weights before the first step, on the CPU."""
        network = self.initial_network()
        attach(self.spec, self.parts, network)
        return Initial(*({name: tensor.cpu() for name, tensor in state.items()} for state in initial(network)))

    def backbone_info(self) -> Backbone:
        """Name, size and number of features of the backbone."""
        if self.whole is not None:
            return Backbone(self.spec.backbone, nn.Identity(), len(self.dataset.classes), self.spec.size, *IMAGENET)
        if self.info is None:
            self.backbone()
        assert self.info is not None
        return self.info

    def sources(self) -> Sources:
        """The source domains, as images or as features."""
        return Sources(self.spec, self.dataset, self._inputs(self.spec.sources), self.device)

    def sources_to_train(self) -> Sources:
        """Likewise, as the steps of the training see them: its sampler may have heard of earlier trainings.

        Where they see images of its target, these are with them.
        """
        inputs, target = self._inputs(self.spec.shown), None
        if (unlabelled := self.spec.unlabelled) is not None:
            target = Target(unlabelled.domain, inputs[unlabelled.domain], shown(self.spec, self.dataset))
        sources = Sources(self.spec, self.dataset, inputs, self.device, target)
        if said := self.said("sampler"):
            sources.resample(self.parts.sampler, said)
        return sources

    def said(self, slot: Slot) -> list[Said]:
        """What the trainings that the part of a slot reads say of the images that train.

        An objective that sees images of the target hears of these, too.
        """
        return [self._says(id_, slot) for id_ in self.spec.parts[slot].get(TRAININGS, ())]

    def _says(self, training: str, slot: Slot) -> Said:
        spec = self.store.training(training)
        other, past = Setting(spec, parts_of(spec), self.store, self.device), self._stored(training)
        network = other.initial_network()
        load_effective(network, past.at(past.steps[-1]))
        rows = {domain.name: domain.train for domain in other.sources().domains}
        if self.spec.unlabelled is not None and slot == "objective":
            rows[self.spec.unlabelled.domain] = shown(self.spec, self.dataset)
        inputs = other._inputs(tuple(rows))
        with evaluating(network):
            found = (features(network, inputs[name], each) for name, each in rows.items())
            return [network.head(each).float().cpu() for each in found]

    def _inputs(self, names: Sequence[str]) -> dict[str, Inputs]:
        """Of whole domains."""
        domains = [self.dataset.domain(name) for name in names]
        if self.bank is None:
            kept = few(d.inputs for d in domains)
            return {d.name: Pixels(d.inputs, self.backbone_info(), self.device, resident=kept) for d in domains}
        found = self.bank.all({d.name: lambda d=d: d.inputs for d in domains})  # type: ignore[misc]
        return {name: Features(values) for name, values in found.items()}

    def inputs(self, domain: str, view: str, images: Callable[[], Images], rows: Rows | None = None) -> Inputs:
        """Images to predict, as the network sees them; ``rows`` says which of the domain's they are, if not all."""
        if self.bank is None:
            return self.pictures(images())
        return Features(self.bank.get(domain, view, images, rows))

    def pictures(self, images: Images) -> Inputs:
        """Images to predict, themselves, also where stored features stand for them otherwise."""
        return Pixels(images, self.backbone_info(), self.device, resident=False)


def stored(spec: TrainingSpec, store: Store, device: torch.device) -> StoredTrajectory:
    """A finished training, for averaging parts.

    Raises:
        DamagedError: it is not there, or not what was written.
    """
    return StoredTrajectory(
        store.folder("training", spec.id), lambda: Setting(spec, parts_of(spec), store, device).initial(), spec.average
    )
