"""What runs predicted, and the answers to that."""

from alembic import op
from sqlalchemy import JSON, Column, ForeignKey, Integer, LargeBinary, Text

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "answer_keys",
        Column("id", Text, primary_key=True),
        Column("source", Text, nullable=False),
        Column("splits", JSON(none_as_null=True), nullable=False),
        Column("num_classes", Integer, nullable=False),
        Column("group_names", JSON(none_as_null=True), nullable=False),
        Column("arrays", LargeBinary, nullable=False),
    )
    op.create_table(
        "predictions",
        Column("run_id", Text, ForeignKey("runs.id"), primary_key=True),
        Column("checkpoint", Text, primary_key=True),
        Column("key_id", Text, ForeignKey("answer_keys.id"), nullable=False),
        Column("packed", LargeBinary),
        Column("file", JSON(none_as_null=True)),
    )
