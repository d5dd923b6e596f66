"""Without what only Unix has, results are read and models trained: as far as Unix can show."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

BLOCKED = """
import os, sys
sys.modules["resource"] = sys.modules["fcntl"] = None
os.__dict__.pop("sched_getaffinity", None)
"""

SCRIPT = """
import os, sys

assert sys.modules["fcntl"] is sys.modules["resource"] is None
assert not hasattr(os, "sched_getaffinity")

import oodbench
from oodbench import analysis

sweep = {
    "name": "small",
    "datasets": [{"name": "RotatedDigits", "test_environments": [0]}],
    "algorithms": ["erm"],
    "optimizers": ["sgd", "adam"],
    "model": {"name": "mlp", "width": 8, "depth": 1},
    "search": {"trials": 3},
    "train": {"steps": 5, "batch": {"per_environment": 4}},
}
if __name__ == "__main__":
    studies = oodbench.run_sweep(sweep, "small.db", workers=1)
    assert studies["completed"].tolist() == [3, 3]
    runs = oodbench.query("small.db")
    assert len(runs) == 6
    analysis.save(analysis.scatter(runs), "scatter.png")
    oodbench.plot("slices", "small.db", "slices.png")
    oodbench.report("small.db", "report.html")
    assert oodbench.reproduce("small.db", runs["run"][0]).exact
"""


def test_a_small_study_from_sweep_to_report(tmp_path: Path) -> None:
    (tmp_path / "blocked").mkdir()
    (tmp_path / "blocked" / "sitecustomize.py").write_text(BLOCKED)
    (tmp_path / "study.py").write_text(SCRIPT)
    path = os.pathsep.join([str(tmp_path / "blocked"), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "study.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    made = {path.name for path in tmp_path.iterdir() if path.suffix in (".png", ".html")}
    assert made == {"scatter.png", "slices.png", "report.html"}
