"""The trials of a sweep: those it states, and those that Optuna draws."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from oodbench.records import Scalar
from oodbench.results import PlannedStudy
from oodbench.spaces import Space
from oodbench.sweep import Study, SweepSpec, load_sweep, parse_sweep
from oodbench.sweep.search import described, draw, grid, sobol
from oodbench.sweep.search.settings import Search

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
    """The configurations of one study, all of them, before any is trained.

    An adaptive search has none yet: workers add them, see ``oodbench.workers.proposing``.
    """
    if search.adaptive:
        return []
    if search.sampler == "grid":
        return grid(space, search.points or 0)
    drawing = {"random": draw, "qmc": sobol}[search.sampler]
    return drawing(space, search.drawn_first, search.seed)


def agenda(spec: SweepSpec, study: Study, drawn: int) -> dict[str, Any] | None:
    """What workers are to add to a study as results come in; None if nothing.

    Args:
        spec: The sweep.
        study: One of its studies.
        drawn: Configurations that are drawn already.
    """
    if not (spec.search.adaptive or spec.search.stop or spec.confirm):
        return None
    result: dict[str, Any] = {"seeds": spec.seeds, "data": [asdict(split) for split in study.data]}
    configurations, confirming = drawn, 0
    if spec.search.stop:
        result["stop"] = spec.search.stop
        configurations = spec.search.at_most
    if spec.search.adaptive:
        result["search"] = spec.search.asks
        configurations = spec.search.asks["trials"]
    if spec.confirm:
        result["confirm"] = spec.confirm.model_dump()
        confirming = min(spec.confirm.top, configurations) * spec.confirm.seeds
    runs = (configurations * spec.seeds + confirming) * spec.data_seeds
    return {**result, "runs": runs}


def plan(sweep: Sweep) -> Plan:
    """Read a sweep file and draw its trials: the same file always gives the same ones.

    Raises:
        SweepError: If the file says something that does not hold.
        RequestError: If something that it asks for cannot be built.
    """
    spec = as_spec(sweep)
    spec.check_builds()
    return Plan(spec, tuple(_planned(spec, study) for study in spec.studies()))


def _planned(spec: SweepSpec, study: Study) -> PlannedStudy:
    drawn = design(study.space, spec.search)
    # Each configuration is trained once before any is trained again, and all of them on one split
    # of the data before another is read; but each has its places together: so further trials move
    # none.
    splits, indices = range(spec.data_seeds), range(len(drawn))
    order = [(i, repeat, k) for k in splits for repeat in range(spec.seeds) for i in indices]
    definition = study.definition
    return PlannedStudy(
        id=study.id,
        dataset=definition["dataset"],
        test_environments=tuple(definition["test_environments"]),
        algorithm=definition["algorithm"],
        optimizer=definition["optimizer"],
        definition=definition,
        space=definition["space"],
        sampler=spec.search.sampler,
        sampler_seed=spec.search.seed,
        facts={
            **study.facts,
            **({"search": described(spec.search.sampler)} if spec.search.adaptive else {}),
        },
        trials=[study.trial(drawn[i], i, repeat, k) for i, repeat, k in order],
        agenda=agenda(spec, study, len(drawn)),
        indices=[(spec.seeds * i + repeat) * spec.data_seeds + k for i, repeat, k in order],
    )
