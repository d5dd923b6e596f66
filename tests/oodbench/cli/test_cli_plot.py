"""plot: a sub-command for each figure, with the options of that figure."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oodbench import api
from oodbench.errors import RequestError
from oodbench.records import Measurement
from oodbench.results import open_database, store_probes
from oodbench.verbs.figure_options import figure, figure_names

Run = Callable[..., Any]
COMMON = {"--db", "--output", "--where", "--sweep", "--checkpoint", "--help"}
PROBED = {"paths", "probed"}
"""Figures of what `oodbench probe` has measured; nothing has been, in the finished sweep."""


@pytest.mark.parametrize("kind", sorted(PROBED))
def test_figures_of_probed_runs_say_what_is_missing(
    oodbench: Run, finished: Path, tmp_path: Path, kind: str
) -> None:
    ended = oodbench("plot", kind, "--db", finished, "-o", tmp_path / "a.png")
    assert ended.code == 2
    assert "oodbench probe" in ended.err


@pytest.mark.parametrize("kind", [k for k in figure_names() if k not in {*PROBED, "cd", "decided"}])
def test_plots_are_written(oodbench: Run, finished: Path, tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"{kind}.png"
    where = "algorithm = 'erm'"
    ended = oodbench("plot", kind, "--db", finished, "-o", path, "--where", where)
    assert (ended.code, ended.out.split()) == (0, ["wrote", str(path)])
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("kind", figure_names())
def test_help_has_the_options_of_the_figure_and_no_others(oodbench: Run, kind: str) -> None:
    ended = oodbench("plot", kind, "--help")
    assert ended.code == 0
    assert f"Example: oodbench plot {kind} " in ended.out
    found = figure(kind)
    lines = [line.split() for line in ended.out.split("Options:")[1].splitlines()]
    flags = {word.rstrip(",") for words in lines for word in words[:2] if word.startswith("--")}
    flags -= {"--output"}
    renamed = {"rule": "select", "runs": "run"}
    assert flags == COMMON - {"--output"} | {
        f"--{renamed.get(name, name)}" for name in found.options
    }
    told = " ".join(ended.out.split())
    for option in found.options.values():
        assert option.about in told
        if option.default not in (None, False, ()):
            assert f"[default: {option.default}]" in told


def test_help_quotes_values_as_python_does_and_names_without_marks() -> None:
    assert figure("box").options["threshold"].about.startswith('For keep="above". Default')
    assert figure("box").options["palette"].about.startswith("default (safe for")
    for kind in figure_names():
        for option in figure(kind).options.values():
            assert "`" not in option.about
            assert option.about.count('"') % 2 == 0


def test_help_lists_the_figures_with_a_line_each(oodbench: Run) -> None:
    out = " ".join(oodbench("plot", "--help").out.split()) + " "
    for kind in figure_names():
        assert f" {kind} {figure(kind).about} " in out


def test_help_waits_for_none_of_the_figures() -> None:
    """It loads no library that takes its time."""
    code = (
        "import sys, oodbench.cli\n"
        "sys.argv = ['oodbench', 'plot', *sys.argv[1:]]\n"
        "try: oodbench.cli.main()\n"
        "except SystemExit: pass\n"
        "slow = {'torch', 'pandas', 'numpy', 'matplotlib', 'seaborn', 'sqlalchemy', 'analysis'}\n"
        "print(sorted(slow & set(sys.modules)), file=sys.stderr)\n"
    )
    for words in (["--help"], ["heatmap", "--help"]):
        run = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
        assert run.stdout.startswith("Usage: ")
        assert run.stderr.strip() == "[]"


def test_an_unknown_figure_is_named_before_anything_is_asked_for(oodbench: Run) -> None:
    ended = oodbench("plot", "scater")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("oodbench: unknown plot 'scater'. Did you mean 'scatter'? Allowed:")
    assert oodbench("plot", "save").code == 2  # a function of the module, but not a figure


def test_options_reach_the_figure(oodbench: Run, finished: Path, tmp_path: Path) -> None:
    run = api.query(finished)["run"][0]
    asked = {
        ("box", "--keep", "top", "--top", "1"): "",
        ("violin", "--keep", "above", "--threshold", "0.6", "--title", "Best"): "",
        ("binned", "--bins", "5", "--palette", "study"): "",
        ("slices", "--hyperparameter", "weight_decay"): "",
        ("answer", "--budget", "2", "--select", "oracle"): "",
        ("scatter", "--mark", "selected"): "",
        ("scatter", "--mark", "chosen"): "unknown mark 'chosen'",
        ("cd",): "Ranks take at least 3 optimizers on 3 tasks",
        ("decided",): "No search that stops when decided",
        ("learning", "--run", run, "--run", run[:8]): "",
        ("box", "--bins", "5"): "No such option: --bins",
        ("heatmap", "--palette", "study"): "No such option: --palette",
        ("box", "--top", "5"): "top=5 goes with keep='top' alone",
        ("box", "--dataset", "ColourDigits"): "Did you mean 'ColoredDigits'",
        ("heatmap", "--unit", "hours"): "unknown unit 'hours'",
        ("slices", "--hyperparameter", "lrr"): "unknown hyperparameter 'lrr'. Did you mean 'lr'?",
    }
    for arguments, expected in asked.items():
        ended = oodbench("plot", *arguments, "--db", finished, "-o", tmp_path / "x.png")
        assert ended.code == (2 if expected else 0), ended.err
        assert expected in ended.err


def test_python_is_told_which_figures_take_an_option(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"'binned' takes no keep; .* bins, .* take keep: box, "):
        api.plot("binned", finished, tmp_path / "x.png", keep="top")


def test_a_mistyped_measurement_is_answered_with_those_that_there_are(
    oodbench: Run, finished: Path, tmp_path: Path
) -> None:
    """Of a database with two of them; where the name is right, the runs are drawn."""
    db = tmp_path / "runs.db"
    db.write_bytes(finished.read_bytes())
    measured = {
        row["run"]: [
            Measurement(row["steps"], "", "train", "train", f"sharpness_{name}", row["ood"] + 1, 9)
            for name in ("trace", "sam")
        ]
        for row in api.query(db).to_dict("records")
    }
    with open_database(db) as database:
        store_probes(database, measured)
    common = ("plot", "probed", "--db", db, "-o", tmp_path / "x.png")
    ended = oodbench(*common, "--measurement", "sharpness_tracee")
    assert ended.code == 2
    assert "Did you mean 'sharpness_trace'? Allowed: " in ended.err
    assert "sharpness_sam" in ended.err
    ended = oodbench(*common)
    assert ended.code == 2
    assert "There are: sharpness_sam, sharpness_trace, " in ended.err
    assert oodbench(*common, "--measurement", "sharpness_trace").code == 0
