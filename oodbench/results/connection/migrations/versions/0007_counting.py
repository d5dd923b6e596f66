"""Indexes that have all that counting the runs of studies takes."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_index("ix_runs_state_id", "runs", ["state", "id"], unique=True)
    op.create_index("ix_study_trials_run_id_study_id", "study_trials", ["run_id", "study_id"])
    op.drop_index("ix_study_trials_run_id", "study_trials")
