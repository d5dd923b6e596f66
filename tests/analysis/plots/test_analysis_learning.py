import numpy as np
import pandas as pd
import pytest

from analysis.plots.learning import learning
from analysis.runs.learning_curves import learning_data
from oodbench.errors import RequestError


@pytest.fixture
def pairs_of_five(run):
    """SGD: five completed runs and a diverged one; Adam: one run, still to finish."""
    rows = [run(i, "sgd", (0.5 + 0.1 * i, 0.1 * i)) for i in range(5)]
    rows += [run(17, "sgd", None), run(33, "adam", None, status="running")]
    return pd.DataFrame(rows)


@pytest.fixture
def checkpoints(pairs_of_five):
    """ID test accuracy is (run + 1) * step / 1000, OOD half of it; run 0 misses the last step."""
    rows = [
        {"run": run, "step": step, "id_test": (i + 1) * step / 1000, "n_id_test": 100}
        for i, run in enumerate(pairs_of_five["run"][:6])
        for step in (100, 200)
        if (i, step) != (0, 200)
    ]
    table = pd.DataFrame(rows)
    return table.assign(id_val=0.99, ood_test=table["id_test"] / 2, n_ood_test=50)


def test_medians_and_quartiles_are_over_the_completed_runs_measured_at_a_step(
    pairs_of_five, checkpoints
):
    (data,) = learning_data(pairs_of_five, checkpoints)
    (sgd,) = data.curves["id"]  # Adam has no completed run
    assert (sgd.steps.tolist(), sgd.n) == ([100, 200], (5, 4))
    np.testing.assert_allclose(sgd.quartiles[0], [0.2, 0.3, 0.4])
    assert sgd.quartiles[1, 1] == pytest.approx(np.median([0.4, 0.6, 0.8, 1.0]))
    assert np.isnan(sgd.quartiles[1, [0, 2]]).all()  # four runs have no quartiles
    np.testing.assert_allclose(data.curves["ood"][0].quartiles[:, 1], [0.15, 0.35])


def test_a_score_that_was_not_finite_is_missing_and_not_replaced_by_validation(
    pairs_of_five, checkpoints
):
    checkpoints.loc[0, "id_test"] = np.nan
    (data,) = learning_data(pairs_of_five, checkpoints)
    assert data.curves["id"][0].n == (4, 4)
    assert data.curves["ood"][0].n == (5, 4)
    none = checkpoints.assign(id_test=np.nan, n_id_test=pd.NA)  # a dataset without ID test split
    (data,) = learning_data(pairs_of_five, none)
    assert data.curves["id"][0].quartiles[0].tolist() == [0.99] * 3


def test_chosen_runs_are_drawn_alone_diverged_ones_too(pairs_of_five, checkpoints):
    lost, third = pairs_of_five["run"][5], pairs_of_five["run"][2]
    (data,) = learning_data(pairs_of_five, checkpoints, [lost, third])
    found = {c.run: (c.status, c.quartiles[:, 1].tolist()) for c in data.curves["id"]}
    assert found == {
        third: ("completed", pytest.approx([0.3, 0.6])),
        lost: ("diverged", pytest.approx([0.6, 1.2])),
    }
    above, _, table = learning(pairs_of_five, checkpoints, runs=[lost, third]).axes
    assert {line.get_gid() for line in above.lines} >= {f"curve-{lost}", f"curve-{third}"}
    cells = [text.get_text() for text in table.texts]
    assert cells[-3:] == ["SGD", lost[:8], "diverged"]
    assert any("2 chosen of 7 runs" in text.get_text() for text in above.texts)


def test_runs_that_are_unknown_ambiguous_or_unfinished_are_refused(pairs_of_five, checkpoints):
    with pytest.raises(RequestError, match="No finished run of this table begins with 'ff'"):
        learning(pairs_of_five, checkpoints, runs=["ff"])
    with pytest.raises(RequestError, match="6 runs of this table begin with '00'"):
        learning(pairs_of_five, checkpoints, runs=["00"])
    with pytest.raises(RequestError, match="No finished run"):
        learning(pairs_of_five, checkpoints, runs=[pairs_of_five["run"][6]])
    with pytest.raises(RequestError, match="no checkpoints to draw"):
        learning(pairs_of_five, checkpoints.iloc[:0])


def test_the_figure_draws_medians_and_counts_the_rest(pairs_of_five, checkpoints):
    above, below, table = learning(pairs_of_five, checkpoints).axes
    for axes, values in ((above, [0.3, 0.7]), (below, [0.15, 0.35])):
        (line,) = [line for line in axes.lines if line.get_gid() == "curve-sgd"]
        np.testing.assert_allclose(line.get_xydata(), list(zip([100, 200], values, strict=True)))
    assert above.get_ylim() == below.get_ylim()
    cells = [text.get_text() for text in table.texts]
    assert cells[1:] == [
        *("completed", "diverged", "failed", "pending"),
        *("SGD", "5", "1", "0", "0"),
        *("Adam", "0", "0", "0", "1"),
    ]
    heading = " ".join(text.get_text() for text in above.texts).replace("\n", " ")
    assert "not every run was measured at every step: 4 to 5 runs each" in heading


def test_nothing_completed_draws_an_empty_figure(pairs_of_five, checkpoints):
    none = pairs_of_five[pairs_of_five["status"] != "completed"]
    above, *_ = learning(none, checkpoints).axes
    assert any("no completed run" in text.get_text() for text in above.texts)
    assert not [line for line in above.lines if line.get_gid()]
