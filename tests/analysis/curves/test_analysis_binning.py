import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.curves.binning import bin_index, binned_data
from analysis.plots.binned import binned
from oodbench.errors import RequestError


def test_every_accuracy_is_in_exactly_one_bin_edges_too():
    """Whole hundredths against whole-number arithmetic, 0 and 1 among them."""
    hundredths = np.arange(101)
    for bins in (1, 3, 4, 10, 20):
        expected = np.minimum(hundredths * bins // 100, bins - 1)
        np.testing.assert_array_equal(bin_index(hundredths / 100, bins), expected)


def test_the_last_bit_of_a_mean_does_not_decide():
    noisy = np.array([0.1 + 0.2, 0.7999999999999999, np.mean([0.3] * 3), 1 - 0.9])
    assert bin_index(noisy, 10).tolist() == [3, 8, 3, 1]


@pytest.mark.parametrize("value", [-0.01, 1.5, np.nan, 83.0])
def test_what_is_no_fraction_is_refused(value):
    with pytest.raises(RequestError, match=r"fractions in \[0, 1\]"):
        bin_index(np.array([0.5, value]), 10)


def test_every_completed_run_is_counted_once(pairs):
    (erm, irm) = binned_data(pairs)
    found = {name: [(b.low, b.high, b.runs) for b in bins] for name, bins in erm.bins.items()}
    assert found == {
        "sgd": [(0.5, 0.6, 1), (0.8, 0.9, 1), (0.9, 1.0, 1)],
        "adam": [(0.6, 0.7, 1), (0.7, 0.8, 1)],
    }
    assert irm.bins["adam"] == ()
    (few, _) = binned_data(pairs, bins=1)
    assert few.bins["sgd"][0].ood.value == pytest.approx((0.2 + 0.1 + 0.52) / 3)


def test_the_interval_is_students_over_configurations(run):
    oods = [0.1, 0.25, 0.3, 0.2, 0.4]
    rows = pd.DataFrame([run(i, "sgd", (0.85, ood)) for i, ood in enumerate(oods)])
    ((one,),) = binned_data(rows)[0].bins.values()
    expected = stats.ttest_1samp(oods, 0).confidence_interval(0.95)
    assert (one.ood.value, one.runs, one.configurations) == (pytest.approx(0.25), 5, 5)
    assert (one.ood.low, one.ood.high) == pytest.approx((expected.low, expected.high))
    ((few,),) = binned_data(rows[:4])[0].bins.values()
    assert few.ood.value == pytest.approx(0.2125)
    assert np.isnan([few.ood.low, few.ood.high]).all()


def test_seeds_of_one_configuration_count_once(run):
    """Five configurations, one of which was trained on ten seeds: the same as five runs."""
    oods = [0.1, 0.25, 0.3, 0.2, 0.4]
    rows = [run(i, "sgd", (0.85, ood), config_id=f"c{i}") for i, ood in enumerate(oods)]
    around = [0.4 + 0.01 * k for k in (-4, -3, -2, -1, 0, 1, 2, 3, 4)]
    rows += [run(10 + k, "sgd", (0.85, o), config_id="c4") for k, o in enumerate(around)]
    ((one,),) = binned_data(pd.DataFrame(rows))[0].bins.values()
    expected = stats.ttest_1samp(oods, 0).confidence_interval(0.95)
    assert (one.runs, one.configurations) == (14, 5)
    assert (one.ood.low, one.ood.high) == pytest.approx((expected.low, expected.high))


def test_intervals_cover_the_true_mean_about_as_often_as_they_say(run):
    """400 optimizers of 12 runs each, whose OOD accuracies are uniform between 0.2 and 0.6."""
    draws = np.random.default_rng(0).uniform(0.2, 0.6, (400, 12))
    rows = pd.DataFrame([run(0, "sgd", (0.85, 0.5))] * draws.size)
    rows["run"], rows["ood"] = np.arange(draws.size).astype(str), draws.ravel()
    rows["optimizer"] = np.repeat([f"o{i}" for i in range(400)], 12)
    (data,) = binned_data(rows)
    bins = [one for (one,) in data.bins.values()]
    covered = np.mean([one.ood.low <= 0.4 <= one.ood.high for one in bins])
    assert 0.92 < covered < 0.98  # two standard errors of 400 are 0.022


def test_the_figure_shows_means_in_their_bins_and_the_numbers(run):
    oods = [0.1, 0.25, 0.3, 0.2, 0.4]
    rows = [run(i, "sgd", (0.85, ood)) for i, ood in enumerate(oods)]
    rows += [run(9, "adam", (0.6, 0.55)), run(10, "adam", None)]
    plot, numbers, counts = binned(pd.DataFrame(rows)).axes
    drawn = {
        c.get_gid(): c.get_offsets()[0].tolist()
        for c in plot.collections
        if c.get_gid() and len(c.get_offsets())
    }
    assert plot.get_xlim() == pytest.approx((0.6, 0.9))
    assert drawn["means-sgd"] == pytest.approx([0.83, 0.25])  # left of the middle, side by side
    assert drawn["means-adam"] == pytest.approx([0.67, 0.55])
    assert [t.get_text() for t in numbers.texts] == ["runs in each bin", "SGD", "5", "Adam", "1"]
    assert [t.get_text() for t in counts.texts][-4:] == ["Adam", "1", "1", "0"]


def test_the_figure_refuses_no_bins(pairs):
    with pytest.raises(RequestError, match="bins must be at least 1, but got 0"):
        binned(pairs, bins=0)
