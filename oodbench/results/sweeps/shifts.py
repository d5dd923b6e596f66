"""The class of shift of a study's data, where the dataset does not say it: declared, or measured.

A fact of the study, beside it where it is from; no trial depends on it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select, update

from oodbench.results.connection.database import Database
from oodbench.results.schema import studies
from oodbench.results.sweeps.plans import PlannedStudy

SHIFT, SOURCE = "shift", "shift_source"
"""The facts: the class, and ``DECLARED`` or ``MEASURED``; no source: the dataset says it."""
DECLARED, MEASURED = "declared", "measured"


@dataclass(frozen=True)
class StoredShift:
    """What came of storing a class of shift.

    Attributes:
        studies: How many say it now.
        kept: Class -> how many studies had it already, by their dataset or their sweep file.
    """

    studies: int
    kept: Mapping[str, int]


def studies_on(db: Database, dataset: str) -> list[tuple[dict[str, Any], tuple[int, ...]]]:
    """The dataset's options that are not at their default, and the test environments, a study."""
    columns = select(studies.c.definition, studies.c.test_environments)
    order = studies.c.sweep_id, studies.c.position, studies.c.id
    with db.read() as connection:
        rows = connection.execute(columns.where(studies.c.dataset == dataset).order_by(*order))
        return [(_options(row.definition), tuple(row.test_environments)) for row in rows]


def store_shift(
    db: Database,
    dataset: str,
    options: Mapping[str, Any],
    test_environments: Sequence[int],
    shift: str,
) -> StoredShift:
    """Let the studies on a dataset say what class of shift was measured there.

    What the dataset or a sweep file says of it is kept.

    Args:
        dataset: Name of the dataset.
        options: Options of the dataset that are not at their default.
        test_environments: Test environments of the studies.
        shift: The class.
    """
    stored, kept = 0, Counter[str]()
    with db.write() as connection:
        rows = connection.execute(select(studies).where(studies.c.dataset == dataset)).all()
        for row in rows:
            if (_options(row.definition), row.test_environments) != (
                dict(options),
                list(test_environments),
            ):
                continue
            if row.facts.get(SHIFT) and row.facts.get(SOURCE) != MEASURED:
                kept[row.facts[SHIFT]] += 1
            else:
                _put(connection, row.id, {SHIFT: shift, SOURCE: MEASURED})
                stored += 1
    return StoredShift(stored, kept)


def put_declared(connection: Connection, study: PlannedStudy) -> None:
    """Let a study that is there say what its sweep file declares now."""
    if study.facts.get(SOURCE) == DECLARED:
        _put(connection, study.id, {name: study.facts[name] for name in (SHIFT, SOURCE)})


def _options(definition: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a study's dataset; empty for imported studies."""
    return dict(definition.get("dataset_options", {}))


def _put(connection: Connection, study: str, said: Mapping[str, str]) -> None:
    known = connection.scalar(select(studies.c.facts).where(studies.c.id == study)) or {}
    changed = update(studies).where(studies.c.id == study)
    connection.execute(changed.values(facts={**known, **said}))
