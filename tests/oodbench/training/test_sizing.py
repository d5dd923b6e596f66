"""The stack size: chosen by what was measured, within the memory allowed, and remembered."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from training_helpers import CPU, make_trials

from oodbench.models import MODELS, ModelSpec
from oodbench.records import Trial
from oodbench.training import Tensors, sizing

GIB = 2**30
Times = Callable[[dict[int, float]], list[int]]


@pytest.fixture
def trial() -> Trial:
    return make_trials(1, optimizer="sgd", precision="float32")[0]


@pytest.fixture
def times(monkeypatch: pytest.MonkeyPatch) -> Times:
    """Pretends that stacks take so long per model and step; gives the sizes that were tried."""

    def pretend(seconds: dict[int, float]) -> list[int]:
        tried: list[int] = []

        def time_stack(trial: Any, data: Any, device: Any, size: int, tick: Any) -> float:
            if size not in tried:
                tried.append(size)
            return seconds[size]

        monkeypatch.setattr(sizing, "time_stack", time_stack)
        return tried

    return pretend


@pytest.mark.parametrize(
    ("seconds", "size", "tried"),
    [
        ({1: 8, 2: 5, 4: 3, 8: 2, 16: 1, 32: 0.9, 64: 0.8}, 64, [1, 2, 4, 8, 16, 32, 64]),
        # a gain of 1% is none
        ({1: 8, 2: 5, 4: 3, 8: 2.97, 16: 2.95, 32: 4, 64: 5}, 4, [1, 2, 4, 8, 16, 32, 64]),
        # what is slower twice is not made larger
        ({1: 1, 2: 1.2, 4: 1.4}, 1, [1, 2, 4]),
        ({1: 2, 2: 1, 4: 1.1, 8: 1.2}, 2, [1, 2, 4, 8]),
    ],
)
def test_the_fastest_stack_is_taken_the_smallest_of_equal_ones(
    seconds: dict[int, float],
    size: int,
    tried: list[int],
    times: Times,
    trial: Trial,
    colored32: Tensors,
) -> None:
    asked = times(seconds)
    assert sizing.measure(trial, colored32, CPU, GIB).size == size
    assert asked == tried


def test_a_stack_keeps_to_its_memory(times: Times, trial: Trial, colored32: Tensors) -> None:
    asked = times({k: 1 / k for k in sizing.SIZES})
    need = sizing.bytes_per_model(trial, colored32, CPU)
    assert sizing.measure(trial, colored32, CPU, 9 * need).size == 8
    assert asked == [1, 2, 4, 8]
    assert sizing.measure(trial, colored32, CPU, 1).size == 1


def test_what_a_model_needs_grows_with_its_batch(trial: Trial, colored32: Tensors) -> None:
    # 128-16-16-2: weights and biases; a step keeps the inputs, two hidden layers, the logits
    parameters = 128 * 16 + 16 + 16 * 16 + 16 + 16 * 2 + 2
    needs = [
        sizing.bytes_per_model(make_trials(1, batch=b, precision="float32")[0], colored32, CPU)
        for b in ({"per_environment": 16}, {"per_environment": 32}, {"per_environment": 48})
    ]
    per_image = (needs[1] - needs[0]) / 32
    assert needs[2] - needs[1] == needs[1] - needs[0]
    assert 2 * 4 * (128 + 16 + 16) <= per_image <= 2 * 4 * (128 + 16 + 16 + 4 * 2 + 4)
    assert needs[0] - 32 * per_image >= 5 * 4 * parameters


def test_models_that_cannot_be_stacked_are_not_measured(
    times: Times, monkeypatch: pytest.MonkeyPatch, colored32: Tensors
) -> None:
    def build(shape: tuple[int, ...], classes: int) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(128, classes))

    monkeypatch.setitem(MODELS._things, "dropping", ModelSpec("dropping", build))
    (trial,) = make_trials(1, model="dropping", model_options={}, precision="float32")
    asked = times({})
    assert sizing.measure(trial, colored32, CPU, GIB).size == 1
    assert asked == []


def test_a_measurement_is_remembered_until_its_file_is_damaged(
    trial: Trial,
    colored32: Tensors,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("OODBENCH_CACHE", str(tmp_path))
    state = torch.get_rng_state()
    found = sizing.stack_size(trial, colored32, CPU, GIB)
    assert torch.equal(torch.get_rng_state(), state), "a measurement draws from no global stream"
    assert found.size in found.seconds
    assert f"stacks of {found.size} (" in str(found)
    (file,) = (tmp_path / "stack-sizes").iterdir()
    measured: list[int] = []

    def measure(*args: Any) -> sizing.StackSize:
        measured.append(1)
        return found

    monkeypatch.setattr(sizing, "measure", measure)
    assert sizing.stack_size(trial, colored32, CPU, GIB) == found
    assert measured == []
    sizing.stack_size(trial, colored32, CPU, 2 * GIB)  # another bound is another question
    assert len(measured) == 1
    file.write_text("{")
    assert sizing.stack_size(trial, colored32, CPU, GIB) == found
    assert len(measured) == 2
    assert "is measured anew" in capsys.readouterr().out
