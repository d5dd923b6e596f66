"""RSI and EB along a run's path, towards a point that is known once the run is over.

Guille-Escuret, Naganuma, Fatras & Mitliagkas, *No Wrong Turns: The Simple Geometry of Neural
Networks Optimization Paths* (ICML 2024, arXiv 2306.11922). With w_t the weights before step t, g_t
the gradient of that step's batch there, w* the end point and d_t = w_t - w*,

    RSI_t = <g_t, d_t> / ||d_t||^2,   EB_t = ||g_t|| / ||d_t||,   gamma_t = RSI_t / EB_t,

gamma being the cosine of g_t and d_t. The learning rate <g_t, d_t> / ||g_t||^2 = RSI_t / EB_t^2
brings a gradient step nearest to w*: it multiplies ||d_t||^2 by 1 - gamma_t^2.

``oodbench.probes.recording`` measures it. As a run's own end point lies where its gradients led,
gamma is above 0 even where the gradients are noise, about 1 / sqrt(T - t) for plain SGD: no gamma
means anything but beside its null. ``oodbench.probes.noise`` measures it. Towards the end point of
another run, or with the gradient over the whole training set in place of g_t, a batch's own noise
has no such part in gamma.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from oodbench.records import Measurement

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Path:
    """One model's path, as seen from an end point: arrays of T steps, in float64.

    Attributes:
        distance: ||w_t - w*||.
        gradient: ||g_t||, before clipping.
        dot: <g_t, w_t - w*>.
        update: ||w_{t+1} - w_t||, what the optimizer made of it.
        update_dot: <w_{t+1} - w_t, w_t - w*>; below 0 where it comes nearer.
        last: The distance after the last step: exactly 0 if w* is its own end point.
        n: Examples behind each gradient.
        full: The same path with the gradients over the whole training set; NaN at steps where they
            were not taken. None if they never were.
    """

    distance: Array
    gradient: Array
    dot: Array
    update: Array
    update_dot: Array
    last: float
    n: int = 1
    full: "Path | None" = None

    @property
    def rsi(self) -> Array:
        """RSI_t; infinite or NaN where d_t is 0."""
        return _ratio(self.dot, self.distance**2)

    @property
    def eb(self) -> Array:
        """The error bound EB_t of each step."""
        return _ratio(self.gradient, self.distance)

    @property
    def gamma(self) -> Array:
        """The cosine of gradient and distance, cos(g_t, d_t)."""
        return _ratio(self.dot, self.gradient * self.distance)

    @property
    def best_lr(self) -> Array:
        """The locally optimal learning rate, RSI_t / EB_t^2."""
        return _ratio(self.dot, self.gradient**2)

    @property
    def alignment(self) -> Array:
        """cos(w_t - w_{t+1}, d_t): 1 where the update points straight to w*."""
        return _ratio(-self.update_dot, self.update * self.distance)

    @property
    def noise(self) -> Array:
        """What gamma would be for plain SGD on noise: 1 / sqrt(T - t)."""
        return np.asarray(1 / np.sqrt(np.arange(len(self.dot), 0, -1)))


FULL = ("rsi", "eb", "gamma", "best_lr")
SERIES = ("distance", *FULL, "alignment")
"""What is stored of a path, as metrics ``path_rsi`` and so on, and of the full gradients' one, as
``path_full_rsi`` and so on."""


def _ratio(a: Array, b: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(a / b)


def measurements(
    path: Path, null: Array | None = None, every: int = 1, prefix: str = "path_"
) -> list[Measurement]:
    """A path as measurements of its run: role ``train``, metrics ``path_*`` and ``path_full_*``.

    Args:
        path: The path.
        null: gamma on noise, to be stored beside it.
        every: Steps from one that is stored to the next; full gradients are stored where they were
            taken.
        prefix: Prefix of the metrics: another one for another end point.
    """

    def at(steps: Iterable[int], series: Mapping[str, Array], n: int) -> list[Measurement]:
        return [
            Measurement(step, "", "train", "train", name, float(values[step]), n)
            for step in steps
            for name, values in series.items()
        ]

    series = {prefix + name: getattr(path, name) for name in SERIES}
    if null is not None:
        series[f"{prefix}gamma_null"] = null
    found = at(range(0, len(path.dot), every), series, path.n)
    if path.full:
        taken = np.flatnonzero(np.isfinite(path.full.gradient)).tolist()
        full = {f"{prefix}full_{name}": getattr(path.full, name) for name in FULL}
        found += at(taken, full, path.full.n)
    return found
