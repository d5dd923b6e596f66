"""One study of a sweep, and the trials that it means."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from oodbench.data import Dataset
from oodbench.records import Scalar, Trial, hash_of
from oodbench.seeds import seed_of
from oodbench.spaces import Choice, Range
from oodbench.sweep.settings import Train


@dataclass(frozen=True)
class Study:
    """One (dataset, test environments, algorithm, optimizer): the unit of search.

    Attributes:
        sweep: Name of the sweep.
        dataset: The built dataset.
        definition: Everything that decides its trials, but not their number.
        space: Hyperparameter -> range or choice.
        train: Training settings, after all changes.
        facts: What analysis needs to know of the dataset and the optimizer.
    """

    sweep: str
    dataset: Dataset
    definition: Mapping[str, Any]
    space: Mapping[str, Range | Choice]
    train: Train
    facts: Mapping[str, Any]

    @cached_property
    def id(self) -> str:
        """A hash of the sweep's name and the definition."""
        return hash_of([self.sweep, self.definition])

    def trial(self, hparams: Mapping[str, Scalar], index: int, repeat: int) -> Trial:
        """Trial number ``index``, trained for the ``repeat``-th time on another seed.

        The training seed does not depend on the optimizer or the algorithm, so that they can be
        compared in pairs.
        """
        values = dict(hparams)
        size = int(values.pop("batch_size", self.train.batch.sizes.values[0]))
        d = self.definition
        test_environments = tuple(d["test_environments"])
        training = self.dataset.training_environments(test_environments)
        examples = sum(len(self.dataset.environments[i].splits["train"]) for i in training)
        steps = self.train.resolve_steps(examples, len(training), size)
        return Trial(
            dataset=d["dataset"],
            fingerprint=self.dataset.fingerprint,
            test_environments=test_environments,
            model=d["model"],
            algorithm=d["algorithm"],
            optimizer=d["optimizer"],
            hparams=values,
            steps=steps,
            batch=self.train.batch.resolve(size),
            evaluate_every=self.train.evaluate_every or max(1, steps // 5),
            seed=seed_of(d["search_seed"], index, repeat),
            data_seed=d["data_seed"],
            dataset_options=d["dataset_options"],
            model_options=d["model_options"],
            algorithm_options=d["algorithm_options"],
            precision=self.train.precision,
        )
