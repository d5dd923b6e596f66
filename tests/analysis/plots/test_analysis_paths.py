"""Path figures draw the medians of what was probed, the null beside gamma, and nothing else."""

import numpy as np
import pandas as pd
import pytest

import analysis
from analysis.runs.path_curves import LEFT_OUT, NULL, QUANTITIES, WINDOWS, path_data
from oodbench.errors import RequestError

STEPS = 40


def runs(n: int = 6) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "run": [f"{o}{i}" for o in ("sgd", "adam") for i in range(n)],
            "dataset": "ColoredDigits",
            "test_environments": "2",
            "algorithm": "erm",
            "optimizer": ["sgd"] * n + ["adam"] * n,
            "status": "completed",
            "id": 0.8,
            "ood": 0.3,
        }
    )


def probes(pairs: pd.DataFrame) -> pd.DataFrame:
    """RSI i (t + 1) of run i, EB twice that, and so on: medians can be told by hand."""
    rows = pairs["run"].map(lambda run: int(run[-1]) + 1.0)
    table = pd.DataFrame(
        [
            {"run": run, "step": t, "path_rsi": i * (t + 1)}
            for run, i in zip(pairs["run"], rows, strict=True)
            for t in range(STEPS)
        ]
    )
    table["path_eb"] = 2 * table["path_rsi"]
    table["path_gamma"] = 0.5
    table["path_best_lr"] = 0.25 / table["path_rsi"]
    return table.assign(path_gamma_null=0.1)


def test_the_curves_are_the_medians() -> None:
    pairs = runs()
    (one,) = path_data(pairs, probes(pairs))
    assert one.probed == 12
    assert set(one.curves) == {*QUANTITIES, NULL}
    for curve in one.curves["rsi"]:
        assert curve.steps.max() <= (1 - LEFT_OUT) * (STEPS - 1)
        assert len(curve.steps) == WINDOWS
        # Two steps a window (but where 38 do not divide by 20): medians of t + 1 lie within it.
        middles = curve.quartiles[:, 1] / 3.5
        assert (np.abs(middles - 0.5 - curve.steps) <= 1).all()
        np.testing.assert_allclose(curve.quartiles[:, 0], 2.25 * middles)


def test_only_probed_runs_count() -> None:
    pairs = runs()
    measured = probes(pairs)
    (one,) = path_data(pairs, measured[measured["run"].str.startswith("sgd")])
    assert one.probed == 6
    assert [c.optimizer for c in one.curves["eb"]] == ["sgd"]


def test_what_is_drawn() -> None:
    pairs = runs()
    figure = analysis.paths(pairs, probes(pairs))
    lines = {line.get_gid(): line for axes in figure.axes for line in axes.lines if line.get_gid()}
    assert {f"{name}-{o}" for name in QUANTITIES for o in ("sgd", "adam")} <= set(lines)
    assert set(lines["null-adam"].get_ydata()) == {0.1}
    np.testing.assert_allclose(lines["eb-sgd"].get_ydata(), 2 * lines["rsi-sgd"].get_ydata())


def test_other_end_points_and_full_gradients_have_columns_of_their_own() -> None:
    pairs = runs()
    own = probes(pairs)
    measured = own.copy()
    names = [f"path_{name}" for name in QUANTITIES]
    for i, prefix in enumerate(("full_", "seed_", "seed_full_", "to_0123456789_"), start=2):
        for name in names:
            measured[name.replace("path_", f"path_{prefix}")] = i * own[name]
    measured.loc[measured["step"] % 4 > 0, "path_full_rsi"] = np.nan  # taken every four steps
    asked = {
        2: {"full": True},
        3: {"end": "seed"},
        4: {"end": "seed", "full": True},
        5: {"end": "0123"},
    }
    for factor, options in asked.items():
        (one,) = path_data(pairs, measured, **options)
        (plain,) = path_data(pairs, own)
        assert set(one.curves) == set(QUANTITIES)  # the null is of batches and own ends
        for mine, of_own in zip(one.curves["eb"], plain.curves["eb"], strict=True):
            np.testing.assert_allclose(mine.quartiles, factor * of_own.quartiles)
    away = measured.assign(path_seed_rsi=-measured["path_seed_rsi"])
    scales = [axes.get_yscale() for axes in analysis.paths(pairs, away, end="seed").axes[:4]]
    assert scales == ["linear", "log", "linear", "log"]
    figure = analysis.paths(pairs, measured, end="0123456789abcdef")
    caption = figure.get_supxlabel().replace("\n", " ")
    assert "towards the end of run 0123456789abcdef." in caption
    assert "Dashed" not in caption
    assert "Dashed" in analysis.paths(pairs, measured).get_supxlabel()
    with pytest.raises(RequestError, match="rsi-eb --db URL --end 99 --full-every 10"):
        path_data(pairs, measured, end="99", full=True)
    measured["path_to_0124567890_rsi"] = 0.0
    with pytest.raises(RequestError, match=r"0123456789, 0124567890. Give more"):
        path_data(pairs, measured, end="012")


def test_what_was_not_probed_is_said() -> None:
    pairs = runs()
    with pytest.raises(RequestError, match="oodbench probe rsi-eb"):
        analysis.paths(pairs, probes(pairs).drop(columns="path_rsi"))
    with pytest.raises(RequestError, match="None of these runs"):
        analysis.paths(pairs, probes(pairs).assign(run="other"))
