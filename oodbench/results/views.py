"""The views: what users may read in SQL, and what ``query`` reads too.

``v_runs`` has a row for each run. ``v_pairs`` has one too, with the scores at the last checkpoint,
null for a run that is not completed. ``v_best`` has the run with the highest ``id_val`` for each
protocol, dataset, test environments, algorithm and optimizer.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Dialect,
    Select,
    Text,
    cast,
    func,
    select,
    type_coerce,
)

from oodbench.results.schema import COMPLETED, CONFIRM, runs, studies, study_trials

GROUP = ("dataset", "test_environments", "algorithm", "optimizer")
"""What one study is about; selection picks one run of each."""

SCORES = ("id_val", "id_test", "ood_val", "ood_test", "oracle_val")
"""Roles that ``v_pairs`` has a column for, each with its number of examples in ``n_<role>``."""

FACTS = {"optimizer_kind": str, "chance": float, "shift": str, "num_classes": int, "metric": str}
"""Facts of a study that ``v_pairs`` has a column for."""


def environments_text(column: ColumnElement[Any]) -> ColumnElement[str]:
    """``[0, 1]`` as the text ``0,1``."""
    text: ColumnElement[str] = cast(type_coerce(column, Text), Text)
    for character in "[] ":
        text = func.replace(text, character, "", type_=Text)
    return text


def compact(text: ColumnElement[str]) -> ColumnElement[str]:
    """JSON as text without the spaces that one database keeps and another drops."""
    return func.replace(func.replace(text, ": ", ":", type_=Text), ", ", ",", type_=Text)


def _of_first_study(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """``column`` for the first study that has the run, null if none has."""
    first = studies.alias("first_study")
    return (
        select(column)
        .select_from(study_trials.join(first, first.c.id == study_trials.c.study_id))
        .where(study_trials.c.run_id == runs.c.id)
        .order_by(first.c.created, first.c.position, first.c.id, study_trials.c.idx)
        .limit(1)
        .correlate(runs)
        .scalar_subquery()
    )


COUNTED = {
    "all_reduces": "all_reduces",
    "communicated_bytes": "bytes",
}
"""Column -> what a run on replicas counted, by its name in the provenance; null for others."""

TIMED = ("compute_seconds", "communication_seconds", "waiting_seconds")
"""What a run on replicas measured; null where they were simulated, and for other runs."""


def _whole(*path: str) -> ColumnElement[int]:
    """A whole number of any size in the provenance."""
    return cast(runs.c.provenance[path].as_string(), BigInteger)


def _costs() -> list[ColumnElement[Any]]:
    """What a run cost, beside its seconds."""
    taken, examples = _whole("gradient_evaluations"), _whole("examples_per_step")
    return [
        taken.label("gradient_evaluations"),
        func.coalesce(_whole("parallel", "samples"), taken * examples).label("samples"),
        *(_whole("parallel", name).label(column) for column, name in COUNTED.items()),
        *(runs.c.provenance[("parallel", name)].as_float().label(name) for name in TIMED),
    ]


OPTIONS = ("model_options", "algorithm_options", "dataset_options")


def _keys() -> list[ColumnElement[Any]]:
    """The columns that ``v_runs`` and ``v_pairs`` share."""
    row = runs.c
    return [
        row.id.label("run"),
        row.position,
        row.config_id,
        row.protocol,
        row.dataset,
        environments_text(row.test_environments).label("test_environments"),
        row.algorithm,
        row.optimizer,
        row.model,
        row.seed,
        row.data_seed,
        row.steps,
        compact(cast(type_coerce(row.batch, Text), Text)).label("batch"),
        # Only what differs from a default is in a trial: null says that nothing does.
        *(compact(row.trial[name].as_string()).label(name) for name in OPTIONS),
        row.precision,
        row.state.label("status"),
        row.reason,
        _of_first_study(study_trials.c.sampler).label("sampler"),
        row.provenance["seconds"].as_float().label("seconds"),
        *_costs(),
    ]


def _from_runs(*columns: ColumnElement[Any]) -> Select[Any]:
    first = _of_first_study(study_trials.c.study_id)
    return select(*columns).select_from(runs.outerjoin(studies, studies.c.id == first))


def select_runs() -> Select[Any]:
    """The select behind ``v_runs``."""
    row = runs.c
    extra = [row.attempt, row.started, row.finished, row.hparams, row.summary, studies.c.facts]
    return _from_runs(*_keys(), *extra)


def select_pairs(checkpoint: str = "last") -> Select[Any]:
    """The select behind ``v_pairs``: scores at ``checkpoint``, a key of the runs' summaries."""
    score = {role: runs.c.summary[(checkpoint, role)].as_float() for role in SCORES}
    n = {role: runs.c.summary[(checkpoint, f"n_{role}")].as_integer() for role in SCORES}
    cast_to: dict[type, Callable[[Any], ColumnElement[Any]]] = {
        str: lambda fact: fact.as_string(),
        float: lambda fact: fact.as_float(),
        int: lambda fact: fact.as_integer(),
    }
    return _from_runs(
        *_keys(),
        runs.c.summary[(checkpoint, "step")].as_integer().label("step"),
        *(score[role].label(role) for role in SCORES),
        *(n[role].label(f"n_{role}") for role in SCORES),
        func.coalesce(score["id_test"], score["id_val"]).label("id"),
        score["ood_test"].label("ood"),
        func.coalesce(n["id_test"], n["id_val"]).label("n_id"),
        n["ood_test"].label("n_ood"),
        *(cast_to[kind](studies.c.facts[name]).label(name) for name, kind in FACTS.items()),
        runs.c.hparams,
    )


def select_best() -> Select[Any]:
    """The select behind ``v_best``; equal scores go to the smallest run id."""
    pairs = select_pairs().subquery("pairs")
    rank = func.row_number().over(
        partition_by=[pairs.c[name] for name in ("protocol", *GROUP)],
        order_by=[pairs.c.id_val.desc(), pairs.c.run],
    )
    searched = func.coalesce(pairs.c.sampler, "") != CONFIRM  # those repeat a winner
    candidates = pairs.c.status == COMPLETED, pairs.c.id_val.is_not(None), searched
    ranked = select(*pairs.c, rank.label("rank")).where(*candidates).subquery("ranked")
    return select(*(column for column in ranked.c if column.name != "rank")).where(
        ranked.c.rank == 1
    )


VIEWS = {"v_runs": select_runs, "v_pairs": select_pairs, "v_best": select_best}


def view_sql(name: str, dialect: Dialect) -> str:
    """The ``CREATE VIEW`` statement of one view."""
    compiled = VIEWS[name]().compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    return f"CREATE VIEW {name} AS {compiled}"


def drop_views(connection: Connection) -> None:
    """Remove the views; SQLite can lose a table that is migrated under one."""
    for name in reversed(VIEWS):
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS {name}")


def create_views(connection: Connection) -> None:
    """Make the views, as this version of oodbench defines them."""
    for name in VIEWS:
        connection.exec_driver_sql(view_sql(name, connection.dialect))
