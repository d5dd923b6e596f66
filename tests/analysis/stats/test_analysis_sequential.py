"""The boundary of a sequence of looks, against simulated Brownian motion."""

import numpy as np
import pytest
from scipy import stats

from analysis.stats.sequential import boundary, quantile


@pytest.mark.parametrize("level", [0.05, 0.2])
def test_a_brownian_motion_crosses_as_often_as_the_level_states(level):
    # From time 1 to 10,000, on a grid fine enough that few crossings fall between two points.
    rng = np.random.default_rng(5)
    times = np.exp(np.linspace(0, np.log(10_000), 4_000))
    steps = np.sqrt(np.diff(times, prepend=0))
    bounds = np.array([boundary(t, 1, level) for t in times])
    crossed = 0
    for _ in range(20):
        paths = np.cumsum(rng.standard_normal((200, len(times))) * steps, axis=1)
        crossed += (np.abs(paths) / np.sqrt(times) > bounds).any(axis=1).sum()
    share, error = crossed / 4_000, np.sqrt(level * (1 - level) / 4_000)
    assert share < level + 3 * error
    assert share > 0.75 * level - 3 * error  # what is left crosses later, or between two points


def test_one_interval_looked_at_as_often_would_err_much_more_often():
    rng = np.random.default_rng(6)
    looks = np.geomspace(32, 400, 13)
    steps = np.sqrt(np.diff(looks, prepend=0))
    paths = np.cumsum(rng.standard_normal((20_000, 13)) * steps, axis=1) / np.sqrt(looks)
    fixed = (np.abs(paths) > stats.norm.ppf(0.975)).any(axis=1).mean()
    bounds = [boundary(t, 32, 0.05) for t in looks]
    assert fixed > 0.15
    assert (np.abs(paths) > bounds).any(axis=1).mean() < 0.05


def test_the_boundary_widens_and_becomes_that_of_a_normal_error():
    assert boundary(32, 32, 0.05) < boundary(64, 32, 0.05) < boundary(64, 32, 0.01)
    assert boundary(32, 32, 0.05) > stats.norm.ppf(0.975)
    assert quantile(64, 32, 0.05, 1e6) == pytest.approx(boundary(64, 32, 0.05), rel=1e-4)
    assert quantile(64, 32, 0.05, 5) > boundary(64, 32, 0.05)


@pytest.mark.parametrize("share", [0.25, 1.0, 4.0])
def test_an_error_that_is_the_same_at_each_look_adds_in_squares(share):
    # That of the test examples: its variance, as a multiple of that of the draws at the last look.
    rng = np.random.default_rng(7)
    looks = np.geomspace(32, 400, 13)
    steps = np.sqrt(np.diff(looks, prepend=0))
    means = np.cumsum(rng.standard_normal((20_000, 13)) * steps, axis=1) / looks
    fixed = np.sqrt(share / 400) * rng.standard_normal((20_000, 1))
    bounds = np.array([boundary(t, 32, 0.05) for t in looks])
    half = np.sqrt(bounds**2 / looks + stats.norm.ppf(0.975) ** 2 * share / 400)
    assert (np.abs(means + fixed) > half).any(axis=1).mean() < 0.053
