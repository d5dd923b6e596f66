"""DomainBed folders, real and made up."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a finished run: for each step the (in, out) accuracies of three environments."""

    def run(name: str, tested: list[int], *steps: tuple, hparams=None, loss=0.5, **changes) -> Path:
        args = {"dataset": "Mine", "algorithm": "VREx", "test_envs": tested, "seed": 77}
        args |= {"trial_seed": 0, "hparams_seed": 0, "data_dir": "/somewhere", **changes}
        hparams = {"lr": 1e-3, "batch_size": 8, **(hparams or {})}
        lines = []
        for number, scores in enumerate(steps):
            line = {"args": args, "hparams": hparams, "step": 100 * number, "loss": loss}
            for i, (of_in, of_out) in enumerate(scores):
                line |= {f"env{i}_in_acc": of_in, f"env{i}_out_acc": of_out}
            lines.append(json.dumps(line))
        path = tmp_path / "sweep" / name / "results.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")
        (path.parent / "done").write_text("done")
        return path

    return run
