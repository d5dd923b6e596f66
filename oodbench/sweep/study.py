"""One study of a sweep, and the trials that it means."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from oodbench.data import Dataset
from oodbench.optimizers.fine_tuning import FineTuning
from oodbench.records import Scalar, Trial, hash_of
from oodbench.seeds import seed_of
from oodbench.spaces import Choice, Range, parse
from oodbench.sweep.settings import Train


@dataclass(frozen=True)
class Data:
    """What a study has to know of its dataset.

    Attributes:
        fingerprint: Hash of its content.
        examples: Training examples, of all training environments.
        environments: Training environments.
    """

    fingerprint: str
    examples: int
    environments: int

    @classmethod
    def of(cls, dataset: Dataset, test_environments: tuple[int, ...]) -> "Data":
        """The facts of a built dataset, without these environments.

        Raises:
            RequestError: If a class has no training example then.
        """
        dataset.check_classes(test_environments)
        training = dataset.training_environments(test_environments)
        examples = sum(len(dataset.environments[i].splits["train"]) for i in training)
        return cls(dataset.fingerprint, examples, len(training))


@dataclass(frozen=True)
class Study:
    """One (dataset, test environments, algorithm, optimizer): the unit of search.

    Attributes:
        sweep: Name of the sweep.
        data: What it has to know of the dataset, for each split of it (data seed).
        definition: Everything that decides its trials, but not their number.
        space: Hyperparameter -> range or choice.
        train: Training settings, after all changes.
        facts: What analysis needs to know of the dataset and the optimizer.
    """

    sweep: str
    data: Sequence[Data]
    definition: Mapping[str, Any]
    space: Mapping[str, Range | Choice]
    train: Train
    facts: Mapping[str, Any]

    @cached_property
    def id(self) -> str:
        """A hash of the sweep's name and the definition."""
        return hash_of([self.sweep, self.definition])

    @classmethod
    def stored(
        cls,
        sweep: str,
        data: Sequence[Mapping[str, Any]],
        definition: Mapping[str, Any],
        facts: Mapping[str, Any],
    ) -> "Study":
        """A study as the database keeps it."""
        space = {name: parse(text) for name, text in definition["space"].items()}
        train = Train.model_validate(definition["train"])
        return cls(sweep, [Data(**split) for split in data], definition, space, train, facts)

    def drawn(self, trial: Trial) -> dict[str, Scalar]:
        """What was drawn for a trial of this study: the inverse of ``trial``."""
        values = dict(trial.hparams)
        if "batch_size" in self.space:
            values["batch_size"] = trial.batch.get("per_environment") or trial.batch["size"]
        return values

    def trial(
        self, hparams: Mapping[str, Scalar], index: int, repeat: int, split: int = 0
    ) -> Trial:
        """Trial number ``index``, trained for the ``repeat``-th time on another seed.

        The training seed does not depend on the optimizer, the algorithm or the split of the data,
        so that they can be compared in pairs.
        """
        values, sizes, d = dict(hparams), self.train.batch.sizes.values, self.definition
        size, data = int(values.pop("batch_size", sizes[0])), self.data[split]
        steps = self.train.resolve_steps(data.examples, data.environments, size)
        FineTuning.of(values).check_steps(steps)
        return Trial(
            dataset=d["dataset"],
            fingerprint=data.fingerprint,
            test_environments=tuple(d["test_environments"]),
            model=d["model"],
            algorithm=d["algorithm"],
            optimizer=d["optimizer"],
            hparams=values,
            steps=steps,
            batch=self.train.batch.resolve(size),
            evaluate_every=self.train.evaluate_every or max(1, steps // 5),
            seed=seed_of(d["search_seed"], index, repeat),
            data_seed=d["data_seed"] + split,
            dataset_options=d["dataset_options"],
            model_options=d["model_options"],
            algorithm_options=d["algorithm_options"],
            pretrained=d.get("pretrained", ""),
            precision=self.train.precision,
            parallel=d.get("parallel", ""),
            replicas=d.get("replicas", 1),
            **self.train.regime(),
        )
