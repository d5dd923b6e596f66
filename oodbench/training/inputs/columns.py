"""A table of numbers as a trial's model takes it, which depends on what the trial trains on."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from oodbench.data import Dataset, Split
from oodbench.data.columns import Standardised


def replaced(dataset: Dataset, change: Callable[[Split, str, str], NDArray[Any]]) -> Dataset:
    """The dataset with other inputs for the same examples, which are not augmented.

    Args:
        dataset: Its labels, splits and numbers of examples stay.
        change: ``change(split, environment, name)`` gives the split's (n, ...) inputs; the
            environment of a published split is empty.
    """

    def seen(split: Split, environment: str, name: str) -> Split:
        inputs = change(split, environment, name)
        return replace(split, inputs=inputs, examples=split.numbers)

    environments = tuple(
        replace(e, splits={name: seen(split, e.name, name) for name, split in e.splits.items()})
        for e in dataset.environments
    )
    published = tuple(
        replace(given, split=seen(given.split, "", given.name)) for given in dataset.published
    )
    return replace(
        dataset,
        environments=environments,
        published=published,
        augment="",
        augment_id_val=False,
    )


def standardised(dataset: Dataset, test_environments: tuple[int, ...]) -> Dataset:
    """The dataset with what a model takes in place of its columns; itself if it has none.

    Means, deviations and categories are those of the training examples of the environments that
    are trained on, each example weighing alike: no test environment decides what a model takes.
    See ``oodbench.data.columns``.
    """
    if dataset.columns is None:
        return dataset
    training = dataset.training_environments(test_environments)
    parts = [dataset.environments[i].splits["train"].inputs for i in training]
    fitted = Standardised.of(dataset.columns, parts)
    return replace(replaced(dataset, lambda split, *_: fitted(split.inputs)), columns=None)
