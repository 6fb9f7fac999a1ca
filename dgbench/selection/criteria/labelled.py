"""What could be chosen with target labels. Nobody has them when choosing, so these stand apart and never rank.

``oracle`` keeps DomainBed's rule (I. Gulrajani, D. Lopez-Paz, "In Search of Lost Domain Generalization", ICLR 2021):
one query of the target for each run, at its last step; but on the whole target, where DomainBed keeps a fifth of it for
the choice. So it is no bound: an honest choice of an earlier step may lie above it. ``ceiling`` is the bound, the best
of all candidates.
"""

from __future__ import annotations

from dgbench.selection.criteria.criterion import Criterion

CEILING = Criterion(
    "ceiling",
    "ceiling",
    "Accuracy on the target domain itself, of every candidate: what no selection can exceed. It uses the labels that "
    "nobody has when a model is deployed, so it stands apart and never ranks.",
    ("target labels",),
)

ORACLE = Criterion(
    "oracle",
    "oracle",
    "Accuracy on the target domain itself, at the last step of each run, as DomainBed chooses. It uses the labels that "
    "nobody has when a model is deployed, so it stands apart and never ranks.",
    ("target labels",),
    last=True,
)
