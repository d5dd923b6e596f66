"""The views tell what a run on replicas communicated; the tables are as they were."""

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Nothing: ``connection.migrate`` makes the views anew after every migration."""
