"""A dataset with three targets whose accuracies are known from that on the ID test examples."""

from pathlib import Path
from typing import Any

import numpy as np

import oodbench
from domainbed_adapters.digits import EXAMPLES, load_digits
from oodbench.data import Dataset, DatasetSpec, Environment, Split
from oodbench.results import add_sweep, open_database
from oodbench.seeds import stream
from oodbench.workers.worker import work
from oodbench.workers.worker_settings import WorkerSettings

NAME = "DigitTargets"
TARGETS = ("same", "flipped", "turned.90")


def build(data_seed: int) -> Dataset:
    """Is a digit below 5? Trained on some of scikit-learn's, with others of them as targets.

    ``same``: the ID test examples, so accuracy is that on them. ``flipped``: with the other label,
    so accuracy is one minus it. ``turned.90``: turned by a right angle.
    """
    images, digits = load_digits()
    labels = (digits < 5).astype(np.int64)
    order = stream(data_seed, NAME, "split").permutation(len(images))
    train, val, test = order[:800], order[800:1200], order[1200:]

    def split(rows: Any, turns: int = 0, flip: bool = False) -> Split:
        shown = np.rot90(images[rows], turns, axes=(1, 2))[:, None].copy()
        return Split(shown, 1 - labels[rows] if flip else labels[rows], examples=rows)

    trained = Environment(
        "upright", {"train": split(train), "val": split(val), "test": split(test)}
    )
    shown = (split(test), split(test, flip=True), split(test, turns=1))
    targets = (
        Environment(name, {"test": one}, apart="ood_test")
        for name, one in zip(TARGETS, shown, strict=True)
    )
    return Dataset(NAME, (trained, *targets), 2, source=EXAMPLES)


SPEC = DatasetSpec(
    NAME, ("upright", *TARGETS), 2, build, apart=(1, 2, 3), targets=(1, 2, 3), examples=1797
)


def sweep(*test_environments: int | str, **changes: Any) -> dict[str, Any]:
    """A small sweep; without test environments every target is tested on."""
    tested = {"test_environments": list(test_environments)} if test_environments else {}
    return {
        "name": "targets",
        "datasets": [{"name": NAME, **tested}],
        "algorithms": ["erm"],
        "optimizers": ["sgd", "adam"],
        "model": {"name": "mlp", "width": 8, "depth": 1},
        "search": {"trials": 3},
        "train": {"steps": 30, "batch": {"size": 32}, "evaluate_every": 15},
        **changes,
    }


def trained(db: Path, given: dict[str, Any]) -> Path:
    """The database, filled in this process: others do not know the dataset."""
    planned = oodbench.plan(given)
    with open_database(db, create=True) as database:
        add_sweep(database, planned.spec.name, {}, planned.studies)
    work(db, settings=WorkerSettings(device="cpu", stack=3))
    return db
