"""What differences a sweep would decide, judged by runs that are there."""

import json
from collections.abc import Iterator
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from oodbench import analysis
from oodbench.results import describe_target, is_empty, open_database
from oodbench.sweep.plan import Sweep, as_spec
from oodbench.verbs.example import EXAMPLES, POWER
from oodbench.verbs.query import query
from oodbench.workers.artifacts import known_predictions

if TYPE_CHECKING:
    from oodbench.sweep import SweepSpec
    from oodbench.sweep.entries import DatasetEntry

PLACE = ("dataset", "test_environments", "algorithm")
SMALLEST = 4
"""The budget of searches of fewer than 32 trials: see ``analysis.compare.budgets``."""

FIELDS = ("budget", "draws", "searched", "examples", "splits", "data_seeds")
"""The fields of ``analysis.Power`` that are shown."""
COLUMNS = ("dataset", "algorithm", "trials", "finds", "needed", "examples", "splits", "judged_by")


def power(sweep: Sweep, db: str | Path | None = None) -> pd.DataFrame:
    """What difference between two optimizers a sweep would find, with a probability of 80%.

    The difference is in the OOD accuracy of the runs that ID validation selects. It is judged by
    runs of the same dataset and algorithm: in the database if it has some, else in the studies that
    are shipped, and there by datasets of the same class of shift if it has to be. Of several test
    environments, or several such datasets, the one in the middle counts. On more splits of the data
    (``data_seeds``) the error from one to another is added, where those runs tell it.

    Args:
        sweep: A sweep file; its trials are drawn, not proposed by an adaptive sampler.
        db: URL or path of a database that may have such runs; it need not exist.

    Returns:
        A row for each dataset and algorithm of the sweep: ``dataset``, ``algorithm``, ``trials`` of
        each optimizer, ``finds``: the difference, a fraction, missing where so few trials decide
        nothing; ``needed``: trials that find 2 points, missing where no number does, as then the
        test examples are too few; ``examples``: whether the error over test examples is counted,
        which only predictions tell; ``splits``: whether that over data splits is, where the sweep
        has several; ``judged_by``: which runs, empty and both numbers missing where
        there are none. No rows for an adaptive search or a grid.
    """
    spec = as_spec(sweep)
    trials = spec.search.trials
    if trials is None or spec.search.adaptive:
        return pd.DataFrame(columns=COLUMNS)
    known = [*_stored(spec, db), *_shipped()]
    rows: list[tuple[Any, ...]] = []
    for dataset in spec.datasets:
        for algorithm in spec.algorithms:
            pilots = _pilots(known, dataset, algorithm.name, trials)
            if not pilots:
                rows.append((dataset.name, algorithm.name, trials, None, None, False, False, ""))
                continue
            pilots.sort(key=lambda pilot: pilot[0].found(pilot[0].draws))
            one, where = pilots[len(pilots) // 2]
            numbers = one.found(trials, spec.data_seeds), one.needed(data_seeds=spec.data_seeds)
            covered = not isnan(one.examples), spec.data_seeds > 1 and not isnan(one.splits)
            rows.append((dataset.name, algorithm.name, trials, *numbers, *covered, where))
    return pd.DataFrame(rows, columns=COLUMNS).astype({"finds": float, "needed": float})


def _pilots(
    known: list[dict[str, Any]], dataset: "DatasetEntry", algorithm: str, trials: int
) -> list[tuple["analysis.Power", str]]:
    """What is known of the dataset, from the nearest source; else of those with its shift.

    At the largest budget that so many trials allow: see ``analysis.compare.budgets``.
    """
    like = [row for row in known if row["algorithm"] == algorithm]
    allowed = [row for row in like if row["power"].found(trials) == row["power"].found(trials)]
    most = max((row["power"].budget for row in allowed), default=0)
    like = [row for row in allowed if row["power"].budget == most] or like
    same = [row for row in like if row["dataset"] == dataset.name]
    if same:
        nearest = [row for row in same if row["where"] == same[0]["where"]]
        return [(row["power"], row["where"]) for row in nearest]
    shift = dataset.shift or dataset.about.shift
    akin = [row for row in like if shift and row["shift"] == shift]
    return [(row["power"], f"{row['dataset']} in {row['where']}") for row in akin]


def _stored(spec: "SweepSpec", db: str | Path | None) -> Iterator[dict[str, Any]]:
    """The power of searches, from a database's runs on the sweep's datasets."""
    if db is None or is_empty(db):
        return
    names = {
        "dataset": [entry.name for entry in spec.datasets],
        "algorithm": [entry.name for entry in spec.algorithms],
    }
    where = " and ".join(f"{column} in {some}" for column, some in names.items())
    for row in powers_of(db, where):
        power = analysis.Power(**row["power"])
        yield {**row, "where": describe_target(db), "power": power}


def powers_of(db: str | Path, where: str | None = None) -> list[dict[str, Any]]:
    """What the searches of a database tell, a row each: fields of ``Power``, and the shift."""
    runs = query(db, where)
    if runs["id_val"].isna().all():
        return []
    with open_database(db, read_only=True) as database:
        predictions = known_predictions(database, where, None, "last")
    shifts = dict(zip(runs["dataset"], runs["shift"], strict=True))
    found = analysis.power(runs, predictions=predictions)
    if (found["budget"] > SMALLEST).any():  # smaller searches are compared at this one
        fewer = analysis.power(runs, predictions=predictions, budget=SMALLEST)
        found = pd.concat([found, fewer], ignore_index=True)
    return [
        {
            **{name: row[name] for name in PLACE},
            "shift": shifts[row["dataset"]],
            "power": {name: row[name] for name in FIELDS if row[name] == row[name]},
        }
        for row in found.to_dict("records")
    ]


def _shipped() -> Iterator[dict[str, Any]]:
    """What is shipped with the studies; it was computed when these were written."""
    for path in sorted(EXAMPLES.glob(f"*/{POWER}")):
        for row in json.loads(path.read_text(encoding="utf-8")):
            where = f"the example {path.parent.name}"
            yield {**row, "where": where, "power": analysis.Power(**row["power"])}
