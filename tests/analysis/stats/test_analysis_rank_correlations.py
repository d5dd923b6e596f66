"""Rank correlations: against scipy, by hand, and intervals that cover the truth."""

import numpy as np
import pytest
from scipy import stats

from analysis.stats.rank_correlations import ENOUGH, FEWEST, correlate, rank_correlations


def test_with_weights_it_is_scipys_of_the_repeated_points() -> None:
    rng = np.random.default_rng(0)
    for ties in (False, True):
        x, y = rng.normal(size=(2, 40))
        y = y + x
        if ties:
            x, y = x.round(), y.round()
        weights = rng.integers(0, 4, size=(20, 40)).astype(float)
        found = rank_correlations(x, y, weights)
        for w, rho in zip(weights.astype(int), found, strict=True):
            expected = stats.spearmanr(np.repeat(x, w), np.repeat(y, w)).statistic
            assert rho == pytest.approx(expected, abs=1e-12)


def test_by_hand() -> None:
    """Ranks 1 to 5 and 2, 1, 4, 3, 5: rho = 1 - 6 (1 + 1 + 1 + 1) / (5 (25 - 1)) = 0.8."""
    x, y = np.array([1.0, 10, 100, 1000, 10000]), np.array([0.2, 0.1, 0.4, 0.3, 0.5])
    assert rank_correlations(x, y, np.ones((1, 5)))[0] == pytest.approx(0.8)
    assert np.isnan(rank_correlations(x, np.ones(5), np.ones((1, 5)))[0])


def test_within_groups_levels_do_not_count() -> None:
    """Falling in each of two groups, of 10 and 30 runs; the second is higher in both: overall it
    rises. Of a third, too few; of a fourth, all the same."""
    a, b = np.arange(10.0), np.arange(30.0)
    x = np.concatenate([a, 100 + b, [0, 1], np.zeros(6)])
    y = np.concatenate([-a, 100 - b, [0, 1], np.arange(6.0)])
    sizes = np.repeat(np.arange(4), [10, 30, 2, 6])
    found = correlate(x, y, [sizes == g for g in range(4)], np.arange(len(x)))
    assert found.overall.value > 0.2
    assert found.within.value == pytest.approx(-1)
    assert [g.value for g in found.groups[:2]] == pytest.approx([-1, -1])
    assert np.isnan([g.value for g in found.groups[2:]]).all()
    assert [g.n for g in found.groups] == [10, 30, 2, 6]
    assert (found.overall.n, found.within.n) == (48, 40)
    assert FEWEST > 2


def test_within_weighs_groups_by_their_runs() -> None:
    x = np.concatenate([np.arange(10.0), np.arange(30.0)])
    y = np.concatenate([np.arange(10.0), -np.arange(30.0)])
    first = np.arange(40) < 10
    found = correlate(x, y, [first, ~first], np.arange(40))
    assert found.within.value == pytest.approx((10 * 1 + 30 * -1) / 40)


def test_few_points_and_none() -> None:
    few = correlate(np.arange(3.0), np.arange(3.0), [np.ones(3, bool)], np.arange(3))
    assert np.isnan(few.overall.value)
    none = correlate(np.empty(0), np.empty(0), [], np.empty(0, dtype=np.int64))
    assert np.isnan(none.overall.value)
    assert none.overall.n == 0


@pytest.mark.slow
def test_intervals_cover_the_truth() -> None:
    """Of normal variables: Spearman's rho is 6 / pi arcsin(r / 2); draws of three runs each."""
    rng, r, covered = np.random.default_rng(1), 0.5, 0
    truth = 6 / np.pi * np.arcsin(r / 2)
    draws = np.repeat(np.arange(60), 3)
    for trial in range(100):
        x = rng.normal(size=60)
        y = r * x + np.sqrt(1 - r**2) * rng.normal(size=60)
        found = correlate(x[draws], y[draws], [np.ones(180, bool)], draws, seed=trial)
        covered += found.overall.low <= truth <= found.overall.high
    assert 88 <= covered <= 100


def test_fewer_than_ten_draws_have_no_interval() -> None:
    """Eighteen runs of nine draws, in two groups; then nineteen of ten, one of which is alone."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 19))
    draws = np.append(np.tile(np.arange(9), 2), 9)
    first = np.arange(19) < 9
    few = correlate(x[:18], y[:18], [first[:18], ~first[:18]], draws[:18])
    assert np.isfinite([one.value for one in (few.overall, few.within, *few.groups)]).all()
    assert np.isnan([one.low for one in (few.overall, few.within, *few.groups)]).all()
    more = correlate(x, y, [first, ~first], draws)
    assert np.isfinite([more.overall.low, more.within.low, more.groups[1].low]).all()
    assert np.isnan(more.groups[0].low)
    assert len(np.unique(draws)) == ENOUGH
