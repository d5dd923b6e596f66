"""The first schema. It is made no more: a new database gets the current one at once."""

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Nothing: databases that lack a schema never get here, see ``migrate``."""
