"""``v_best`` keeps protocols apart; the tables are as they were."""

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Nothing: ``connection.migrate`` makes the views anew after every migration."""
