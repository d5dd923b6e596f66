"""Imports only ever point down the rows of this table: it is the one in the design."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# A module may import itself and anything in an earlier row; not its neighbours.
LAYERS = [
    {"errors"},
    {"records", "registry", "seeds", "spaces", "metrics"},
    {"data"},
    {"models", "algorithms", "optimizers", "results"},
    {"training"},
    {"probes", "sweep", "importing", "exporting"},
    {"workers"},
    {"verbs"},
    {"api"},
    {"cli"},
]
ROW = {name: row for row, names in enumerate(LAYERS) for name in names}
ENTRANCES = {"__init__", "__main__"}  # of oodbench itself: they only hand names on
USE_ANALYSIS = {"verbs", "api", "cli"}
ANALYSIS_MAY_USE = {"oodbench.errors", "oodbench.records", "oodbench.results"}


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} uses a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def files(folder: str) -> list[Path]:
    found = sorted((ROOT / folder).rglob("*.py"))
    assert found
    return found


def test_every_module_of_oodbench_has_a_row() -> None:
    modules = {path.stem for path in (ROOT / "oodbench").iterdir() if path.suffix == ".py"}
    modules |= {path.parent.name for path in (ROOT / "oodbench").glob("*/__init__.py")}
    assert modules - ENTRANCES == set(ROW)


@pytest.mark.parametrize("path", files("oodbench"), ids=lambda p: str(p.relative_to(ROOT)))
def test_oodbench_imports_point_down(path: Path) -> None:
    here = path.relative_to(ROOT / "oodbench").parts[0].removesuffix(".py")
    if here in ENTRANCES:
        return
    for target in imports(path):
        root, _, rest = target.partition(".")
        assert root != "domainbed_adapters", f"{path} names an adapter: {target}"
        assert root != "analysis" or here in USE_ANALYSIS, f"{path} imports {target}"
        if root == "oodbench" and rest:
            there = rest.split(".")[0]
            assert there == here or ROW[there] < ROW[here], f"{path} must not import {target}"


def test_adapters_use_data_and_what_lies_below_it() -> None:
    allowed = {"data", *LAYERS[0], *LAYERS[1], *LAYERS[2]}
    for path in files("domainbed_adapters"):
        for target in imports(path):
            root, _, rest = target.partition(".")
            assert root != "analysis", f"{path} imports {target}"
            assert root != "oodbench" or rest.split(".")[0] in allowed, f"{path}: {target}"


def test_analysis_reads_results_and_knows_nothing_of_training() -> None:
    for path in files("analysis"):
        for target in imports(path):
            root = target.split(".")[0]
            assert root not in ("torch", "torchvision", "domainbed_adapters"), f"{path}: {target}"
            if root == "oodbench":
                assert ".".join(target.split(".")[:2]) in ANALYSIS_MAY_USE, f"{path}: {target}"


@pytest.mark.parametrize(
    ("module", "banned"),
    [
        ("oodbench", ["torch", "pandas", "optuna", "sqlalchemy"]),
        ("oodbench.cli", ["torch", "pandas", "optuna", "sqlalchemy", "analysis"]),
        ("oodbench.sweep", ["torch", "wilds"]),
        ("oodbench.results", ["torch", "pandas", "alembic"]),
        ("oodbench.exporting", ["torch", "pandas", "optuna", "pyarrow"]),
        ("oodbench.importing", ["torch", "pandas", "optuna"]),
        ("analysis", ["torch", "matplotlib"]),
        (
            "oodbench.workers.worker",
            ["wilds", "transformers", "torchvision", "pandas", "matplotlib"],
        ),
    ],
)
def test_importing_is_cheap(module: str, banned: list[str]) -> None:
    code = f"import sys, {module}; print([m for m in {banned!r} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_public_names_exist() -> None:
    import analysis
    import oodbench

    for package in (oodbench, analysis):
        for name in package.__all__:
            assert getattr(package, name) is not None
        with pytest.raises(AttributeError, match="no_such_name"):
            package.no_such_name  # noqa: B018
