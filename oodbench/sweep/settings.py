"""The parts of a sweep file: strict keys and types, training settings."""

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import wraps
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from oodbench.errors import RequestError, UnknownNameError
from oodbench.optimizers.fine_tuning import NAMES, read
from oodbench.spaces import Choice, Range, parse

Positive = Annotated[int, Field(ge=1)]
Precision = Literal["float32", "float64", "tf32", "bf16"]
"""See ``oodbench.records.Trial``."""
LONGEST, EVALUATIONS = 10**9, 10**6
"""Steps and evaluations of a run, at most: far more than anybody waits for."""
T = TypeVar("T")


def told_with_place(check: Callable[[T], T]) -> Callable[[T], T]:
    """``check``, with its errors passed on by pydantic, which adds the place in the file."""

    @wraps(check)
    def checked(value: T) -> T:
        try:
            return check(value)
        except RequestError as error:
            raise ValueError(str(error)) from error

    return checked


class Part(BaseModel):
    """A part of a sweep file: unknown keys and wrong types are refused."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def check_keys(cls, values: Any) -> Any:
        """Refuse keys by name, with those that are allowed."""
        if not isinstance(values, Mapping):
            raise ValueError(f"needs keys and values, but got {values!r}")
        for key in values:
            if cls.model_config["extra"] == "forbid" and key not in cls.model_fields:
                raise ValueError(str(UnknownNameError("key", key, cls.model_fields)))
        return values


@told_with_place
def powers_of_two(size: Any) -> Any:
    """A batch size: a positive integer, or ``{choice: [...]}`` of powers of two."""
    what = parse(size)
    sizes = what.values if isinstance(what, Choice) else ()
    searched = isinstance(size, Mapping)
    for n in sizes:
        whole = isinstance(n, int) and not isinstance(n, bool) and n >= 1
        if not whole or (searched and n & (n - 1)):  # type: ignore[operator]
            sizes = ()
    if not sizes:
        raise ValueError(
            f"a batch size is a whole number >= 1 or {{choice: [powers of two]}}, but got {size!r}"
        )
    return size


BatchSize = Annotated[Any, AfterValidator(powers_of_two)]


class Batch(Part):
    """What a step sees. See ``oodbench.training.inputs.batches``."""

    per_environment: BatchSize | None = None
    size: BatchSize | None = None
    environments: Positive | None = None

    @model_validator(mode="after")
    def check(self) -> "Batch":
        """One of the three forms."""
        if (self.per_environment is None) == (self.size is None):
            raise ValueError("write either per_environment or size")
        if self.environments is not None and self.per_environment is not None:
            raise ValueError("environments goes with size, not with per_environment")
        for size in self.sizes.values:
            if self.environments is not None and int(size) % self.environments:
                raise ValueError(f"size {size} is no multiple of environments {self.environments}")
        return self

    @property
    def sizes(self) -> Choice:
        """The batch sizes that may be drawn."""
        what = parse(self.per_environment if self.size is None else self.size)
        assert isinstance(what, Choice)  # powers_of_two has seen to it
        return what

    def resolve(self, size: int) -> dict[str, int]:
        """The batch of a trial."""
        if self.size is None:
            return {"per_environment": size}
        return {"size": size} | ({"environments": self.environments} if self.environments else {})


class Average(Part):
    """Weights that are averaged along a run. See ``oodbench.training.averaging``."""

    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    swa: Annotated[float, Field(ge=0, lt=1)] | None = None

    @model_validator(mode="after")
    def check(self) -> "Average":
        """Check that exactly one of the averages is set."""
        if (self.ema is None) == (self.swa is None):
            raise ValueError("write either ema or swa")
        return self


def tuning(name: str) -> AfterValidator:
    """Checks an option of fine-tuning: a value, or what may be drawn for it."""

    @told_with_place
    def check(given: Any) -> Any:
        if given is not None:
            read(name, given)
        return given

    return AfterValidator(check)


Share = Annotated[float, Field(ge=0, le=1)]


def all_scored(given: Any) -> Any:
    """Refuse mixtures to draw from: each run is scored at all of them."""
    if isinstance(given, Mapping):
        raise ValueError(
            f"lists the mixtures at which every run is scored, so there is nothing to draw, but "
            f"got {given!r}: write all of them in one list, such as [0, 0.5, 1]"
        )
    return given


class TrainChanges(Part):
    """Training settings; those that are not given stay as they are."""

    steps: Positive | None = None
    epochs: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    batch: Batch | None = None
    evaluate_every: Positive | None = None
    precision: Precision | None = None
    schedule: Literal["constant", "linear", "cosine", "step"] | None = None
    warmup: Annotated[float, Field(ge=0, lt=1)] | None = None
    clip_norm: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] | None = None
    balance: Literal["none", "classes", "environments", "environments+classes"] | None = None
    average: Average | None = None
    layer_decay: Annotated[Any, tuning("layer_decay")] = None
    head_lr: Annotated[Any, tuning("head_lr")] = None
    no_decay: Annotated[Any, tuning("no_decay")] = None
    freeze: Annotated[Any, tuning("freeze")] = None
    unfreeze_at: Annotated[Any, tuning("unfreeze_at")] = None
    linear_steps: Annotated[Any, tuning("linear_steps")] = None
    linear_lr: Annotated[Any, tuning("linear_lr")] = None
    accumulate: Annotated[Any, tuning("accumulate")] = None
    wise_ft: Annotated[list[Share], BeforeValidator(all_scored), Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def check_length(self) -> "TrainChanges":
        """steps and epochs exclude each other."""
        if self.steps is not None and self.epochs is not None:
            raise ValueError("write either steps or epochs")
        return self

    def given(self) -> dict[str, Any]:
        """What is given, and what it displaces."""
        given = {k: v for k, v in self if v is not None}
        if "steps" in given or "epochs" in given:
            given = {"steps": None, "epochs": None} | given
        return given


class Train(TrainChanges):
    """Training settings of a sweep."""

    batch: Batch
    precision: Precision = "float32"

    @model_validator(mode="after")
    def check_complete(self) -> "Train":
        """Check that a run ends, and is not too long."""
        if self.steps is None and self.epochs is None:
            raise ValueError("needs steps or epochs")
        times = (self.steps or 0) // (self.evaluate_every or LONGEST)
        if times > EVALUATIONS or (self.steps or 0) > LONGEST:
            raise ValueError(
                f"a run has at most {LONGEST:,} steps and {EVALUATIONS:,} evaluations, but these "
                f"are {self.steps:,} steps with evaluate_every: {self.evaluate_every}"
            )
        return self

    def changed(self, *changes: TrainChanges | None) -> "Train":
        """These settings with the changes applied, the last winning."""
        values = dict(self)
        for change in changes:
            values |= change.given() if change else {}
        return self.model_copy(update=values)

    @property
    def changes_lr(self) -> bool:
        """Whether the learning rate or the length of gradients is changed from outside."""
        scheduled = self.schedule not in (None, "constant") or bool(self.warmup)
        return scheduled or bool(self.clip_norm)

    def regime(self) -> dict[str, Any]:
        """What a trial takes over as it is; defaults are left out."""
        names = ("schedule", "warmup", "clip_norm", "label_smoothing", "balance")
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        average = self.average.model_dump(exclude_none=True) if self.average else {}
        mixtures = tuple(sorted(set(self.wise_ft or ())))
        return given | {"average": average, "wise_ft": mixtures}

    @property
    def tuning(self) -> dict[str, Range | Choice]:
        """What may be drawn for the options of fine-tuning, of those that are given."""
        given = {name: getattr(self, name) for name in NAMES}
        return {name: read(name, value) for name, value in given.items() if value is not None}

    def resolve_steps(self, examples: int, environments: int, size: int) -> int:
        """Steps of a run: as given, or ceil(epochs * examples / batch)."""
        if self.steps is not None:
            return self.steps
        assert self.epochs is not None  # check_complete has seen to it
        total = size * environments if self.batch.size is None else size
        return math.ceil(Fraction(str(self.epochs)) * examples / total)  # 1.1 * 10 / 1 is 11


class Rate(Part):
    """How fast one GPU trains, for estimates: see ``oodbench.sweep.estimate``."""

    examples_per_second: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    source: str


class Confirm(Part):
    """The best configurations of each study, trained again on fresh seeds."""

    top: Positive = 1
    by: Literal["id_val"] = "id_val"  # another would have to say so in every table
    seeds: Annotated[int, Field(ge=2)] = 5
