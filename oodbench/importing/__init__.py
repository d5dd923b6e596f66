"""Results that people already have, as runs: DomainBed's folders, tables of models, W&B exports.

A file here reads one kind of source; ``oodbench.results.imports`` stores what it finds. Imported
runs are of a protocol of their own (``imported:domainbed``, ...), so that they are never pooled
with others, and their provenance states what is not known of them.
"""

from oodbench.importing.csv_table import import_csv as import_csv
from oodbench.importing.domainbed_folders import import_domainbed as import_domainbed
from oodbench.importing.published import import_open_clip as import_open_clip
from oodbench.importing.published import import_timm as import_timm
from oodbench.importing.trackers import import_mlflow as import_mlflow
from oodbench.importing.trackers import import_wandb as import_wandb
