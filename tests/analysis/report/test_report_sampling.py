"""Which runs a page shows where there are too many."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from simulated_searches import search, together

import analysis
from analysis.report.sampling import shown_runs


def many(rng: np.random.Generator) -> pd.DataFrame:
    """A large search, and a small one of another optimizer."""
    large, small = rng.random(900), rng.random(100)
    frame = together(search("sgd", large, large, diverged=200), search("adam", small, small))
    return frame.assign(n_id=100, n_ood=100)


def test_every_run_is_shown_where_there_are_few() -> None:
    frame = many(np.random.default_rng(0))
    assert set(shown_runs(frame)) == set(frame["run"])


def test_a_random_part_of_each_search_is_shown_and_what_is_selected() -> None:
    frame = many(np.random.default_rng(0))
    shown = shown_runs(frame, most=120)
    mine = frame[frame["run"].isin(shown)]
    selected = analysis.optimizer_table(frame)["run"]
    assert set(selected) <= set(shown)
    others = mine[~mine["run"].isin(selected)]["optimizer"].value_counts()
    assert others.between([108, 8], [110, 11]).all()  # a tenth of each
    # 900 of 1,100 completed, with uniform scores: six standard errors of 110 draws.
    sgd = mine[mine["optimizer"] == "sgd"]
    assert abs((sgd["status"] == "completed").mean() - 900 / 1100) < 0.22
    assert abs(sgd["id"].mean() - 0.5) < 0.18
    again = shown_runs(frame.sample(frac=1, random_state=1), most=120)
    assert set(again) == set(shown)


def test_a_page_states_that_it_is_of_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = many(np.random.default_rng(0))
    assert "drawn at random from each search" not in analysis.report_html(frame)
    monkeypatch.setattr("analysis.report.page.shown_runs", partial(shown_runs, most=120))
    page = analysis.report_html(frame)
    assert "of the 1,200 runs" in page
    assert "drawn at random from each search" in page
