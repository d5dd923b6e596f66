"""What is asked for (Trial) and what came of it (RunRecord). Frozen, JSON in and out, no torch."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cache, cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

if TYPE_CHECKING:
    from oodbench.answers import KeptPredictions

Scalar = bool | int | float | str

PROTOCOL = "2"
"""Results of different protocol versions are not compared."""

Status = Literal["completed", "diverged", "failed"]
STATUSES: tuple[str, ...] = get_args(Status)

IMPORTED = "imported:"
"""How the protocol of an imported run begins; its source follows, such as ``domainbed``."""

Role = Literal["train", "id_val", "id_test", "ood_val", "ood_test", "oracle_val", "measured"]
ROLES: tuple[str, ...] = get_args(Role)
"""``id_*``: training environments. ``ood_val``: environments held apart from training and test.
``ood_test``: test environments. ``oracle_val``: a test environment's validation part, which the
rule ``oracle`` reads, and ``leave_one_environment_out`` where it is another run's training one.
``measured``: an environment that is neither, scored for its own sake: no rule reads it, and no mean
counts it."""
OOD_TEST, MEASURED = "ood_test", "measured"

LAST, BEST = "last", "best_id_val"
"""Checkpoints of which weights and predictions may be kept, as the checkpoint rules call them."""


ALIKE = (
    *("accumulate", "freeze", "linear_steps", "no_decay", "unfreeze_at"),
    *("dropout", "drop_path", "freeze_bn"),
)
SCALED = ("head_lr", "layer_decay")
"""Hyperparameters of fine-tuning (``oodbench.optimizers.fine_tuning``) and of models that all
models of a stack have alike, and those that each may have its own value of, if all have one."""


def canonical_json(value: Any) -> str:
    """One text per value: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def hash_of(value: Any) -> str:
    """16 hexadecimal digits of the sha256 of the value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:16]


@dataclass(frozen=True, eq=False)
class Trial:
    """Everything that decides a run, and nothing that does not. Equal trials are the same run.

    Attributes:
        dataset: Name of the dataset.
        fingerprint: Hash of its content: the same name with other data is another trial.
        test_environments: Indices of the environments kept out of training. Empty: those with
            published splits, or all targets of the dataset.
        model: Name of the backbone.
        algorithm: Algorithm, such as ``erm``.
        optimizer: Optimizer, such as ``adam``.
        hparams: Every value of the optimizer's and the algorithm's hyperparameters.
        steps: Optimizer steps.
        batch: ``{"per_environment": n}``, ``{"size": n, "environments": m}`` or ``{"size": n}``.
        evaluate_every: Steps from one evaluation to the next; the last step is always evaluated.
        seed: Seed of initialisation and batch order.
        data_seed: Seed of splits, label noise and colours.
        dataset_options: The options that differ from the dataset's defaults.
        model_options: The options that differ from the model's defaults.
        algorithm_options: The options that differ from the algorithm's defaults.
        pretrained: sha256 of the pretrained file, if any.
        precision: ``float32``, ``float64``, ``tf32`` or ``bf16``: see
            ``oodbench.training.precision``.
        schedule: Schedule of the learning rate: ``constant``, ``linear``, ``cosine`` or ``step``.
        warmup: Share of the steps in which the learning rate first grows.
        clip_norm: Largest norm of a step's gradient; longer ones are shortened. 0: none is.
        label_smoothing: Share of each label that is spread over all classes.
        balance: What is drawn equally often: ``none``, ``classes``, ``environments`` or
            ``environments+classes``.
        wise_ft: The model is also scored at these mixtures of its first and its last weights, at
            the last step: 0 is the first, 1 the last; see ``oodbench.training.mixtures``.
        average: Averaged weights, evaluated in place of the last: ``{"ema": decay}`` or
            ``{"swa": share of the steps from which on}``; empty: none.
        parallel: Method of data-parallel training; empty for one replica.
        replicas: Number of replicas.
        imported: For a run that was trained elsewhere: hash of what is known. Its fields hold
            what is known; a seed of -1, 0 steps or a batch without sizes are not known.
        protocol: See ``PROTOCOL`` and ``IMPORTED``.
    """

    dataset: str
    fingerprint: str
    test_environments: tuple[int, ...]
    model: str
    algorithm: str
    optimizer: str
    hparams: Mapping[str, Scalar]
    steps: int
    batch: Mapping[str, int]
    evaluate_every: int
    seed: int
    data_seed: int = 0
    dataset_options: Mapping[str, Any] = field(default_factory=dict)
    model_options: Mapping[str, Any] = field(default_factory=dict)
    algorithm_options: Mapping[str, Any] = field(default_factory=dict)
    pretrained: str = ""
    precision: str = "float32"
    schedule: str = "constant"
    warmup: float = 0.0
    clip_norm: float = 0.0
    label_smoothing: float = 0.0
    balance: str = "none"
    wise_ft: tuple[float, ...] = ()
    average: Mapping[str, float] = field(default_factory=dict)
    parallel: str = ""
    replicas: int = 1
    imported: str = ""
    protocol: str = PROTOCOL

    def __post_init__(self) -> None:
        for name in _mappings():
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Trial) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __reduce__(self) -> tuple[Any, ...]:  # a mapping proxy cannot be pickled
        return Trial.from_json, (self.to_json(),)

    def to_json(self) -> dict[str, Any]:
        """The trial as plain values; fields at their default are left out, except the protocol.

        So a field added later changes no id of a trial that does not use it.
        """
        return dict(self._plain)

    @cached_property
    def _plain(self) -> dict[str, Any]:
        """What ``to_json`` gives; made once, for three hashes need it."""
        result: dict[str, Any] = {}
        for name, default in _defaults().items():
            value = getattr(self, name)
            if isinstance(value, MappingProxyType):
                value = dict(value)
            elif isinstance(value, tuple):
                value = list(value)
            if name == "protocol" or value != default:
                result[name] = value
        return result

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Trial":
        """Read what ``to_json`` returned."""
        lists = values.keys() & {"test_environments", "wise_ft"}
        return cls(**{**values, **{name: tuple(values[name]) for name in lists}})

    @cached_property
    def id(self) -> str:
        """The trial's name everywhere: a hash of its canonical JSON."""
        return hash_of(self.to_json())

    @cached_property
    def config_id(self) -> str:
        """The id without the seed: shared by repeats of one configuration.

        An imported run whose seed is not known repeats no other.
        """
        free = ("seed",) if self.seed < 0 else ("seed", "imported")
        return hash_of({k: v for k, v in self.to_json().items() if k not in free})

    @property
    def source(self) -> str:
        """Where an imported run comes from, such as ``domainbed``; empty if trained by oodbench."""
        return self.protocol.removeprefix(IMPORTED) if self.protocol.startswith(IMPORTED) else ""

    @cached_property
    def cohort_key(self) -> str:
        """Trials with equal keys have one shape and can be trained in one stack.

        They may differ in optimizer, hyperparameters and seed; but not in what of a model is
        trained when.
        """
        free = ("optimizer", "hparams", "seed")
        shared = {k: v for k, v in self.to_json().items() if k not in free}
        alike = {k: v for k, v in self.hparams.items() if k in ALIKE}
        scaled = sorted(self.hparams.keys() & set(SCALED))
        return hash_of({**shared, **({"parts": [alike, scaled]} if alike or scaled else {})})

    @property
    def evaluation_steps(self) -> tuple[int, ...]:
        """Steps after which the model is evaluated, counted from 1; the last is ``steps``."""
        return (*range(self.evaluate_every, self.steps, self.evaluate_every), self.steps)


@cache
def _mappings() -> tuple[str, ...]:
    """The fields of a trial that are mappings; to look at each field of each trial takes longer."""
    return tuple(item.name for item in fields(Trial) if get_origin(item.type) is Mapping)


@cache
def _defaults() -> dict[str, Any]:
    """The fields of a trial and their defaults, as plain values."""
    return {
        item.name: {}
        if item.default_factory is not MISSING
        else list(item.default)
        if isinstance(item.default, tuple)
        else item.default
        for item in fields(Trial)
    }


@dataclass(frozen=True)
class Measurement:
    """One number measured during or after a run.

    Attributes:
        step: Optimizer steps taken before it.
        environment: Name of the environment; empty if it covers all training environments, or the
            split is a published one. Of the metric ``group_accuracy``, the group's name.
        split: ``train``, ``val`` or ``test``, or as the dataset's authors call it.
        role: What the split is to this trial, one of ``ROLES``.
        metric: ``accuracy`` (a fraction), ``loss``, or one of ``oodbench.metrics``.
        value: The number.
        n: How many examples it rests on; 0 if that is not known, as of imported runs.
    """

    step: int
    environment: str
    split: str
    role: str
    metric: str
    value: float
    n: int


@dataclass(frozen=True)
class RunRecord:
    """What came of a trial: scores, or why there are none.

    Attributes:
        trial: What was asked for.
        status: ``completed``; ``diverged`` (a loss or parameter became non-finite); ``failed``.
        reason: Empty, or one sentence with the fix.
        measurements: Measurements in the order in which they were made.
        provenance: Package versions, commit, device, stack size, seconds, gradient evaluations, ...
        predictions: The predictions that were to be kept, of a completed run; a record that was
            read back from a database has none. Two records are equal whatever theirs are.
    """

    trial: Trial
    status: Status
    reason: str = ""
    measurements: tuple[Measurement, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    predictions: "KeptPredictions | None" = field(default=None, compare=False, repr=False)
