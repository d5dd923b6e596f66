"""Studies to which workers add trials; attempts that do not count against a run."""

from alembic import op
from sqlalchemy import JSON, Column, Integer

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("studies", Column("agenda", JSON(none_as_null=True)))
    op.add_column("runs", Column("excused", Integer, nullable=False, server_default="0"))
