"""The tutorial on one's own images runs as written, with fewer and shorter runs."""

import re
import runpy
from pathlib import Path

import pytest
import torch

import oodbench
from oodbench.optimizers import OPTIMIZERS

ROOT = Path(__file__).parents[1] / "docs"
PAGE = (ROOT / "tutorial.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    """The first block of a language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)[0]


@pytest.mark.slow
def test_the_photos_are_swept_and_concluded_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OODBENCH_DATA", str(tmp_path))
    runpy.run_path(str(ROOT / "examples/make_photos.py"))
    assert len([*tmp_path.glob("photos/*/*/*.png")]) == 1797
    sweep = block("yaml").replace("trials: 32", "trials: 8").replace("steps: 300", "steps: 30")
    (tmp_path / "photos.yaml").write_text(sweep)
    oodbench.run_sweep(tmp_path / "photos.yaml", tmp_path / "photos.db", workers=1)
    runs = oodbench.query(tmp_path / "photos.db")
    assert len(runs) == 96
    assert (runs["status"] == "completed").all()
    assert str(oodbench.conclude(tmp_path / "photos.db")).startswith("Recommendation")


def test_the_optimizer_of_the_tutorial_steps_by_the_sign(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(block("python"))
    (spec,) = runpy.run_path(str(tmp_path / "mine.py"))["REGISTER"]
    assert spec.name not in OPTIMIZERS
    weight = torch.nn.Parameter(torch.tensor([1.0, 2.0, 3.0]))
    weight.grad = torch.tensor([5.0, -0.1, 0.0])
    spec.build([weight], lr=0.5).step()
    assert weight.tolist() == [0.5, 2.5, 3.0]
