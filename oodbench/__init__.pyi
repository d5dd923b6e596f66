"""The public names of ``oodbench``, and where each is defined."""

from . import analysis as analysis
from .api import catalogue as catalogue
from .api import conclude as conclude
from .api import query as query
from .api import quickstart as quickstart
from .api import report as report
from .api import run_sweep as run_sweep
from .api import show as show
from .api import status as status
from .errors import OodbenchError as OodbenchError
from .exporting import export as export
from .exporting import export_optuna as export_optuna
from .importing import import_csv as import_csv
from .importing import import_domainbed as import_domainbed
from .importing import import_wandb as import_wandb
from .records import Measurement as Measurement
from .records import RunRecord as RunRecord
from .records import Trial as Trial
from .sweep.plan import plan as plan
from .verbs.evaluate import evaluate as evaluate
from .verbs.reproduce import reproduce as reproduce
from .verbs.score import score as score
from .verbs.shift import shift as shift
from .workers.artifacts import load_model as load_model

__version__: str
