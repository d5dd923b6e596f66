"""A sweep file: read, checked, and turned into the studies that it means."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import product
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PrivateAttr, ValidationError, model_validator

from oodbench.algorithms import ALGORITHMS, AlgorithmSpec
from oodbench.data import DATASETS, Dataset
from oodbench.errors import RequestError, SweepError, check_name
from oodbench.models import MODELS
from oodbench.optimizers import OPTIMIZERS
from oodbench.spaces import Choice, Range, override
from oodbench.sweep.building import (
    check_algorithm_builds,
    check_model_builds,
    check_optimizer_builds,
)
from oodbench.sweep.entries import (
    NONE,
    AlgorithmEntry,
    DatasetEntry,
    ModelEntry,
    OptimizerEntry,
    ParallelEntry,
)
from oodbench.sweep.fine_tuning import check_fine_tuning
from oodbench.sweep.machines import Ray, Slurm
from oodbench.sweep.mistakes import describe, odd_numbers
from oodbench.sweep.search.settings import Search
from oodbench.sweep.settings import (
    Batch,
    Confirm,
    Part,
    Positive,
    Rate,
    Train,
    told_with_place,
)
from oodbench.sweep.study import Data, Study

ALONE = ParallelEntry(method=NONE)
"""One model, not distributed."""
MOST_RUNS = 1_000_000
"""Maximum runs of one study."""


def listed(value: Any) -> Any:
    """A list; one thing alone is a list of one."""
    return value if isinstance(value, list) else [value]


class SweepSpec(Part):
    """A sweep: the grid of studies that one YAML file asks for."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    datasets: Annotated[list[DatasetEntry], Field(min_length=1)]
    algorithms: Annotated[list[AlgorithmEntry], Field(min_length=1)]
    optimizers: Annotated[list[OptimizerEntry], Field(min_length=1)]
    parallel: Annotated[list[ParallelEntry], BeforeValidator(listed)] = Field(default_factory=list)
    model: ModelEntry
    search: Search
    train: Train
    seeds: Positive = 1
    confirm: Confirm | None = None
    data_seed: int = 0
    data_seeds: Annotated[int, Field(ge=1, le=1000)] = 1
    keep_weights: Literal["none", "last", "selected"] = "none"
    keep_predictions: Literal["none", "last", "selected"] = "last"
    rate: Rate | None = None
    slurm: Slurm | None = None
    ray: Ray | None = None
    _known: dict[str, list[dict[tuple[int, ...], Data]]] = PrivateAttr(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def take_images_of_model(cls, values: Any) -> Any:
        """Images are of the size that the model was trained on, unless the file says otherwise."""
        return with_images(values) if isinstance(values, Mapping) else values

    @model_validator(mode="after")
    @told_with_place
    def check(self) -> "SweepSpec":
        """Nothing is asked for twice, and each algorithm gets the batches that it needs."""
        names = [entry.name for entry in (*self.algorithms, *self.contestants)]
        names += [f"{d.name}, tested on {list(turn)}" for d in self.datasets for turn in d.turns()]
        own = [d.name for d in self.datasets if DATASETS.get(d.name).own]
        own += [optimizer.name for optimizer in self.optimizers]
        for name in names:
            if names.count(name) > 1:
                kind = name.partition(",")[0]
                renamed = kind in own and "(" not in kind
                ways = f"write {kind}(NAME) for the second, or " if renamed else ""
                raise ValueError(
                    f"{name!r} is listed twice, but studies need different names; "
                    f"{ways}put the second into a sweep of another name and database"
                )
        check_size(self)
        for place, machines in (("slurm", self.slurm), ("ray", self.ray)):
            if machines is not None:
                machines.check_replicas(place, self.replicas)
        check_asked(self)
        for dataset in self.datasets:
            check_augmentation(dataset, self.model)
            self.model.check_images(dataset)
            if self.data_seeds > 1 and dataset.about.published:
                raise ValueError(one_split(dataset.name, self.data_seeds))
        for algorithm in self.algorithms:
            for dataset in self.datasets:
                train = self.train_of(dataset, algorithm)
                for optimizer in self.contestants:
                    check_optimizer(optimizer.name, train)
                    space = self.space_of(train, algorithm, optimizer)
                    check_fine_tuning(self.model, optimizer.name, space, train)
                batch, spec = train.batch, ALGORITHMS.get(algorithm.name)
                if train.label_smoothing and not spec.smooths:
                    raise ValueError(f"{algorithm.name} does not take label_smoothing")
                check_balance(train)
                for size in batch.sizes.values:
                    spec.check(algorithm.options, batch.resolve(int(size)))
                if not DATASETS.get(dataset.name).needs_files:  # else see _study
                    for turn in dataset.turns():
                        trained = dataset.spec.trained(turn)
                        check_environments(batch, spec, dataset.name, trained)
        return self

    @cached_property
    def contestants(self) -> list[OptimizerEntry]:
        """Each optimizer with each method of distributing it: its own, or those of the sweep.

        Raises:
            RequestError: If an optimizer and a method do not go together.
        """
        return [
            optimizer.under(parallel)
            for optimizer in self.optimizers
            for parallel in (
                [optimizer.parallel] if optimizer.parallel else self.parallel or [ALONE]
            )
        ]

    @property
    def replicas(self) -> list[int]:
        """How many replicas its runs have, each number once; without the runs that have none."""
        numbers = {OPTIMIZERS.get(optimizer.name).replicas for optimizer in self.contestants}
        return sorted(numbers - {1})

    def train_of(self, dataset: DatasetEntry, algorithm: AlgorithmEntry) -> Train:
        """The training settings of a dataset and an algorithm: the algorithm's changes win."""
        return self.train.changed(dataset.train, algorithm.train)

    @property
    def splits(self) -> range:
        """The data seeds: each draw is trained on each of these splits."""
        return range(self.data_seed, self.data_seed + self.data_seeds)

    @property
    def precisions(self) -> list[str]:
        """The precisions of the sweep's studies, each once."""
        pairs = product(self.datasets, self.algorithms)
        return list(dict.fromkeys(self.train_of(*pair).precision for pair in pairs))

    def space_of(
        self, train: Train, algorithm: AlgorithmEntry, optimizer: OptimizerEntry
    ) -> dict[str, Range | Choice]:
        """What is searched: of optimizer, algorithm, fine-tuning, model, and a batch of several."""
        space: dict[str, Range | Choice] = {
            **optimizer.searched(OPTIMIZERS.get(optimizer.name)),
            **override(ALGORITHMS.get(algorithm.name).space, algorithm.space, algorithm.name),
        }
        if len(train.batch.sizes.values) > 1:
            space["batch_size"] = train.batch.sizes
        return {**train.tuning, **self.model.space, **space}

    def check_builds(self) -> None:
        """Raise RequestError if an optimizer, an algorithm or the model cannot be built.

        Of datasets, as far as their inputs are known without files; ``built`` sees to the others.
        """
        for dataset in self.datasets:
            for algorithm in self.algorithms:
                train = self.train_of(dataset, algorithm)
                for optimizer in self.contestants:
                    space = self.space_of(train, algorithm, optimizer)
                    check_optimizer_builds(optimizer.name, space)
                    check_algorithm_builds(algorithm, space, train)
            if about := dataset.about.decodes and dataset.about:
                size = dataset.options.get("size", about.options["size"])
                self._check_model(dataset, (3, size, size), about.num_classes or 2)

    def built(self, dataset: DatasetEntry, data_seed: int) -> Dataset:
        """The examples of a dataset, in one split, that the model takes.

        Raises:
            RequestError: If it does not, or no machine holds a batch of them.
        """
        data = dataset.build(data_seed)
        self._check_model(dataset, data.input_shape, data.num_classes)
        return data

    def _check_model(self, dataset: DatasetEntry, shape: tuple[int, ...], classes: int) -> None:
        replicas = max(OPTIMIZERS.get(optimizer.name).replicas for optimizer in self.contestants)
        for algorithm in self.algorithms:
            train = self.train_of(dataset, algorithm)
            check_model_builds(self.model, shape, classes, train, replicas)

    def studies(self) -> Iterator[Study]:
        """The studies, dataset by dataset; builds each split of a dataset once."""
        for dataset in self.datasets:
            for cell in product(dataset.turns(), self.algorithms, self.contestants):
                yield self._study(dataset, *cell)

    def _study(
        self,
        dataset: DatasetEntry,
        test_environments: tuple[int, ...],
        algorithm: AlgorithmEntry,
        optimizer: OptimizerEntry,
    ) -> Study:
        train = self.train_of(dataset, algorithm)
        space = self.space_of(train, algorithm, optimizer)
        definition = {
            "dataset": dataset.name,
            "dataset_options": different(dataset.options, dataset.spec.options),
            "test_environments": list(test_environments),
            "algorithm": algorithm.name,
            "algorithm_options": different(algorithm.options, algorithm.defaults),
            "optimizer": optimizer.name,
            "model": self.model.name,
            "model_options": different(self.model.options, MODELS.get(self.model.name).defaults),
            "train": train.model_dump(exclude_none=True),
            "space": {name: what.to_yaml() for name, what in space.items()},
            "sampler": self.search.sampler,
            "search_seed": self.search.seed,
            "data_seed": self.data_seed,
        }
        spec = OPTIMIZERS.get(optimizer.name)
        if spec.parallel:
            definition |= {"parallel": spec.parallel, "replicas": spec.replicas}
        if pretrained := self.model.pretrained:
            definition["pretrained"] = pretrained
        data = [known[test_environments] for known in self._splits(dataset)]
        compared, trained = ALGORITHMS.get(algorithm.name), data[0].environments
        check_environments(train.batch, compared, dataset.name, trained)
        facts = {**dataset.facts, "optimizer_kind": spec.kind}
        return Study(self.name, data, definition, space, train, facts)

    def _splits(self, entry: DatasetEntry) -> list[dict[tuple[int, ...], Data]]:
        """For each split of a dataset, what studies have to know, by their test environments.

        Each split is built once, and not kept: it may be large.
        """
        like = [other for other in self.datasets if other.builds == entry.builds]
        turns = [turn for other in like for turn in other.turns()]
        if entry.builds not in self._known:
            self._known[entry.builds] = [
                {turn: Data.of(dataset, turn) for turn in turns}
                for dataset in (self.built(entry, seed) for seed in self.splits)
            ]
            check_splits(entry.name, self._known[entry.builds], self.splits)
        return self._known[entry.builds]


def check_size(spec: SweepSpec) -> None:
    """Raise ValueError if one study has more runs than anybody trains."""
    drawn = spec.search.at_most
    again = min(spec.confirm.top, drawn) * spec.confirm.seeds if spec.confirm else 0
    runs = (drawn * spec.seeds + again) * spec.data_seeds
    if runs > MOST_RUNS:
        raise ValueError(
            f"each study would have {runs:,} runs (trials, times seeds, times data_seeds, and "
            f"those of confirm), but at most {MOST_RUNS:,} are planned"
        )


def check_asked(spec: SweepSpec) -> None:
    """Raise ValueError if a search is to stop when something is decided that it does not draw."""
    if spec.search.stop is None:
        return
    names = [optimizer.name for optimizer in spec.contestants]
    for name in spec.search.among or ():
        check_name("optimizer of this sweep", name, names)
    if len(spec.search.among or names) < 2:
        raise ValueError("stop: decided compares optimizers, but the sweep has one; add another")
    if spec.confirm:
        raise ValueError(
            "confirm goes with a fixed number of trials; leave it out while stop is decided"
        )


def one_split(dataset: str, asked: int) -> str:
    """Why a dataset cannot be trained on several splits."""
    return (
        f"data_seeds asks for {asked} splits of the data, but {dataset} has one whatever the data "
        "seed: its authors, or its options, say which example is in which part. Leave data_seeds "
        "out for it, in a sweep of its own"
    )


def check_splits(
    dataset: str, splits: Sequence[Mapping[tuple[int, ...], Data]], seeds: range
) -> None:
    """Raise RequestError if two data seeds give the same examples in the same parts."""
    prints = {data.fingerprint for known in splits for data in known.values()}
    if len(prints) < len(seeds):
        raise RequestError(f"{one_split(dataset, len(seeds))}.")


def check_environments(batch: Batch, algorithm: AlgorithmSpec, dataset: str, trained: int) -> None:
    """Raise RequestError if a batch or an algorithm needs more environments than are trained on."""
    algorithm.check_environments(dataset, trained)
    if (batch.environments or 0) > trained:
        raise RequestError(
            f"batch asks for {batch.environments} environments, but {dataset} has {trained} to "
            "train on"
        )


def check_balance(train: Train) -> None:
    """Raise ValueError if environments are to be drawn equally often that are so already."""
    by_environment = train.batch.size is None or train.batch.environments
    if by_environment and "environments" in (train.balance or ""):
        raise ValueError(
            f"balance: {train.balance} goes with batch: {{size: n}}, which pools all environments; "
            "other batches draw each equally often already: write balance: classes, or leave it out"
        )


def check_augmentation(dataset: DatasetEntry, model: ModelEntry) -> None:
    """Raise ValueError if what is trained on features of images is to see augmented ones."""
    asked = {key: dataset.options.get(key) for key in ("augment", "augment_id_val")}
    for key, value in asked.items():
        if model.options.get("train") == "head" and value not in (None, False, "none"):
            raise ValueError(
                f"{dataset.name} asks for {key}: {value!r}, but {model.name} with train: head is "
                f"trained on features that are computed once; leave {key} out, or use train: all"
            )


def with_images(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """A sweep file's content, its datasets with the options that its model has for images.

    Its own checks report later what is wrong in it.
    """
    model = values.get("model")
    name = model.get("name") if isinstance(model, Mapping) else model
    try:
        wanted = MODELS.get(name).images if isinstance(name, str) else {}
    except RequestError:
        wanted = {}
    if not wanted or not isinstance(values.get("datasets"), list):
        return values

    def filled(dataset: Any) -> Any:
        given = {"name": dataset} if isinstance(dataset, str) else dataset
        if not isinstance(given, Mapping) or not isinstance(given.get("name"), str):
            return dataset
        try:
            about = DATASETS.get(given["name"])
        except RequestError:
            return dataset
        known = about.options if about.decodes else {}
        return {**given, **{k: v for k, v in wanted.items() if k in known and k not in given}}

    return {**values, "datasets": [filled(dataset) for dataset in values["datasets"]]}


def check_optimizer(name: str, train: Train) -> None:
    """Raise ValueError if the optimizer does not go with the training settings."""
    spec = OPTIMIZERS.get(name)
    if spec.sets_lr and train.changes_lr:
        raise ValueError(
            f"{name} sets its own learning rate from the gradients, so schedule, warmup and "
            "clip_norm would change what it is; leave them out, or it"
        )
    if spec.averages and train.average:
        raise ValueError(f"{name} is evaluated at an average of its own; leave out average, or it")


def different(options: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The options that are not at their default: only they enter a trial's id."""
    return {name: value for name, value in options.items() if value != defaults[name]}


def parse_sweep(values: Any, source: str = "sweep") -> SweepSpec:
    """Check what a sweep file says.

    Args:
        values: The parsed YAML.
        source: Where it comes from, for messages.

    Raises:
        SweepError: With one line for each mistake: where, what, and what is allowed.
    """
    lines = dict.fromkeys(odd_numbers(values))
    try:
        if not lines:
            return SweepSpec.model_validate(values)
    except ValidationError as error:
        lines = dict.fromkeys(describe(detail) for detail in error.errors())
    raise SweepError(f"{source}:\n" + "\n".join(f"  {line}" for line in lines))
