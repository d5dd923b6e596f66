"""What a dry run finds out by doing a little: do the datasets build, how long is a step."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from oodbench.data import DATASETS
from oodbench.data.cache import without_writing
from oodbench.errors import RequestError
from oodbench.optimizers import OPTIMIZERS
from oodbench.records import Trial
from oodbench.sweep import SweepSpec, parse_sweep
from oodbench.sweep.entries import AlgorithmEntry, DatasetEntry
from oodbench.sweep.plan import plan

STACKS = (1, 16)
"""Stacks of models that are timed."""


@dataclass
class Rehearsal:
    """What was found.

    Attributes:
        seconds: Dataset, algorithm -> seconds that training one model takes on ``device``, of an
            optimizer with one gradient a step.
        device: Device, such as ``cpu``; empty if nothing was timed.
        unchecked: Dataset -> why its files were not checked.
        untimed: Dataset, algorithm -> why no step was timed.
    """

    seconds: dict[tuple[str, str], float] = field(default_factory=dict)
    device: str = ""
    unchecked: dict[str, str] = field(default_factory=dict)
    untimed: dict[tuple[str, str], str] = field(default_factory=dict)


def rehearse(spec: SweepSpec, device: str = "auto") -> Rehearsal:
    """Build the datasets whose files are here, and time a step of each where no rate is given.

    Nothing is written.

    Args:
        spec: The sweep.
        device: Where to time: see ``WorkerSettings``.

    Raises:
        RequestError: If an option of a dataset says something that does not hold, or something
            that is asked for cannot be built.
    """
    spec.check_builds()
    found = Rehearsal()
    with without_writing():
        for dataset in spec.datasets:
            if why := _not_here(dataset):
                found.unchecked[dataset.name] = why
                continue
            spec.built(dataset, spec.data_seed)
            for algorithm in spec.algorithms if spec.rate is None else ():
                _time(spec, dataset, algorithm, device, found)
    return found


def _not_here(dataset: DatasetEntry) -> str:
    """Why a dataset cannot be built on this machine, or empty."""
    named = DATASETS.get(dataset.name)
    if named.source is not None:
        return "" if named.source.is_here() else "they are not on this machine"
    if named.verify is not None:
        try:
            named.verify(dataset.options)
        except RequestError as error:
            return str(error)
    return ""


def _time(
    spec: SweepSpec,
    dataset: DatasetEntry,
    algorithm: AlgorithmEntry,
    device: str,
    found: Rehearsal,
) -> None:
    from oodbench.training.sizing import measure, memory_bound
    from oodbench.workers.place import find_device
    from oodbench.workers.trial_data import tensors_for

    key = dataset.name, algorithm.name
    try:
        trial = _trial_of(spec, dataset, algorithm)
        place = find_device(device)
        data = tensors_for(trial, place)
        times = measure(trial, data, place, memory_bound(place), sizes=STACKS).seconds
    except RequestError as error:  # such as pretrained weights that are not here
        found.untimed[key] = str(error)
        return
    if times:
        gradients = OPTIMIZERS.get(trial.optimizer).evaluations
        found.seconds[key] = trial.steps * min(times.values()) / gradients
        found.device = place.type
    else:
        found.untimed[key] = f"{trial.model} is trained one model at a time"


def _trial_of(spec: SweepSpec, dataset: DatasetEntry, algorithm: AlgorithmEntry) -> Trial:
    """A trial of the first optimizer.

    Raises:
        RequestError: If features of a frozen backbone would have to be computed for it.
    """
    if spec.model.options.get("train") == "head":
        raise RequestError("features of a frozen backbone are computed before the first step")
    whole: Mapping[str, object] = spec.model_dump(mode="json", exclude_none=True)
    one = {
        "datasets": [dataset.model_dump(mode="json", exclude_none=True)],
        "algorithms": [algorithm.model_dump(mode="json", exclude_none=True)],
        "optimizers": [spec.optimizers[0].name],
        "parallel": [],
        "search": {"trials": 1},
        "data_seeds": 1,
    }
    without = {key: value for key, value in whole.items() if key != "confirm"}
    return plan(parse_sweep({**without, **one})).studies[0].trials[0]
