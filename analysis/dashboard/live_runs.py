"""Runs as they end, for the explorer in browsers that know some of them already."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from oodbench.errors import QueryError
from oodbench.results.select import check_protocols, select
from oodbench.results.targets import by_target

from ..report import charts
from ..report.packing import pack_runs
from ..runs.columns import BY, GROUP, hyperparameters_of
from ..runs.names import pretty

OWN = ["finished", "added"]
"""Columns of the tables here that are not of the runs' trials."""

BEST = (*BY, "run", "id_val", "id", "ood", "n_ood")
"""Columns shown of the best run of each optimizer."""

Key = tuple[str, ...]


class LiveRuns:
    """Runs that ended, in a table for each panel; beside it, what follows from its runs.

    Every change has a number, larger than those before: ``since`` gives what came after one.

    Attributes:
        number: Number of the last change.
    """

    def __init__(self) -> None:
        self.number = 0
        self._tables: dict[Key, pd.DataFrame] = {}
        self._numbers: dict[Key, int] = {}
        self._panels: dict[Key, dict[str, Any]] = {}
        self._best: dict[Key, list[dict[str, Any]]] = {}
        self._runs: set[str] = set()
        self._gone: dict[str, int] = {}
        self._kinds: dict[str, str | None] = {}
        self._environments: dict[str, Sequence[str]] = {}

    def add(
        self,
        number: int,
        pairs: pd.DataFrame,
        optimizers: Iterable[str],
        environments: Mapping[str, Sequence[str]],
    ) -> None:
        """Take in runs that ended.

        Args:
            number: Number of this change.
            pairs: A row a run, as from ``oodbench.results.query.pairs``, and when it ``finished``.
            optimizers: All that there will be, so that none changes its look when another comes.
            environments: Dataset -> the names of its environments.
        """
        self.number, pairs = number, by_target(pairs)
        self._environments |= environments
        kinds = pairs.dropna(subset="optimizer_kind")
        self._kinds = {
            **dict.fromkeys(map(str, optimizers)),
            **self._kinds,
            **dict.fromkeys(pairs["optimizer"].astype(str)),
            **{name: kind for name, kind in self._kinds.items() if kind},
            **dict(zip(kinds["optimizer"], kinds["optimizer_kind"], strict=True)),
        }
        for run in pairs["run"]:
            self._gone.pop(run, None)
        changed = []
        for names, rows in pairs.groupby(list(GROUP), sort=False):
            changed.append(key := tuple(map(str, names)))
            self._put(key, rows.assign(added=number))
            self._panels[key] = self._panel(self._tables[key])
        self._rank(changed)

    def drop(self, number: int, runs: Iterable[str]) -> None:
        """Forget runs that were put back in line."""
        self.number, gone = number, set(runs)
        self._gone |= dict.fromkeys(gone, number)
        less = {key: table[~table["run"].isin(gone)] for key, table in self._tables.items()}
        changed = [key for key, table in less.items() if len(table) < len(self._tables[key])]
        for key in changed:
            self._tables[key], self._numbers[key] = less[key], number
        self._rank(changed)

    def _put(self, key: Key, rows: pd.DataFrame) -> None:
        if key in self._tables:
            table, again = self._tables[key], self._runs.intersection(rows["run"])
            table = table[~table["run"].isin(again)] if again else table
            rows = pd.concat([table, rows], ignore_index=True)
        self._tables[key], self._numbers[key] = rows, self.number
        self._runs.update(rows["run"])

    def _rank(self, keys: Sequence[Key]) -> None:
        """Find the best runs of panels: of all at once, unless some cannot be ranked."""
        self._best |= {key: [] for key in keys}
        tables = [self._tables[key] for key in keys]
        try:
            found = best_of(pd.concat(tables)) if tables else []
        except QueryError:
            found = [row for table in tables for row in ranked(table)]
        for row in found:
            self._best[tuple(row[name] for name in GROUP)].append(row)

    def _panel(self, rows: pd.DataFrame) -> dict[str, Any]:
        """A panel in the report's form; runs of several protocols get a remark."""
        try:
            check_protocols(rows)
            return charts.panel_facts(rows, self._environments)[0]
        except QueryError as error:
            first = rows[rows["protocol"] == rows["protocol"].iloc[0]]
            panel = charts.panel_facts(first, self._environments)[0]
            return {**panel, "remarks": [*panel["remarks"], str(error)]}

    def since(self, number: int) -> dict[str, Any]:
        """What a browser lacks that knows all up to ``number``; nothing if it lacks nothing.

        Returns:
            ``runs`` as ``packing.pack_runs`` has them, with ``finished``; ``gone``, the ids of
            those that were put back in line; and whole: ``looks``, ``panels``, ``sides``, ``names``
            of algorithms, ``best``.
        """
        if self.number <= number:
            return {}
        changed = [key for key, at in self._numbers.items() if at > number]
        tables = [self._tables[key] for key in changed]
        found = [mine for mine in (rows[rows["added"] > number] for rows in tables) if len(mine)]
        kinds = {"optimizer": list(self._kinds), "optimizer_kind": list(self._kinds.values())}
        keys = pd.DataFrame(list(self._panels), columns=list(GROUP))
        return {
            **({"runs": packed(pd.concat(found, ignore_index=True))} if found else {}),
            "gone": [run for run, at in self._gone.items() if at > number],
            "looks": charts.optimizer_looks(pd.DataFrame(kinds, dtype=object)),
            "panels": list(self._panels.values()),
            "sides": charts.sides(keys, self._environments),
            "names": {algorithm: pretty(algorithm) for _, _, algorithm in self._panels},
            "best": [row for rows in self._best.values() for row in rows],
        }


def packed(rows: pd.DataFrame) -> dict[str, Any]:
    """Runs as the explorer reads them, and when they finished."""
    trials = rows.drop(columns=OWN)
    return pack_runs(trials, hyperparameters_of(trials), {"finished": rows["finished"]})


def best_of(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """The best run of each panel and optimizer by ID validation accuracy, in plain values.

    Raises:
        QueryError: If none has it, or runs of several protocols would be pooled.
    """
    return plain(select(rows, "id_val"))


def ranked(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """The best run of each optimizer of a panel; without a run where none can be selected."""
    try:
        return best_of(rows)
    except QueryError:
        return plain(rows[list(BY)].drop_duplicates())


def plain(found: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows for a browser, with null for what is not known."""
    wanted = found.reindex(columns=[*BEST, "completed"]).astype(object)
    records = wanted.where(wanted.notna(), None).to_dict("records")
    named = [{str(name): value for name, value in row.items()} for row in records]
    return [{**row, "label": pretty(row["optimizer"])} for row in named]
