"""The tables. A change here needs a migration too, in ``connection/migrations/versions``.

Columns that came later stand last, where a migration puts them.
"""

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from oodbench.records import STATUSES

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008")
"""Every schema there has been, oldest first; the last one is current."""

VERSION_TABLE = "oodbench_version"
"""Where a database keeps its revision. Not Alembic's default name, which Optuna's storages use."""

WAITING, RUNNING = "waiting", "running"
COMPLETED, DIVERGED, FAILED = STATUSES
STATES = (WAITING, RUNNING, *STATUSES)

CONFIRM = "confirm"
"""What ``study_trials.sampler`` says of a run that no sampler drew: it repeats a winner."""

# Not JSONB: it would lose the order of keys and turn 1e16 into a whole number.
Json = JSON(none_as_null=True)

metadata = MetaData()

sweeps = Table(
    "sweeps",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("spec", Json, nullable=False),
    Column("created", Float, nullable=False),
)

studies = Table(
    "studies",
    metadata,
    Column("id", Text, primary_key=True),
    Column("sweep_id", Integer, ForeignKey("sweeps.id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("dataset", Text, nullable=False),
    Column("test_environments", Json, nullable=False),
    Column("algorithm", Text, nullable=False),
    Column("optimizer", Text, nullable=False),
    Column("definition", Json, nullable=False),
    Column("space", Json, nullable=False),
    Column("sampler", Text, nullable=False),
    Column("sampler_seed", BigInteger, nullable=False),
    Column("proposer_owner", Text),
    Column("proposer_lease", Float),
    Column("facts", Json, nullable=False),
    Column("created", Float, nullable=False),
    Column("agenda", Json),  # what workers are still to add; null: nothing
    Index("ix_studies_sweep_id", "sweep_id"),
)

origins = Table(
    "origins",
    metadata,
    Column("id", Text, primary_key=True),  # a hash of all that follows
    Column("shared", Json, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("config_id", Text, nullable=False),
    Column("protocol", Text, nullable=False),
    Column("dataset", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("test_environments", Json, nullable=False),
    Column("model", Text, nullable=False),
    Column("algorithm", Text, nullable=False),
    Column("optimizer", Text, nullable=False),
    Column("hparams", Json, nullable=False),
    Column("steps", Integer, nullable=False),
    Column("batch", Json, nullable=False),
    Column("precision", Text, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("data_seed", BigInteger, nullable=False),
    Column("trial", Json, nullable=False),  # what no other column says: see ``trials``
    Column("cohort_key", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("cohort_size", Integer),
    Column("owner", Text),
    Column("lease", Float),
    Column("reason", Text, nullable=False),
    Column("provenance", Json, nullable=False),  # what it shares with no other run
    Column("summary", Json, nullable=False),
    Column("created", Float, nullable=False),
    Column("started", Float),
    Column("finished", Float),
    Column("excused", Integer, nullable=False, server_default="0"),  # attempts held against nobody
    Column("origin", Text, ForeignKey("origins.id")),  # the rest of its provenance
    Index("ix_runs_state_position", "state", "position"),
    Index("ix_runs_state_cohort_key_position", "state", "cohort_key", "position"),
    Index("ix_runs_position", "position"),
    Index("ix_runs_state_id", "state", "id", unique=True),  # counting reads no row
)

study_trials = Table(
    "study_trials",
    metadata,
    Column("study_id", Text, ForeignKey("studies.id"), primary_key=True),
    Column("idx", Integer, primary_key=True),
    Column("run_id", Text, ForeignKey("runs.id"), nullable=False),
    Column("sampler", Text, nullable=False),
    Index("ix_study_trials_run_id_study_id", "run_id", "study_id"),
)

series = Table(
    "series",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("environment", Text, nullable=False),
    Column("split", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("metric", Text, nullable=False),
    Index("ix_series_all", "environment", "split", "role", "metric", unique=True),
)

points = Table(
    "points",
    metadata,
    Column("run_id", Text, ForeignKey("runs.id"), primary_key=True),
    Column("idx", Integer, primary_key=True),  # the order in which they were measured
    Column("series_id", Integer, ForeignKey("series.id"), nullable=False),
    Column("step", Integer, nullable=False),
    Column("value", Float),  # null: not finite
    Column("n", Integer, nullable=False),
    sqlite_with_rowid=False,  # the rows are in the index: a database half as large
)

answer_keys = Table(
    "answer_keys",
    metadata,
    Column("id", Text, primary_key=True),  # a hash of all that follows
    Column("source", Text, nullable=False),
    Column("splits", Json, nullable=False),
    Column("num_classes", Integer, nullable=False),
    Column("group_names", Json, nullable=False),
    Column("arrays", LargeBinary, nullable=False),  # NumPy's .npz: labels, examples, groups
)

predictions = Table(
    "predictions",
    metadata,
    Column("run_id", Text, ForeignKey("runs.id"), primary_key=True),
    Column("checkpoint", Text, primary_key=True),
    Column("key_id", Text, ForeignKey("answer_keys.id"), nullable=False),
    Column("packed", LargeBinary),  # see oodbench.answers.AnswerKey.pack; null: in a file
    Column("file", Json),  # its name, sha256 and bytes; null: packed
)

TABLES = (sweeps, studies, origins, runs, study_trials, series, points, answer_keys, predictions)
"""All of them, those that others refer to first."""


class now(FunctionElement[float]):  # noqa: N801 - written like the SQL function that it is
    """The database's clock: seconds since 1970, with a fraction.

    Leases are compared with this clock alone, for the workers' clocks may disagree.
    """

    type = Float()
    inherit_cache = True


@compiles(now, "sqlite")
def _now_sqlite(element: now, compiler: SQLCompiler, **kw: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(now, "postgresql")
def _now_postgresql(element: now, compiler: SQLCompiler, **kw: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) AS double precision)"
