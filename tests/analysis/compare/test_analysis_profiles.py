"""Performance profiles, on values whose profiles one reads off."""

import numpy as np
import pytest
from report_helpers import make_runs

from analysis import expected_best, profiles
from analysis.compare.profiles import TIMES, WITHIN, first_reached, reached, within


def test_shares_within_a_margin_by_hand() -> None:
    """Two optimizers on four tasks: the first is the best on three, and 3 points behind once."""
    values = np.array([[[0.9, 0.8, 0.7, 0.6], [0.85, 0.8, 0.5, 0.63]]])
    share = within(values, np.array([0.0, 0.03, 0.05, 0.2]))[0]
    np.testing.assert_allclose(share[0], [0.75, 1, 1, 1])
    np.testing.assert_allclose(share[1], [0.5, 0.5, 0.75, 1])


def test_shares_within_a_multiple_by_hand() -> None:
    """The second never reaches the last target, and nobody reaches the third."""
    costs = np.array([[[1.0, 4.0, np.inf, 2.0], [3.0, 2.0, np.inf, np.inf]]])
    share = reached(costs, np.array([1.0, 2.0, 3.0, 4.0]))[0]
    np.testing.assert_allclose(share[0], [0.5, 0.75, 0.75, 0.75])
    np.testing.assert_allclose(share[1], [0.25, 0.25, 0.5, 0.5])


def test_a_target_is_reached_at_the_first_number() -> None:
    curves = np.array([[0.1, 0.5, 0.4, 0.6], [0.1, 0.2, 0.3, 0.4]])
    np.testing.assert_array_equal(first_reached(curves, np.arange(1, 5), 0.5), [2, np.inf])


@pytest.mark.filterwarnings("error")
def test_profiles_rest_on_expected_accuracies() -> None:
    runs = make_runs(40)
    found = {one.algorithm: one for one in profiles(runs)}
    assert (found["erm"].tasks, found["erm"].datasets, found["irm"].tasks) == (2, 2, 1)
    one = found["irm"]
    table = expected_best(runs, budgets=range(1, 11), algorithm="irm")
    curves = {name: rows.set_index("n")["ood"] for name, rows in table.groupby("optimizer")}
    at = {name: curve[8] for name, curve in curves.items()}
    target = np.median(list(at.values()))
    costs = {
        name: min((n for n, value in curve.items() if value >= target - 1e-9), default=np.inf)
        for name, curve in curves.items()
    }
    for name in one.optimizers:
        near = max(at.values()) - at[name] - 1e-9 <= WITHIN
        np.testing.assert_allclose(one.near[name][0], near)
        fast = costs[name] / min(costs.values()) - 1e-9 <= TIMES
        np.testing.assert_allclose(one.fast[name][0], fast)
        value, low, high = one.scores[name]
        assert value == pytest.approx(fast.mean())
        assert 0 <= low <= high <= 1
