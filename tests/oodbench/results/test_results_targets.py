"""A column for each target in a table of runs, then a row for each."""

import json

import pandas as pd

from oodbench.results.targets import by_target, cell_of, has_mean, listed


def table(text: str, **columns: object) -> pd.DataFrame:
    known = {"run": ["r", "s"], "dataset": "D", "test_environments": "", "status": "completed"}
    scores = {"id": [0.9, 0.8], "ood": [0.5, None], "n_ood": [10, None]}
    return pd.DataFrame({**known, **scores, "targets": [text, None], **columns})


def test_a_run_has_a_row_for_each_target_and_others_stay() -> None:
    text = cell_of([1, 3], [], "abcd", mean=False)
    assert json.loads(text) == {"b": "1", "d": "3"}
    scores = {"ood[b]": [0.1, None], "ood[d]": [0.2, None]}
    sizes = {"n_ood[b]": [7, None], "n_ood[d]": [8, None]}
    found = by_target(table(text, **scores, **sizes))
    rows = found.set_index(["run", "test_environments"])
    assert rows.loc[("r", "1"), ["ood", "n_ood", "target", "id"]].tolist() == [0.1, 7, "b", 0.9]
    assert rows.loc[("r", "3"), ["ood", "n_ood", "target", "id"]].tolist() == [0.2, 8, "d", 0.9]
    assert rows.loc[("s", ""), "target"] is None or pd.isna(rows.loc[("s", ""), "target"])
    assert len(rows) == 3
    assert by_target(found) is found


def test_left_out_environments_go_with_each_target_and_a_mean_has_all() -> None:
    assert json.loads(cell_of([1], [1, 4], "abcde", mean=True)) == {"b": "1,4"}
    text = cell_of([1, 2], [], "abc", mean=True)
    assert json.loads(text) == {"b": "1", "c": "2", "": "1,2"}
    assert has_mean(text)
    assert not has_mean(cell_of([1, 2], [], "abc", mean=False))


def test_a_reader_sees_a_few_targets_and_how_many_there_are() -> None:
    assert listed("abcd") == "a, b, c, d"
    assert listed("abcdefg") == "a, b, c, ... (7 in all)"
