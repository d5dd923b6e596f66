"""Files and folders of the user's with the names of ours break nothing."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = """
import sys
import pandas as pd
import analysis, sweeps, tests
assert analysis.MINE and sweeps.MINE and tests.MINE
import oodbench
from oodbench import analysis as ours
from oodbench.cli import app
from oodbench.siblings import sibling

assert ours.conclude.__module__ == "oodbench.analysis.conclusions.conclude"
assert ours.scatter.__module__ == "oodbench.analysis.plots.scatter"
assert ours.report_html.__module__ == "oodbench.analysis.report.page"
assert (sibling("sweeps") / "digits.yaml").is_file()
table = oodbench.run_sweep({sweep!r}, "results.db", workers=1)
assert table["completed"].sum() == 4
oodbench.conclude("results.db")
oodbench.report("results.db", "report.html")
oodbench.api.plot("scatter", "results.db", "scatter.png")
"""
SWEEP = {
    "name": "mine",
    "datasets": [{"name": "RotatedDigits", "test_environments": [0]}],
    "algorithms": ["erm"],
    "optimizers": ["sgd", "adam"],
    "model": {"name": "linear"},
    "search": {"trials": 2},
    "train": {"steps": 5, "batch": {"per_environment": 8}},
}


@pytest.mark.parametrize("as_folders", [False, True], ids=["files", "folders"])
def test_a_users_own_analysis_sweeps_and_tests(tmp_path: Path, as_folders: bool) -> None:
    for name in ("analysis", "sweeps", "tests"):
        file = tmp_path / (f"{name}/__init__.py" if as_folders else f"{name}.py")
        file.parent.mkdir(exist_ok=True)
        file.write_text("MINE = True\n")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.replace("{sweep!r}", repr(SWEEP)))
    run = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_both_names_give_the_same_modules() -> None:
    code = (
        "import analysis.plots.box, analysis.stats.intervals as one\n"
        "import oodbench.analysis.stats.intervals as other, oodbench.analysis as ours\n"
        "assert one is other and one.__spec__.name == 'oodbench.analysis.stats.intervals'\n"
        "assert analysis is ours and callable(analysis.box)\n"
        "from analysis import Conclusions; assert Conclusions is ours.Conclusions\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, check=True)
