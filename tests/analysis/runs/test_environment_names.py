"""Test environments by index and name: in tables, in records of tables, in figures."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis import heatmap, name_environments, scatter
from analysis.runs.environments import side_name, tables_named

NAMES = {"ColoredDigits": ("+90%", "+80%", "-90%"), "Numbers": ("0", "1")}


def test_names_stand_behind_the_indices_that_have_some() -> None:
    assert side_name("0,2", ["a", "b", "c"]) == "0 (a), 2 (c)"
    assert side_name("0,2", ["a"]) == "0 (a), 2"
    assert side_name("1", NAMES["Numbers"]) == "1"
    assert side_name("", ["a"]) == ""
    assert side_name("0,1", ()) == "0,1"


def test_tables_have_them_and_other_tables_stay_as_they_are(pairs: pd.DataFrame) -> None:
    named = name_environments(pairs, NAMES)
    assert set(named["test_environments"]) == {"2 (-90%)"}
    assert set(pairs["test_environments"]) == {"2"}
    assert name_environments(pairs, {}).equals(pairs)
    assert name_environments(pairs[["run", "id"]], NAMES).equals(pairs[["run", "id"]])


def test_a_record_has_them_in_all_of_its_tables(pairs: pd.DataFrame) -> None:
    @dataclass(frozen=True)
    class Record:
        runs: Any
        why: str

    named = tables_named(Record(pairs, "2"), NAMES)
    assert set(named.runs["test_environments"]) == {"2 (-90%)"}
    assert named.why == "2"


def test_figures_have_them_in_their_headings(pairs: pd.DataFrame, run: Any) -> None:
    drawn = scatter(name_environments(pairs, NAMES)).axes
    texts = [text.get_text() for axes in drawn for text in axes.texts]
    assert any("test environment 2 (-90%)" in text for text in texts)
    rows = [run(i, o, (0.5 + i / 100, 0.4)) for i, o in enumerate(["sgd", "adam"] * 12)]
    (axes,) = heatmap(name_environments(pd.DataFrame(rows), NAMES)).axes
    assert "test env. 2 (-90%)" in axes.get_xticklabels()[0].get_text()
