"""End points of another seed or run: what they are, and which are refused."""

from typing import Any

import numpy as np
import pytest
import torch
from path_helpers import trial

from oodbench.errors import RequestError
from oodbench.probes.end_points import check_end, end_of, other_seed
from oodbench.probes.recording import record_paths
from oodbench.training import Tensors

CPU = torch.device("cpu")


def test_an_end_point_that_is_the_runs_own(colored32: Tensors) -> None:
    (own, other), _ = record_paths([trial(), trial(seed=1)], colored32, CPU)
    end = end_of([trial()], colored32, CPU)  # one for both
    (same, foreign), _ = record_paths([trial(), trial(seed=1)], colored32, CPU, end=end)
    for name in ("distance", "gamma", "best_lr", "alignment"):
        np.testing.assert_array_equal(getattr(own, name), getattr(same, name))
        assert not np.isclose(getattr(other, name), getattr(foreign, name)).all()
    assert same.last == 0
    assert foreign.last > 0.1


def test_the_other_seed_is_a_function_of_the_runs_own() -> None:
    one, again = other_seed(trial(seed=3)), other_seed(trial(seed=3))
    assert one == again
    assert one.config_id == trial(seed=3).config_id
    assert len({one.seed, other_seed(trial(seed=4)).seed, 3, 4}) == 4


def test_a_diverged_end_is_none(colored32: Tensors) -> None:
    """Its neighbours in the stack have theirs."""
    hot = trial(hparams={"lr": 1e30, "weight_decay": 0.0})
    found = end_of([hot, trial()], colored32, torch.device("cpu"))
    assert found[0].isnan().all()
    assert found[1].isfinite().all()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dataset": "RotatedDigits"}, "its dataset is 'RotatedDigits', but 'ColoredDigits' is"),
        ({"model_options": {"width": 9}}, "its model_options is {'width': 9}, but {'width': 8}"),
        ({"test_environments": (0,)}, r"its test_environments is \(0,\), but \(2,\) is needed"),
    ],
)
def test_end_points_of_another_space_are_refused(changes: dict[str, Any], said: str) -> None:
    check_end(trial(), trial("adam", steps=7, algorithm="irm"))
    with pytest.raises(RequestError, match=said):
        check_end(trial(), trial(**changes))
