"""Names that tell which optimizers step alike."""

import pytest

from analysis.compare.population import _by_stepping
from analysis.runs.names import stepping


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("adam", "adam"),
        ("adam(fixed)", "adam"),
        ("palsgd(adam)x4", "adam"),
        ("ddp(adam(fixed))x4", "adam"),
        ("schedule_free_sgd", "schedule_free_sgd"),
    ],
)
def test_the_optimizer_that_steps(name: str, steps: str) -> None:
    assert stepping(name) == steps


def test_optimizers_that_step_alike_are_one_unit() -> None:
    names = ["sgd", "adam", "ddp(sgd)x4", "adam(fixed)", "palsgd(sgd)x4"]
    assert _by_stepping(names) == [["sgd", "ddp(sgd)x4", "palsgd(sgd)x4"], ["adam", "adam(fixed)"]]
