"""Leave-one-domain-out validation: how good a recipe is on a source domain that it has not seen.

I. Gulrajani, D. Lopez-Paz, "In Search of Lost Domain Generalization", ICLR 2021. With D the source domains of a target,
and a_d(s) the accuracy on d, at step s, of a training like the candidate's that learnt from D without d alone::

    lodo         1/|D| sum_d a_d(s)               at the step of the candidate
    lodo_last    1/|D| sum_d a_d(last)            of the last step of each training; no other is a candidate

in [0, 1]. What is chosen learnt from all of D, at the same step as its judges. The first chooses hyperparameters and a
step, as the paper's code does; the second hyperparameters alone.

Both cost |D| further trainings on |D| - 1 domains for each training of the board. Where a recipe has its own
hyperparameters, two targets share a judge: what leaves out the target u and the source d is what leaves out the target
d and the source u, so n domains of which each is a target cost n(n-1)/2 further trainings for n. Hyperparameters that
are drawn differ from target to target, so there it is n(n-1). Trainings of other targets, which are there anyway, are
no judges: they have the target among their sources, so what they say rests on labels that nobody has.

Deviations: d is tested whole, as targets are, where the code keeps a fifth of it apart. Where a board keeps a part of
each domain for testing, it is the validation part of d. Domains of one family are left out together. Ties go to the
earliest step and the lowest draw, as everywhere here.
"""

from __future__ import annotations

from dgbench.selection.criteria.criterion import Criterion

LODO = Criterion(
    "lodo",
    "leave-one-domain-out validation",
    "Mean over source domains of the accuracy that a further model reaches on one: it was trained alike, for as many "
    "steps, on the other source domains.",
    ("domain trainings",),
)

LODO_LAST = Criterion(
    "lodo_last",
    "leave-one-domain-out validation, last step",
    "The same of the last step of each training, which alone may be chosen: hyperparameters are, and no steps.",
    ("domain trainings",),
    last=True,
)
