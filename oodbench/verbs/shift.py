"""Measuring a dataset's shift: classifiers trained here, densities compared in ``analysis``."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from oodbench import analysis
from oodbench.data import DATASETS, DatasetSpec
from oodbench.errors import RequestError
from oodbench.probes.environment_classifier import environment_features


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
    on_trial: Callable[[str], None] = lambda line: None,
) -> pd.DataFrame:
    """How far a dataset's test environments are from the others: diversity and correlation shift.

    Each trial trains a classifier to tell test from training environments, and measures both shifts
    on its features of other examples: see ``oodbench.probes`` and ``analysis.measure_shift``. It
    describes a dataset; no selection of runs may use it.

    Args:
        dataset: Its name.
        test_environments: Indices of the environments on the test side; by default each environment
            in turn.
        trials: Classifiers to train, on different seeds.
        seed: Of the first; the others follow.
        examples: Most examples a side to train a classifier on, and most to measure on.
        options: Of the dataset, in place of its defaults.
        data_seed: Of its splits, label noise and colours.
        device: Where to train: ``cpu``, ``cuda``, ...
        on_trial: Called with a line after each trial.

    Returns:
        ``analysis.shift_table``: two rows, one a variant, for each choice of test environments.

    Raises:
        RequestError: If a number is too small, or the shift cannot be measured.
        UnknownNameError: If there is no such dataset or option.
    """
    if trials < 1 or examples < 1:
        raise RequestError(
            f"trials and examples must be at least 1, but got {trials} and {examples}."
        )
    spec = measurable(dataset, options or {})
    each = [(i,) for i in range(len(spec.environments))]
    choices = each if test_environments is None else [tuple(test_environments)]
    for choice in choices:
        spec.check_test_environments(choice)
    data = spec.load(options or {}, data_seed)
    tables = []
    for choice in choices:
        name, measured = ",".join(map(str, choice)), []
        for one in range(seed, seed + trials):
            f = environment_features(data, choice, seed=one, examples=examples, device=device)
            found = analysis.measure_shift(f.z_p, f.y_p, f.z_q, f.y_q, seed=one)
            measured.append(found)
            on_trial(
                f"{dataset}, test environments {name}, seed {one}: "
                f"diversity {found.plus.diversity:.3f}, "
                f"correlation {found.plus.correlation:.3f}; "
                f"the classifier is right on {f.accuracy:.1%}"
            )
        tables.append(analysis.shift_table(dataset, name, measured))
    return pd.concat(tables, ignore_index=True)


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
