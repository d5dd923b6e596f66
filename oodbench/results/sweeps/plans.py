"""What is asked of ``add_sweep``, and what it answers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from oodbench.records import Trial


@dataclass(frozen=True)
class PlannedStudy:
    """A study to add, with its trials in the order in which they were drawn.

    Attributes:
        id: A hash of what defines it, its sweep's name included.
        dataset: Name of the dataset.
        test_environments: Indices of the environments kept out of training.
        algorithm: Algorithm, such as ``erm``.
        optimizer: Optimizer, such as ``adam``.
        definition: All that the sweep says of it.
        space: Its search space, as YAML has it.
        sampler: Who draws: ``random``, ``tpe``, ...
        sampler_seed: Seed of the draws.
        facts: What analysis needs to know of it: ``optimizer_kind``, ``chance``, ``shift``,
            ``num_classes``, ``metric``.
        trials: The trials.
        agenda: What workers are to add as results come in, see ``workers.proposing``: ``seeds``
            for each configuration; ``data`` (fingerprint, examples, environments) of each split;
            ``search`` (trials, startup, cohort), if adaptive; ``confirm`` (top, by, seeds), if
            asked for; ``runs``: how many the study will have in the end. None if nothing is to be
            added.
        indices: Place of each trial in the order of draws, where that is not the order here or
            these are not all of them.
    """

    id: str
    dataset: str
    test_environments: tuple[int, ...]
    algorithm: str
    optimizer: str
    definition: Mapping[str, Any]
    space: Mapping[str, Any]
    sampler: str
    sampler_seed: int
    facts: Mapping[str, Any]
    trials: Sequence[Trial]
    agenda: Mapping[str, Any] | None = None
    indices: Sequence[int] | None = None

    def drawn(self) -> Iterator[tuple[int, Trial]]:
        """The trials, each with its place in the order of draws."""
        places = range(len(self.trials)) if self.indices is None else self.indices
        return zip(places, self.trials, strict=True)


def splits_of(agenda: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The ``data`` of an agenda, a row a split; those of older databases have one alone."""
    data = agenda["data"]
    return [data] if isinstance(data, Mapping) else list(data)


def runs_of_each(agenda: Mapping[str, Any]) -> int:
    """How many runs a configuration has: one for each training seed on each split."""
    return int(agenda["seeds"]) * len(splits_of(agenda))


def in_turn(plan: Sequence[PlannedStudy]) -> dict[str, Trial]:
    """The trials in the order in which they wait: one of each study with the same data in turn.

    So a sweep that is stopped has as many of each optimizer; and trials of one seed, which see the
    same batches, are trained together.
    """
    by_data: dict[Any, list[Sequence[Trial]]] = {}
    for study in plan:
        for first in study.trials[:1]:
            by_data.setdefault((first.fingerprint, first.test_environments), []).append(
                study.trials
            )
    turns = (turn for studies in by_data.values() for turn in zip_longest(*studies))
    return {trial.id: trial for turn in turns for trial in turn if trial is not None}


@dataclass(frozen=True)
class AddedSweep:
    """What adding a sweep changes, counted in runs. Equal trials are one run.

    Attributes:
        studies: Studies in the plan.
        runs: Runs in the plan: ``new_runs + known_runs + later_runs``.
        new_runs: The runs that the database lacked.
        known_runs: The runs that the database had already, in any state.
        stored_runs: The known runs that are finished: they are not trained again.
        later_runs: The runs that workers will add later: an adaptive search, or confirmed winners.
    """

    studies: int
    runs: int
    new_runs: int
    known_runs: int
    stored_runs: int
    later_runs: int = 0
