"""Holm's correction, p-values and verdicts."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.stats.intervals import UNKNOWN, Estimate, from_error, within_range
from analysis.stats.testing import holm, judged, p_value, verdict


def test_holm_by_hand():
    # 4 * .005, 3 * .01, 2 * .03, 1 * .04 raised to the one before it.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == pytest.approx([1, 1])
    adjusted = holm([0.02, np.nan, 0.03])
    assert adjusted[[0, 2]] == pytest.approx([0.04, 0.04])
    assert np.isnan(adjusted[1])


def test_p_is_that_of_the_t_interval():
    edge = 0.1 * stats.t.ppf(0.975, 7)
    assert from_error(edge, 0.1, 7).low == pytest.approx(0)
    assert p_value(edge, 0.1, 7) == pytest.approx(0.05)
    assert p_value(0.0, 0.0, 7) == 1
    assert p_value(0.1, 0.0, 7) == 0
    assert np.isnan(p_value(0.1, 0.1, 0))


@pytest.mark.parametrize(
    ("ends", "p", "word"),
    [
        ((0.02, 0.01, 0.03, 0.012, 0.028), 0.01, "higher"),
        ((-0.02, -0.03, -0.01, -0.028, -0.012), 0.01, "lower"),
        ((0.02, 0.01, 0.03, 0.012, 0.028), 0.06, "undecided"),
        ((0.004, 0.001, 0.007, 0.002, 0.006), 0.01, "no difference"),
        ((0.0, -0.011, 0.011, -0.009, 0.009), 1.0, "no difference"),
        ((0.0, -0.013, 0.013, -0.011, 0.011), 1.0, "undecided"),
    ],
)
def test_verdicts(ends, p, word):
    assert verdict(Estimate(*ends), p) == word


def test_no_interval_is_undecided_and_no_difference_is_not_comparable():
    assert verdict(Estimate(0.0, *4 * [np.nan]), np.nan) == "undecided"
    rows = [UNKNOWN, Estimate(0.0, *4 * [np.nan])]
    names = ("difference", "low", "high", "low90", "high90")
    values = ((one.value, one.low, one.high, one.low90, one.high90) for one in rows)
    table = pd.DataFrame(values, columns=names).assign(p=np.nan, family=1)
    assert judged(table, ["family"], 0.01)["verdict"].tolist() == ["not comparable", "undecided"]


@pytest.mark.parametrize("true", [-0.01, 0.01])
def test_equivalence_is_claimed_falsely_in_at_most_one_of_twenty(true):
    rng = np.random.default_rng(0)
    claims = 0
    for value, scale in zip(rng.normal(true, 0.003, 4000), rng.chisquare(9, 4000), strict=True):
        error = 0.003 * np.sqrt(scale / 9)
        claims += verdict(from_error(value, error, 9), 1.0) == "no difference"
    assert claims / 4000 == pytest.approx(0.05, abs=0.012)


def test_intervals_end_where_values_can_be():
    found = within_range(Estimate(0.9, 0.7, 1.1, 0.8, 1.05), 0, 1)
    assert found == Estimate(0.9, 0.7, 1.0, 0.8, 1.0)
