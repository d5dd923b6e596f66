"""From a sweep to its trials: what the sweep says, and what Optuna draws."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oodbench.records import Scalar
from oodbench.results import PlannedStudy
from oodbench.search import draw, grid, sobol
from oodbench.spaces import Space
from oodbench.sweep import SweepSpec, load_sweep, parse_sweep
from oodbench.sweep.settings import Search

Sweep = str | Path | Mapping[str, Any] | SweepSpec
"""A sweep file's path, what it says as a dictionary, or a checked sweep."""


@dataclass(frozen=True)
class Plan:
    """A sweep's studies with their trials, drawn but not yet stored."""

    spec: SweepSpec
    studies: tuple[PlannedStudy, ...]


def as_spec(sweep: Sweep) -> SweepSpec:
    """The checked sweep, from wherever it comes."""
    if isinstance(sweep, SweepSpec):
        return sweep
    return parse_sweep(sweep) if isinstance(sweep, Mapping) else load_sweep(sweep)


def design(space: Space, search: Search) -> list[dict[str, Scalar]]:
    """The configurations of one study, all of them, before any is trained."""
    if search.sampler == "grid":
        return grid(space, search.points or 0)
    drawing = {"random": draw, "qmc": sobol}[search.sampler]
    return drawing(space, search.trials or 0, search.seed)


def plan(sweep: Sweep) -> Plan:
    """Read a sweep file and draw its trials: the same file always gives the same ones.

    Raises:
        SweepError: If the file says something that does not hold.
    """
    spec = as_spec(sweep)
    studies = []
    for study in spec.studies():
        drawn = design(study.space, spec.search)
        trials = [
            study.trial(hparams, index, repeat)
            for repeat in range(spec.seeds)
            for index, hparams in enumerate(drawn)
        ]
        definition = study.definition
        studies.append(
            PlannedStudy(
                id=study.id,
                dataset=definition["dataset"],
                test_environments=tuple(definition["test_environments"]),
                algorithm=definition["algorithm"],
                optimizer=definition["optimizer"],
                definition=definition,
                space=definition["space"],
                sampler=spec.search.sampler,
                sampler_seed=spec.search.seed,
                facts=study.facts,
                trials=trials,
            )
        )
    return Plan(spec, tuple(studies))
