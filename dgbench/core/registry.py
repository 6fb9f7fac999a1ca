"""Which parts and which builders of datasets exist. Names map to lazy targets, so knowing one costs no import of torch.

A file names a part or a builder by its name alone; which code that is, is said here, or by an installed package. Those
of other packages join through entry points: parts in the group ``dgbench.parts`` as ``slot.name``, builders in the
group ``dgbench.builders``, and whole algorithms in the group ``dgbench.domainbed`` (``core/elsewhere.py``)::

    [project.entry-points."dgbench.parts"]
    "objective.focal" = "my_package.focal:Focal"

    [project.entry-points."dgbench.builders"]
    rings = "my_package.rings:build"
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
from collections.abc import Callable
from typing import Any, Literal, get_args

from dgbench.core.errors import CardError, RecipeError, UnknownNameError

Slot = Literal["sampler", "adapter", "objective", "optimizer", "averaging", "predictor"]
SLOTS: tuple[Slot, ...] = get_args(Slot)

Track = Literal["inductive", "online", "unlabelled"]
TRACKS: tuple[Track, ...] = get_args(Track)
"""What an algorithm is told of its target before it predicts an image: nothing; the images that it was shown before, or
together with it; or, while it learns, images without their labels. Each is ranked for itself."""
StreamMode = Literal["per_target", "episodic", "by_class"]
"""How a predictor meets a set of images: in an order that is drawn, reset before the set; reset before each batch as
well; or reset before the set, and shown one class after the other."""

ELSEWHERE = "domainbed"
"""What the parts of a whole algorithm from elsewhere are called in specs: no card can name them."""

_HERE = "dgbench.algorithms"
_ELSEWHERE: dict[str, str] = {
    "adapter": f"{_HERE}.elsewhere:ItsOwnWeights",
    "objective": f"{_HERE}.elsewhere:ItsOwnUpdate",
    "optimizer": f"{_HERE}.elsewhere:ItsOwnOptimizers",
}
BUILT_IN: dict[Slot, dict[str, str]] = {
    "sampler": {
        "balanced": f"{_HERE}.samplers.balanced:Balanced",
        "class_balanced": f"{_HERE}.samplers.class_balanced:ClassBalanced",
        "crafted": f"{_HERE}.samplers.crafted:Crafted",
        "edge_views": f"{_HERE}.samplers.edge_views:EdgeViews",
        "useful": f"{_HERE}.samplers.useful:Useful",
    },
    "adapter": {
        "full": f"{_HERE}.adapters.full:Full",
        "linear_probe": f"{_HERE}.adapters.linear_probe:LinearProbe",
        "lora": f"{_HERE}.adapters.lora:LoRA",
        "pego": f"{_HERE}.adapters.pego:PEGO",
        "soma": f"{_HERE}.adapters.soma:SoMA",
        "coop": f"{_HERE}.adapters.coop:CoOp",
        "msgcoop": f"{_HERE}.adapters.msgcoop:MSGCoOp",
        "clip_lora": f"{_HERE}.adapters.clip_lora:CLIPLoRA",
        "both_towers": f"{_HERE}.adapters.both_towers:BothTowers",
        "last_blocks": f"{_HERE}.adapters.last_blocks:LastBlocks",
        "domain_heads": f"{_HERE}.adapters.domain_heads:DomainHeads",
        "levi": f"{_HERE}.adapters.levi:LEVI",
        "bounded": f"{_HERE}.adapters.bounded:Bounded",
        "divdis": f"{_HERE}.adapters.divdis:DivDisHeads",
        "mtl": f"{_HERE}.adapters.mtl:MTLHead",
        "rfc": f"{_HERE}.adapters.rfc:RFC",
        "as_is": f"{_HERE}.adapters.as_is:AsIs",
        "rfc_heads": f"{_HERE}.adapters.rfc_heads:RFCHeads",
    },
    "objective": {
        "cross_entropy": f"{_HERE}.objectives.cross_entropy:CrossEntropy",
        "squared_error": f"{_HERE}.objectives.squared_error:SquaredError",
        "irm": f"{_HERE}.objectives.irm:IRM",
        "vrex": f"{_HERE}.objectives.vrex:VREx",
        "coral": f"{_HERE}.objectives.coral:CORAL",
        "groupdro": f"{_HERE}.objectives.groupdro:GroupDRO",
        "eqrm": f"{_HERE}.objectives.eqrm:EQRM",
        "fishr": f"{_HERE}.objectives.fishr:Fishr",
        "dann": f"{_HERE}.objectives.dann:DANN",
        "cdann": f"{_HERE}.objectives.cdann:CDANN",
        "transfer": f"{_HERE}.objectives.transfer:Transfer",
        "adrmx": f"{_HERE}.objectives.adrmx:ADRMX",
        "trm": f"{_HERE}.objectives.trm:TRM",
        "urm": f"{_HERE}.objectives.urm:URM",
        "sagnet": f"{_HERE}.objectives.sagnet:SagNet",
        "ps_kd": f"{_HERE}.objectives.ps_kd:PSKD",
        "miro": f"{_HERE}.objectives.miro:MIRO",
        "local_mean_teacher": f"{_HERE}.objectives.local_mean_teacher:LocalMeanTeacher",
        "selfreg": f"{_HERE}.objectives.selfreg:SelfReg",
        "cad": f"{_HERE}.objectives.cad:CAD",
        "condcad": f"{_HERE}.objectives.condcad:CondCAD",
        "drm": f"{_HERE}.objectives.drm:DRM",
        "mtl": f"{_HERE}.objectives.mtl:MTL",
        "mmd": f"{_HERE}.objectives.mmd:MMD",
        "sd": f"{_HERE}.objectives.sd:SD",
        "ib_erm": f"{_HERE}.objectives.ib_erm:IBERM",
        "ib_irm": f"{_HERE}.objectives.ib_irm:IBIRM",
        "hgp": f"{_HERE}.objectives.hgp:HGP",
        "hessian_diagonal": f"{_HERE}.objectives.hessian_diagonal:HessianDiagonal",
        "iga": f"{_HERE}.objectives.iga:IGA",
        "rdm": f"{_HERE}.objectives.rdm:RDM",
        "rsc": f"{_HERE}.objectives.rsc:RSC",
        "inter_domain_mixup": f"{_HERE}.objectives.inter_domain_mixup:InterDomainMixup",
        "lisa": f"{_HERE}.objectives.lisa:LISA",
        "label_kernel_mixup": f"{_HERE}.objectives.label_kernel_mixup:LabelKernelMixup",
        "causirl": f"{_HERE}.objectives.causirl:CausIRL",
        "domain_penalisation": f"{_HERE}.objectives.domain_penalisation:DomainPenalisation",
        "knn_nll": f"{_HERE}.objectives.knn_nll:KNNLikelihood",
        "levi": f"{_HERE}.objectives.levi:LEVILoss",
        "edge_branch": f"{_HERE}.objectives.edge_branch:EdgeBranch",
        "contrastive": f"{_HERE}.objectives.contrastive:Contrastive",
        "itta": f"{_HERE}.objectives.itta:ITTALoss",
        "divdis": f"{_HERE}.objectives.divdis:DivDis",
        "dbat": f"{_HERE}.objectives.dbat:DBAT",
        "rss": f"{_HERE}.objectives.rss:RSS",
        "rfc_discovery": f"{_HERE}.objectives.rfc_discovery:RFCDiscovery",
        "rfc_synthesis": f"{_HERE}.objectives.rfc_synthesis:RFCSynthesis",
    },
    "optimizer": {
        "adamw": f"{_HERE}.optimizers.adamw:AdamW",
        "sgd": f"{_HERE}.optimizers.sgd:SGD",
        "sam": f"{_HERE}.optimizers.sam:SAM",
        "asam": f"{_HERE}.optimizers.asam:ASAM",
        "gsam": f"{_HERE}.optimizers.gsam:GSAM",
        "sagm": f"{_HERE}.optimizers.sagm:SAGM",
        "gam": f"{_HERE}.optimizers.gam:GAM",
        "fad": f"{_HERE}.optimizers.fad:FAD",
        "disam": f"{_HERE}.optimizers.disam:DISAM",
        "gsam_disam": f"{_HERE}.optimizers.disam:GSAMDISAM",
        "sagm_disam": f"{_HERE}.optimizers.disam:SAGMDISAM",
        "udim": f"{_HERE}.optimizers.udim:UDIM",
        "udim_sagm": f"{_HERE}.optimizers.udim:UDIMSAGM",
        "udim_gam": f"{_HERE}.optimizers.udim:UDIMGAM",
        "udim_released": f"{_HERE}.optimizers.udim_released:UDIMReleased",
        "and_mask": f"{_HERE}.optimizers.and_mask:ANDMask",
        "sand_mask": f"{_HERE}.optimizers.sand_mask:SANDMask",
        "arm_bn": f"{_HERE}.optimizers.arm_bn:ARMBN",
        "fish": f"{_HERE}.optimizers.fish:Fish",
        "mldg": f"{_HERE}.optimizers.mldg:MLDG",
    },
    "averaging": {
        "last": f"{_HERE}.averaging.last:Last",
        "best": f"{_HERE}.averaging.best:Best",
        "ema": f"{_HERE}.averaging.ema:EMA",
        "swad": f"{_HERE}.averaging.swad:SWAD",
        "swa": f"{_HERE}.averaging.swa:SWA",
        "sma": f"{_HERE}.averaging.sma:SMA",
        "lawa": f"{_HERE}.averaging.lawa:LAWA",
        "soup": f"{_HERE}.averaging.soup:Soup",
        "ensemble": f"{_HERE}.averaging.ensemble:Ensemble",
        "cooked": f"{_HERE}.averaging.cooked:COOkeD",
        "wise_ft": f"{_HERE}.averaging.wise_ft:WiSEFT",
        "wise_ft_layers": f"{_HERE}.averaging.wise_ft_layers:WiSEFTLayers",
        "wise_ft_fisher": f"{_HERE}.averaging.wise_ft_fisher:WiSEFTFisher",
        "wise_ft_sparse": f"{_HERE}.averaging.wise_ft_sparse:WiSEFTSparse",
    },
    "predictor": {
        "argmax": f"{_HERE}.predictors.argmax:Argmax",
        "value": f"{_HERE}.predictors.value:Value",
        "drm": f"{_HERE}.predictors.drm:DRMSteering",
        "mtl": f"{_HERE}.predictors.mtl:MTLMarginal",
        "divdis": f"{_HERE}.predictors.divdis:DivDisChoice",
        "edge_branch": f"{_HERE}.predictors.edge_branch:BothBranches",
        "adanpc": f"{_HERE}.predictors.adanpc:AdaNPC",
        "t3a": f"{_HERE}.predictors.t3a:T3A",
        "naive_bayes": f"{_HERE}.predictors.naive_bayes:NaiveBayes",
        "lame": f"{_HERE}.predictors.lame:LAME",
        "tent_head": f"{_HERE}.predictors.tent_head:TentHead",
        "tent_bn": f"{_HERE}.predictors.tent_bn:TentBN",
        "pl_head": f"{_HERE}.predictors.pl_head:PLHead",
        "tast": f"{_HERE}.predictors.tast:TAST",
        "tast_bn": f"{_HERE}.predictors.tast_bn:TASTBN",
        "drm_retrain": f"{_HERE}.predictors.drm_retrain:DRMRetraining",
        "drm_full": f"{_HERE}.predictors.drm_full:DRMFull",
        "adanpc_bn": f"{_HERE}.predictors.adanpc_bn:AdaNPCBN",
        "bn_adapt": f"{_HERE}.predictors.bn_adapt:BNAdapt",
        "tent": f"{_HERE}.predictors.tent:Tent",
        "pl": f"{_HERE}.predictors.pl:PL",
        "shot_im": f"{_HERE}.predictors.shot_im:SHOTIM",
        "itta": f"{_HERE}.predictors.itta:ITTA",
    },
}

BUILDERS: dict[str, str] = {
    "colored-mnist": "dgbench.data.sets.colored_mnist:build",
    "digits": "dgbench.data.sets.digits:build",
    "emoji": "dgbench.data.sets.emoji:build",
    "glyphs": "dgbench.data.sets.glyphs:build",
    "letters": "dgbench.data.sets.letters:build",
    "mnist-cifar": "dgbench.data.sets.mnist_cifar:build",
    "multicolor-mnist": "dgbench.data.sets.multicolor_mnist:build",
    "rotated-mnist": "dgbench.data.sets.rotated_mnist:build",
    "slabs-lms-5": "dgbench.data.sets.slabs:build_lms_5",
    "slabs-ms-5-7": "dgbench.data.sets.slabs:build_ms_5_7",
    "turned-digits": "dgbench.data.sets.turned_digits:build",
}
"""Functions that make a dataset: of nothing, or of a folder of files (and options)."""


@functools.cache
def targets(slot: Slot) -> dict[str, str]:
    """Name -> ``module:Class`` of every part of a slot, built in or installed."""
    found = dict(BUILT_IN[slot])
    for entry in _installed("dgbench.parts"):
        entry_slot, _, name = entry.name.partition(".")
        if entry_slot not in SLOTS or not name:
            raise RecipeError(
                f"entry point '{entry.name}' of group dgbench.parts must be named 'slot.name', "
                f"with a slot of {', '.join(SLOTS)}"
            )
        if entry_slot == slot:
            if name in found:
                raise RecipeError(f"two packages register {slot} '{name}': {found[name]} and {entry.value}")
            found[name] = entry.value
    return found


@functools.cache
def _installed(group: str) -> importlib.metadata.EntryPoints:
    """What other packages register; looking through all that is installed takes a while, so it is done once."""
    return importlib.metadata.entry_points(group=group)


@functools.cache
def load(slot: Slot, name: str) -> type[Any]:
    """The class of a part.

    Raises:
        UnknownNameError: no part of that slot has that name.
        RecipeError: the target cannot be imported or is not a part of that slot.
    """
    known = {**targets(slot), **({ELSEWHERE: _ELSEWHERE[slot]} if slot in _ELSEWHERE else {})}
    if name not in known:
        raise UnknownNameError(f"{slot} part", name, targets(slot))
    module, _, attribute = known[name].partition(":")
    try:
        part = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise RecipeError(f"{slot} '{name}' is registered as {known[name]}, which cannot be loaded: {error}") from error
    if getattr(part, "slot", None) != slot:
        raise RecipeError(f"{slot} '{name}' ({known[name]}) does not fill that slot: derive it from the slot's class")
    return part  # type: ignore[no-any-return]


def name_of(part: Any) -> str:
    """The name of a part: the reverse of :func:`load`."""
    return next(name for name in targets(part.slot) if load(part.slot, name) is type(part))


@functools.cache
def builders() -> dict[str, str]:
    """Name -> ``module:function`` of every builder, dgbench's own or installed."""
    found = dict(BUILDERS)
    for entry in _installed("dgbench.builders"):
        if entry.name in found:
            raise CardError(f"two packages register the builder '{entry.name}': {found[entry.name]} and {entry.value}")
        found[entry.name] = entry.value
    return found


@functools.cache
def classes() -> dict[str, str]:
    """Name -> ``module:Class`` of the whole algorithms that installed packages register."""
    found: dict[str, str] = {}
    for entry in _installed("dgbench.domainbed"):
        if found.setdefault(entry.name, entry.value) != entry.value:
            raise RecipeError(f"two packages register the class '{entry.name}': {found[entry.name]} and {entry.value}")
    return found


def load_builder(name: str) -> Callable[..., Any]:
    """The function that is registered under a name.

    Raises:
        UnknownNameError: none is.
        CardError: its target cannot be imported, or is no function.
    """
    known = builders()
    if name not in known:
        raise UnknownNameError("builder", name, known)
    module, _, attribute = known[name].partition(":")
    try:
        builder = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise CardError(
            f"the builder '{name}' is registered as {known[name]}, which cannot be loaded: {error}"
        ) from error
    if not callable(builder):
        raise CardError(f"the builder '{name}' is registered as {known[name]}, which is no function")
    return builder  # type: ignore[no-any-return]
