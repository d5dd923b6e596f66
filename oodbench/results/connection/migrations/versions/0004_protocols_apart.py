"""The view ``v_best`` keeps protocols apart."""

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Nothing: the views are made anew after every migration."""
