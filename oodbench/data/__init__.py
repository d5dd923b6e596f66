"""What a dataset adapter gives, where its files are found, and what is kept on disk of it."""

from oodbench.data.dataset import Dataset, Environment, Published, Rows, Split, Stored
from oodbench.data.sources import ROOT_VARIABLE, Source, data_roots
from oodbench.data.spec import DATASETS, DatasetSpec, Predict, Scores, source_named

__all__ = [
    "DATASETS",
    "ROOT_VARIABLE",
    "Dataset",
    "DatasetSpec",
    "Environment",
    "Predict",
    "Published",
    "Rows",
    "Scores",
    "Source",
    "Split",
    "Stored",
    "data_roots",
    "source_named",
]
