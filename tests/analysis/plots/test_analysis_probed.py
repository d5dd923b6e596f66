"""A probe's measurement against OOD accuracy: which runs, which value of each, what is drawn."""

import numpy as np
import pandas as pd
import pytest

import analysis
from analysis.plots.probed import named
from analysis.runs.probed_runs import probed_data, run_values
from oodbench.errors import RequestError, UnknownNameError


@pytest.fixture
def runs(run) -> pd.DataFrame:
    """Twelve runs of each of two optimizers, and one that diverged."""
    rows = [
        run(20 * o + i, name, (0.5 + 0.04 * i, 0.9 - 0.05 * i), config_id=f"{name}{i}")
        for o, name in enumerate(("sgd", "adam"))
        for i in range(12)
    ]
    return pd.DataFrame([*rows, run(99, "sgd", None)])


@pytest.fixture
def probes(runs: pd.DataFrame) -> pd.DataFrame:
    """Sharpness rises with i, and so falls with OOD accuracy; one run's is not finite."""
    done = runs[runs["status"] == "completed"]
    values = [float(10**i) for i in range(12)] * 2
    values[-1] = np.nan
    return pd.DataFrame({"run": done["run"], "step": 300, "sharpness_trace": values})


def test_runs_values_and_correlations(runs: pd.DataFrame, probes: pd.DataFrame) -> None:
    (one,) = probed_data(runs, probes, "sharpness_trace")
    assert len(one.panel.runs) == 23
    assert one.unmeasured == 1
    assert one.optimizers == ("sgd", "adam")
    assert one.correlations.overall.value == pytest.approx(-1)
    assert one.correlations.within.value == pytest.approx(-1)
    assert {name: found.n for name, found in one.by_optimizer.items()} == {"sgd": 12, "adam": 11}
    (above,) = probed_data(runs, probes, "sharpness_trace", keep="above", threshold=0.6)
    assert (above.panel.runs["id_val"] > 0.6).all()
    assert "kept: runs with ID validation accuracy above the threshold, 0.6" in above.panel.remarks


def test_a_cost_needs_no_probe(runs: pd.DataFrame) -> None:
    """All-reduces that rise with i, and so fall with OOD accuracy; SGD's runs have none."""
    runs = runs.assign(all_reduces=[None] * 12 + [2 * i + 1 for i in range(12)] + [5])
    (one,) = probed_data(runs, pd.DataFrame(columns=["run", "step"]), "all_reduces")
    assert one.optimizers == ("adam",)
    assert one.unmeasured == 12
    assert one.panel.runs["measured"].tolist() == [2.0 * i + 1 for i in range(12)]
    assert one.correlations.overall.value == pytest.approx(-1)
    none = runs.assign(all_reduces=None)
    with pytest.raises(RequestError, match="has all_reduces: nobody knows it"):
        probed_data(none, pd.DataFrame(columns=["run", "step"]), "all_reduces")


def test_along_training_a_run_has_its_median() -> None:
    steps = np.arange(100)
    probes = pd.DataFrame(
        {"run": "a", "step": steps, "path_gamma": np.where(steps > 94, 1e9, steps)}
    )
    assert run_values(probes, "path_gamma")["a"] == 47  # of 0 to 94: the last steps do not count
    once = pd.DataFrame({"run": ["a"], "step": [300], "path_gamma": [7.0]})
    assert run_values(once, "path_gamma")["a"] == 7


def test_what_is_drawn(runs: pd.DataFrame, probes: pd.DataFrame) -> None:
    figure = analysis.probed(runs, probes, measurement="sharpness_trace")
    plot, table = figure.axes
    drawn = {
        points.get_gid(): points.get_offsets() for points in plot.collections if points.get_gid()
    }
    assert set(drawn) == {"runs-sgd", "runs-adam"}
    assert sum(len(points.get_offsets()) for points in plot.collections) == 23
    assert plot.get_xscale() == "log"
    assert plot.get_xlabel() == "trace of the Hessian"
    words = [text.get_text() for text in table.texts]
    assert words.count("\N{MINUS SIGN}1.00") == 4
    assert "23" in words
    heading = " ".join(text.get_text() for text in plot.texts)
    assert "23 of 25 runs, on " in heading
    assert "not drawn: 1 diverged, 1 not measured" in heading.replace("\n", " ")
    signed = probes.assign(sharpness_trace=probes["sharpness_trace"] - 50)
    assert analysis.probed(runs, signed, measurement="sharpness_trace").axes[0].get_xscale() == (
        "symlog"
    )


def test_few_draws_have_neither_correlation_nor_interval(
    runs: pd.DataFrame, probes: pd.DataFrame
) -> None:
    """Twelve of SGD; of Adam nine in the panel, one of which was not measured."""
    few = runs[(runs["optimizer"] == "sgd") | runs["run"].isin(runs["run"].iloc[15:24])]
    (table,) = analysis.probed(few, probes, measurement="sharpness_trace").axes[1:]
    words = [text.get_text() for text in table.texts]
    assert words[words.index("SGD") :][:3] == ["SGD", "12", "\N{MINUS SIGN}1.00"]
    assert words[words.index("Adam") :] == ["Adam", "8", "", ""]


@pytest.mark.parametrize(
    ("measurement", "name"),
    [
        ("path_gamma", "gamma along the path"),
        ("path_seed_full_rsi", "RSI along the path, of full gradients, towards another seed's end"),
        ("path_to_0f3a_best_lr", "RSI / EB² along the path, towards the end of run 0f3a"),
        ("path_alignment", "path alignment"),
        ("all_reduces", "vectors averaged over replicas"),
        ("of_ones_own", "of ones own"),
    ],
)
def test_axes_have_names_that_readers_know(measurement: str, name: str) -> None:
    assert named(measurement) == name


def test_what_was_not_measured_is_said(runs: pd.DataFrame, probes: pd.DataFrame) -> None:
    with pytest.raises(RequestError, match="oodbench probe sharpness"):
        analysis.probed(runs, probes[["run", "step"]], measurement="sharpness_trace")
    with pytest.raises(RequestError, match=r"Choose a measurement .* are: sharpness_trace"):
        analysis.probed(runs, probes)
    with pytest.raises(UnknownNameError, match="Did you mean 'sharpness_trace'"):
        analysis.probed(runs, probes, measurement="sharpness_trac")
    with pytest.raises(RequestError, match="None of these runs has sharpness_trace"):
        analysis.probed(runs, probes.assign(run="x"), measurement="sharpness_trace")
