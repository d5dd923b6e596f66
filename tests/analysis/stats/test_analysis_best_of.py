"""Closed forms of the best of n, against hand-worked examples, Monte Carlo and scipy."""

import numpy as np
import pytest

from analysis.stats.best_of import freedom, none_left, ranked


def selected(rank, n, weights=None):
    """Probabilities of the trials, a row a resample."""
    once = np.ones((1, np.shape(rank)[-1]))
    return ranked(np.atleast_2d(rank), once if weights is None else weights).selected(n)


def expected(rank, scores, budgets, weights=None):
    """Expected scores, a row a resample, at each budget."""
    rank, scores = np.atleast_2d(rank), np.atleast_2d(scores)
    weights = np.ones((1, rank.shape[1])) if weights is None else np.atleast_2d(weights)
    return ranked(rank, weights).expected([scores], budgets)[..., 0]


def drawn_best(rng, rank, n, searches=100_000):
    """Index of the selected trial of each search; ties go to a random one of them."""
    trials = rng.random((searches, len(rank))).argpartition(n - 1, axis=1)[:, :n]
    key = rank[trials]
    ties = np.where(key == key.max(axis=1, keepdims=True), rng.random(key.shape), -1.0)
    return trials[np.arange(searches), ties.argmax(axis=1)]


def test_best_of_two_of_three_by_hand():
    # Of the three pairs the best is the middle one in 1, the highest in 2.
    rank, scores = np.array([0.3, 0.1, 0.2]), np.array([0.4, 0.5, 0.9])
    assert selected(rank, 2)[0] == pytest.approx(np.array([2, 0, 1]) / 3)
    assert expected(rank, scores, [1, 2])[0] == pytest.approx([0.6, (0.9 + 2 * 0.4) / 3])


def test_ties_are_selected_equally_often():
    rank = np.array([0.1, 0.2, 0.2])
    assert selected(rank, 2)[0] == pytest.approx([0, 1 / 2, 1 / 2])
    assert selected(rank, 1)[0] == pytest.approx(np.full(3, 1 / 3))


def test_weights_count_like_repeated_trials():
    rank, scores = np.array([-np.inf, 0.1, 0.1, 0.3]), np.array([0.0, 0.5, 0.9, 0.4])
    counts, n = np.array([2.0, 0.0, 3.0, 1.0]), [1, 2, 5]
    repeated = np.repeat(np.arange(4), counts.astype(int))
    (once,) = expected(rank[repeated], scores[repeated], n)
    both = np.stack([counts, np.ones(4)])
    assert expected(rank, scores, n, both)[0] == pytest.approx(once)
    # Also where each resample has ranks and scores of its own.
    two = np.stack([rank, rank[::-1]]), np.stack([scores, scores[::-1]]), n, both
    assert expected(*two)[0] == pytest.approx(once)
    assert selected(rank, 3, both).sum(axis=-1) == pytest.approx([1, 1])


def test_each_row_of_ranks_is_sorted_by_itself():
    ranks = np.array([[0.1, 0.2, 0.3], [0.3, 0.2, 0.2]])
    each = np.concatenate([selected(rank, 2) for rank in ranks])
    assert selected(ranks, 2) == pytest.approx(each)


@pytest.mark.parametrize("n", [1, 3, 10])
def test_the_expected_best_is_that_of_simulated_searches(n):
    rng = np.random.default_rng(n)
    rank = np.concatenate([np.full(4, -np.inf), np.round(rng.random(36), 1)])
    scores = rng.random(40)
    reached = scores[drawn_best(rng, rank, n)]
    error = reached.std() / np.sqrt(len(reached))
    exact = expected(rank, scores, [n]).item()
    assert exact == pytest.approx(reached.mean(), abs=4 * error)


def test_the_estimate_is_unbiased_whatever_the_number_of_trials():
    # The highest of n uniform draws has the mean n / (n + 1).
    rng = np.random.default_rng(0)
    for trials in (6, 24):
        rank = rng.random((20_000, trials))
        found = expected(rank, rank, [6])[:, 0]
        assert found.mean() == pytest.approx(6 / 7, abs=4 * found.std() / np.sqrt(20_000))


def test_the_probability_of_no_model_by_hand():
    # Of 4 trials 2 are lost: both of two in one pair of six; never three of three.
    assert none_left(2, 4, 2) == pytest.approx(1 / 6)
    assert none_left(2, 4, 3) == 0
    assert none_left(4, 4, 3) == 1
    assert none_left(0, 4, 1) == 0


def test_freedom_is_one_less_than_the_independent_searches():
    assert freedom(100, 10) == 9
    assert freedom(100, 25) == 3
    assert freedom(100, 26) == 0
