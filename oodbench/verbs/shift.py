"""Measuring a dataset's shift: classifiers trained here, densities compared in ``analysis``."""

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from oodbench import analysis
from oodbench.data import DATASETS, DatasetSpec
from oodbench.errors import RequestError
from oodbench.probes.environment_classifier import environment_features
from oodbench.probes.recording import ignore
from oodbench.results import describe_target, open_database
from oodbench.results.sweeps.shifts import store_shift, studies_on
from oodbench.sweep.spec import different


def shift(
    dataset: str,
    test_environments: Sequence[int] | None = None,
    *,
    trials: int = 5,
    seed: int = 0,
    examples: int = 5_000,
    options: Mapping[str, Any] | None = None,
    data_seed: int = 0,
    device: str = "cpu",
    progress: bool = True,
    on_trial: Callable[[str], None] | None = None,
    store: str | Path | None = None,
) -> pd.DataFrame:
    """How far a dataset's test environments are from the others: diversity and correlation shift.

    Each trial trains a classifier to tell test from training environments, and measures both shifts
    on its features of other examples: see ``oodbench.probes`` and ``analysis.measure_shift``. It
    describes a dataset; no selection of runs may use it.

    Args:
        dataset: Its name.
        test_environments: Indices of the environments on the test side; by default each environment
            in turn, with ``store`` those of the studies.
        trials: Classifiers to train, on different seeds.
        seed: Of the first; the others follow.
        examples: Most examples a side to train a classifier on, and most to measure on.
        options: Of the dataset, in place of its defaults; by default, with ``store``, those of the
            studies.
        data_seed: Of its splits, label noise and colours.
        device: Where to train: ``cpu``, ``cuda``, ...
        progress: Print a line on stderr after each trial.
        on_trial: In place of that: called with such a line.
        store: URL or path of a database, whose studies on this dataset shall say the class that is
            measured here, with the fact ``shift_source: measured``. A class that the dataset or a
            sweep file says is kept, and ``unclear`` is not stored.

    Returns:
        ``analysis.shift_table``: two rows, one a variant, for each choice of test environments.
        With ``store`` also ``stored``: how many studies say the class now, and ``kept``: other
        sources' classes, each with its number of studies.

    Raises:
        RequestError: If a number is too small, the shift cannot be measured, or the database has
            no studies of this kind.
        UnknownNameError: If there is no such dataset or option.
    """
    if trials < 1 or examples < 1:
        raise RequestError(
            f"trials and examples must be at least 1, but got {trials} and {examples}."
        )
    turns: list[tuple[int, ...]] | None = None
    if store is not None:
        options, turns = studied(store, dataset, options)
    spec = measurable(dataset, options or {})
    each = turns or [(i,) for i in range(len(spec.environments))]
    choices = each if test_environments is None else [tuple(test_environments)]
    for choice in choices:
        spec.check_test_environments(choice)
    data = spec.load(options or {}, data_seed)
    shown = partial(print, file=sys.stderr, flush=True) if progress else ignore
    tell = on_trial or shown
    tables = []
    for choice in choices:
        name, measured = ",".join(map(str, choice)), []
        for one in range(seed, seed + trials):
            f = environment_features(data, choice, seed=one, examples=examples, device=device)
            found = analysis.measure_shift(f.z_p, f.y_p, f.z_q, f.y_q, seed=one)
            measured.append(found)
            tell(
                f"{dataset}, test environments {name}, seed {one}: "
                f"diversity {found.plus.diversity:.3f}, "
                f"correlation {found.plus.correlation:.3f}; "
                f"the classifier is right on {f.accuracy:.1%}"
            )
        tables.append(analysis.shift_table(dataset, name, measured))
        if store is not None:
            tables[-1] = tables[-1].assign(
                **_stored(store, spec, options or {}, choice, tables[-1])
            )
    return pd.concat(tables, ignore_index=True)


def studied(
    db: str | Path, dataset: str, options: Mapping[str, Any] | None
) -> tuple[Mapping[str, Any], list[tuple[int, ...]]]:
    """The options of a dataset in the studies of a database, and their test environments.

    Args:
        db: URL or path of the database.
        dataset: Its name.
        options: None: there may be one choice of them alone.

    Raises:
        RequestError: If there are no such studies, or their options differ.
    """
    with open_database(db, read_only=True) as database:
        there = studies_on(database, dataset)
    known = [mine for mine, _ in there]
    wanted = known[:1] if options is None else [different(options, DATASETS.get(dataset).options)]
    turns = [turn for mine, turn in there if mine in wanted]
    if not turns or (options is None and len(turns) < len(there)):
        each = " or ".join({str(mine): None for mine in known})
        raise RequestError(
            f"The studies on {dataset} in {describe_target(db)} have the options {each}; say with "
            "which of them to measure its shift: --set NAME=VALUE."
            if each
            else f"{describe_target(db)} has no study on {dataset}; see: oodbench status."
        )
    return wanted[0], list(dict.fromkeys(turns))


def _stored(
    db: str | Path,
    spec: DatasetSpec,
    options: Mapping[str, Any],
    choice: tuple[int, ...],
    table: pd.DataFrame,
) -> dict[str, Any]:
    """Store what was measured with these test environments; columns that say what came of it."""
    shift = str(table["shift"].iloc[0])
    if shift == "unclear":
        return {"stored": 0, "kept": ""}
    with open_database(db) as database:
        done = store_shift(database, spec.name, different(options, spec.options), choice, shift)
    kept = ", ".join(f"{known} ({n})" for known, n in done.kept.items())
    return {"stored": done.studies, "kept": kept}


def measurable(dataset: str, options: Mapping[str, Any]) -> DatasetSpec:
    """The dataset, as these options make it.

    Raises:
        UnknownNameError: If there is no such dataset or option.
        RequestError: If it has published splits.
    """
    spec = DATASETS.get(dataset)
    if spec.published:
        raise RequestError(
            f"{dataset} has published splits, and a shift is measured between environments of "
            "which each has validation examples; this is not built for such datasets."
        )
    return spec.resolved(options)
