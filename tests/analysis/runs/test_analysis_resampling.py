"""The joint weights of draws and examples: what they share, and the variance that they give."""

import numpy as np
import pandas as pd
import pytest
from simulated_searches import search, together

from analysis.runs.resampling import ANSWERS, EXAMPLES, Resampling
from oodbench.results.predictions import Predictions


def predictions(frame: pd.DataFrame, right: np.ndarray, *, environments: int = 1) -> Predictions:
    """Of OOD test examples: ``right`` (runs, examples) says which are predicted as labelled."""
    n = right.shape[1] // environments
    examples = pd.DataFrame(
        {
            "environment": np.repeat(np.arange(environments).astype(str), n),
            "split": "test",
            "role": "ood_test",
            "example": np.tile(np.arange(n), environments),
            "label": 1,
        }
    )
    dataset = str(frame["dataset"].iloc[0])
    return Predictions(dataset, "0", 0, "here", tuple(frame["run"]), examples, right.astype(int))


def scored(right: np.ndarray, **other: object) -> pd.DataFrame:
    """Runs whose OOD accuracies are those of ``right``."""
    return search("sgd", right.mean(axis=1), right.mean(axis=1), **other)


def sampled(frame, given, way, resamples=400):
    """(R, N) weights and OOD scores, resampled in one way."""
    resampling = Resampling(frame, given, resamples)
    found = [*resampling.of(frame, ["ood"])]
    rows = resampling.ways[way]
    scores = [np.broadcast_to(one.scores["ood"], one.weights.shape) for one in found]
    return np.concatenate([one.weights for one in found])[rows], np.concatenate(scores)[rows]


def test_the_first_row_is_the_data_as_they_are():
    right = np.random.default_rng(0).random((6, 40)) < 0.7
    frame = scored(right)
    first, *others = Resampling(frame, [predictions(frame, right)], 70).of(frame, ["ood"])
    assert (first.weights[0] == 1).all()
    assert not (first.weights[1:] == 1).all()
    assert first.scores["ood"] == pytest.approx(frame["ood"].to_numpy()[None])
    assert sum(len(one.weights) for one in (first, *others)) == 1 + 3 * 70


@pytest.mark.parametrize("way", [EXAMPLES, ANSWERS])
def test_an_accuracy_on_resampled_examples_has_the_binomial_error(way, monkeypatch):
    monkeypatch.setattr("analysis.runs.resampling.MOST_OF_EXAMPLES", 4000)
    right = np.random.default_rng(0).random((1, 200)) < 0.7
    frame = scored(right)
    weights, scores = sampled(frame, [predictions(frame, right)], way, 4000)
    p = right.mean()
    assert (weights == 1).all()
    assert scores.std() == pytest.approx(np.sqrt(p * (1 - p) / 200), rel=0.05)


def test_runs_that_agree_on_every_example_never_differ_but_by_their_own_answers():
    right = np.repeat(np.random.default_rng(0).random((1, 50)) < 0.5, 2, axis=0)
    frame = scored(right)
    given = [predictions(frame, right)]
    _, scores = sampled(frame, given, EXAMPLES)
    assert np.array_equal(scores[:, 0], scores[:, 1])
    assert scores[:, 0].std() > 0.05
    _, alone = sampled(frame, given, ANSWERS)
    assert abs(np.corrcoef(alone.T)[0, 1]) < 0.2


def test_an_example_has_one_weight_in_every_environment():
    """An environment that shows the same images, answered alike, adds nothing: no smaller error."""
    once = np.random.default_rng(0).random((1, 100)) < 0.6
    twice = np.tile(once, (1, 2))
    frame = scored(once)
    _, single = sampled(frame, [predictions(frame, once)], EXAMPLES)
    _, double = sampled(frame, [predictions(frame, twice, environments=2)], EXAMPLES)
    assert double == pytest.approx(single)


def test_panels_that_are_resampled_one_after_the_other_share_their_weights():
    u = np.arange(20) / 20
    frame = together(search("sgd", u, u), search("adam", u, u), search("adam", u, u, dataset="E"))
    weights = Resampling(frame, resamples=60)
    one, two = frame[frame["dataset"] == "D"], frame[frame["dataset"] == "E"]
    first = np.concatenate([r.weights for r in weights.of(one, ["ood"])])
    second = np.concatenate([r.weights for r in weights.of(two, ["ood"])])
    assert np.array_equal(first[:, :20], first[:, 20:])
    assert np.array_equal(first[:, 20:], second)
    assert len(np.unique(first[1:], axis=0)) == 60
    again = np.concatenate([r.weights for r in weights.first(10).of(one, ["ood"])])
    assert np.array_equal(again, first[:11])


def test_predictions_of_another_checkpoint_or_metric_are_not_taken():
    right = np.random.default_rng(0).random((6, 40)) < 0.7
    frame = scored(right)
    other = frame.assign(ood=frame["ood"] + [0.1, 0, 0, 0, 0, 0])
    given = [predictions(frame, right)]
    assert Resampling(frame, given).covers(frame, ["ood"])
    assert not Resampling(other, given).covers(other, ["ood"])
    assert not Resampling(frame).covers(frame, ["ood"])
    _, scores = sampled(other, given, EXAMPLES)
    assert np.ptp(scores[:, 0]) == 0
    assert (scores[:, 1:].std(axis=0) > 0.03).all()
