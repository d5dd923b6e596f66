"""Whether submitted studies are those of the protocol: search spaces, draws, budget, data."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from oodbench.algorithms import ALGORITHMS
from oodbench.optimizers import OPTIMIZERS
from oodbench.records import PROTOCOL, Trial
from oodbench.results import Database
from oodbench.results.queries.testbeds import testbed_of
from oodbench.results.schema import CONFIRM, predictions, runs, studies, study_trials, sweeps
from oodbench.results.trials import TRIAL, trial_of
from oodbench.spaces import parse
from oodbench.sweep.plan import design
from oodbench.sweep.search.settings import Search
from oodbench.sweep.study import Data, Study

Cell = tuple[str, str, tuple[int, ...]]
"""Testbed, algorithm and test environments."""


@dataclass(frozen=True)
class Stated:
    """A study as a database states it.

    Attributes:
        name: Where and what, in words.
        sweep: Name of its sweep, and ``spec`` what the sweep says.
        testbed: See ``oodbench.results.queries.testbeds``.
        definition: See ``oodbench.sweep.study``.
        facts: See there.
        runs: Place in the order of draws -> id of the run.
        trials: Id of the run -> its trial.
        keys: Ids of the answer keys of its predictions, of each data seed.
    """

    name: str
    sweep: str
    spec: Mapping[str, Any]
    testbed: str
    definition: Mapping[str, Any]
    facts: Mapping[str, Any]
    runs: Mapping[int, str]
    trials: Mapping[str, Trial]
    keys: Mapping[int, frozenset[str]]

    @property
    def optimizer(self) -> str:
        """Name of the optimizer."""
        return str(self.definition["optimizer"])

    @property
    def cell(self) -> Cell:
        """What it is compared on."""
        where = tuple(self.definition["test_environments"])
        return self.testbed, str(self.definition["algorithm"]), where

    @property
    def data(self) -> dict[int, set[str]]:
        """Data seed -> fingerprints of the data."""
        found = defaultdict(set)
        for trial in self.trials.values():
            found[trial.data_seed].add(trial.fingerprint)
        return dict(found)


@dataclass(frozen=True)
class Known:
    """What the leaderboard has.

    Attributes:
        studies: The studies of each cell.
    """

    studies: Mapping[Cell, tuple[Stated, ...]]

    @property
    def testbeds(self) -> set[str]:
        """Those that have studies."""
        return {cell[0] for cell in self.studies}


def submitted(db: Database) -> list[Stated]:
    """The studies of a database, in order."""
    with db.read() as connection:
        kinds = {
            row.id: row
            for row in connection.execute(
                select(studies, sweeps.c.name, sweeps.c.spec).join_from(studies, sweeps)
            )
        }
        trials = {row.id: trial_of(row) for row in connection.execute(select(runs.c.id, *TRIAL))}
        places: defaultdict[str, dict[int, str]] = defaultdict(dict)
        for link in connection.execute(
            select(study_trials).where(study_trials.c.sampler != CONFIRM)
        ):
            places[link.study_id][link.idx] = link.run_id
        keys = dict(connection.execute(select(predictions.c.run_id, predictions.c.key_id)).all())
    return [_stated(row, places[name], trials, keys) for name, row in kinds.items()]


def known_studies(db: Database, testbeds: Collection[str]) -> list[Stated]:
    """The studies of these testbeds."""
    return [study for study in submitted(db) if study.testbed in testbeds]


def together(found: Collection[Stated]) -> Known:
    """What the leaderboard has, of studies."""
    cells: defaultdict[Cell, list[Stated]] = defaultdict(list)
    for study in found:
        cells[study.cell].append(study)
    return Known({cell: tuple(some) for cell, some in cells.items()})


def study_problems(found: Collection[Stated], known: Known) -> tuple[list[str], list[str]]:
    """The problems with these studies, and what could not be checked."""
    problems, notes = list[str](), list[str]()
    for study in found:
        problems += [f"{study.name}: {text}." for text in _design(study)]
        others = known.studies.get(study.cell, ())
        if study.testbed not in known.testbeds:
            notes.append(f"{study.name}: a testbed that the leaderboard does not have yet")
        elif not others:
            notes.append(f"{study.name}: test environments or an algorithm that it does not have")
        else:
            problems += [f"{study.name}: {text}." for text in _protocol(study, others)]
        if study.optimizer not in OPTIMIZERS.names():
            notes.append(
                f"{study.name}: its search space is its own: {_written(study.definition['space'])}"
            )
    problems += _missing_cells(found, known)
    return problems, list(dict.fromkeys(notes))


def _stated(
    row: Any, places: Mapping[int, str], trials: Mapping[str, Trial], keys: Mapping[str, str]
) -> Stated:
    said = row.definition
    bed = testbed_of(said)
    of_split: defaultdict[int, set[str]] = defaultdict(set)
    for run in places.values():
        if run in keys:
            of_split[trials[run].data_seed].add(keys[run])
    where = ", ".join(map(str, said.get("test_environments", ())))
    name = f"{row.optimizer} with {row.algorithm} on {row.dataset} (tested on {where or 'its own'})"
    return Stated(
        *(name, row.name, row.spec, bed, said, row.facts, places),
        {run: trials[run] for run in places.values()},
        {split: frozenset(some) for split, some in of_split.items()},
    )


def _design(study: Stated) -> Iterator[str]:
    """What differs between its runs and what its search draws."""
    protocols = {trial.protocol for trial in study.trials.values()} - {PROTOCOL}
    if protocols:
        yield f"runs of the protocol {', '.join(sorted(protocols))}, not of {PROTOCOL}"
        return
    try:
        search = Search.model_validate(study.spec["search"])
        expected = _drawn(study, search)
    except (KeyError, TypeError, ValueError, AssertionError) as error:
        yield f"its sweep does not say what it draws ({str(error).splitlines()[0]})"
        return
    if search.adaptive:
        yield f"drawn by {search.sampler}: the leaderboard takes random, qmc or grid"
        return
    wrong = [run for place, run in study.runs.items() if expected.get(place) != run]
    if lacking := len(expected.keys() - study.runs.keys()):
        yield f"{lacking:,} of the {len(expected):,} runs that its search draws are missing"
    if wrong:
        yield (
            f"{len(wrong):,} runs are not what its search draws there: {', '.join(wrong[:3])}"
            f"{', ...' if len(wrong) > 3 else ''}"
        )


def _drawn(study: Stated, search: Search) -> dict[int, str]:
    """Place -> id of the run that the search means there."""
    seeds, splits = int(study.spec.get("seeds", 1)), int(study.spec.get("data_seeds", 1))
    first = int(study.definition["data_seed"])
    content = study.data
    data = [Data(next(iter(content.get(first + k, {""}))), 0, 0) for k in range(splits)]
    meant = Study.stored(study.sweep, [vars(one) for one in data], study.definition, study.facts)
    if meant.train.steps is None:
        raise ValueError("training in epochs is not checked; state steps")
    drawn = design(meant.space, search)
    return {
        (seeds * i + repeat) * splits + k: meant.trial(values, i, repeat, k).id
        for i, values in enumerate(drawn)
        for repeat in range(seeds)
        for k in range(splits)
    }


def _protocol(study: Stated, others: Collection[Stated]) -> Iterator[str]:
    """What differs from the leaderboard's studies on the same test environments."""
    first = next(iter(others))
    for name in ("sampler", "search_seed"):
        if study.definition.get(name) != first.definition.get(name):
            yield (
                f"{name.replace('_', ' ')} {study.definition.get(name)}, where the leaderboard has "
                f"{first.definition.get(name)}: the draws are not paired"
            )
    fewest = min(len(other.runs) for other in others)
    if len(study.runs) < fewest:
        yield f"{len(study.runs):,} runs, where the leaderboard's budget is {fewest:,}"
    for split, content in study.data.items():
        if split in first.data and content != first.data[split]:
            yield f"other data than the leaderboard's (data seed {split})"
        if split in first.keys and not study.keys.get(split, frozenset()) <= first.keys[split]:
            yield f"predictions of other examples or labels than the leaderboard's (split {split})"
    yield from _spaces(study, others)


def _spaces(study: Stated, others: Collection[Stated]) -> Iterator[str]:
    """Ranges that differ from the protocol's: the leaderboard's own, or this oodbench's."""
    mine = study.definition["space"]
    for other in others:
        if other.optimizer == study.optimizer:
            meant = other.definition["space"]
            break
    else:
        algorithm = set(ALGORITHMS.get(study.cell[1]).space)
        meant = {k: v for k, v in next(iter(others)).definition["space"].items() if k in algorithm}
        if study.optimizer in OPTIMIZERS.names():
            own = OPTIMIZERS.get(study.optimizer).space
            meant |= {name: what.to_yaml() for name, what in own.items()}
        else:
            meant |= {k: v for k, v in mine.items() if k not in algorithm}
    for name in sorted(mine.keys() | meant.keys()):
        if _range(mine.get(name)) != _range(meant.get(name)):
            yield (
                f"the search space of {name} is {mine.get(name, 'absent')}, where the protocol has "
                f"{meant.get(name, 'none')}"
            )


def _range(text: Any) -> Any:
    return None if text is None else parse(text)


def _written(space: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {what}" for name, what in space.items())


def _missing_cells(found: Collection[Stated], known: Known) -> Iterator[str]:
    """Test environments of a testbed that an optimizer of the submission leaves out."""
    there: defaultdict[tuple[str, str, str], set[tuple[int, ...]]] = defaultdict(set)
    for study in found:
        testbed, algorithm, where = study.cell
        there[testbed, algorithm, study.optimizer].add(where)
    for (testbed, algorithm, optimizer), places in there.items():
        wanted = {cell[2] for cell in known.studies if cell[:2] == (testbed, algorithm)}
        if lacking := wanted - places:
            which = ", ".join("+".join(map(str, one)) for one in sorted(lacking))
            name = f"{optimizer} with {algorithm}"
            yield f"{name}: no runs tested on {which}, unlike the leaderboard."
