"""Scores that rest on single environments: what two of the selection rules read.

Both are of a run at its checkpoint. ``worst_group_val`` is its smallest accuracy on the validation
part of a training environment. ``leave_one_environment_out`` is the mean, over its training
environments, of the accuracy on that environment's validation part of the run that differs from it
only in leaving that environment out as well: same hyperparameters, same seed, one more test
environment.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Select, and_, exists, func, select

from oodbench.metrics import WORST
from oodbench.records import canonical_json
from oodbench.results.connection.database import Database
from oodbench.results.expressions import environments_text
from oodbench.results.measurements import METRIC, curves
from oodbench.results.schema import COMPLETED, runs, studies, study_trials
from oodbench.results.select import LeftOut, left_out_mean
from oodbench.results.sweeps.lookup import chunks
from oodbench.results.trials import TRIAL, trial_of

if TYPE_CHECKING:
    import pandas as pd


def environment_scores(
    connection: Connection, checkpoint: str, chosen: Select[Any]
) -> dict[str, Mapping[str, float]]:
    """Both scores of the ``chosen`` runs, by run; a run that lacks one is not there.

    Args:
        checkpoint: Which checkpoint of a run is scored, one of ``CHECKPOINT_RULES``.
        chosen: A select of their ids. The runs that leave one more environment out are looked for
            among all of the database.
    """
    return {
        "worst_group_val": worst_group_val(connection, checkpoint, chosen),
        "leave_one_environment_out": leave_one_environment_out(connection, checkpoint, chosen),
    }


def environment_accuracies(
    db: Database, checkpoint: str, ids: Sequence[str] | None = None
) -> "pd.DataFrame":
    """The accuracy of completed runs on the test examples of each environment, at a checkpoint.

    Args:
        checkpoint: One of ``CHECKPOINT_RULES``.
        ids: Ids of the only runs to read.

    Returns:
        ``run``, and a column for each name of an environment; NaN where a run was not scored.
    """
    import pandas as pd

    from oodbench.results.frames import frame_of

    def scores(connection: Connection, role: str) -> "pd.Series[float]":
        measured, parts = _measured(checkpoint, role), [*chunks(ids or [])] or [[]]
        of = [measured.where(curves.c.run_id.in_(some)) for some in parts]
        of = [measured] if ids is None else of
        table = pd.concat([frame_of(connection.execute(each), ["value"]) for each in of])
        return table.set_index(["run", "environment"])["value"]

    with db.read() as connection:
        first, second = (scores(connection, role) for role in ("id_test", "ood_test"))
    return first.combine_first(second).unstack().rename_axis(columns=None).reset_index()


def worst_group_val(
    connection: Connection, checkpoint: str, chosen: Select[Any]
) -> Mapping[str, float]:
    """Run -> its smallest validation accuracy over training environments, or over groups.

    Where the dataset has published splits with groups, these are meant.
    """
    measured = _measured(checkpoint, "id_val", (METRIC, WORST))
    at = measured.where(runs.c.id.in_(chosen)).subquery()
    smallest = (
        select(at.c.run, at.c.metric, func.min(at.c.value).label("value"))
        .group_by(at.c.run, at.c.metric)
        .having(func.count() == func.count(at.c.value))  # none is null: not finite
    )
    found: dict[str, dict[str, float]] = {METRIC: {}, WORST: {}}
    for run, metric, value in connection.execute(smallest):
        found[metric][run] = value
    return found[METRIC] | found[WORST]


def leave_one_environment_out(
    connection: Connection, checkpoint: str, chosen: Select[Any]
) -> Mapping[str, float]:
    """Run -> the mean accuracy of its siblings, each on the environment that it leaves out too."""
    leaving_out = select(study_trials.c.run_id).join(studies)
    two = environments_text(studies.c.test_environments).contains(",")
    if not connection.scalar(select(exists().where(two))):  # which spares a look at every run
        return {}
    several = runs.c.id.in_(leaving_out.where(two))
    left_out: dict[LeftOut, float] = {}
    siblings = {row.id: row for row in _configurations(connection, several)}
    if not siblings:
        return {}
    at = _measured(checkpoint, "oracle_val").where(several, runs.c.state == COMPLETED)
    for row in connection.execute(at):
        if row.run in siblings and row.value is not None:
            sibling = siblings[row.run]
            index = sibling.facts["environments"].index(row.environment)
            key = _configuration(sibling), _tested(sibling), index
            left_out[key] = math.nan if key in left_out else row.value  # which one is not known
    found = {}
    for row in _configurations(connection, runs.c.id.in_(chosen)):
        apart = row.facts.get("apart", ())  # nothing is trained on these
        environments = [i for i, _ in enumerate(row.facts["environments"]) if i not in apart]
        score = left_out_mean(left_out, _configuration(row), _tested(row), environments)
        if score is not None and not math.isnan(score):
            found[row.id] = score
    return found


def _measured(checkpoint: str, role: str, metrics: Collection[str] = (METRIC,)) -> Select[Any]:
    """The scores of completed runs on each environment with this role, at their checkpoint."""
    point, step = curves.c, runs.c.summary[(checkpoint, "step")].as_integer()
    return (
        select(point.run_id.label("run"), point.environment, point.metric, point.value)
        .join(runs, and_(runs.c.id == point.run_id, point.step == step))
        .where(point.role == role, point.metric.in_(metrics))
    )


def _configurations(connection: Connection, which: Any) -> Iterable[Any]:
    """Completed runs with their trial, and facts of a study that knows its environments' names."""
    studied = (
        select(studies.c.facts)
        .join(study_trials, study_trials.c.study_id == studies.c.id)
        .where(study_trials.c.run_id == runs.c.id)
        .order_by(studies.c.created, studies.c.position, studies.c.id)
        .limit(1)
        .correlate(runs)
        .scalar_subquery()
    )
    statement = select(runs.c.id, *TRIAL, studied.label("facts"))
    rows = connection.execute(statement.where(runs.c.state == COMPLETED, which))
    return [row for row in rows if row.facts and row.facts.get("environments")]


def _configuration(row: Any) -> str:
    """What siblings share: all but the test environments.

    DomainBed derives the training seed from them, so it is not shared by imported siblings.
    """
    trial = trial_of(row)
    own = ("seed", "imported") if trial.imported else ()
    free = ("test_environments", *own)
    return canonical_json({k: v for k, v in trial.to_json().items() if k not in free})


def _tested(row: Any) -> frozenset[int]:
    return frozenset(row.test_environments)
