"""What models answered in and out of distribution: what every part of an audit reads."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from oodbench.errors import RequestError, check_name
from oodbench.results.predictions import Predictions

from ..stats.intervals import Array

SIDES: Mapping[str, str] = {"id": "id_test", "id_val": "id_val", "ood": "ood_test"}
"""What ``analysis.audit`` calls the examples -> their role."""

Ints = NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class Part:
    """Examples of one role, and what K models answer.

    Attributes:
        predicted: (K, n) classes.
        labels: (n,) classes.
        weights: (n,) of each example in an accuracy: every environment counts alike.
        examples: (n,) the number of each: renderings of one example have one number.
    """

    predicted: Ints
    labels: Ints
    weights: Array
    examples: Ints

    @cached_property
    def right(self) -> NDArray[np.float32]:
        """(K, n) 1 where a model is right, else 0."""
        return np.asarray(self.predicted == self.labels, np.float32)

    @cached_property
    def accuracy(self) -> Array:
        """The accuracy (K,) of each model."""
        return np.asarray(self.right @ self.weights, float)

    @cached_property
    def n(self) -> int:
        """How many different examples there are."""
        return len(np.unique(self.examples))


@dataclass(frozen=True, eq=False)
class Scored:
    """K models, scored in and out of distribution.

    Attributes:
        predictions: Predictions of the models.
    """

    predictions: Predictions

    @cached_property
    def id(self) -> Part:
        """The ID test examples; validation examples where a dataset has none."""
        return self._part("id_test" if self.has("id_test") else "id_val")

    @cached_property
    def id_val(self) -> Part | None:
        """The ID validation examples, where these are others than those of ``id``."""
        return self._part("id_val") if self.has("id_val") and self.has("id_test") else None

    @cached_property
    def ood(self) -> Part:
        """The part of the OOD test examples."""
        return self._part("ood_test")

    @cached_property
    def chance(self) -> float:
        """The ID accuracy of the best constant answer."""
        return float(np.bincount(self.id.labels, self.id.weights).max())

    @cached_property
    def selecting(self) -> Array:
        """(K,) the ID accuracies that models are compared by: on validation examples, if any."""
        return (self.id_val or self.id).accuracy

    @cached_property
    def learned(self) -> NDArray[np.bool_]:
        """(K,) whether the ID accuracy exceeds chance by more than 1.96 standard errors."""
        n = (self.id_val or self.id).n
        error = 1.96 * np.sqrt(self.chance * (1 - self.chance) / n)
        return np.asarray(self.selecting > self.chance + error)

    @cached_property
    def good(self) -> NDArray[np.bool_]:
        """(K,) the better half by ID accuracy, of those that have learned."""
        if not self.learned.any():
            return self.learned
        return self.learned & (self.selecting >= np.median(self.selecting[self.learned]))

    @property
    def pairs(self) -> pd.DataFrame:
        """A row a model, as from ``oodbench.results.query.pairs``."""
        sides = {"id": self.id, "id_test": self.id, "id_val": self.id_val, "ood": self.ood}
        known = {name: part for name, part in sides.items() if part is not None}
        columns = {name: part.accuracy for name, part in known.items()}
        columns |= {f"n_{name}": np.full(len(self), part.n) for name, part in known.items()}
        return pd.DataFrame(
            {
                "run": list(self.predictions.runs),
                "dataset": self.predictions.dataset,
                "test_environments": self.predictions.test_environments,
                "algorithm": "any",
                "optimizer": "any",
                "status": "completed",
                **columns,
            }
        )

    def __len__(self) -> int:
        return len(self.predictions.runs)

    def has(self, role: str) -> bool:
        """Whether there are examples of a role."""
        return bool((self.predictions.examples["role"] == role).any())

    def of(self, models: NDArray[Any]) -> "Scored":
        """Some of the models: numbers, or a mask."""
        known = self.predictions
        runs = tuple(np.asarray(known.runs, dtype=object)[models])
        return Scored(replace(known, runs=runs, predicted=known.predicted[models]))

    def on(self, chosen: NDArray[np.integer[Any]]) -> "Scored":
        """The models, scored on only the ``chosen`` OOD test examples, by position."""
        known = self.predictions
        is_ood = (known.examples["role"] == "ood_test").to_numpy()
        kept = ~is_ood
        kept[np.flatnonzero(is_ood)[chosen]] = True
        examples = known.examples[kept].reset_index(drop=True)
        return Scored(replace(known, examples=examples, predicted=known.predicted[:, kept]))

    def _part(self, role: str) -> Part:
        known = self.predictions
        shown = (known.examples["role"] == role).to_numpy()
        rows = known.examples[shown]
        code, names = pd.factorize(rows["environment"])
        weights = 1 / (len(names) * np.bincount(code)[code])
        numbers, labels = rows["example"].to_numpy(), rows["label"].to_numpy()
        return Part(known.predicted[:, shown], labels, weights, numbers)


def scored(
    predictions: Predictions | Mapping[str, ArrayLike],
    labels: Mapping[str, ArrayLike] | None = None,
    environments: Mapping[str, ArrayLike] | None = None,
) -> Scored:
    """Predictions from a database, or arrays from anywhere; see ``analysis.audit``.

    Raises:
        RequestError: An array is missing, or does not fit the others.
        UnknownNameError: There is no such part.
    """
    if not isinstance(predictions, Predictions):
        predictions = _of_arrays(predictions, labels or {}, environments or {})
    found = Scored(predictions)
    lacking = [name for name in ("id", "ood") if not _has(found, name)]
    if lacking:
        raise RequestError(
            f"An audit needs predictions of ID and of OOD test examples, but {lacking[0]} has "
            "none. Pass both, or let runs be scored on a test environment."
        )
    return found


def _has(found: Scored, side: str) -> bool:
    return any(map(found.has, ("id_test", "id_val") if side == "id" else ("ood_test",)))


def _of_arrays(
    predicted: Mapping[str, ArrayLike],
    labels: Mapping[str, ArrayLike],
    environments: Mapping[str, ArrayLike],
) -> Predictions:
    for name in (*predicted, *labels, *environments):
        check_name("part of the predictions", name, SIDES)
    frames, answers = [], []
    for name, given in predicted.items():
        answers.append(_classes(f"predictions[{name!r}]", given, 2))
        label = _classes(f"labels[{name!r}]", labels.get(name, ()), 1)
        shape = answers[-1].shape
        if shape != (len(answers[0]), len(label)):
            raise RequestError(
                f"predictions[{name!r}] must be (models, examples), here ({len(answers[0])}, "
                f"{len(label)}) by the first array and the labels, but is {shape}. Pass the same "
                "models everywhere, and a label for each example."
            )
        rows = pd.DataFrame({"environment": "", "role": SIDES[name], "label": label})
        if name in environments:
            rows["environment"] = np.asarray(environments[name]).astype(str)
        frames.append(rows)
    if not frames:
        raise RequestError("predictions has no arrays; it needs those of id and ood.")
    examples = pd.concat(frames, ignore_index=True)
    examples = examples.assign(split=examples["role"], example=np.arange(len(examples)))
    runs = tuple(f"model {number}" for number in range(len(answers[0])))
    return Predictions("", "", 0, "audited", runs, examples, np.concatenate(answers, axis=1))


def _classes(name: str, given: ArrayLike, dimensions: int) -> Ints:
    """Whole numbers from 0, in an array of so many dimensions."""
    values = np.asarray(given)
    if values.ndim != dimensions or not values.size:
        raise RequestError(
            f"{name} must be a non-empty array of {dimensions} dimensions, but has the shape "
            f"{values.shape}."
        )
    if not np.issubdtype(values.dtype, np.integer) or values.min() < 0:
        raise RequestError(
            f"{name} must be classes, whole numbers from 0, but holds {values.dtype} from "
            f"{values.min()}. Pass the number of the most likely class, not its probability."
        )
    return values.astype(np.int64)
