"""What budget curves and heat maps show is what was computed, with counts."""

from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from simulated_searches import search, together

import analysis
from oodbench.errors import RequestError, UnknownNameError


def texts(figure):
    figure.canvas.draw()
    found = [text.get_text() for text in figure.findobj(mpl.text.Text)]
    return [text for text in found if text]


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    return together(
        search("sgd", rng.random(40), 0.2 + 0.1 * rng.random(40), diverged=3),
        search("momentum", rng.random(43), 0.2 + 0.1 * rng.random(43), failed=1),
        search("adam", rng.random(43), 0.5 + 0.1 * rng.random(43)),
    )


def test_lines_are_the_expected_best(frame):
    figure = analysis.budget(frame)
    table = analysis.expected_best(frame)
    for axes, score in zip(figure.axes[:2], ("id", "ood"), strict=True):
        lines = {line.get_gid(): line for line in axes.lines}
        for name, rows in table.groupby("optimizer"):
            shown = rows[rows[f"{score}_low"].notna()]
            line = lines[f"budget-{name}"]
            assert line.get_xdata().tolist() == shown["n"].tolist()
            assert line.get_ydata().tolist() == shown[score].tolist()
        whole = [line for line in axes.lines if line.get_linestyle() == "--"]
        assert sorted(len(line.get_xdata()) for line in whole) == sorted(
            table.groupby("optimizer").size()
        )


def test_the_legend_counts_runs_and_the_heading_says_what_is_left_out(frame):
    adaptive = search("adam", [0.5], [0.5], sampler="tpe")
    shown = texts(analysis.budget(together(frame, adaptive)))
    assert {"SGD: 40 completed, 3 diverged", "Momentum: 43 completed, 1 failed"} <= set(shown)
    joined = "\n".join(shown)
    assert "126 of 130 runs" in joined
    assert "left out: 1 found by an adaptive search" in joined
    assert "id_val selects" in joined
    assert "looks at the test environments" not in joined
    oracle = analysis.budget(frame.assign(oracle_val=frame["ood"]), rule="oracle")
    assert "looks at the test environments" in "\n".join(texts(oracle)).replace("\n", " ")


def test_the_axis_may_be_gradient_evaluations(frame):
    axes = analysis.budget(frame, unit="gradient_evaluations").axes[0]
    assert axes.get_xlabel() == "gradient evaluations of a search"
    assert min(line.get_xdata()[0] for line in axes.lines) == 100
    with pytest.raises(RequestError, match="needs the column gradient_evaluations"):
        analysis.budget(frame.drop(columns="gradient_evaluations"), unit="gradient_evaluations")
    with pytest.raises(UnknownNameError, match="Allowed: gradient_evaluations, seconds, trials"):
        analysis.budget(frame, unit="hours")


def test_cells_hold_the_difference_its_interval_and_counts(frame):
    shown = texts(analysis.heatmap(frame, baseline="sgd"))
    table = analysis.compare_to(frame, "sgd")
    (row,) = table[(table["score"] == "ood") & (table["a"] == "adam")].to_dict("records")
    assert f"{100 * row['difference']:+.1f}" in shown
    assert f"[{100 * row['low']:+.1f}, {100 * row['high']:+.1f}]" in shown
    assert {"n = 44, 1 failed", "n = 43", "Adam"} <= set(shown)
    assert "SGD" not in shown, "the baseline has no row"
    assert any("ERM on D\ntest env. 0\n8 trials each" in text for text in shown)


def test_only_differences_are_coloured(frame):
    figure: Any = analysis.heatmap(frame)
    colors = {
        round(bar.get_y() + bar.get_height() / 2): bar.get_facecolor()
        for bar in figure.axes[0].patches
    }
    table = analysis.compare_to(frame)
    words = table[table["score"] == "ood"].set_index("a")["verdict"].to_dict()
    assert words == {"sgd": "lower", "momentum": "lower", "adam": "higher"}
    assert len(set(colors.values())) == 3
    null = frame.assign(ood=frame["id"])
    grey = {bar.get_facecolor() for bar in analysis.heatmap(null).axes[0].patches}
    assert len(grey) == 1


def test_small_differences_have_no_sign_and_few_trials_no_interval():
    frame = together(search("sgd", [0.5] * 3, [0.5] * 3), search("adam", [0.5] * 3, [0.5] * 3))
    shown = texts(analysis.heatmap(frame))
    assert shown.count("0.0") == 2
    assert shown.count("no interval") == 2
    with pytest.raises(UnknownNameError, match="Allowed: id, ood"):
        analysis.heatmap(frame, score="gap")


@pytest.mark.parametrize("draw", [analysis.budget, analysis.heatmap])
def test_equal_figures_become_equal_files_and_settings_are_left_alone(frame, draw, tmp_path):
    before = dict(mpl.rcParams)
    files = [analysis.save(draw(frame), tmp_path / f"{i}.svg").read_bytes() for i in range(2)]
    assert files[0] == files[1]
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("draw", [analysis.budget, analysis.heatmap])
def test_names_are_drawn_literally(frame, draw):
    shown = texts(draw(frame.assign(dataset="D_$1$", algorithm="$a$"), title="$t_{"))
    assert any("$a$ on D_$1$" in text for text in shown)
