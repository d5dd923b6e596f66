from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.plots.slices import slices
from analysis.runs.slicing import fitting_scale, slices_data, trend
from oodbench.errors import RequestError, UnknownNameError
from oodbench.spaces import Range


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (Range(1e-5, 1e-1, "log"), "log"),
        (Range(0.0, 0.5), "uniform"),
        (Range(0.01, 0.5), "uniform"),
        (Range(0.5, 0.999, "one_minus_log"), "one_minus_log"),
        (Range(1, 8, "int"), "uniform"),
    ],
)
def test_the_scale_of_a_search_range_is_found_from_its_draws(what, expected):
    draws = np.random.default_rng(0).random((50, 40))
    found = [fitting_scale(np.array([what.at(u) for u in row], dtype=float)) for row in draws]
    assert np.mean([scale == expected for scale in found]) > 0.9


def test_trends_are_the_quartiles_of_parts_of_equally_many_runs():
    x = np.arange(1.0, 61)
    line = trend(x[::-1], 2 * x[::-1])
    assert line.n == (10,) * 6
    assert line.x.tolist() == [5.5, 15.5, 25.5, 35.5, 45.5, 55.5]
    assert trend(x[:-1], x[:-1]) is None  # a line through a few parts would hide an arch
    np.testing.assert_allclose(line.quartiles[0], np.percentile(2 * x[:10], [25, 50, 75]))


def test_few_different_values_are_parts_of_their_own():
    x, score = np.repeat([8.0, 16.0, 32.0], [6, 5, 4]), np.arange(15.0)
    line = trend(x, score)
    assert (line.x.tolist(), line.n) == ([8, 16], (6, 5))  # four runs have no quartiles
    assert line.quartiles[:, 1].tolist() == [2.5, 8]
    assert trend(x[:6], score[:6]) is None


@pytest.fixture
def searched(run):
    rows = [run(i, "sgd", (0.5 + 0.01 * i, 0.4), lr=10.0 ** (-i), nesterov=i > 2) for i in range(5)]
    rows += [run(10 + i, "adam", (0.6, 0.3), lr=1e-3, beta1=0.9) for i in range(3)]
    rows += [run(20, "sgd", None, lr=10.0), run(21, "sgd", None, lr=20.0, status="failed")]
    rows += [run(30, "momentum", (0.7, 0.2), lr=0.5), run(31, "sgd", (0.6, 0.5), algorithm="irm")]
    return pd.DataFrame(rows)


def test_runs_stand_at_their_values_and_lost_ones_too(searched):
    (erm,) = slices_data(searched)  # no IRM run has the hyperparameter
    assert [one.optimizer for one in erm.slices] == ["sgd", "momentum"]
    assert erm.left_out == ("Adam",)  # fixed, while others vary
    sgd = erm.slices[0]
    np.testing.assert_allclose(sgd.x, [1, 0.1, 0.01, 1e-3, 1e-4])
    np.testing.assert_allclose(sgd.scores["id"], [0.5, 0.51, 0.52, 0.53, 0.54])
    assert (sgd.diverged.tolist(), sgd.failed.tolist()) == ([10], [20])
    assert erm.scale == "log"


def test_a_hyperparameter_that_is_fixed_everywhere_is_shown(searched):
    (erm,) = slices_data(searched, "beta1")
    assert [one.optimizer for one in erm.slices] == ["adam"]
    assert erm.left_out == ("SGD", "Momentum")


def test_yes_and_no_are_choices(searched):
    (erm,) = slices_data(searched, "nesterov")
    assert (erm.scale, erm.choices) == ("choice", ("False", "True"))
    assert erm.slices[0].x.tolist() == [0, 0, 0, 1, 1]


def test_a_scale_that_cannot_show_every_value_is_not_used(searched):
    assert slices_data(searched, scale="log")[0].scale == "log"
    assert slices_data(searched, scale="one_minus_log")[0].scale == "log"
    zero = searched.assign(lr=searched["lr"].replace(1.0, 0.0))
    assert slices_data(zero, scale="log")[0].scale == "uniform"


def test_the_figure_shows_runs_and_marks(searched):
    figure = slices(searched)
    above = figure.axes[0]
    assert above.get_xscale() == "log"
    (dots,) = [c for c in above.collections if c.get_gid() == "runs-sgd"]
    assert dots.get_offsets().tolist()[1] == pytest.approx([0.1, 0.51])
    marks: dict[Any, Any] = {c.get_gid(): c for c in above.collections}
    for gid, x in (("diverged-sgd", 10.0), ("failed-sgd", 20.0)):
        ((start, end),) = marks[gid].get_segments()
        assert (start[0], end[0]) == (x, x)
        assert end[1] == 1  # the upper edge
    titles = [axes.get_title().split("\n")[-3:] for axes in figure.axes[:4:2]]
    assert titles[0] == ["5 completed", "1 diverged", "1 failed"]
    assert titles[1][-2:] == ["Momentum", "1 completed"]


def test_ticks_of_momentum_are_its_values(run):
    values = 1 - np.geomspace(0.5, 0.01, 30)
    rows = [run(i, "sgd", (0.5, 0.4), momentum=value) for i, value in enumerate(values)]
    axes = slices(pd.DataFrame(rows), hyperparameter="momentum").axes[1]
    axes.figure.canvas.draw()
    low, high = axes.get_xlim()
    shown = [t.get_text() for t in axes.get_xticklabels() if high <= t.get_position()[0] <= low]
    assert shown[::-1] == ["0.5", "0.9", "0.95", "0.99"]


def test_more_optimizers_than_fit_go_on_below(run):
    rows = [
        run(10 * k + i, f"o{k}", (0.5, 0.4), lr=0.1 * (i + 1)) for k in range(8) for i in range(2)
    ]
    figure = slices(pd.DataFrame(rows))
    drawn = {c.get_gid() for axes in figure.axes for c in axes.collections}
    assert {f"runs-o{k}" for k in range(8)} <= drawn


def test_unknown_names_are_refused(searched):
    with pytest.raises(UnknownNameError, match=r"Did you mean 'lr'\? Allowed: beta1, lr, nesterov"):
        slices(searched, hyperparameter="lrr")
    with pytest.raises(UnknownNameError, match="unknown scale 'logarithmic'"):
        slices(searched, scale="logarithmic")
    with pytest.raises(RequestError, match="No run here has a value of 'beta1'"):
        slices(searched, hyperparameter="beta1", algorithm="irm")
