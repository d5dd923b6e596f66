"""The package of docs/extending.md runs as the page shows it."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

PAGE = (Path(__file__).parents[1] / "docs/extending.md").read_text(encoding="utf-8")


def install(folder: Path) -> None:
    """Leave the page's package in ``folder`` as pip would: modules, and entry points."""
    for _, name, text in re.findall(r"```(toml|python)\n# (\S+)\n(.*?)```", PAGE, re.DOTALL):
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
