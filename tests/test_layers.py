"""Imports only ever point down the rows of this table: it is the one in the design."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# A module may import its own room and anything in an earlier row; not its neighbours.
LAYERS = [
    {"errors", "machine", "siblings", "answers"},
    {"records", "registry", "seeds", "spaces", "metrics", "logs"},
    {"data"},
    {"models", "algorithms", "optimizers", "results"},
    {"training", "analysis"},
    {"probes", "sweep", "importing", "exporting"},
    {"workers"},
    {"verbs"},
    {"api"},
    {"cli"},
]
ROW = {name: row for row, names in enumerate(LAYERS) for name in names}
ENTRANCES = {"__init__", "__main__"}  # of oodbench itself: they only hand names on
USE_ANALYSIS = {"workers", "verbs", "api", "cli"}
ANALYSIS_MAY_USE = {"errors", "records", "results", "siblings"}
TOPS = ("oodbench", "analysis", "domainbed_adapters")
FILES = [path for top in TOPS for path in sorted((ROOT / top).rglob("*.py"))]


def imports(path: Path) -> Iterator[str]:
    """Dotted names of what a file imports, in its functions too.

    Inside ``analysis`` and only there imports are relative: a user may have an ``analysis.py``.
    """
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else ()
            module = ".".join((*base, *([node.module] if node.module else [])))
            assert bool(node.level) == (package[0] == module.split(".")[0] == "analysis"), (
                f"{path}:{node.lineno} imports {module} by the wrong name"
            )
            yield from (f"{module}.{alias.name}" for alias in node.names)


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_every_room_of_oodbench_has_a_row() -> None:
    rooms = {path.stem for path in (ROOT / "oodbench").iterdir() if path.suffix == ".py"}
    rooms |= {path.parent.name for path in (ROOT / "oodbench").glob("*/__init__.py")}
    assert rooms - ENTRANCES == set(ROW)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    top, *inside = path.relative_to(ROOT).with_suffix("").parts
    if (top, *inside) in {("oodbench", name) for name in ENTRANCES} | {("oodbench", "analysis")}:
        return
    for target in imports(path):
        root, *rest = target.split(".")
        if top == "analysis":
            assert root not in ("torch", "torchvision", "domainbed_adapters"), target
            assert root != "oodbench" or rest[0] in ANALYSIS_MAY_USE, target
        elif top == "domainbed_adapters":
            assert root != "analysis", target
            assert root != "oodbench" or ROW[rest[0]] <= ROW["data"], target
        else:
            assert root not in ("domainbed_adapters", "analysis"), target
            assert rest[:1] != ["analysis"] or inside[0] in USE_ANALYSIS, target
            if root == "oodbench" and rest and rest[0] != inside[0]:
                assert ROW[rest[0]] < ROW[inside[0]], target


def test_no_modules_import_each_other() -> None:
    modules = {module_of(path) for path in FILES}
    graph: dict[str, set[str]] = {}
    for path in FILES:
        if path.name == "__init__.py":  # they only hand names on
            continue
        targets = {name if name in modules else name.rpartition(".")[0] for name in imports(path)}
        graph[module_of(path)] = targets & modules - {module_of(path)}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"these import each other: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize(
    ("module", "banned"),
    [
        ("oodbench", ["torch", "pandas", "optuna", "sqlalchemy"]),
        ("oodbench.cli", ["torch", "pandas", "optuna", "sqlalchemy", "oodbench.analysis"]),
        ("oodbench.sweep", ["torch", "wilds"]),
        ("oodbench.results", ["torch", "pandas", "alembic"]),
        ("oodbench.exporting", ["torch", "pandas", "optuna", "pyarrow"]),
        ("oodbench.importing", ["torch", "pandas", "optuna"]),
        ("oodbench.analysis", ["torch", "matplotlib", "pandas"]),
        ("oodbench.workers.worker", ["wilds", "transformers", "torchvision", "pandas"]),
    ],
)
def test_importing_is_cheap(module: str, banned: list[str]) -> None:
    code = f"import sys, {module}; print([m for m in {banned!r} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_public_names_exist_and_are_completed() -> None:
    import oodbench
    from oodbench import analysis

    for package in (oodbench, analysis):
        assert set(package.__all__) == set(dir(package))
        for name in package.__all__:
            assert getattr(package, name) is not None
        with pytest.raises(AttributeError, match="no_such_name"):
            package.no_such_name  # noqa: B018
