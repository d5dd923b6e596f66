"""Results for other tools: tables with definitions, Optuna studies."""

from oodbench.exporting.optuna_studies import export_optuna
from oodbench.exporting.run_table import export

__all__ = ["export", "export_optuna"]
