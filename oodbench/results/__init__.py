"""The results database: queue, store and queries. Also here, apart: ``select.select``."""

from oodbench.results.connection.address import describe_target, sqlite_file
from oodbench.results.connection.database import Database, is_empty, open_database, upgrade_database
from oodbench.results.imports import (
    UNKNOWN,
    Imported,
    ImportedRuns,
    add_imported,
    refuse_imported,
)
from oodbench.results.merging.copying import Copied, copy_database
from oodbench.results.merging.databases import Merged, MergedAll, merge_databases
from oodbench.results.merging.integrity import Checked, check_database
from oodbench.results.probes import probed, store_probes
from oodbench.results.queries.details import RunDetails, run_details
from oodbench.results.queries.origins import ORIGIN, origins, sweep_specs
from oodbench.results.queries.scales import searched_scale
from oodbench.results.queries.where import compile_where
from oodbench.results.query import checkpoints, curves, pairs, runs, searched, sql
from oodbench.results.queue import Claim, abandon, claim, excuse, release, renew
from oodbench.results.schema import CONFIRM
from oodbench.results.select import CHECKPOINT_RULES, RUN_RULES
from oodbench.results.store import load_run, store_runs
from oodbench.results.sweeps.adding import add_sweep, preview_sweep
from oodbench.results.sweeps.changes import cancel, retry
from oodbench.results.sweeps.plans import AddedSweep, PlannedStudy
from oodbench.results.sweeps.progress import counts, is_done, state_counts
from oodbench.results.sweeps.proposals import Growing, Past, add_trials, give_back_study, take_study
from oodbench.results.sweeps.shards import Lacking, Shard, add_shard, check_divisible
from oodbench.results.sweeps.weights_to_keep import weights_to_keep

__all__ = [
    "CHECKPOINT_RULES",
    "CONFIRM",
    "ORIGIN",
    "RUN_RULES",
    "UNKNOWN",
    "AddedSweep",
    "Checked",
    "Claim",
    "Copied",
    "Database",
    "Growing",
    "Imported",
    "ImportedRuns",
    "Lacking",
    "Merged",
    "MergedAll",
    "Past",
    "PlannedStudy",
    "RunDetails",
    "Shard",
    "abandon",
    "add_imported",
    "add_shard",
    "add_sweep",
    "add_trials",
    "cancel",
    "check_database",
    "check_divisible",
    "checkpoints",
    "claim",
    "compile_where",
    "copy_database",
    "counts",
    "curves",
    "describe_target",
    "excuse",
    "give_back_study",
    "is_done",
    "is_empty",
    "load_run",
    "merge_databases",
    "open_database",
    "origins",
    "pairs",
    "preview_sweep",
    "probed",
    "refuse_imported",
    "release",
    "renew",
    "retry",
    "run_details",
    "runs",
    "searched",
    "searched_scale",
    "sql",
    "sqlite_file",
    "state_counts",
    "store_probes",
    "store_runs",
    "sweep_specs",
    "take_study",
    "upgrade_database",
    "weights_to_keep",
]
