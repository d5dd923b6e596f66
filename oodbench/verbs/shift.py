"""Measuring a dataset's shift: classifiers trained here, densities compared in ``analysis``."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from oodbench import analysis
from oodbench.data import DATASETS, DatasetSpec
from oodbench.data.on_demand import on_demand
from oodbench.errors import RequestError
from oodbench.probes.environment_classifier import environment_features
from oodbench.probes.recording import ignore
from oodbench.probes.samples import Sample, sample_of
from oodbench.results import describe_target, open_database
from oodbench.results.sweeps.shifts import store_shift, studies_on
from oodbench.sweep.spec import different
from oodbench.training.precision import numerics
from oodbench.workers.place import find_device

SIZE = 32
"""Height and width of the largest images that are compared. The published classifier is for 28 x 28
pixels; with those of 64 x 64 its training diverges."""


def shift(
    dataset: str,
    test_environments: Sequence[int] | None = None,
    *,
    trials: int = 5,
    seed: int = 0,
    examples: int = 5_000,
    options: Mapping[str, Any] | None = None,
    data_seed: int = 0,
    device: str = "auto",
    progress: bool = True,
    on_trial: Callable[[str], None] | None = None,
    store: str | Path | None = None,
) -> pd.DataFrame:
    """How far a dataset's test environments are from the others: diversity and correlation shift.

    Each trial trains a classifier to tell test from training environments, and measures both shifts
    on its features of other examples: see ``oodbench.probes`` and ``analysis.measure_shift``. It
    describes a dataset; no selection of runs may use it.

    Examples are drawn before they are read, and a gibibyte of them at most: see
    ``oodbench.probes.samples``. Images are read at ``SIZE`` pixels at most, from their files.

    Args:
        dataset: Name of the dataset.
        test_environments: Indices of the environments on the test side; by default each environment
            in turn, or each target; with ``store`` those of the studies. Of published splits those
            out of distribution are on the test side, together.
        trials: Classifiers to train, on different seeds.
        seed: Seed of the first; the others follow.
        examples: Most examples a side to train a classifier on, and most to measure on.
        options: Options of the dataset, in place of its defaults; by default, with ``store``, those
            of the studies.
        data_seed: Seed of its splits, label noise and colours.
        device: Where to train: ``auto`` (a GPU if there is one), ``cpu``, ``cuda``, ...
        progress: Print a line on stderr after each trial, and while reading takes long.
        on_trial: In place of that: called with such a line.
        store: URL or path of a database, whose studies on this dataset then state the class that is
            measured here, with the fact ``shift_source: measured``. A class that the dataset or a
            sweep file says is kept, and ``unclear`` is not stored.

    Returns:
        ``analysis.shift_table``: two rows, one a variant, for each choice of test environments.
        With ``store`` also ``stored``: how many studies say the class now, and ``kept``: other
        sources' classes, each with its number of studies.

    Raises:
        RequestError: If a number is too small, the device cannot be used, the shift cannot be
            measured, or the database has no studies of this kind.
        UnknownNameError: If there is no such dataset or option.
    """
    if trials < 1 or examples < 1:
        raise RequestError(
            f"trials and examples must be at least 1, but got {trials} and {examples}."
        )
    place = find_device(device)
    turns: list[tuple[int, ...]] | None = None
    if store is not None:
        options, turns = studied(store, dataset, options)
    given = options or {}
    spec = DATASETS.get(dataset).resolved(given)
    choices = _choices(spec, test_environments, turns)
    shown = partial(print, file=sys.stderr, flush=True) if progress else ignore
    tell = on_trial or shown
    with on_demand():
        data = spec.load(_small(spec, given), data_seed)
    sample = sample_of(data, trials * examples, seed=seed, tell=tell)
    sample = replace(sample, name=dataset)
    measure = partial(_measured, sample, range(seed, seed + trials), examples, place, tell)
    tables = []
    for choice in choices:
        with numerics(place):
            tables.append(measure(choice or spec.targets))
        if store is not None:
            tables[-1] = tables[-1].assign(**_stored(store, spec, given, choice, tables[-1]))
    return pd.concat(tables, ignore_index=True)


def _choices(
    spec: DatasetSpec,
    test_environments: Sequence[int] | None,
    turns: Sequence[tuple[int, ...]] | None,
) -> Sequence[tuple[int, ...]]:
    """The test environments of each measurement; none: all targets, or the published splits."""
    if test_environments is not None:
        turns = [tuple(test_environments)]
    elif turns is None:
        alone = spec.targets or spec.apart or range(len(spec.environments))
        turns = [()] if spec.published else [(i,) for i in alone]
    for choice in turns:
        spec.check_test_environments(choice)
    return turns


def _small(spec: DatasetSpec, options: Mapping[str, Any]) -> Mapping[str, Any]:
    """The options, with images of ``SIZE`` pixels where they would be larger."""
    size = {**spec.options, **options}.get("size")
    return {**options, "size": SIZE} if type(size) is int and size > SIZE else options


def _measured(
    sample: Sample,
    seeds: Iterable[int],
    examples: int,
    device: torch.device,
    tell: Callable[[str], None],
    choice: Sequence[int],
) -> pd.DataFrame:
    """The shift table of one choice of test environments; none: what is apart, as published."""
    tested = tuple(choice) or sample.apart
    name = ",".join(map(str, choice)) or ",".join(sample.environments[i].name for i in tested)
    measured = []
    for seed in seeds:
        f = environment_features(sample, tested, seed=seed, examples=examples, device=device)
        found = analysis.measure_shift(f.z_p, f.y_p, f.z_q, f.y_q, seed=seed)
        measured.append(found)
        tell(
            f"{sample.name}, test environments {name}, seed {seed}: "
            f"diversity {found.plus.diversity:.3f}, "
            f"correlation {found.plus.correlation:.3f}; "
            f"the classifier is right on {f.accuracy:.1%}"
        )
    return analysis.shift_table(sample.name, name, measured)


def studied(
    db: str | Path, dataset: str, options: Mapping[str, Any] | None
) -> tuple[Mapping[str, Any], list[tuple[int, ...]]]:
    """The options of a dataset in the studies of a database, and their test environments.

    Args:
        db: URL or path of the database.
        dataset: Name of the dataset.
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
