"""What a worker without a shared database starts from: one part of a sweep."""

from pathlib import Path

from oodbench.results import Shard, add_shard, check_divisible, open_database
from oodbench.sweep.plan import Sweep, plan


def prepare_shard(sweep: Sweep, db: str | Path, shard: str) -> str:
    """Put one part of a sweep into a database of its own, for a worker that shares none.

    Args:
        sweep: A sweep file's path, what it says as a dictionary, or a checked sweep.
        db: URL or path of this shard's database; created if missing.
        shard: Which part, such as ``3/16``: 0/16 is the first.

    Returns:
        The name of the sweep.

    Raises:
        RequestError: If the sweep is not drawn whole before anything is trained.
        DatabaseError: If the database has trials of another shard.
    """
    part, planned = Shard.parse(shard), plan(sweep)
    check_divisible(planned.studies)  # before there is a file
    spec = planned.spec.model_dump(mode="json", exclude_none=True)
    with open_database(db, create=True) as database:
        add_shard(database, planned.spec.name, spec, planned.studies, part)
    return planned.spec.name
