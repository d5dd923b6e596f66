"""The views tell each run's gradient evaluations; the tables are as they were."""

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Nothing: ``connection.migrate`` makes the views anew after every migration."""
