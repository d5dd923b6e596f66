"""What a dataset adapter gives, where its files are found, and what is kept on disk of it."""

from oodbench.data.dataset import Dataset as Dataset
from oodbench.data.dataset import Environment as Environment
from oodbench.data.dataset import Published as Published
from oodbench.data.dataset import Rows as Rows
from oodbench.data.dataset import Split as Split
from oodbench.data.dataset import Stored as Stored
from oodbench.data.dataset import named_or_all as named_or_all
from oodbench.data.sources import ROOT_VARIABLE as ROOT_VARIABLE
from oodbench.data.sources import Source as Source
from oodbench.data.sources import data_roots as data_roots
from oodbench.data.spec import DATASETS as DATASETS
from oodbench.data.spec import DatasetSpec as DatasetSpec
from oodbench.data.spec import Predict as Predict
from oodbench.data.spec import Scores as Scores
from oodbench.data.spec import source_named as source_named
