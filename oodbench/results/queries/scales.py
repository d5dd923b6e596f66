"""On what scale a hyperparameter was searched."""

from sqlalchemy import select

from oodbench.results import schema
from oodbench.results.connection.database import Database
from oodbench.results.sweeps.lookup import sweep_id


def searched_scale(db: Database, hyperparameter: str, sweep: str | None = None) -> str | None:
    """The scale of its search ranges: ``uniform``, ``int``, ``log`` or ``one_minus_log``.

    Args:
        db: The database.
        hyperparameter: Its name.
        sweep: Only the studies of this sweep.

    Returns:
        None if no study searched it in a range, or if studies differ in its scale.

    Raises:
        UnknownNameError: If there is no such sweep.
    """
    statement = select(schema.studies.c.space)
    with db.read() as connection:
        if sweep is not None:
            mine = schema.studies.c.sweep_id == sweep_id(connection, sweep)
            statement = statement.where(mine)
        ranges = [space.get(hyperparameter) for space in connection.scalars(statement)]
    found = {scale for what in ranges if isinstance(what, dict) for scale in what} - {"choice"}
    return found.pop() if len(found) == 1 else None
