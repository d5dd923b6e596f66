"""The first schema. New databases get the current schema directly, without this step."""

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Nothing: databases that lack a schema never get here, see ``migrate``."""
