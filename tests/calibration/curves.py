"""Return curves, and optimizers at equal ID accuracy, where the true curve is known."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.special import ndtr, ndtri

import analysis

from .judging import call, judged
from .rates import Outcomes, Scenario
from .scored import Study, score
from .studies import Array, Design, Runs, noise, optimizers

SPREAD = 0.02
"""Standard deviation of the true OOD accuracy about the curve."""


def even(u: Array) -> Array:
    return 0.55 + 0.4 * u


def crowded(u: Array) -> Array:
    """Half of the runs within a point of .90, the others evenly below."""
    return np.where(u < 0.5, 0.6 + 0.58 * u, 0.89 + 0.02 * (u - 0.5) / 0.5)


def at_the_top(u: Array) -> Array:
    """Nine tenths of the runs between .90 and .94."""
    return np.where(u < 0.1, 0.6 + 3 * u, 0.9 + 0.04 * (u - 0.1) / 0.9)


def narrow(u: Array) -> Array:
    return 0.85 + 0.05 * u


def wide(u: Array) -> Array:
    return 0.3 + 0.6 * u


def line(x: Array) -> Array:
    return 0.8 * x - 0.1


def probit_line(x: Array) -> Array:
    return ndtr(0.9 * ndtri(x) - 0.6)


def hinge(x: Array) -> Array:
    """Slope .3, from .85 on 1.7."""
    return 0.35 + 0.3 * (x - 0.55) + 1.4 * np.clip(x - 0.85, 0, None)


def steeper(x: Array) -> Array:
    """Slope .2 at .55, 1.2 at .95."""
    return 0.3 + 0.2 * (x - 0.55) + 1.25 * (x - 0.55) ** 2


def flatter(x: Array) -> Array:
    """Slope 1.2 at .55, .2 at .95."""
    return 0.3 + 1.2 * (x - 0.55) - 1.25 * (x - 0.55) ** 2


def slight_bend(x: Array) -> Array:
    """Slope .6 at .85, 1.4 at .90: hardly more than a tenth of a point off its chord."""
    return 0.5 + 0.6 * (x - 0.85) + 8 * (x - 0.85) ** 2


@dataclass(frozen=True)
class Clouds:
    """Optimizers whose runs lie about one true curve.

    Attributes:
        curve: OOD accuracy of a true ID accuracy.
        adaptive, other: Quantile functions of the kinds' true ID accuracies.
        design: Optimizers, draws, examples.
    """

    curve: Callable[[Array], Array]
    adaptive: Callable[[Array], Array]
    other: Callable[[Array], Array]
    design: Design

    def study(self, rng: np.random.Generator) -> Study:
        u = np.broadcast_to(ndtr(noise(self.design, rng)), self.design.shape)
        quantiles = {"adaptive": self.adaptive, "non-adaptive": self.other}
        each = [quantiles[one.kind](u[..., k, :]) for k, one in enumerate(self.design.optimizers)]
        x = np.stack(each, axis=-2)
        y = self.curve(x) + SPREAD * noise(self.design, rng)
        skills = ndtri(x), ndtri(np.clip(y, 0.01, 0.99))
        nothing = np.zeros(self.design.shape[:-1] + (1,))
        runs = Runs(self.design, 4 * u - 2, *skills, np.zeros(self.design.shape, bool), nothing)
        return score(runs, rng)


def at_equal_id(clouds: Clouds, rng: np.random.Generator, seed: int) -> Outcomes:
    table = call(analysis.ood_at_equal_id, clouds.study(rng))
    truth = dict.fromkeys((one.name for one in clouds.design.optimizers), 0.0)
    comparable = (table["verdict"] != "not comparable").mean()
    return {**judged(table, truth), "comparable": float(comparable)}


def beyond_baseline(clouds: Clouds, rng: np.random.Generator, seed: int) -> Outcomes:
    table = call(analysis.effective_robustness, clouds.study(rng), "non-adaptive-0")
    truth = dict.fromkeys((one.name for one in clouds.design.optimizers), 0.0)
    comparable = np.isfinite(table["low"]).mean()
    found = judged(table.rename(columns={"optimizer": "a", "baseline": "b"}), truth)
    return {**found, "comparable": float(comparable)}


def return_types(clouds: Clouds, right: tuple[str, ...], rng: np.random.Generator, seed: int) -> Outcomes:
    curves = call(analysis.return_curves, clouds.study(rng), seed=seed)
    verdicts = [curve.verdict for curve in curves.values()]
    false = [v not in (*right, "not determined") for v in verdicts]
    return {
        "false verdicts, each": float(np.mean(false)),
        "determined": float(np.mean([v != "not determined" for v in verdicts])),
        **{v: float(np.mean([w == v for w in verdicts])) for v in ("increasing", "diminishing", "linear", "flat", "inverse")},
    }


def scenarios():
    two = optimizers(2)
    for draws in (24, 100, 500):
        d = Design(two, draws)
        for curve in (line, probit_line, hinge):
            yield Scenario(f"equal: null, {curve.__name__}, even/even {draws}", partial(at_equal_id, Clouds(curve, even, even, d)))
            yield Scenario(f"equal: null, {curve.__name__}, at_the_top/even {draws}", partial(at_equal_id, Clouds(curve, at_the_top, even, d)))
            yield Scenario(f"robust: null, {curve.__name__}, at_the_top/even {draws}", partial(beyond_baseline, Clouds(curve, at_the_top, even, d)))
            yield Scenario(f"robust: null, {curve.__name__}, even/even {draws}", partial(beyond_baseline, Clouds(curve, even, even, d)))
        for examples in (150, 359):
            d = Design(two, draws, examples=examples)
            yield Scenario(f"return: line crowded {draws} {examples}", partial(return_types, Clouds(line, crowded, crowded, d), ("linear",)))
        d = Design(two, draws)
        yield Scenario(f"return: line even {draws}", partial(return_types, Clouds(line, even, even, d), ("linear",)))
        yield Scenario(f"return: steeper even {draws}", partial(return_types, Clouds(steeper, even, even, d), ("increasing",)))
        yield Scenario(f"return: flatter even {draws}", partial(return_types, Clouds(flatter, even, even, d), ("diminishing",)))
        yield Scenario(f"return: hinge even {draws}", partial(return_types, Clouds(hinge, even, even, d), ("increasing",)))
        yield Scenario(f"return: slight narrow {draws}", partial(return_types, Clouds(slight_bend, narrow, narrow, d), ("linear",)))
