"""Statements that are tested at every look: simulated searches with a known answer."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from analysis.compare.decided import DRAW, Standing, decisions, judge
from analysis.compare.optimizers import compare_optimizers
from analysis.compare.uncertain import Uncertain, variance
from analysis.stats.best_of import RESAMPLES, freedom, ranked
from oodbench.errors import RequestError
from oodbench.results.sweeps.stopping import Group, Stopping

MOST = 400
LOST = 0.1


def searches(
    rng: np.random.Generator, shifts: Sequence[float], draws: int = MOST, spread: float = 0.6
) -> pd.DataFrame:
    """Runs of optimizers a, b, ... whose OOD accuracies differ by ``shifts``, all else equal.

    Losses are log-normal, so accuracies are skewed; a third of their spread is of the draw, which
    all optimizers share; a tenth of the runs diverged. ID validation and OOD accuracy agree but for
    noise.
    """
    shape = draws, len(shifts)
    draw = 0.6 * rng.normal(size=(draws, 1)) + 0.8 * rng.normal(size=shape)
    accuracy = np.clip(0.95 - spread * np.exp(draw - 2.2), 0.05, 1).ravel()
    number, optimizer = (places.ravel() for places in np.indices(shape))
    lost = rng.random(draws * len(shifts)) < LOST
    noise = rng.normal(size=(2, len(accuracy)))
    id_val = np.where(lost, np.nan, accuracy + 0.01 * noise[0])
    ood = 0.3 + 0.5 * accuracy + 0.05 * noise[1] + np.asarray(shifts)[optimizer]
    return pd.DataFrame(
        {
            "run": [f"{i}-{j}" for i, j in zip(number, optimizer, strict=True)],
            "dataset": "d",
            "test_environments": "0",
            "algorithm": "erm",
            "optimizer": np.array(list("abcdef"))[optimizer],
            "optimizer_kind": "adaptive",
            "sampler": "random",
            "seed": number,
            DRAW: number,
            "status": np.where(lost, "diverged", "completed"),
            "id_val": id_val,
            "id": id_val,
            "ood": np.where(lost, np.nan, ood),
        }
    )


def decided(runs: pd.DataFrame, **changes: object) -> Standing:
    names = tuple(sorted(set(runs["optimizer"])))
    asked = {"among": names, "margin": 0.02, "most": MOST, "budget": 8, **changes}
    (standing,) = decisions(runs, Stopping(**asked), [Group("d", "erm", names, 1)])
    return standing


def outcomes(
    rng: np.random.Generator, shifts: Sequence[float], spread: float = 0.6, **changes: object
) -> set[str]:
    """What looks at one simulated search decide of some pair, in a second: on arrays.

    ``test_a_large_difference...`` shows that tables of runs give the same differences.
    """
    names = tuple("abcdef"[: len(shifts)])
    asked = {"among": names, "margin": 1e-9, "most": MOST, "budget": 8, **changes}
    stopping = Stopping(**asked)
    runs = searches(rng, shifts, stopping.most, spread)
    shape = stopping.most, len(shifts)
    ranks = runs["id_val"].fillna(-np.inf).to_numpy().reshape(shape)
    scores = runs["ood"].fillna(0).to_numpy().reshape(shape)
    found = set()
    for look in stopping.looks:
        drawn = rng.multinomial(look, np.full(look, 1 / look), size=RESAMPLES)
        weights = np.vstack([np.ones(look), drawn]).astype(float)
        values = [
            ranked(rank[None, :look], weights).expected([score[None, :look]], [8])[:, 0, 0]
            for rank, score in zip(ranks.T, scores.T, strict=True)
        ]
        for i, j in combinations(range(len(shifts)), 2):
            difference = values[i] - values[j]
            parts = ((variance(difference[1:]), freedom(look, 8)),)
            one = judge("a", "b", Uncertain(float(difference[0]), parts), stopping, look)
            found |= {one.outcome} if one.decided else set()
    return found


def false_share(optimizers: int, studies: int, most: int) -> float:
    """The share of searches of equal optimizers in which a look decides for a difference."""
    each = (np.random.default_rng([optimizers, number]) for number in range(studies))
    return float(np.mean([bool(outcomes(rng, [0.0] * optimizers, most=most)) for rng in each]))


def test_equal_optimizers_are_seldom_decided_to_differ_at_any_look():
    assert false_share(2, 60, 96) <= 3 / 60


@pytest.mark.slow
@pytest.mark.parametrize("optimizers", [2, 6])
def test_the_size_of_a_thousand_searches_is_at_most_nominal(optimizers):
    assert false_share(optimizers, 1_000, MOST) <= 0.05


@pytest.mark.slow
def test_a_difference_of_the_margin_is_seldom_decided_to_be_none():
    shifts, wrong = [0.02, 0.0], {"no difference", "lower"}
    each = (np.random.default_rng([7, number]) for number in range(300))
    found = [outcomes(rng, shifts, 0.2, margin=0.02) for rng in each]
    assert np.mean([bool(one & wrong) for one in found]) <= 0.05
    assert any("higher" in one for one in found)


def test_a_large_difference_is_decided_early_with_its_sign_and_is_that_of_compare_optimizers():
    runs = searches(np.random.default_rng(1), [0.0, 0.15])
    standing = decided(runs)
    (one,) = standing.statements
    assert (one.outcome, standing.wanted) == ("lower", {})
    assert one.draws == standing.looked < MOST / 3
    assert one.low < -0.15 < one.high < 0
    seen = runs[runs[DRAW] < one.draws]
    table = compare_optimizers(seen, budget=8)
    row = table[table["score"] == "ood"].iloc[0]
    assert one.difference == pytest.approx(row["difference"], abs=1e-12)
    assert one.low < row["low"]
    assert one.high > row["high"]


def test_what_is_decided_stays_so_whatever_comes_later():
    runs = searches(np.random.default_rng(1), [0.0, 0.15, 0.15])
    early = decided(runs)
    later = runs["ood"].where((runs[DRAW] < early.statements[0].draws) | runs["ood"].isna(), 0.5)
    assert decided(runs.assign(ood=later)).statements[0] == early.statements[0]


def test_a_look_waits_until_every_optimizer_has_its_draws():
    runs = searches(np.random.default_rng(2), [0.0, 0.0], draws=40)
    assert decided(runs).looked == 40
    standing = decided(runs[~((runs["optimizer"] == "b") & (runs[DRAW] == 39))])
    assert (standing.looked, standing.wanted) == (32, {"a": 40, "b": 40})
    nothing = decided(runs[runs[DRAW] < 31])
    assert (nothing.looked, nothing.wanted) == (0, {"a": 32, "b": 32})
    assert all(np.isnan(one.difference) for one in nothing.statements)


def test_what_is_projected_is_about_where_it_is_decided():
    runs = searches(np.random.default_rng(3), [0.0, 0.07])
    first = decided(runs[runs[DRAW] < 62]).statements[0]
    one = decided(runs).statements[0]
    assert not first.decided
    assert one.outcome == "lower"
    assert first.projected == pytest.approx(one.draws, rel=1.0)


def test_runs_of_another_search_of_the_sweep_are_refused():
    runs = searches(np.random.default_rng(4), [0.0, 0.0], draws=32)
    twice = pd.concat([runs, runs.assign(run="x" + runs["run"])])
    with pytest.raises(RequestError, match="name of its own"):
        decided(twice)
