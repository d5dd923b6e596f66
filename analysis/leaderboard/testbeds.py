"""Testbeds: runs that differ in nothing but the optimizer, its hyperparameters and seeds."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from oodbench.records import PROTOCOL

from ..compare.by_shift_class import classes_of
from ..runs.columns import TESTBED, values_of
from ..runs.remarks import SETTINGS

ASSUMED = ("dataset", *SETTINGS, "steps", "precision")
"""What distinguishes testbeds in a table without the column ``testbed``."""


@dataclass(frozen=True)
class Testbed:
    """One column of the leaderboard, for every algorithm.

    Attributes:
        number: Its number on the page, from 1.
        protocol: Version of the protocol; two are never compared.
        shift: Class of shift of the dataset; empty where it is not known.
        dataset: Name of the dataset.
        model: Name of the model; "a head on" it where it is frozen.
        settings: How models are trained, in words.
        runs: The rows of the table; the column ``testbed`` is its number.
    """

    number: int
    protocol: str
    shift: str
    dataset: str
    model: str
    settings: str
    runs: pd.DataFrame

    @property
    def name(self) -> str:
        """Dataset and model."""
        return f"{self.dataset}, {self.model}"


def testbeds(pairs: pd.DataFrame) -> Iterator[Testbed]:
    """The testbeds of a table, in order of first appearance.

    Args:
        pairs: A row a run. The column ``testbed``, where it is there, has a text that runs share
            which were trained alike; else ``ASSUMED`` decides.
    """
    absent = pd.Series("", index=pairs.index)
    named = [name for name in ASSUMED if name in pairs]
    own = [pairs[TESTBED]] if TESTBED in pairs else [pairs[n].astype(str) for n in named]
    protocol = pairs.get("protocol", absent.replace("", PROTOCOL)).astype(str)
    shift = classes_of(pairs)
    groups = pairs.groupby([protocol, shift, pairs["dataset"], *own], sort=False)
    names: Counter[tuple[str, ...]] = Counter()
    for number, (key, rows) in enumerate(groups, 1):
        version, kind, dataset = map(str, key[:3])
        name = version, kind, dataset, _model(rows), _settings(rows)
        names[name] += 1
        if names[name] > 1:  # they differ in what is no column
            name = (*name[:-1], f"{name[-1]}, variant {names[name]}")
        yield Testbed(number, *name, rows.assign(**{TESTBED: number}))


def _model(rows: pd.DataFrame) -> str:
    name = values_of(rows, "model").astype(str)
    options = values_of(rows, "model_options").astype(str)
    frozen = len(options) > 0 and '"train":"head"' in options.iloc[0].replace(" ", "")
    model = name.iloc[0] if len(name) else "unknown model"
    return f"a head on {model}" if frozen else model


def _settings(rows: pd.DataFrame) -> str:
    """Steps and batch, where all runs share them."""
    words = []
    steps, batch = (pd.unique(values_of(rows, name)) for name in ("steps", "batch"))
    if len(steps) == 1:
        words.append(f"{int(steps[0]):,} steps")
    if len(batch) == 1:
        words.append(f"batch {_plain(str(batch[0]))}")
    elif len(batch) > 1:
        words.append("batch size searched")
    return ", ".join(words)


def _plain(batch: str) -> str:
    """A batch without the marks of JSON, such as ``64 per environment``."""
    parts = (part.split(":") for part in batch.strip("{}").replace('"', "").split(","))
    return ", ".join(
        f"{part[1].strip()} {part[0].strip().replace('_', ' ')}" for part in parts if len(part) == 2
    )
