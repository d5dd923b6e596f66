"""A column more in the views, which have needed no migration since."""

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Nothing: the views are made anew after every migration."""
