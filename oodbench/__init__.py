"""oodbench: which optimizer should I train with, if the test distribution will differ?

The public names below load what they need when they are first used; importing oodbench loads
neither torch nor pandas.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oodbench.api import (
        catalogue,
        conclude,
        query,
        quickstart,
        report,
        run_sweep,
        show,
        status,
    )
    from oodbench.errors import OodbenchError
    from oodbench.exporting import export, export_optuna
    from oodbench.importing import import_csv, import_domainbed, import_wandb
    from oodbench.records import Measurement, RunRecord, Trial
    from oodbench.sweep.plan import plan
    from oodbench.verbs.evaluate import evaluate
    from oodbench.verbs.reproduce import reproduce
    from oodbench.verbs.score import score
    from oodbench.verbs.shift import shift
    from oodbench.workers.artifacts import load_model

__version__ = "0.1.0"

_HOMES = {
    "Measurement": "oodbench.records",
    "OodbenchError": "oodbench.errors",
    "RunRecord": "oodbench.records",
    "Trial": "oodbench.records",
    "catalogue": "oodbench.api",
    "conclude": "oodbench.api",
    "evaluate": "oodbench.verbs.evaluate",
    "export": "oodbench.exporting",
    "export_optuna": "oodbench.exporting",
    "import_csv": "oodbench.importing",
    "import_domainbed": "oodbench.importing",
    "import_wandb": "oodbench.importing",
    "load_model": "oodbench.workers.artifacts",
    "plan": "oodbench.sweep.plan",
    "query": "oodbench.api",
    "quickstart": "oodbench.api",
    "report": "oodbench.api",
    "reproduce": "oodbench.verbs.reproduce",
    "run_sweep": "oodbench.api",
    "score": "oodbench.verbs.score",
    "shift": "oodbench.verbs.shift",
    "show": "oodbench.api",
    "status": "oodbench.api",
}

__all__ = [
    "Measurement",
    "OodbenchError",
    "RunRecord",
    "Trial",
    "catalogue",
    "conclude",
    "evaluate",
    "export",
    "export_optuna",
    "import_csv",
    "import_domainbed",
    "import_wandb",
    "load_model",
    "plan",
    "query",
    "quickstart",
    "report",
    "reproduce",
    "run_sweep",
    "score",
    "shift",
    "show",
    "status",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'oodbench' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
