"""The notebooks of the documentation, executed in a fresh kernel."""

from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
nbclient = pytest.importorskip("nbclient", reason="needs nbclient and ipykernel")


def shown(cell: Any) -> set[str]:
    """The forms in which a notebook may show what a cell gives."""
    return {form for output in cell["outputs"] for form in output.get("data", {})}


def test_the_first_study_goes_from_a_sweep_to_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import nbformat

    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for name in ("MPLBACKEND", "OODBENCH_DB"):
        monkeypatch.delenv(name, raising=False)
    notebook = nbformat.read(ROOT / "docs/examples/first-study.ipynb", as_version=4)
    here = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", resources=here).execute()
    _, trained, runs, answer, *figures, page = (
        cell for cell in notebook.cells if cell["cell_type"] == "code"
    )
    lines = [output["text"] for output in trained["outputs"] if output.get("name") == "stderr"]
    assert "72/72 models, " in "".join(lines)
    for cell in (trained, runs, answer):
        assert "text/html" in shown(cell)
    assert len(figures) == 2
    for cell in figures:
        assert "image/png" in shown(cell)
    assert "first-study.html" in str(page["outputs"])
    assert (tmp_path / "first-study.html").is_file()
