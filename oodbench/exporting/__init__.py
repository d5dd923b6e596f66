"""Results for other tools: tables with definitions, Optuna studies."""

from oodbench.exporting.archive import export_runs as export_runs
from oodbench.exporting.optuna_studies import export_optuna as export_optuna
from oodbench.exporting.run_table import export as export
