"""Closed forms of the best of n, against hand-worked examples, Monte Carlo and scipy."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, trim_mean

from analysis.compare.tasks import interquartile_mean
from analysis.stats.best_of import expected, freedom, improvement, selected

ONES = np.ones(3)


def drawn_best(rng, rank, n, searches=100_000):
    """Index of the selected trial of each search; ties go to a random one of them."""
    trials = rng.integers(len(rank), size=(searches, n))
    key = rank[trials]
    ties = np.where(key == key.max(axis=1, keepdims=True), rng.random(key.shape), -1.0)
    return trials[np.arange(searches), ties.argmax(axis=1)]


def test_best_of_two_of_three_by_hand():
    # Of nine equally likely pairs the best is the lowest in 1, the middle in 3, the highest in 5.
    rank, scores = np.array([0.1, 0.2, 0.3]), np.array([0.5, 0.9, 0.4])
    assert selected(rank, 2, ONES) == pytest.approx(np.array([1, 3, 5]) / 9)
    found = expected(rank, scores, np.array([1, 2]), ONES)
    assert found == pytest.approx([0.6, (0.5 + 3 * 0.9 + 5 * 0.4) / 9])


def test_ties_are_selected_equally_often():
    rank, scores = np.array([0.1, 0.2, 0.2]), np.array([0.5, 0.9, 0.4])
    assert selected(rank, 2, ONES) == pytest.approx(np.array([1, 4, 4]) / 9)
    assert expected(rank, scores, np.array([2]), ONES) == pytest.approx([(0.5 + 4 * 1.3) / 9])


def test_weights_count_like_repeated_trials():
    rank, scores = np.array([-np.inf, 0.1, 0.1, 0.3]), np.array([0.0, 0.5, 0.9, 0.4])
    counts, n = np.array([2.0, 0.0, 3.0, 1.0]), np.array([1, 2, 5])
    repeated = np.repeat(np.arange(4), counts.astype(int))
    once = expected(rank[repeated], scores[repeated], n, np.ones(6))
    assert expected(rank, scores, n, counts) == pytest.approx(once)
    both = np.stack([counts, np.ones(4)])
    assert expected(rank, scores, n, both)[0] == pytest.approx(once)
    assert selected(rank, 3, both).sum(axis=-1) == pytest.approx([1, 1])


@pytest.mark.parametrize("n", [1, 3, 10])
def test_the_expected_best_is_that_of_simulated_searches(n):
    rng = np.random.default_rng(n)
    rank = np.sort(np.concatenate([np.full(4, -np.inf), np.round(rng.random(36), 1)]))
    scores = rng.random(40)
    reached = scores[drawn_best(rng, rank, n)]
    error = reached.std() / np.sqrt(len(reached))
    (exact,) = expected(rank, scores, np.array([n]), np.ones(40))
    assert exact == pytest.approx(reached.mean(), abs=4 * error)
    assert selected(rank, n, np.ones(40)) @ scores == pytest.approx(exact)


def test_improvement_by_hand_and_as_scipys_u():
    a, b = np.array([1.0, 2.0, 3.0]), np.array([2.0, 0.0, 2.0])
    # 1 beats 0; 2 beats 0 and ties twice; 3 beats all three: 1 + 2 + 3 of 9.
    p = np.full(3, 1 / 3)
    assert improvement(p, a, p, b) == pytest.approx(6 / 9)
    rng = np.random.default_rng(0)
    a, b = rng.integers(6, size=30), rng.integers(1, 8, size=20)
    u = mannwhitneyu(a, b).statistic
    found = improvement(np.full(30, 1 / 30), a, np.full(20, 1 / 20), b)
    assert found == pytest.approx(u / 600)


def test_improvement_of_selected_runs_is_that_of_simulated_searches():
    rng = np.random.default_rng(1)
    ranks = [np.sort(rng.random(n)) for n in (30, 50)]
    scores = [np.round(rng.random(n), 1) for n in (30, 50)]
    a, b = (s[drawn_best(rng, r, 5)] for r, s in zip(ranks, scores, strict=True))
    simulated = np.mean((a > b) + 0.5 * (a == b))
    p, q = (selected(r, 5, np.ones(len(r))) for r in ranks)
    assert improvement(p, scores[0], q, scores[1]) == pytest.approx(simulated, abs=0.007)


@pytest.mark.parametrize("n", [4, 40, 400])
def test_the_interquartile_mean_is_scipys_trimmed_mean(n):
    values = np.random.default_rng(n).standard_normal(n)
    assert interquartile_mean(values, np.ones(n)) == pytest.approx(trim_mean(values, 0.25))


def test_the_interquartile_mean_of_five_cuts_values_in_part():
    # The middle half of 1, ..., 5 is 3, and three quarters each of 2 and 4: 7.5 of 2.5.
    assert interquartile_mean(np.array([5.0, 1, 2, 3, 4]), np.ones(5)) == pytest.approx(3)
    skewed = interquartile_mean(np.array([0.0, 0, 1, 2, 9]), np.ones(5))
    assert skewed == pytest.approx((0.75 * 0 + 1 + 0.75 * 2) / 2.5)
    weighted = interquartile_mean(np.array([0.0, 1, 9]), np.array([2.0, 1, 1]))
    assert weighted == pytest.approx(trim_mean([0.0, 0, 1, 9], 0.25))


def test_freedom_is_one_less_than_the_independent_searches():
    assert freedom(100, 10) == 9
    assert freedom(100, 25) == 3
    assert freedom(100, 26) == 0
