"""Check that what a sweep asks for can be built, when it is read and not by failed runs.

Each optimizer and algorithm is built at the ends of its ranges, and each model without its weights.
"""

from collections.abc import Mapping
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any

from oodbench.algorithms import ALGORITHMS
from oodbench.algorithms.spec import Setup
from oodbench.errors import RequestError
from oodbench.models import MODELS
from oodbench.optimizers import OPTIMIZERS
from oodbench.optimizers.fine_tuning import ends
from oodbench.records import Scalar, canonical_json
from oodbench.spaces import Space, parse
from oodbench.sweep.fine_tuning import LONG, structure

if TYPE_CHECKING:
    from oodbench.sweep.entries import AlgorithmEntry, ModelEntry
    from oodbench.sweep.settings import Train

MOST_PARAMETERS = 10**10
"""Maximum parameters of a model and its replicas: with Adam they take 160 GB."""
MOST_INPUTS = 2**34
"""Bytes of the inputs of a batch; what a model makes of them takes many times as much."""


def corners(space: Space) -> list[dict[str, Scalar]]:
    """Configurations that together have both ends of each range and each value of each choice."""
    values = {name: ends(what) for name, what in space.items()}
    count = max(map(len, values.values()), default=1)
    return [{name: v[min(i, len(v) - 1)] for name, v in values.items()} for i in range(count)]


def check_optimizer_builds(name: str, space: Space) -> None:
    """Raise RequestError if an optimizer cannot be built, and take a step, somewhere in its space.

    Args:
        name: Name of the optimizer, or of one with replicas.
        space: What is searched for it, and for its algorithm.
    """
    own = {key: space[key].to_yaml() for key in OPTIMIZERS.get(name).space}
    _optimizer_builds(name, canonical_json(own))


@lru_cache(maxsize=256)
def _optimizer_builds(name: str, space: str) -> None:
    import torch

    from oodbench.training.groups import Group, built
    from oodbench.training.random import seeded

    spec = OPTIMIZERS.get(name)
    for hparams in corners(_parsed(space)):
        matrix, vector = torch.ones(2, 2, requires_grad=True), torch.ones(2, requires_grad=True)
        matrix.grad, vector.grad = torch.ones(2, 2), torch.ones(2)
        groups, given = [Group((0, 1))], [[matrix, vector]]
        if spec.hidden_apart:
            groups = [Group((0,), hidden=True), Group((1,), hidden=False)]
            given = [[matrix], [vector]]
        try:
            with seeded(0):
                optimizer = built(spec, groups, given, hparams)
                if spec.evaluations == 1:
                    optimizer.step()
        except Exception as error:  # whatever another package finds wrong
            raise _cannot_be_built(f"optimizer {name}", hparams, error) from error


def check_algorithm_builds(algorithm: "AlgorithmEntry", space: Space, train: "Train") -> None:
    """Raise RequestError if an algorithm cannot be built somewhere in its space."""
    spec = ALGORITHMS.get(algorithm.name)
    own = {key: space[key].to_yaml() for key in spec.space}
    given = canonical_json(own), canonical_json(algorithm.options)
    _algorithm_builds(algorithm.name, *given, train.steps or LONG, train.label_smoothing or 0.0)


@lru_cache(maxsize=256)
def _algorithm_builds(name: str, space: str, options: str, steps: int, smoothing: float) -> None:
    import json

    import torch

    given = torch.device("cpu"), torch.float32, smoothing
    for hparams in corners(_parsed(space)):
        try:
            ALGORITHMS.get(name)(Setup([hparams], steps, *given), json.loads(options))
        except Exception as error:  # a user's own may raise anything
            raise _cannot_be_built(f"algorithm {name}", hparams, error) from error


def check_model_builds(
    model: "ModelEntry", shape: tuple[int, ...], classes: int, train: "Train", replicas: int
) -> None:
    """Raise RequestError if a model cannot be built, or no machine holds it with its batches.

    Args:
        model: Model of the sweep.
        shape: Shape of one input.
        classes: Size of the label set.
        train: The training settings.
        replicas: The most that an optimizer has.
    """
    spec, options = MODELS.get(model.name), canonical_json(model.options)
    try:
        module = structure(model.name, options, shape, classes)
    except Exception as error:
        if spec.reads or "meta" in str(error):  # files that may be elsewhere, or it needs weights
            return
        raise _cannot_be_built(f"model {model.name}", model.options, error) from error
    count = replicas * sum(p.numel() for p in module.parameters()) if module else 0
    if count > MOST_PARAMETERS:
        raise RequestError(
            f"model {model.name} with {_told(model.options)} has {count:,} parameters"
            f"{f' on {replicas} replicas' if replicas > 1 else ''}, but at most "
            f"{MOST_PARAMETERS:,} can be trained; make it smaller."
        )
    size = int(max(train.batch.sizes.values))
    if 4 * size * prod(shape) > MOST_INPUTS:
        raise RequestError(
            f"batch: {size:,} inputs of the shape {shape} take {4 * size * prod(shape):,} bytes, "
            f"but at most {MOST_INPUTS:,} can be trained on at once; lower the batch size."
        )


def _parsed(space: str) -> Space:
    import json

    return {name: parse(text) for name, text in json.loads(space).items()}


def _told(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}: {value}" for name, value in values.items()) or "its defaults"


def _cannot_be_built(owner: str, values: Mapping[str, Any], error: Exception) -> RequestError:
    problem = str(error).strip().split("\n")[0] or type(error).__name__
    return RequestError(f"{owner} cannot be built with {_told(values)}: {problem.rstrip('.')}.")
