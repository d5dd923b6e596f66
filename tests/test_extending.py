"""The package of docs/extending.md and the figure of docs/own-figure.md run as shown."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from oodbench import run_sweep

ROOT = Path(__file__).parents[1]
PAGES = ("docs/extending.md", "docs/own-figure.md")
PAGE = "\n".join((ROOT / page).read_text(encoding="utf-8") for page in PAGES)
BLOCKS = re.findall(r"```(?:toml|python)\n# (.+?)\n(.*?)```", PAGE, re.DOTALL)
OURS = "analysis/"
SWEEP = {
    "name": "few",
    "datasets": [{"name": "ColoredDigits", "test_environments": [2]}],
    "algorithms": ["erm"],
    "optimizers": ["sgd", "adam"],
    "model": {"name": "mlp", "width": 8, "depth": 1},
    "search": {"trials": 2},
    "train": {"steps": 5, "batch": {"per_environment": 8}},
}


def install(folder: Path) -> None:
    """Leave the page's package in ``folder`` as pip would: modules, and entry points."""
    for name, text in BLOCKS:
        if OURS in name:
            continue
        (folder / name).write_text(text, encoding="utf-8")
    groups = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["entry-points"]
    about = folder / "mine-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1\n")
    lines = [
        line
        for group, entries in groups.items()
        for line in (f"[{group}]", *(f"{name} = {module}" for name, module in entries.items()))
    ]
    (about / "entry_points.txt").write_text("\n".join(lines))


def test_a_package_with_a_dataset_an_optimizer_an_algorithm_and_a_figure(tmp_path: Path) -> None:
    install(tmp_path)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "study.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    shown = re.search(r"\$ python study.py\n(.*?)```", PAGE, re.DOTALL)
    assert shown
    assert done.stdout == shown[1]
    assert (tmp_path / "mine.png").stat().st_size > 10_000


def run_in(tree: Path, *arguments: str) -> str:
    """What Python prints that finds our packages in a copy of the tree."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree), "COLUMNS": "80"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_figure_of_ours_takes_a_file_and_a_line(tmp_path: Path) -> None:
    """Its command shows its options as the page does, and draws what Python draws."""
    tree = tmp_path / "tree"
    for package in ("oodbench", "analysis"):
        shutil.copytree(ROOT / package, tree / package)
    (name, text), (_, line) = [block for block in BLOCKS if OURS in block[0]]
    (tree / name).write_text(text, encoding="utf-8")
    with (tree / "analysis/__init__.pyi").open("a", encoding="utf-8") as stub:
        stub.write(line)
    shown = re.search(r"\$ oodbench plot gap --help\n(.*?)```", PAGE, re.DOTALL)
    assert shown
    cli = ("-c", "import sys; from oodbench.cli import main; sys.argv[0] = 'oodbench'; main()")
    said = run_in(tree, *cli, "plot", "gap", "--help")
    assert said.split() == shown[1].split()
    assert "Histograms of ID minus OOD accuracy" in run_in(tree, *cli, "plot", "--help")
    db = tmp_path / "runs.db"
    run_sweep(SWEEP, db, workers=1)
    said = run_in(tree, *cli, "plot", "gap", "--db", str(db), "-o", "gap.png", "--bins", "5")
    assert said == "wrote gap.png\n"
    assert (tree / "gap.png").stat().st_size > 10_000
