import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from analysis.conclusions.optimizer_table import optimizer_table, wilson_interval
from oodbench.errors import RequestError


@pytest.mark.parametrize(("right", "n"), [(0, 10), (1, 10), (37, 50), (359, 359), (500, 2000)])
def test_wilson_interval_equals_scipys(right, n):
    low, high = wilson_interval(pd.Series([right / n]), pd.Series([n]))
    expected = binomtest(right, n).proportion_ci(0.95, method="wilson")
    assert (low[0], high[0]) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_interval_equals_a_published_one():
    # Newcombe (1998), Statistics in Medicine 17, table I: 81 of 263.
    low, high = wilson_interval(pd.Series([81 / 263]), pd.Series([263]))
    assert (round(low[0], 4), round(high[0], 4)) == (0.2553, 0.3662)


def test_no_interval_without_a_score_or_examples():
    low, high = wilson_interval(pd.Series([np.nan, 0.5, 0.5]), pd.Series([10, np.nan, 0]))
    assert low.isna().all()
    assert high.isna().all()


def test_table_counts_selects_and_keeps_the_order_of_appearance(pairs):
    table = optimizer_table(pairs)
    assert table[["algorithm", "optimizer"]].to_numpy().tolist() == [
        ["erm", "sgd"],
        ["erm", "adam"],
        ["irm", "sgd"],
        ["irm", "adam"],
    ]
    counts = table[["completed", "diverged", "failed"]].to_numpy().tolist()
    assert counts == [[3, 1, 0], [2, 0, 1], [1, 0, 0], [0, 1, 0]]
    assert "pending" not in table.columns
    best = table.iloc[0]
    assert (best["run"], best["id"], best["ood"], best["n_ood"]) == (f"{3:016x}", 0.9, 0.1, 50)
    assert best["gap"] == pytest.approx(0.8)
    assert best["rule"] == "id_val"
    interval = binomtest(90, 100).proportion_ci(0.95, method="wilson")
    assert (best["id_low"], best["id_high"]) == pytest.approx((interval.low, interval.high))


def test_group_without_a_completed_run_is_kept_without_scores(pairs):
    last = optimizer_table(pairs).iloc[-1]
    assert last["diverged"] == 1
    assert last["rule"] == "id_val"
    assert last[["id", "ood", "id_low", "gap"]].isna().all()


def test_waiting_and_running_runs_are_pending(pairs, run):
    rows = [run(10, "adam", None, status=status) for status in ("waiting", "running")]
    table = optimizer_table(pd.concat([pairs, pd.DataFrame(rows)], ignore_index=True))
    assert table["pending"].tolist() == [0, 2, 0, 0]


def test_no_runs_or_no_column_is_refused(pairs):
    with pytest.raises(RequestError, match=r"no runs here.*oodbench status"):
        optimizer_table(pairs.iloc[:0])
    with pytest.raises(RequestError, match=r"it lacks n_ood\. Pass what"):
        optimizer_table(pairs.drop(columns="n_ood"))


def test_importing_analysis_loads_neither_torch_nor_matplotlib():
    code = (
        "import sys, analysis, analysis.conclusions.summary; "
        "print({'torch', 'matplotlib', 'seaborn'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def test_a_database_of_diverged_runs_only_has_a_table(pairs):
    scores = ["id_val", "id", "ood", "n_id", "n_ood"]
    diverged = pairs[pairs["status"] == "diverged"].astype(dict.fromkeys(scores, object))
    diverged[scores] = None
    table = optimizer_table(diverged)
    assert table["diverged"].tolist() == [1, 1]
    assert table[["id", "id_low", "gap"]].isna().all(axis=None)


def test_the_checkpoint_rule_is_named_where_it_is_known(pairs):
    table = optimizer_table(pairs.assign(checkpoint="best_id_val"))
    assert table["checkpoint"].iloc[0] == "best_id_val"
