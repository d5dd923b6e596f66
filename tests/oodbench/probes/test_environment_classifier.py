"""The classifier that tells environments apart: what it may see, and what its features show."""

import numpy as np
import pytest
import torch

import oodbench
from analysis.shift.classes import shift_class
from analysis.shift.measure import measure_shift
from oodbench.data import Dataset, Environment, Split
from oodbench.errors import RequestError
from oodbench.probes.environment_classifier import environment_features
from oodbench.probes.samples import sample_of

SMALL = {"width": 16, "depth": 1}


def make_dataset(moved: float = 0.0, n: int = 300, parts=("train", "val", "test")) -> Dataset:
    """Two environments of noise around the label, the second of them moved by ``moved``."""
    rng = np.random.default_rng(0)

    def split(offset: float) -> Split:
        labels = rng.integers(0, 2, n)
        inputs = rng.normal(size=(n, 6)) + labels[:, None] + offset
        return Split(inputs.astype(np.float32), labels)

    environments = tuple(
        Environment(str(i), {name: split(i * moved) for name in parts}) for i in range(2)
    )
    return Dataset("Noise", environments, 2)


def sample(most: int = 10_000, **options):
    return sample_of(make_dataset(**options), most)


def measured(f):
    return measure_shift(f.z_p, f.y_p, f.z_q, f.y_q, points=1000)


def test_environments_that_are_alike_show_no_shift():
    f = environment_features(sample(), (1,), options=SMALL)
    assert f.accuracy == pytest.approx(0.5, abs=0.05)
    assert shift_class([measured(f)]) == "none"


def test_environments_that_lie_apart_show_diversity_shift():
    f = environment_features(sample(moved=6.0), (1,), options=SMALL)
    assert f.accuracy > 0.99
    assert measured(f).plus.diversity > 0.8


def test_features_are_of_the_examples_that_it_was_not_trained_on():
    f = environment_features(sample(n=50), (1,), options=SMALL)
    assert f.z_p.shape == f.z_q.shape == (100, 8)
    few = environment_features(sample(n=50), (1,), options=SMALL, examples=30)
    assert few.z_p.shape == (30, 8)


def test_only_the_seed_decides_and_no_other_draw_is_disturbed():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first, second, other = (
        environment_features(sample(n=40), (1,), options=SMALL, seed=seed).z_p for seed in (0, 0, 1)
    )
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(RequestError, match="Noise: a side has no examples to train on and others"):
        environment_features(sample(parts=("train",), n=1), (1,), options=SMALL)
    with pytest.raises(RequestError, match="Cannot use the device 'gpu'"):
        oodbench.shift("ColoredDigits", [2], device="gpu")
    with pytest.raises(RequestError, match="at least 1, but got 0 and 5000"):
        oodbench.shift("ColoredDigits", [2], trials=0)
    with pytest.raises(RequestError, match="needs different indices between 0 and 2"):
        oodbench.shift("ColoredDigits", [7])
