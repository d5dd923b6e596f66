"""Scores against scikit-learn's, and against examples worked out by hand."""

import math
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score, log_loss

from oodbench.metrics import (
    GROUP,
    OFFICIAL,
    WATERBIRDS,
    WORST,
    Answers,
    ece,
    nll,
    scores,
    tenth_percentile,
    worst_group,
)


def answers(labels: Any, predicted: Any, groups: Any = None, names: Any = (), **more: Any):
    n = len(labels)
    return Answers(
        np.array(labels),
        np.array(predicted),
        np.array(more.get("confidence", [1.0] * n), dtype=float),
        np.array(more.get("nll", [0.0] * n), dtype=float),
        more.get("classes", 3),
        np.empty((n, 0), np.int64) if groups is None else np.array(groups).reshape(n, -1),
        tuple(names),
    )


def test_class_means_are_scikit_learns_over_the_classes_present() -> None:
    rng = np.random.default_rng(0)
    labels, predicted = rng.integers(0, 6, 400), rng.integers(0, 8, 400)
    mine = {
        s.metric: s.value for s in scores(answers(labels, predicted, classes=9), ("F1-macro_all",))
    }
    present = np.unique(labels)
    expected = f1_score(labels, predicted, labels=present, average="macro")
    assert mine["F1-macro_all"] == pytest.approx(expected, abs=1e-12)
    with np.errstate(all="ignore"), pytest.warns(UserWarning, match="not in y_true"):
        recall = balanced_accuracy_score(labels, predicted)
    assert mine["balanced_accuracy"] == pytest.approx(recall, abs=1e-12)
    assert mine["accuracy"] == pytest.approx((labels == predicted).mean(), abs=1e-12)


def test_likelihood_and_calibration() -> None:
    """ECE by hand: bins (0.8, 0.867] with 1 of 2 right and (0.933, 1] with 2 of 2."""
    said = answers(
        *([0, 1, 0, 1], [0, 0, 0, 1]),
        confidence=[0.85, 0.85, 1.0, 0.95],
        nll=-np.log([0.85, 0.15, 1.0, 0.95]),
    )
    assert ece(said) == pytest.approx((2 * 0.35 + abs(0.0 - 0.05)) / 4)
    p = [[0.85, 0.15], [0.85, 0.15], [1, 0], [0.05, 0.95]]
    assert nll(said) == pytest.approx(log_loss([0, 1, 0, 1], p))
    assert math.isnan(ece(answers([0], [0], confidence=[math.nan])))


def test_an_edge_of_confidence_is_of_the_lower_bin() -> None:
    assert ece(answers([0, 1], [0, 0], confidence=[1 / 15, 1.01 / 15])) == pytest.approx(
        (1 - 1 / 15 + 1.01 / 15) / 2
    )


def test_an_empty_group_is_empty_and_not_zero() -> None:
    """Groups: a has 2 of 3 right, b is empty, c 1 of 2; one example is in none, one in two."""
    said = answers(
        *([0, 0, 0, 1, 1], [0, 0, 1, 1, 0]),
        groups=[[0, -1], [0, 2], [0, -1], [-1, -1], [2, -1]],
        names="abc",
    )
    accuracies, n = said.by_group
    np.testing.assert_allclose(accuracies, [2 / 3, math.nan, 0.5])
    assert n.tolist() == [3, 0, 2]
    found = [(s.metric, s.group, s.value, s.n) for s in scores(said, ("acc_wg",))]
    assert ("acc_wg", "", 0.5, 2) in found
    assert (WORST, "", 0.5, 2) in found
    assert [f for f in found if f[0] == GROUP] == [
        (GROUP, "a", pytest.approx(2 / 3), 3),
        (GROUP, "c", 0.5, 2),
    ]


def test_no_group_at_all_has_no_worst_one() -> None:
    for said in (answers([0], [0]), answers([0], [0], groups=[-1], names="a")):
        assert WORST not in [s.metric for s in scores(said)]
        assert math.isnan(worst_group(said))
        assert math.isnan(tenth_percentile(said))


def test_many_groups_are_summed_up() -> None:
    """Of users with 0, 1/99, ..., 1 of their examples right the 10th percentile is 0.1."""
    labels = np.zeros(100 * 99, int)
    users = np.repeat(np.arange(100), 99)
    predicted = np.concatenate([[0] * k + [1] * (99 - k) for k in range(100)])
    said = answers(labels, predicted, users, [str(u) for u in range(101)])
    found = {s.metric: s.value for s in scores(said, ("10th_percentile_acc",))}
    assert found["10th_percentile_acc"] == pytest.approx(0.1)
    assert found[WORST] == 0
    assert GROUP not in found


def test_waterbirds_adjusted_average() -> None:
    """By hand: only the 184 land birds on water are wrong; undefined where a group is empty."""
    names = list(WATERBIRDS)
    said = answers([0, 0, 1, 1], [0, 1, 1, 1], [0, 1, 2, 3], names)
    assert OFFICIAL["adj_acc_avg"](said) == pytest.approx(1 - 184 / 4795)
    assert math.isnan(OFFICIAL["adj_acc_avg"](answers([0], [0], [0], names)))
    assert math.isnan(OFFICIAL["adj_acc_avg"](answers([0], [0], [0], names[:1])))
