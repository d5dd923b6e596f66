"""What the README shows runs as written."""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_python_example_runs(tmp_path: Path) -> None:
    example = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    (tmp_path / "example.py").write_text(example[1], encoding="utf-8")
    run = [sys.executable, "example.py"]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    header, *rows = done.stdout.strip().splitlines()
    assert header.split() == ["optimizer", "id", "ood", "n_ood"]
    assert [row.split()[1] for row in rows] == ["sgd", "adam"]
    assert (tmp_path / "first.png").stat().st_size > 10_000


OWN_PACKAGE = """
import torch

class Mine(torch.optim.Optimizer):
    def __init__(self, params, lr, decay):
        super().__init__(params, {"lr": lr, "decay": decay})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                p.mul_(1 - group["lr"] * group["decay"]).sub_(p.grad.sign(), alpha=group["lr"])
"""


@pytest.mark.slow
def test_the_example_of_an_optimizer_of_ones_own_is_found_by_every_worker(tmp_path: Path) -> None:
    """As an entry point, which is how a package of its own announces it."""
    example = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[1]
    (tmp_path / "my_package.py").write_text(OWN_PACKAGE, encoding="utf-8")
    (tmp_path / "my_contestant.py").write_text(f"{example}\nREGISTER = [MINE]\n")
    about = tmp_path / "my_package-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[oodbench.optimizers]\nmine = my_contestant\n")
    code = """
        import oodbench
        oodbench.run_sweep({
            "name": "own",
            "datasets": [{"name": "ColoredDigits", "test_environments": [2]}],
            "algorithms": ["erm"],
            "optimizers": ["sgd", "mine"],
            "model": {"name": "mlp"},
            "search": {"trials": 2},
            "train": {"steps": 4, "batch": {"per_environment": 8}},
        }, "own.db", workers=1)
        runs = oodbench.query("own.db", where="optimizer = 'mine'")
        print(runs[["status", "optimizer_kind"]].to_numpy().tolist(), runs["decay"].notna().sum())
        print(oodbench.show("own.db", runs["run"][0]).provenance["stacked"])
    """
    where = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    run = [sys.executable, "-c", textwrap.dedent(code)]
    settings = {"cwd": tmp_path, "capture_output": True, "text": True, "timeout": 300}
    done = subprocess.run(run, env={**os.environ, "PYTHONPATH": where}, **settings)
    assert done.returncode == 0, done.stderr
    stored, stacked = done.stdout.strip().splitlines()
    assert stored == "[['completed', 'adaptive'], ['completed', 'adaptive']] 2", done.stderr
    assert stacked == "True"


@pytest.mark.slow
def test_the_example_of_loading_a_model_runs(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "predictions.md").read_text(encoding="utf-8")
    example = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    sweep = """
        oodbench.run_sweep({
            "name": "kept",
            "datasets": [{"name": "ColoredDigits", "test_environments": [2]}],
            "algorithms": ["erm"],
            "optimizers": ["adam"],
            "model": {"name": "mlp"},
            "search": {"trials": 1},
            "train": {"steps": 4, "batch": {"per_environment": 8}},
            "keep_weights": "last",
        }, "kept.db", workers=1)
    """
    code = f"import oodbench\n{textwrap.dedent(sweep)}\n{example[1]}\nprint(logits.shape)"
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == "torch.Size([1, 2])", done.stderr


PAGES = ["README.md", *(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/**/*.md"))]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)", text):
        if "://" not in target:
            assert (ROOT / page).parent.joinpath(target).exists(), target


def test_the_version_is_the_same_everywhere() -> None:
    from oodbench import __version__

    pyproject = (ROOT / "pyproject.toml").read_text()
    assert f'version = "{__version__}"' in pyproject
    assert f"\n## {__version__}" in (ROOT / "CHANGELOG.md").read_text()
    assert f"\nversion: {__version__}" in (ROOT / "CITATION.cff").read_text()
