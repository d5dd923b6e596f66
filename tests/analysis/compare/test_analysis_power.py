"""What a search would decide: against a closed form, and by simulation."""

import numpy as np
import pytest
from scipy import stats
from simulated_searches import search, together

import analysis
from analysis.compare.power import Power


def test_the_difference_that_is_found_is_that_of_a_t_test_of_this_power():
    """A normal difference of that size is significant in 80% of studies."""
    power = Power(budget=1, draws=20, searched=0.0004, examples=0.0)
    size, error = power.found(20), 0.02
    t = stats.nct(19, size / error)
    quantile = stats.t.ppf(0.975, 19)
    assert t.sf(quantile) + t.cdf(-quantile) == pytest.approx(0.8, abs=0.01)


def test_more_draws_help_until_test_examples_limit():
    power = Power(budget=8, draws=100, searched=0.0001, examples=0.0)
    z = stats.norm.ppf(0.975) + stats.norm.ppf(0.8)
    assert power.found(100_000) == pytest.approx(z * 0.01 / np.sqrt(1000), rel=0.01)
    assert power.found(power.needed(0.01)) <= 0.01 < power.found(power.needed(0.01) * 9 // 10)
    limited = Power(budget=8, draws=100, searched=0.0001, examples=0.01)
    assert limited.needed(0.02) is None
    assert np.isnan(power.found(20))


def test_a_second_part_of_the_variance_has_its_own_quantiles():
    """Three splits, their error alone: as for the mean of three differences."""
    power = Power(budget=1, draws=100, searched=0.0, examples=0.0, splits=0.0012, data_seeds=3)
    quantiles = stats.t.ppf([0.975, 0.8], 2).sum()
    assert power.found(100, data_seeds=3) == pytest.approx(0.02 * quantiles)
    assert power.found(100, data_seeds=12) == pytest.approx(
        0.01 * stats.t.ppf([0.975, 0.8], 11).sum()
    )
    assert power.found(100) == 0, "a comparison on one split covers that split alone"
    unknown = Power(budget=1, draws=100, searched=0.0, examples=0.0001)
    assert unknown.found(100, data_seeds=3) == pytest.approx(unknown.found(100))


def test_the_variance_over_splits_is_that_of_one():
    """An optimizer that is better by 1, 3 and 5 points on the splits, whatever is drawn."""
    rng = np.random.default_rng(0)
    id_, ood = rng.random(40) / 2, rng.random(40) / 2
    frames = [
        search(name, id_, ood + shift, first_seed=0).assign(data_seed=split)
        for split in range(3)
        for name, shift in (("sgd", 0.0), ("adam", 0.01 + 0.02 * split))
    ]
    row = analysis.power(together(*frames)).iloc[0]
    assert row["data_seeds"] == 3
    assert row["splits"] == pytest.approx(np.var([0.01, 0.03, 0.05], ddof=1))


def test_the_table_says_what_a_larger_search_would_find():
    rng = np.random.default_rng(0)
    names = ("sgd", "momentum", "adam")
    frame = together(
        *(search(n, rng.random(40), rng.random(40), first_seed=99 * i) for i, n in enumerate(names))
    )
    now = analysis.power(frame).iloc[0]
    assert (now["budget"], now["draws"]) == (8, 40)
    later = analysis.power(frame, draws=4000).iloc[0]
    ratio = stats.t.ppf([0.975, 0.8], 4).sum() / stats.t.ppf([0.975, 0.8], 499).sum()
    assert now["found"] / later["found"] == pytest.approx(10 * ratio)
    assert later["needed"] > 4000
