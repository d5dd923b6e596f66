"""Which parameters of a model are trained, from which step on, and in which groups."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from oodbench.errors import RequestError
from oodbench.models.parts import Part, parts
from oodbench.optimizers.fine_tuning import BLOCKS, FineTuning
from oodbench.optimizers.spec import HParams, OptimizerSpec
from oodbench.records import SCALED

BODY = "body."
"""Before the names that a backbone's own authors gave, once for each layer around it."""


@dataclass(frozen=True)
class Group:
    """Parameters that an optimizer treats alike.

    Attributes:
        positions: Positions of the group's parameters among the model's.
        lr_scale: Their learning rate is the optimizer's times this.
        decays: Whether they have its weight decay.
        hidden: See ``Part.hidden``; None: nobody asked.
        lr: Their learning rate in place of the optimizer's, times ``lr_scale``.
    """

    positions: tuple[int, ...]
    lr_scale: float = 1.0
    decays: bool = True
    hidden: bool | None = None
    lr: float | None = None

    @property
    def plain(self) -> bool:
        """Whether the group has no settings of its own."""
        own = self.hidden is not None or self.lr is not None
        return self.lr_scale == 1 and self.decays and not own

    def asked(self, parameters: list[Tensor]) -> dict[str, Any]:
        """The group as torch's optimizers take it."""
        given = {"hidden": self.hidden, "lr": self.lr}
        own = {name: value for name, value in given.items() if value is not None}
        return {"params": parameters, "lr_scale": self.lr_scale, "decays": self.decays, **own}


class Layout:
    """The parts of models of one shape, and when each is trained.

    Args:
        module: One of the models.
        hparams: Hyperparameters of one of them. All are trained alike; learning rates may differ.
        steps: Steps of their runs.

    Attributes:
        parts: Parts of each parameter.
        since: Step from which each parameter is trained; None: never.
        order: Positions of the parameters such that those of a group lie together; as they are if
            nothing is asked.
        stages: Step -> positions of what is trained from that step on.
        linear_steps, accumulate: See ``FineTuning``.

    Raises:
        RequestError: If what is asked cannot be done with this model, or in so many steps.
    """

    def __init__(self, module: nn.Module, hparams: HParams, steps: int) -> None:
        self.parts, tuning = parts(module), FineTuning.of(hparams)
        check(self.parts, tuning, steps)
        self.linear_steps, self.accumulate = tuning.linear_steps, tuning.accumulate
        self.since = since(self.parts, tuning, steps)
        self.order = sorted(range(len(self.parts)), key=partial(self._place, hparams))
        starts = sorted({step for step in self.since if step is not None})
        self.stages = {start: frozenset(self._trained(start)) for start in starts}

    def _place(self, hparams: HParams, position: int) -> tuple[Any, ...]:
        part, start = self.parts[position], self.since[position]
        decays = part.kind not in FineTuning.of(hparams).no_decay
        apart = (part.depth, part.place == "head") if set(SCALED) & set(hparams) else ()
        return start is None, start or 0, decays, *apart

    def _trained(self, step: int) -> list[int]:
        return [i for i, start in enumerate(self.since) if start is not None and start <= step]

    def groups(self, tuning: FineTuning, hidden_apart: bool, step: int) -> list[Group]:
        """The groups of one model's optimizer that is built before this step.

        In the linear steps it is given the head alone, else all that is ever trained.

        Args:
            tuning: The model's own.
            hidden_apart: Matrices and convolutions between the first layer and the head are in
                groups of their own.
            step: Steps taken before.
        """
        found: dict[tuple[tuple[float, bool, bool | None], int], list[int]] = {}
        linear = step < self.linear_steps
        lr = tuning.linear_lr if linear else None
        for i in self.order:
            start = self.since[i]
            if start is None or (linear and start >= self.linear_steps):
                continue
            part = self.parts[i]
            of = part.hidden if hidden_apart else None
            scale = lr_scale(part, self.depth, tuning) if lr is None else 1.0
            key = scale, part.kind not in tuning.no_decay, of
            # What is not trained yet has no gradient: no group is in part without.
            joins = start if tuning.unfreeze_at else 0
            found.setdefault((key, joins), []).append(i)
        return [Group(tuple(own), *key, lr) for (key, _), own in found.items()]

    @property
    def depth(self) -> int:
        """The depth of the head, which is the largest."""
        return max(part.depth for part in self.parts)


def lr_scale(part: Part, depth: int, tuning: FineTuning) -> float:
    """What a part's learning rate is multiplied by, in a model of so many parts above the stem."""
    own = tuning.head_lr if part.place == "head" else 1.0
    return own * float(tuning.layer_decay ** (depth - part.depth))


def since(found: Sequence[Part], tuning: FineTuning, steps: int) -> list[int | None]:
    """The step from which each parameter is trained; None for those never trained."""
    depth, last = max(part.depth for part in found), tuning.first_step_of_all(steps)
    frozen = {i for word in tuning.freeze for i in matched(found, word)}

    def start(part: Part) -> int:
        if part.place == "head" or not last:
            return 0
        if tuning.linear_steps:
            return last
        return round(last * (depth - part.depth) / depth)

    return [None if i in frozen else start(part) for i, part in enumerate(found)]


def matched(found: Sequence[Part], word: str) -> list[int]:
    """Positions of the parameters that a word of ``freeze`` means."""
    blocks = BLOCKS.fullmatch(word)
    if blocks:
        first, last = int(blocks[1]), int(blocks[2] or blocks[1])
        wanted = [p.place == "block" and first < p.depth <= last + 1 for p in found]
    elif word in ("embedding", "stem", "head"):
        wanted = [p.place == ("head" if word == "head" else "stem") for p in found]
    else:
        wanted = [any(fnmatchcase(name, word) for name in names_of(p)) for p in found]
    return [i for i, one in enumerate(wanted) if one]


def names_of(part: Part) -> list[str]:
    """The whole name of a parameter, and that which its authors gave."""
    own = part.name
    while own.startswith(BODY):
        own = own.removeprefix(BODY)
    return [part.name, own]


def check(found: Sequence[Part], tuning: FineTuning, steps: int) -> None:
    """Raise RequestError if this cannot be done with a model of such parts, in so many steps."""
    depth = max(part.depth for part in found)
    for name in tuning.changes("layer_decay", "unfreeze_at", "linear_steps"):
        if depth == 0:
            raise RequestError(
                f"{name}: {getattr(tuning, name)} needs a model with parts below its head, but "
                f"this one is a head alone; leave {name} out, or train the whole model (in model, "
                "train: all)."
            )
    tuning.check_steps(steps)
    if tuning.unfreeze_at and tuning.linear_steps:
        raise RequestError(
            "unfreeze_at and linear_steps both say from when on the body is trained; write one."
        )
    for word in tuning.freeze:
        if not matched(found, word):
            raise RequestError(f"freeze: {word} matches no parameter; {listing(found)}.")
        blocks = BLOCKS.fullmatch(word)
        if blocks and not matched(found, f"block {blocks[2] or blocks[1]}"):
            raise RequestError(f"freeze: {word} names blocks that are not there; {listing(found)}.")
    if all(start != 0 for start in since(found, tuning, steps)):
        raise RequestError(
            f"freeze: {', '.join(tuning.freeze)} leaves nothing to train in the first step; leave "
            "a part of the model out of it."
        )


def listing(found: Sequence[Part]) -> str:
    """The parts that a model has."""
    places = {part.place for part in found}
    last = max((part.depth for part in found if part.place == "block"), default=0) - 1
    has = ["stem"] if "stem" in places else []
    has += [f"blocks 0-{last}" if last else "block 0"] if "block" in places else []
    return f"the model has {', '.join([*has, 'head'])}, and names such as {names_of(found[0])[1]}"


def built(
    spec: OptimizerSpec, groups: Sequence[Group], given: Sequence[list[Tensor]], hparams: HParams
) -> Optimizer:
    """An optimizer of these groups, whose parameters are ``given``.

    A schedule, and what divides weight decay, find each group's own learning rate and decay there.
    """
    if len(groups) == 1 and groups[0].plain:
        return spec(given[0], hparams)
    optimizer = spec([g.asked(params) for g, params in zip(groups, given, strict=True)], hparams)
    for group in optimizer.param_groups:
        group["lr"] *= group["lr_scale"]
        if "weight_decay" in group and not group["decays"]:
            group["weight_decay"] = 0.0
    return optimizer
