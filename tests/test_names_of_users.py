"""Files and folders of the user's with the names of ours break nothing."""

import os
import shutil
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

assert ours.conclude.__module__ == "oodbench.analysis"
assert ours.conclude.__wrapped__.__module__ == "oodbench.analysis.conclusions.conclude"
assert ours.scatter.__wrapped__.__module__ == "oodbench.analysis.plots.scatter"
assert (sibling("sweeps") / "digits.yaml").is_file()
table = oodbench.run_sweep({sweep!r}, "results.db", workers=1)
assert table["completed"].sum() == 4
oodbench.conclude("results.db")
oodbench.report("results.db", "report.html")
oodbench.api.plot("scatter", "results.db", "scatter.png")
print(oodbench.__path__[0])
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


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the installed wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "checkout"  # building leaves files behind
    names = ("oodbench", "analysis", "domainbed_adapters", "sweeps")
    for name in names:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    options = ["--no-deps", "--no-build-isolation", "--target", str(folder / "site")]
    subprocess.run([*pip, *options, str(copy)], check=True)
    return folder / "site"


@pytest.mark.parametrize("installed", [pytest.param("checkout", marks=pytest.mark.slow), "wheel"])
@pytest.mark.parametrize(
    "as_folders",
    [pytest.param(False, id="files"), pytest.param(True, id="folders", marks=pytest.mark.slow)],
)
def test_a_users_own_analysis_sweeps_and_tests(
    tmp_path: Path, request: pytest.FixtureRequest, as_folders: bool, installed: str
) -> None:
    place = ROOT if installed == "checkout" else request.getfixturevalue("wheel")
    for name in ("analysis", "sweeps", "tests"):
        file = tmp_path / (f"{name}/__init__.py" if as_folders else f"{name}.py")
        file.parent.mkdir(exist_ok=True)
        file.write_text("MINE = True\n")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.replace("{sweep!r}", repr(SWEEP)))
    run = subprocess.run(
        [sys.executable, script],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(place)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == str(place / "oodbench")


def test_the_wheel_has_the_studies_that_are_shipped(wheel: Path) -> None:
    here, there = (
        {path.name: path.read_bytes() for path in (place / "oodbench/examples").rglob("*.*")}
        for place in (ROOT, wheel)
    )
    assert here == there
    assert "runs.parquet" in here


def test_both_names_give_the_same_modules() -> None:
    code = (
        "import analysis.plots.box, analysis.stats.intervals as one\n"
        "import oodbench.analysis.stats.intervals as other, oodbench.analysis as ours\n"
        "assert one is other and one.__spec__.name == 'oodbench.analysis.stats.intervals'\n"
        "assert analysis is ours and callable(analysis.box)\n"
        "from analysis import Conclusions; assert Conclusions is ours.Conclusions\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=ROOT, check=True)
