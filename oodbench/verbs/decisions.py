"""How far the statements are from decided for which searches go on."""

from pathlib import Path
from typing import Any

import pandas as pd

from oodbench.results import Database, open_database
from oodbench.results.sweeps.rounds import deciding
from oodbench.workers.deciding import standing_of

COLUMNS = (
    *("sweep", "dataset", "algorithm", "a", "b", "outcome", "draws", "difference", "low", "high"),
    *("projected", "looked", "next", "most"),
)

OUTCOMES = {
    "higher": "holds",
    "lower": "does not hold: lower",
    "no difference": "does not hold: no difference",
}
"""What is decided of a pair -> what that means for the statement that the first is better."""


def decisions(db: str | Path, sweep: str | None = None) -> pd.DataFrame:
    """The statements of sweeps that stop when decided (``search: {stop: decided}``).

    Args:
        db: URL or path of the database.
        sweep: Only of this sweep.

    Returns:
        A row for each statement: ``sweep``, ``dataset``, ``algorithm``; the fields of
        ``analysis.Statement``: ``a``, ``b``, ``outcome``, ``draws``, ``difference`` (a fraction),
        ``low``, ``high``, ``projected``; ``looked``: draws at the last look; ``next``: draws at
        the next one, 0 once the search is over; ``most``. No rows if no search stops so.

    Raises:
        DatabaseError: If the database cannot be used.
        UnknownNameError: If there is no such sweep.
        RequestError: If a sweep has draws of several searches.
    """
    with open_database(db, read_only=True) as database:
        return decisions_of(database, sweep)


def decisions_of(db: Database, sweep: str | None = None) -> pd.DataFrame:
    """``decisions`` of an open database."""
    rows = [
        {
            **{"sweep": asked.sweep, "dataset": standing.group.dataset},
            **{"algorithm": standing.group.algorithm, **vars(one)},
            **{"looked": standing.looked, "next": max(standing.wanted.values(), default=0)},
            "most": asked.stopping.most,
        }
        for asked in deciding(db, sweep)
        for standing in standing_of(db, asked)
        for one in standing.statements
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def described(table: pd.DataFrame) -> list[dict[str, str | int]]:
    """The statements of ``decisions`` in words, a row each."""
    return [_described(row) for row in table.to_dict("records")]


def _described(row: dict[Any, Any]) -> dict[str, str | int]:
    points = [100 * row[name] for name in ("difference", "low", "high")]
    return {
        "sweep": row["sweep"],
        "dataset": row["dataset"],
        "algorithm": row["algorithm"],
        "statement": f"{row['a']} better than {row['b']}",
        "outcome": OUTCOMES.get(row["outcome"], row["outcome"]),
        "draws": row["draws"],
        "points": "{:+.1f} ({:+.1f} to {:+.1f})".format(*points) if row["draws"] else "",
        "expected": _ahead(row),
    }


def _ahead(row: dict[Any, Any]) -> str:
    """When an undecided statement would be decided."""
    if row["outcome"] != "undecided":
        return ""
    if not row["draws"]:
        return f"first look at {row['next']:,}"
    if row["projected"] != row["projected"]:
        return "never, as it stands"
    if row["projected"] > row["most"]:
        return f"at about {row['projected']:,.0f} draws, but most is {row['most']:,}"
    return f"at about {row['projected']:,.0f} draws"
