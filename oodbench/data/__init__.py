"""What a dataset adapter gives, where its files are found, and what is kept on disk of it."""

from oodbench.data.dataset import (
    DATASETS,
    ROOT_VARIABLE,
    Dataset,
    DatasetSpec,
    Environment,
    Predict,
    Published,
    Rows,
    Scores,
    Source,
    Split,
    Stored,
    data_roots,
    source_named,
)

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
