"""Whether the scores of submitted runs are those of their measurements and predictions."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, select

from oodbench.answers import AnswerKey
from oodbench.records import Measurement, RunRecord
from oodbench.results import Database
from oodbench.results.answer_keys import read_keys
from oodbench.results.measurements import METRIC, curves
from oodbench.results.provenances import provenance_of, runs_with_origins
from oodbench.results.schema import COMPLETED, origins, predictions, runs
from oodbench.results.store import summarise
from oodbench.results.trials import run_columns, trial_of

CLOSE = 1e-6
SHOWN = 3
"""How many runs a problem names."""
DECIDED = ("id", "config_id", "cohort_key")
"""Columns that a trial decides, and that an archive may state all the same."""

Place = tuple[int, str, str, str]


def scores_that_differ(db: Database) -> tuple[list[str], list[str]]:
    """The problems with the scores of runs, and what could not be checked."""
    with db.read() as connection:
        rows = list(_rows(connection))
        measured = _measured(connection)
        kept = _predicted(connection, {row.id: row for row in rows}, measured)
        other_trials, summaries, predicted, without = [], [], [], 0
        for row in rows:
            decided = run_columns(trial_of(row))
            if any(getattr(row, name) != decided[name] for name in DECIDED):
                other_trials.append(row.id)
            if row.state != COMPLETED:
                continue
            record = RunRecord(
                trial_of(row), row.state, "", tuple(measured[row.id]), provenance_of(row)
            )
            if not _same(summarise(record), row.summary):
                summaries.append(row.id)
            if row.id not in kept:
                without += 1
            elif kept[row.id] > CLOSE:
                predicted.append(row.id)
    said = {
        "have another id than their trial": other_trials,
        "have scores that are not the means of their measurements": summaries,
        "have scores that their predictions do not give": predicted,
    }
    problems = [f"{_runs(ids)} {what}: {_named(ids)}." for what, ids in said.items() if ids]
    notes = [f"{without:,} runs have no predictions to score"] if without else []
    return problems, notes


def _rows(connection: Connection) -> Iterator[Any]:
    return iter(connection.execute(select(runs, origins.c.shared).select_from(runs_with_origins)))


def _measured(connection: Connection) -> "defaultdict[str, list[Measurement]]":
    found: defaultdict[str, list[Measurement]] = defaultdict(list)
    for row in connection.execute(select(curves).order_by(curves.c.run_id, curves.c.idx)):
        value = math.nan if row.value is None else row.value
        found[row.run_id].append(
            Measurement(row.step, row.environment, row.split, row.role, row.metric, value, row.n)
        )
    return found


def _predicted(
    connection: Connection, known: Mapping[str, Any], measured: Mapping[str, list[Measurement]]
) -> dict[str, float]:
    """Run -> the largest difference between a stored score and that of its predictions."""
    keys, found = read_keys(connection), dict[str, float]()
    for row in connection.execute(select(predictions).where(predictions.c.packed.is_not(None))):
        step = known[row.run_id].summary.get(row.checkpoint, {}).get("step")
        stored = {
            (m.step, m.environment, m.split, m.role): m.value
            for m in measured.get(row.run_id, ())
            if m.metric == METRIC
        }
        try:
            scored = _accuracies(keys[row.key_id], row.packed)
        except (KeyError, ValueError):
            worst = math.inf
        else:
            pairs = ((stored.get((step, *place)), value) for place, value in scored.items())
            worst = max((math.inf if a is None else abs(a - b) for a, b in pairs), default=math.inf)
        found[row.run_id] = max(worst, found.get(row.run_id, 0.0))
    return found


def _accuracies(key: AnswerKey, packed: bytes) -> dict[tuple[str, str, str], float]:
    """Environment, split and role -> the accuracy of what was predicted."""
    right, start, found = key.unpack(packed) == key.labels, 0, {}
    for split in key.splits:
        place = split.environment, split.split, split.role
        found[place] = float(right[start : start + split.size].mean())
        start += split.size
    return found


def _same(one: Any, other: Any) -> bool:
    """Whether two summaries are one, but for the last digits."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[k], other[k]) for k in one)
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) < CLOSE
    return bool(one == other)


def _runs(ids: list[str]) -> str:
    return f"{len(ids):,} run{'s'[: len(ids) > 1]}"


def _named(ids: list[str]) -> str:
    return ", ".join(ids[:SHOWN]) + (", ..." if len(ids) > SHOWN else "")
