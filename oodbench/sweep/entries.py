"""What a sweep file asks for by name: datasets, algorithms, optimizers, the model."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal

from pydantic import ConfigDict, Field, model_validator

from oodbench.algorithms import ALGORITHMS
from oodbench.data import DATASETS, Dataset, DatasetSpec
from oodbench.errors import RequestError, UnknownNameError
from oodbench.models import MODELS
from oodbench.models.pretrained import OwnWeights
from oodbench.models.spec import SEARCHED, SHARES
from oodbench.optimizers import OPTIMIZERS
from oodbench.optimizers.fine_tuning import NAMES, ends, read
from oodbench.optimizers.replicated import method_of
from oodbench.optimizers.spec import OptimizerSpec, check_installed
from oodbench.records import hash_of
from oodbench.results.sweeps.shifts import DECLARED, SHIFT, SOURCE
from oodbench.spaces import Choice, Range, override, parse
from oodbench.sweep.limits import OF_ALGORITHMS, check_limits, check_optimizer_space
from oodbench.sweep.settings import Part, Positive, TrainChanges, told_with_place


class Entry(Part):
    """Something by its registered name; keys that are not listed here are its own options."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)
    name: str

    @model_validator(mode="before")
    @classmethod
    def from_name(cls, values: Any) -> Any:
        """``erm`` is short for ``{name: erm}``."""
        return {"name": values} if isinstance(values, str) else values

    @property
    def options(self) -> dict[str, Any]:
        """The keys that are not ours."""
        return dict(self.model_extra or {})

    def check_options(self, known: Mapping[str, Any]) -> None:
        """Refuse an option that the thing does not have."""
        for key in self.options:
            if key not in known:
                own = [field for field in type(self).model_fields if field != "name"]
                raise UnknownNameError("key", key, [*own, *known], where=self.name)


class DatasetEntry(Entry):
    """A dataset and the environments that are kept out of training."""

    test_environments: Any = None
    train: TrainChanges | None = None
    shift: Literal["correlation", "diversity", "subpopulation"] | None = None

    @model_validator(mode="after")
    @told_with_place
    def check(self) -> "DatasetEntry":
        """The dataset exists, has these environments and options, and says no other shift."""
        named = DATASETS.get(self.name)
        self.check_options(named.options)
        named.check_options(self.options)
        given = self.test_environments
        listed = isinstance(given, list) and all(type(i) in (int, str) for i in given)
        if given not in (None, "each") and not listed:
            raise ValueError(
                "test_environments: needs each or a list of indices such as [2], but got "
                f"{given!r}{self.listing(named)}"
            )
        if self.shift is not None and self.about.shift not in ("", self.shift):
            raise ValueError(
                f"shift: {self.shift}, but that of {self.name} is known: {self.about.shift}; "
                "leave shift out"
            )
        if named.needs_files:  # which need not be here yet
            if self.test_environments:
                each = self.test_environments == "each"
                named.check_test_environments((0,) if each else tuple(self.test_environments))
            return self
        spec = self.spec
        if self.test_environments is None and not (spec.published or spec.targets):
            raise ValueError("test_environments is missing; it has no default")
        for test_environments in self.turns():
            spec.check_test_environments(test_environments)
        return self

    @cached_property  # it may have to list a large folder
    def spec(self) -> DatasetSpec:
        """The dataset, with the environments that it has with these options."""
        return DATASETS.get(self.name).resolved(self.options)

    @property
    def about(self) -> DatasetSpec:
        """The dataset, as far as it is known without files."""
        named = DATASETS.get(self.name)
        return named if named.needs_files else self.spec

    @cached_property
    def builds(self) -> str:
        """Entries of which this is equal have the same examples."""
        return hash_of([self.name, self.options])

    def build(self, data_seed: int) -> Dataset:
        """The examples, in one split."""
        return DATASETS.get(self.name).load(self.options, data_seed)

    @property
    def facts(self) -> dict[str, Any]:
        """What analysis needs to know of the dataset."""
        spec = self.spec
        return {
            "chance": 1 / spec.num_classes,
            "num_classes": spec.num_classes,
            "metric": spec.metric,
            **({SHIFT: self.shift, SOURCE: DECLARED} if self.shift else {SHIFT: spec.shift}),
            "environments": list(spec.environments),
            "apart": list(spec.apart),
            **({"targets": list(spec.targets)} if spec.targets else {}),
            **({"mean_of_targets": True} if spec.mean_of_targets else {}),
        }

    def listing(self, named: DatasetSpec) -> str:
        """The indices that there are to choose from, if any are to be chosen."""
        if named.needs_files or self.spec.published:
            return ""
        return f". The environments of {self.name} are {self.spec.listing}"

    def turns(self) -> list[tuple[int, ...]]:
        """The sets of test environments: one, or each environment in turn."""
        if self.test_environments == "each":
            spec = self.spec
            return [(i,) for i in spec.targets or spec.apart or range(len(spec.environments))]
        given = self.test_environments
        return [self.spec.indices(given) if given else ()]  # without files where none is named


class AlgorithmEntry(Entry):
    """An algorithm, with changes to its search space and to the training settings."""

    space: dict[str, Any] = Field(default_factory=dict)
    train: TrainChanges | None = None

    @model_validator(mode="after")
    @told_with_place
    def check(self) -> "AlgorithmEntry":
        """The algorithm exists and takes these hyperparameters and options."""
        spec = ALGORITHMS.get(self.name)
        self.check_options(spec.options)
        owner = f"algorithm {self.name}"
        check_limits(owner, override(spec.space, self.space, owner), OF_ALGORITHMS)
        return self

    @property
    def defaults(self) -> dict[str, Any]:
        """The entry's options at their defaults."""
        return {name: option[0] for name, option in ALGORITHMS.get(self.name).options.items()}


NONE = "none"


class ParallelEntry(Part):
    """A method of distributing training; keys that are not listed here are its hyperparameters."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)
    method: str
    replicas: Positive | None = None

    @model_validator(mode="before")
    @classmethod
    def from_name(cls, values: Any) -> Any:
        """``none`` is short for ``{method: none}``: one model, not distributed."""
        return {"method": NONE} if values == NONE else values

    @model_validator(mode="after")
    @told_with_place
    def check(self) -> "ParallelEntry":
        """The method exists and takes these hyperparameters."""
        if self.method == NONE:
            if self.replicas or self.space:
                raise ValueError("method none takes no replicas and no hyperparameters")
            return self
        space = method_of(self.method).space
        for key in self.space:
            if key not in space:
                raise UnknownNameError("key", key, ["replicas", *space], where=self.method)
        override(space, self.space, self.method)
        if self.replicas is None:
            raise ValueError(f"{self.method} needs replicas: how many")
        return self

    @property
    def space(self) -> dict[str, Any]:
        """Changes to the method's search space."""
        return dict(self.model_extra or {})


class OptimizerEntry(Entry):
    """An optimizer, with changes to its search space, alone or on replicas."""

    space: dict[str, Any] = Field(default_factory=dict)
    parallel: ParallelEntry | None = None

    @model_validator(mode="after")
    @told_with_place
    def check(self) -> "OptimizerEntry":
        """The optimizer exists, is installed and takes these hyperparameters."""
        spec = OPTIMIZERS.get(self.name)
        check_installed(spec.name, spec.package)
        self.check_options({})
        check_optimizer_space(f"optimizer {self.name}", self.searched(spec))
        return self

    def searched(self, spec: OptimizerSpec) -> dict[str, Range | Choice]:
        """The search space, after all changes; with options of fine-tuning that it names."""
        for name in self.space:
            if name not in spec.space and name not in NAMES:
                known, where = [*spec.space, *NAMES], f"optimizer {self.name}"
                raise UnknownNameError("hyperparameter", name, known, where=where)
        tuning = {name: text for name, text in self.space.items() if name in NAMES}
        own = {name: text for name, text in self.space.items() if name not in NAMES}
        space = override(spec.space, own, f"optimizer {self.name}")
        for name, text in tuning.items():
            try:
                space[name] = read(name, text)
            except RequestError as error:
                raise RequestError(f"optimizer {self.name}, {name}: {error}") from error
        return space

    def under(self, parallel: ParallelEntry) -> "OptimizerEntry":
        """This optimizer, distributed so: an entry under the contestant's own name.

        Raises:
            RequestError: If the two do not go together.
        """
        if parallel.method == NONE:
            return self
        name = f"{parallel.method}({self.name})x{parallel.replicas}"
        entry = OptimizerEntry.model_construct(name=name, space={**self.space, **parallel.space})
        check_optimizer_space(f"optimizer {name}", entry.searched(OPTIMIZERS.get(name)))
        return entry


def drawn(option: str, text: Mapping[str, Any]) -> Range | Choice:
    """What may be drawn for an option of a model; of shares, 0 and 0.0 are the same trial."""
    what = parse(text)
    if option in SHARES and isinstance(what, Choice):
        return Choice(tuple(float(v) if type(v) is int else v for v in what.values))
    return what


class ModelEntry(Entry):
    """A backbone and its options."""

    @model_validator(mode="after")
    @told_with_place
    def check(self) -> "ModelEntry":
        """The model exists and takes these options, and your own weights if they are here."""
        spec = MODELS.get(self.name)
        spec.check(self.options)
        for name, what in self.space.items():
            for value in ends(what):
                spec.check({name: value})
            if name not in SEARCHED:
                raise RequestError(
                    f"model {self.name}: {name} cannot be searched; of a model's options, "
                    f"{', '.join(SEARCHED)} can. Write one value."
                )
        if (own := self.options.get("weights")) and OwnWeights(own).here():
            _ = self.pretrained
        return self

    @property
    def options(self) -> dict[str, Any]:
        """The options that are not searched."""
        return {k: v for k, v in super().options.items() if not isinstance(v, Mapping)}

    @cached_property
    def space(self) -> dict[str, Range | Choice]:
        """What may be drawn for the options that are searched."""
        given = super().options.items()
        return {name: drawn(name, text) for name, text in given if isinstance(text, Mapping)}

    def check_images(self, dataset: DatasetEntry) -> None:
        """Raise RequestError unless it takes the images of a dataset, as far as that is known."""
        spec, about = MODELS.get(self.name), dataset.about
        size = {**about.options, **dataset.options}.get("size") if about.decodes else None
        if size is None or type(size) is int:  # the dataset says what is wrong with another
            most = {name: max(ends(what)) for name, what in self.space.items()}
            spec.fits({**spec.defaults, **self.options, **most}, size)

    @property
    def pretrained(self) -> str:
        """The sha256 of the weights file that it begins with; empty: random weights.

        Raises:
            RequestError: If the file is not on this machine, or is damaged.
        """
        spec = MODELS.get(self.name)
        return spec.pretrained({**spec.defaults, **self.options})
