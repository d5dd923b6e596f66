"""The results database: queue, store and queries. Also here, apart: ``select.select``."""

from oodbench.results.database import Database, open_database, upgrade_database
from oodbench.results.plans import AddedSweep, PlannedStudy
from oodbench.results.progress import counts, is_done, state_counts
from oodbench.results.query import checkpoints, curves, pairs, runs, searched, sql
from oodbench.results.queue import Claim, claim, release, renew
from oodbench.results.select import CHECKPOINT_RULES, RUN_RULES
from oodbench.results.store import load_run, store_runs
from oodbench.results.sweeps import add_sweep, preview_sweep
from oodbench.results.where import compile_where

__all__ = [
    "CHECKPOINT_RULES",
    "RUN_RULES",
    "AddedSweep",
    "Claim",
    "Database",
    "PlannedStudy",
    "add_sweep",
    "checkpoints",
    "claim",
    "compile_where",
    "counts",
    "curves",
    "is_done",
    "load_run",
    "open_database",
    "pairs",
    "preview_sweep",
    "release",
    "renew",
    "runs",
    "searched",
    "sql",
    "state_counts",
    "store_runs",
    "upgrade_database",
]
