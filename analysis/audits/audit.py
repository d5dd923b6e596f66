"""Can a dataset answer which models generalise? The parts of an audit, together."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from oodbench.errors import RequestError
from oodbench.results.predictions import Predictions

from ..stats.intervals import Estimate
from ..stats.testing import MARGIN
from .agreement import Agreement, agreement_on_the_line
from .duplicates import Duplicates
from .hardness import Hardness, hardness_of
from .line import Line, line_of
from .noise import Noise, contradicted
from .scored import scored
from .selection import Selection, select_inverted
from .sizes import SetSize, set_size


@dataclass(frozen=True)
class Audit:
    """What some models' answers say of a dataset with one choice of test environments.

    Attributes:
        dataset: Name of the dataset; empty where it is not known.
        test_environments: Names of the test environments; empty where they are not known.
        models: How many were scored.
        learned: How many exceed chance.
        chance: ID accuracy of the best constant answer.
        margin: The difference of accuracies that matters.
        line: Line of all models.
        line_learned: Line of the models above chance.
        selection: Which part of the OOD examples inverts the line.
        agreement: Whether OOD accuracy can be estimated without labels.
        hardness: How far a linear model comes; None where no model is known to be linear.
        id_size, ood_size: Differences that the test examples can detect.
        id_noise, ood_noise: Labels that the good models contradict.
        points: (2, models) ID and OOD accuracies.
        duplicates: Duplicates of the ID and of the OOD test examples, where their inputs are known.
        shift: What kind it is, as measured; empty where that was not done.
        diversity, correlation: The two shifts, as in ``analysis.measure_shift``.
        diverged: Models that have no answers.
    """

    dataset: str
    test_environments: str
    models: int
    learned: int
    chance: float
    margin: float
    line: Line
    line_learned: Line
    selection: Selection
    agreement: Agreement
    hardness: Hardness | None
    id_size: SetSize
    ood_size: SetSize
    id_noise: Noise
    ood_noise: Noise
    points: tuple[tuple[float, ...], tuple[float, ...]]
    duplicates: Mapping[str, Duplicates] = field(default_factory=dict)
    shift: str = ""
    diversity: float = math.nan
    correlation: float = math.nan
    diverged: int = 0

    def to_json(self) -> dict[str, Any]:
        """Everything but the points of pairs, as plain values; what is not known is None."""
        found: dict[str, Any] = _plain(asdict(self))
        del found["agreement"]["points"]
        return found


def audit(
    predictions: Predictions | Mapping[str, ArrayLike],
    labels: Mapping[str, ArrayLike] | None = None,
    *,
    environments: Mapping[str, ArrayLike] | None = None,
    linear: Sequence[bool] | None = None,
    margin: float = MARGIN,
    seed: int = 0,
) -> Audit:
    """What some models' answers say of the dataset that they are on.

    Every model counts as one independent draw. The models should differ in what one would choose
    among: 20 are the fewest for all parts, 50 give useful intervals.

    Args:
        predictions: ``id`` and ``ood``, each (models, examples) predicted classes on test examples;
            ``id_val`` in the same form, if there is a validation set, by which models are then
            compared. Or one set of ``oodbench.predictions``.
        labels: With arrays: under the same names, (examples,) classes.
        environments: With arrays: under the same names, (examples,) the environment of each
            example. Environments count alike, whatever their sizes. None: there is one.
        linear: (models,) which of them are linear in the inputs; None: not known.
        margin: The difference of two accuracies that matters, as a fraction.
        seed: Seed of halves and bootstraps.

    Raises:
        RequestError: An array is missing or does not fit, or the margin is none.
        UnknownNameError: An array has another name.
    """
    if not 0 < margin < 1:
        raise RequestError(f"margin must be a fraction between 0 and 1, but got {margin}.")
    models = scored(predictions, labels, environments)
    if linear is not None and len(linear) != len(models):
        raise RequestError(
            f"linear says it of {len(linear)} models, but there are {len(models)}. Pass one value "
            "for each."
        )
    good = models.of(models.good)
    return Audit(
        dataset=models.predictions.dataset,
        test_environments=models.predictions.test_environments,
        models=len(models),
        learned=int(models.learned.sum()),
        chance=models.chance,
        margin=margin,
        line=line_of(models, seed),
        line_learned=line_of(models.of(models.learned), seed),
        selection=select_inverted(models, seed),
        agreement=agreement_on_the_line(models, seed),
        hardness=None if linear is None else hardness_of(models, np.asarray(linear, bool)),
        id_size=set_size(good.id, margin, seed),
        ood_size=set_size(good.ood, margin, seed),
        id_noise=contradicted(good.id),
        ood_noise=contradicted(good.ood),
        points=(tuple(map(float, models.id.accuracy)), tuple(map(float, models.ood.accuracy))),
    )


def _plain(value: Any) -> Any:
    """A value for JSON: no NaN, no arrays; an estimate as its value and its 95% interval."""
    if isinstance(value, Mapping):
        if value.keys() == set(Estimate.__dataclass_fields__):
            value = {name: value[name] for name in ("value", "low", "high")}
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
