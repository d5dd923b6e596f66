"""Check that a sweep's model can be fine-tuned as it asks, when the file is read."""

from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, Any

from oodbench.errors import RequestError
from oodbench.models import MODELS
from oodbench.models.spec import SEARCHED
from oodbench.optimizers import OPTIMIZERS
from oodbench.optimizers.fine_tuning import NAMES, FineTuning, ends
from oodbench.records import SCALED, canonical_json
from oodbench.spaces import Space
from oodbench.sweep.entries import ModelEntry
from oodbench.sweep.settings import Train

if TYPE_CHECKING:
    from torch import nn

LONG = 10**9
"""Steps of a run whose epochs are not counted yet: its studies check them."""
SHAPES = ((3, 224, 224), (1, 28, 28), (1,))
"""Input shapes on which a model may be built, to see what it consists of."""


def check_fine_tuning(model: ModelEntry, optimizer: str, space: Space, train: Train) -> None:
    """Raise RequestError if the model, or the optimizer, cannot be trained so.

    Args:
        model: Model of the sweep.
        optimizer: Name of the optimizer.
        space: What is searched.
        train: The training settings.
    """
    asked = {name: ends(space[name]) for name in (*NAMES, *SEARCHED) if name in space}
    if not asked and not train.wise_ft:
        return
    tunings = [dict(zip(asked, values, strict=True)) for values in product(*asked.values())]
    check_contestant(optimizer, tunings, train)
    from oodbench.training.accumulation import check_pieces
    from oodbench.training.groups import Layout

    smallest = int(min(train.batch.sizes.values))
    try:
        for tuning in tunings:
            drawn = {name: tuning[name] for name in SEARCHED if name in tuning}
            module = structure(model.name, canonical_json({**model.options, **drawn}))
            if module is None:
                return
            layout = Layout(module, tuning, train.steps or LONG)
            check_pieces(train.batch.resolve(smallest), module, layout)
    except RequestError as error:
        raise RequestError(f"model {model.name}: {error}") from error


def check_contestant(optimizer: str, tunings: list[dict[str, Any]], train: Train) -> None:
    """Raise RequestError if an optimizer, or its replicas, do not go with what is asked."""
    spec, asked = OPTIMIZERS.get(optimizer), [FineTuning.of(tuning) for tuning in tunings]
    names = list(dict.fromkeys(name for one in asked for name in one.changes(*NAMES)))
    for holds, refused, why in (
        (
            spec.parallel,
            [*names, *(["wise_ft"] if train.wise_ft else [])],
            "has replicas, which are trained as a whole",
        ),
        (
            "lr" not in spec.space,
            [name for name in names if name in (*SCALED, "linear_lr")],
            "has no learning rate",
        ),
        (
            spec.sets_lr,
            [name for name in names if name not in ("freeze", "linear_steps", "accumulate")],
            "sets one learning rate for all parameters from all of their gradients",
        ),
    ):
        if holds and refused:
            raise RequestError(f"{optimizer} {why}; leave out {', '.join(refused)}, or it.")
    if "linear_lr" in names and "linear_steps" not in names:
        raise RequestError(
            "linear_lr is the learning rate of linear steps, but there are none: write "
            "linear_steps, or leave linear_lr out."
        )


@lru_cache(maxsize=32)
def structure(
    name: str, options: str, shape: tuple[int, ...] | None = None, classes: int = 2
) -> "nn.Module | None":
    """A model without its weights; None if what it consists of is not known on this machine.

    Args:
        name: Name of the model.
        options: The options of the sweep, as JSON.
        shape: Shape of one input; None: any that it can be built on will do.
        classes: Size of the label set.

    Raises:
        Exception: Whatever its ``build`` raises on this shape, if there is one.
    """
    import json

    import torch

    from oodbench.models.head import head
    from oodbench.training.random import seeded

    spec = MODELS.get(name)
    given = {**spec.defaults, **json.loads(options)}
    given |= {k: v for k, v in (("pretrained", False), ("weights", "")) if k in given}
    with seeded(0), torch.device("meta"):
        if given.get("train") == "head":  # of features; a model of your own may have another
            return head({}, 1, classes, given) if {"dropout", "hidden"} <= given.keys() else None
        if shape is not None:
            return spec.build(shape, classes, **given)
        for known in SHAPES:
            try:
                return spec.build(known, classes, **given)
            except Exception:  # another package's model, or one whose files are elsewhere
                continue
    return None
