"""A run that takes long says how far it is."""

from types import SimpleNamespace

import pytest
from training_helpers import CPU, make_trials

from oodbench.training import reporting
from oodbench.training.loop import Run


def test_a_line_says_the_step_the_loss_and_the_pace(colored64, monkeypatch, capsys) -> None:
    now = 0.0
    monkeypatch.setattr(reporting, "time", SimpleNamespace(monotonic=lambda: now))
    run = Run(make_trials(2, steps=12, evaluate_every=5), colored64, CPU)
    losses = {}

    def tick() -> None:
        nonlocal now
        now += 4.0  # seconds a step
        if run.summed:
            losses[run.done] = run.total.mean().item() / run.summed

    run.train(reporting.Reported(run, tick))
    lines = [line.split(", ") for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in lines] == [f"training step {step} of 12" for step in (3, 6, 9, 12)]
    assert {line[-1] for line in lines} == {"4 s a step"}
    for step, line in zip((3, 6, 9), lines, strict=False):
        assert float(line[1].removeprefix("loss ")) == pytest.approx(losses[step], rel=1e-3)
    assert len(lines[-1]) == 2  # none was taken since the last evaluation
