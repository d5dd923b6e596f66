"""The first schema."""

from alembic import op
from sqlalchemy import JSON, BigInteger, Column, Float, ForeignKey, Integer, Text

revision = "0001"
down_revision = None

# Written out rather than imported: a migration must not change when the schema does.
# Not JSONB: it would lose the order of keys and turn 1e16 into a whole number.
Json = JSON(none_as_null=True)
BigId = BigInteger().with_variant(Integer(), "sqlite")


def upgrade() -> None:
    _create_sweeps_and_studies()
    _create_runs()
    _create_links_and_curves()


def _create_sweeps_and_studies() -> None:
    op.create_table(
        "sweeps",
        Column("id", Integer, primary_key=True),
        Column("name", Text, nullable=False, unique=True),
        Column("spec", Json, nullable=False),
        Column("created", Float, nullable=False),
    )
    op.create_table(
        "studies",
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
    )
    op.create_index("ix_studies_sweep_id", "studies", ["sweep_id"])


def _create_runs() -> None:
    op.create_table(
        "runs",
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
        Column("trial", Json, nullable=False),
        Column("cohort_key", Text, nullable=False),
        Column("state", Text, nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("cohort_size", Integer),
        Column("owner", Text),
        Column("lease", Float),
        Column("reason", Text, nullable=False),
        Column("provenance", Json, nullable=False),
        Column("summary", Json, nullable=False),
        Column("created", Float, nullable=False),
        Column("started", Float),
        Column("finished", Float),
    )
    op.create_index("ix_runs_state_position", "runs", ["state", "position"])
    op.create_index(
        "ix_runs_state_cohort_key_position", "runs", ["state", "cohort_key", "position"]
    )
    op.create_index("ix_runs_position", "runs", ["position"])


def _create_links_and_curves() -> None:
    op.create_table(
        "study_trials",
        Column("study_id", Text, ForeignKey("studies.id"), primary_key=True),
        Column("idx", Integer, primary_key=True),
        Column("run_id", Text, ForeignKey("runs.id"), nullable=False),
        Column("sampler", Text, nullable=False),
    )
    op.create_index("ix_study_trials_run_id", "study_trials", ["run_id"])
    op.create_table(
        "curves",
        Column("id", BigId, primary_key=True),
        Column("run_id", Text, ForeignKey("runs.id"), nullable=False),
        Column("step", Integer, nullable=False),
        Column("environment", Text, nullable=False),
        Column("split", Text, nullable=False),
        Column("role", Text, nullable=False),
        Column("metric", Text, nullable=False),
        Column("value", Float),
        Column("n", Integer, nullable=False),
    )
    op.create_index("ix_curves_run_id", "curves", ["run_id"])
