"""Names of measurements stand once, in ``series``; what runs share of provenance, in ``origins``.

Runs that are there keep their provenance and their trials whole, which reads the same.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

NAMES = "environment, split, role, metric"


def upgrade() -> None:
    op.create_table(
        "origins",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("shared", sa.JSON, nullable=False),
    )
    # Not add_column, whose foreign key SQLite would not take.
    op.execute("ALTER TABLE runs ADD COLUMN origin TEXT REFERENCES origins (id)")
    op.create_table(
        "series",
        sa.Column("id", sa.Integer, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in NAMES.split(", ")),
    )
    op.create_index("ix_series_all", "series", NAMES.split(", "), unique=True)
    op.create_table(
        "points",
        sa.Column("run_id", sa.Text, sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("idx", sa.Integer, primary_key=True),
        sa.Column("series_id", sa.Integer, sa.ForeignKey("series.id"), nullable=False),
        sa.Column("step", sa.Integer, nullable=False),
        sa.Column("value", sa.Float),
        sa.Column("n", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
    op.execute(f"INSERT INTO series ({NAMES}) SELECT DISTINCT {NAMES} FROM curves ORDER BY {NAMES}")
    op.execute(
        "INSERT INTO points (run_id, idx, series_id, step, value, n) "
        "SELECT run_id, row_number() OVER (PARTITION BY run_id ORDER BY curves.id) - 1, "
        f"series.id, step, value, n FROM curves JOIN series USING ({NAMES}) "
        "ORDER BY run_id, curves.id"
    )
    op.drop_table("curves")
