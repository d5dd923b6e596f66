"""Columns more in the views, which have needed no migration since."""

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Nothing: the views are made anew after every migration."""
