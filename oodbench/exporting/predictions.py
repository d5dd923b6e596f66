"""Predictions for other tools: Parquet, and the files that WILDS' ``evaluate.py`` takes."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from oodbench.data import DATASETS
from oodbench.errors import RequestError
from oodbench.exporting.run_table import check_pyarrow, replace_file
from oodbench.results.predictions import Predictions

RUNS = 500
"""Runs in a row group of Parquet."""


@dataclass(frozen=True)
class ExportedPredictions:
    """What an export of predictions did.

    Attributes:
        runs: Whose predictions were written.
        folders: One for each set of examples.
        wilds: CSV files for WILDS' ``evaluate.py``.
    """

    runs: int
    folders: Sequence[Path]
    wilds: int


def write_predictions(
    found: Sequence[Predictions], configs: Mapping[str, str], out: Path, checkpoint: str
) -> ExportedPredictions:
    """Write each set of predictions into a folder of its own.

    It has ``examples.parquet``, a row an example; ``predictions.parquet``, a row a run: its id,
    ``config_id`` and ``predicted``, the classes in the order of the examples; and of a dataset of
    WILDS ``wilds/CONFIG_ID/``, with a CSV file for each split of each run.

    Args:
        found: At one checkpoint.
        configs: Run -> its ``config_id``.
        out: The folder, made if it is not there.
        checkpoint: Name of the checkpoint.

    Raises:
        RequestError: If there is none, a file cannot be written, or pyarrow is not installed.
    """
    check_pyarrow()
    if not found:
        raise RequestError(
            "No run that matches has predictions, so there is nothing to export: completed runs "
            "have them, unless they are imported or their sweep says keep_predictions: none."
        )
    written, files = [], 0
    try:
        for name, some in zip(_names(found), found, strict=True):
            folder = out / name
            folder.mkdir(parents=True, exist_ok=True)
            _write_parquet(some, configs, folder)
            files += sum(1 for _ in _write_wilds(some, configs, folder / "wilds", checkpoint))
            written.append(folder)
    except OSError as error:
        raise RequestError(f"Cannot write to {out}: {error.strerror or error}.") from error
    return ExportedPredictions(sum(len(some.runs) for some in found), written, files)


def _names(found: Sequence[Predictions]) -> Iterator[str]:
    """Names such as ``ColoredDigits-2-seed0``, with a number where several would be equal."""
    seen: Counter[str] = Counter()
    for some in found:
        environments = some.test_environments.replace(",", "+") or "published"
        name = f"{some.dataset}-{environments}-seed{some.data_seed}"
        seen[name] += 1
        yield name if seen[name] == 1 else f"{name}-{seen[name]}"


def _write_parquet(some: Predictions, configs: Mapping[str, str], folder: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    about = {
        name: getattr(some, name)
        for name in ("dataset", "test_environments", "data_seed", "source")
    }
    classes = pyarrow.array(some.predicted.reshape(-1))
    runs = {
        "run": list(some.runs),
        "config_id": [configs[run] for run in some.runs],
        "predicted": pyarrow.FixedSizeListArray.from_arrays(classes, len(some.examples)),
    }
    tables = {
        "examples": (pyarrow.Table.from_pandas(some.examples, preserve_index=False), None),
        "predictions": (pyarrow.table(runs), RUNS),
    }
    for name, (table, rows) in tables.items():
        known = {**(table.schema.metadata or {}), b"oodbench": json.dumps(about).encode()}
        options = {"compression": "zstd", "row_group_size": rows}
        writing = partial(parquet.write_table, table.replace_schema_metadata(known), **options)
        replace_file(folder / f"{name}.parquet", writing)


def _write_wilds(
    some: Predictions, configs: Mapping[str, str], folder: Path, checkpoint: str
) -> Iterator[Path]:
    """The files of a dataset of WILDS; of another one none.

    WILDS evaluates replicates of one configuration, which it numbers from 0: so a configuration has
    a folder of its own, and its runs are counted in their order.
    """
    known = DATASETS.get(some.dataset).wilds if some.dataset in DATASETS.names() else ""
    if not known:
        return
    replicates: Counter[str] = Counter()
    for run, predicted in zip(some.runs, some.predicted, strict=True):
        place = folder / configs[run]
        place.mkdir(parents=True, exist_ok=True)
        replicate = replicates[configs[run]]
        replicates[configs[run]] += 1
        for split, rows in some.examples.groupby("split", observed=True, sort=False):
            name = f"{known}_split:{split}_seed:{replicate}_epoch:{checkpoint}_pred.csv"
            lines = "".join(f"{value}\n" for value in predicted[rows.index].tolist())
            replace_file(place / name, partial(Path.write_text, data=lines))
            yield place / name
