"""Storing what came of runs, and reading one back."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, func, select, update

from oodbench.errors import QueryError
from oodbench.records import MEASURED, OOD_TEST, STATUSES, Measurement, RunRecord
from oodbench.results.answer_keys import put_predictions
from oodbench.results.connection.database import Database
from oodbench.results.measurements import METRIC, curves, put_curves
from oodbench.results.provenances import provenance_of, put_provenances, runs_with_origins
from oodbench.results.queue import Claim, held, lock_runs
from oodbench.results.schema import COMPLETED, now, origins, runs
from oodbench.results.trials import trial_of


def store_runs(db: Database, results: Sequence[tuple[Claim, RunRecord]]) -> list[str]:
    """Store finished runs with their measurements and predictions, all in one transaction.

    Returns:
        Ids of the runs that were refused, for another worker has them now or has stored them.
    """
    refused, rows, predicted = [], [], []
    with db.write() as connection:
        lock_runs(connection, held([claim for claim, _ in results]))
        provenances = put_provenances(connection, [finite(r.provenance) for _, r in results])
        for (claim, record), provenance in zip(results, provenances, strict=True):
            finishing = (
                update(runs)
                .where(held([claim]))
                .values(
                    state=record.status,
                    reason=record.reason,
                    summary=summarise(record),
                    **provenance,
                    lease=None,
                    finished=now(),
                )
            )
            if connection.execute(finishing).rowcount == 1:
                rows += [curve_row(claim.run, item) for item in record.measurements]
                predicted.append((claim.run, record.predictions))
            else:
                refused.append(claim.run)
        put_curves(connection, rows)
        put_predictions(connection, predicted)
    return refused


def summarise(record: RunRecord) -> dict[str, dict[str, Any]]:
    """The scores that selection reads, for each checkpoint rule.

    Each holds the ``step`` and, for each role, the unweighted mean over environments and, as
    ``n_<role>``, the number of examples; those that all environments share count once. None: not
    known. ``targets`` and ``n_targets`` hold them of each target, by its name; over several targets
    there is a mean only if the provenance has ``mean_of_targets``. ``best_id_val`` is the
    checkpoint with the highest ``id_val``, the earliest of equal ones. Only a completed run has
    scores: what a diverged one had before may not be selected.
    """
    checkpoints = _checkpoints(record) if record.status == COMPLETED else []
    if not checkpoints:
        return {}
    summary = {"last": checkpoints[-1]}
    rated = [scores for scores in checkpoints if scores.get("id_val") is not None]
    if rated:
        summary["best_id_val"] = max(rated, key=lambda scores: scores["id_val"])
    return summary


def _checkpoints(record: RunRecord) -> list[dict[str, Any]]:
    """One dictionary of scores for each step, in order."""
    # The same examples in every environment are no more evidence than in one.
    count = max if record.provenance.get("shared_examples") else sum
    targets = record.provenance.get("targets", ())
    groups: dict[int, dict[str, list[Measurement]]] = defaultdict(lambda: defaultdict(list))
    for item in record.measurements:
        if item.metric == METRIC and item.role != MEASURED:
            groups[item.step][item.role].append(item)
    result = []
    for step in sorted(groups):
        scores: dict[str, Any] = {"step": step}
        for role, items in groups[step].items():
            if role == OOD_TEST and targets:
                mine = [item for item in items if item.environment in targets]
                scores["targets"] = {item.environment: finite(item.value) for item in mine}
                scores["n_targets"] = {item.environment: item.n or None for item in mine}
                if len(items) > 1 and not record.provenance.get("mean_of_targets"):
                    continue
            scores[role] = finite(sum(item.value for item in items) / len(items))
            known = all(item.n > 0 for item in items)
            scores[f"n_{role}"] = count(item.n for item in items) if known else None
        result.append(scores)
    return result


def load_run(db: Database, run: str) -> RunRecord:
    """A finished run as it was stored, except that infinities come back as NaN.

    Args:
        run: The run's id, or enough of its beginning.

    Raises:
        QueryError: If no run or several begin so, or the run is not finished.
    """
    with db.read() as connection:
        found = select(runs, origins.c.shared).select_from(runs_with_origins)
        row = connection.execute(found.where(runs.c.id == find_run(connection, run))).one()
        measured = select(curves).where(curves.c.run_id == row.id).order_by(curves.c.idx)
        measurements = tuple(_measurement(item) for item in connection.execute(measured))
    if row.state not in STATUSES:
        raise QueryError(f"Run {row.id} has no result yet: it is {row.state}. Wait for its worker.")
    return RunRecord(trial_of(row), row.state, row.reason, measurements, provenance_of(row))


def find_run(connection: Connection, run: str) -> str:
    """The id of the run that begins with ``run``.

    Raises:
        QueryError: If there is none, or more than one.
    """
    beginning = func.substr(runs.c.id, 1, len(run))  # with LIKE, SQLite would ignore case
    alike = select(runs.c.id).where(beginning == run)
    found: list[str] = list(connection.scalars(alike.order_by(runs.c.id).limit(4)))
    if run in found or (len(found) == 1 and run):
        return found[0]
    if not found:
        raise QueryError(f"No run has an id that begins with {run!r}; list them with a query.")
    raise QueryError(
        f"Several runs have an id that begins with {run!r}: {', '.join(found)}. "
        "Give more of the id."
    )


def curve_row(run: str, item: Measurement) -> dict[str, Any]:
    return {"run_id": run, **vars(item), "value": finite(item.value)}


def _measurement(row: Any) -> Measurement:
    value = math.nan if row.value is None else row.value
    return Measurement(row.step, row.environment, row.split, row.role, row.metric, value, row.n)


def finite(value: Any) -> Any:
    """The value with None for what is not finite, which neither JSON nor every database has."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value
