"""Which runs were trained alike, but for optimizer, hyperparameters and seeds."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from oodbench.records import hash_of
from oodbench.results.connection.database import Database
from oodbench.results.schema import runs, studies, study_trials

if TYPE_CHECKING:
    import pandas as pd

FREE = frozenset(
    {
        *("optimizer", "space", "parallel", "replicas"),
        *("algorithm", "test_environments", "sampler", "search_seed", "data_seed"),
    }
)
"""What studies of one testbed may differ in; also in algorithms, which are compared apart."""


def testbed_of(definition: Mapping[str, Any]) -> str:
    """A text that studies share which differ in ``FREE`` alone."""
    return hash_of({key: value for key, value in definition.items() if key not in FREE})


def testbeds(db: Database) -> "pd.DataFrame":
    """What each run was trained on.

    Returns:
        A row a run: ``run``, ``testbed`` (a text that runs of studies share which differ in
        ``FREE`` alone), ``fingerprint`` (of the data) and ``space`` (a hash of the search space).
    """
    import pandas as pd

    with db.read() as connection:
        defined = connection.execute(select(studies.c.id, studies.c.definition, studies.c.space))
        names = {study: (testbed_of(said), hash_of(space)) for study, said, space in defined}
        links = select(runs.c.id, runs.c.fingerprint, study_trials.c.study_id)
        linked = links.join_from(runs, study_trials, study_trials.c.run_id == runs.c.id)
        rows = [
            (run, names[study][0], fingerprint, names[study][1])
            for run, fingerprint, study in connection.execute(linked)
        ]
    frame = pd.DataFrame(rows, columns=["run", "testbed", "fingerprint", "space"])
    return frame.drop_duplicates("run", ignore_index=True)
