"""Every public function that takes a table of runs refuses a wrong one in words."""

import inspect
from typing import Any

import numpy as np
import pandas as pd
import pytest
from simulated_searches import search, together

import analysis
from analysis.claims.claim import shipped
from oodbench.errors import OodbenchError

OTHERS: dict[str, tuple[str, ...]] = {
    "effective_robustness": ("sgd",),
    "difference_curve": ("adam", "sgd"),
}
"""Arguments after the table."""

OTHER_TABLES = ("decisions", "learning", "paths", "probed")
"""Functions that need another table, or what was asked, beside it."""


def runs() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return together(
        *(
            search(
                name,
                rng.uniform(0.5, 0.9, 20),
                rng.uniform(0.3, 0.6, 20),
                lr=np.geomspace(1e-4, 1, 20),
            )
            for name in ("adam", "sgd")
        )
    )


def functions() -> list[str]:
    found = []
    for name in dir(analysis):
        function = getattr(analysis, name)
        if inspect.isfunction(function) and "pairs" in inspect.signature(function).parameters:
            found.append(name)
    return [name for name in found if name not in OTHER_TABLES]


def call(name: str, table: pd.DataFrame) -> Any:
    named = {"title": "A study"} if name == "summary_markdown" else {}
    if name == "judge_claim":
        return analysis.judge_claim(shipped("naganuma2023-i-ood"), table)
    return getattr(analysis, name)(table, *OTHERS.get(name, ()), **named)


def test_they_are_found() -> None:
    assert {"scatter", "conclude", "compare_optimizers", "search_health"} <= set(functions())


@pytest.mark.parametrize("name", functions())
def test_a_table_of_two_columns_or_none_is_refused(name: str) -> None:
    for table in (runs()[["id", "ood"]], pd.DataFrame()):
        with pytest.raises(OodbenchError, match=r"it lacks|no runs here"):
            call(name, table)


@pytest.mark.parametrize("column", ["run", "dataset", "optimizer", "status", "id", "ood"])
@pytest.mark.parametrize("name", ["scatter", "accuracy_on_the_line", "ood_at_equal_id", "conclude"])
def test_the_column_that_is_missing_is_named(name: str, column: str) -> None:
    with pytest.raises(OodbenchError, match=f"it lacks {column}"):
        call(name, runs().drop(columns=column))
