"""Models of known accuracies: what an audit says of them has a truth."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Parts = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Simulation:
    """Models whose accuracies lie on a line of probit axes, but for a part of the OOD examples.

    Attributes:
        models, n: How many, on n examples of each part.
        slope, bias: Of the line.
        inverted: The share of the OOD examples on which it has the slope -1: the first ones.
        wrong: The share of the labels that are replaced by the next class: the last ones.
        classes: Wrong answers are any of the others.
    """

    models: int = 50
    n: int = 2000
    slope: float = 0.8
    bias: float = -0.5
    inverted: float = 0.0
    wrong: float = 0.0
    classes: int = 10

    def draw(self, seed: int) -> tuple[Parts, Parts]:
        """Predicted classes and labels of ``id``, ``id_val`` and ``ood``."""
        rng = np.random.default_rng(seed)
        place = rng.uniform(-0.5, 2.0, self.models)[:, None]
        flat = np.ones(self.n)
        ood = ndtr(self.slope * place + self.bias) * flat
        ood[:, : round(self.inverted * self.n)] = ndtr(0.5 - place)
        found: Parts = {}
        labels: Parts = {}
        for name, p in (("id", ndtr(place) * flat), ("id_val", ndtr(place) * flat), ("ood", ood)):
            label = rng.integers(self.classes, size=self.n)
            other = (label + rng.integers(1, self.classes, p.shape)) % self.classes
            found[name] = np.where(rng.random(p.shape) < p, label, other)
            last = self.n - round(self.wrong * self.n)
            labels[name] = np.where(np.arange(self.n) < last, label, (label + 1) % self.classes)
        return found, labels
