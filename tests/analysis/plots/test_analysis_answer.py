"""The figure of the answer: marks where the numbers are, the sentence, what it covers."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from matplotlib.text import Text
from report_helpers import make_runs

from analysis import answer, conclude, expected_by_class
from oodbench.errors import UnknownNameError


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    return make_runs(40)


def test_every_mark_is_where_its_number_is(runs: pd.DataFrame) -> None:
    figure = answer(runs)
    table = expected_by_class(runs)
    panels = [axes for axes in figure.axes if axes.axison]
    keys = table[["shift", "algorithm"]].drop_duplicates().to_numpy().tolist()
    assert len(panels) == len(keys) == 3
    for axes, (shift, algorithm) in zip(panels, keys, strict=True):
        rows = table[(table["shift"] == shift) & (table["algorithm"] == algorithm)]
        rows = rows.sort_values("ood", ascending=False)
        names = [label.get_text() for label in axes.get_yticklabels()]
        assert [name.lower() for name in names] == list(rows["optimizer"])
        marks = {line.get_gid(): line.get_xydata()[0] for line in axes.lines if line.get_gid()}
        for y, row in enumerate(rows.to_dict("records")):
            np.testing.assert_allclose(marks[f"answer-{row['optimizer']}"], (row["ood"], y))
        drawn = [c for c in axes.collections[1:-1] if isinstance(c, LineCollection)]
        intervals = [one.get_segments()[0][:, 0] for one in drawn]
        np.testing.assert_allclose(intervals, rows[["ood_low", "ood_high"]])
        selected = axes.collections[-1].get_offsets()
        np.testing.assert_allclose(selected[:, 0], rows["selected_ood"])


def test_it_says_what_is_advised_and_what_that_covers(runs: pd.DataFrame) -> None:
    figure = answer(runs, title="Mine")
    figure.canvas.draw()
    said = " ".join(" ".join(text.get_text() for text in figure.findobj(Text)).split())
    for advice in conclude(runs).recommendations:
        assert advice.answer[1:] in said
        assert advice.margin in said
    assert "the run that id_val selects among 8 trials of each optimizer" in said
    assert "over the search, not test examples" in said
    assert "Correlation shift, ERM" in said
    assert "Mine" in said


def test_a_rule_that_looks_says_so(runs: pd.DataFrame) -> None:
    figure = answer(runs.assign(oracle_val=runs["ood"]), rule="oracle")
    assert "which looks at the test environments" in figure.get_supxlabel()
    with pytest.raises(UnknownNameError):
        answer(runs, rule="best")


def test_one_optimizer_has_nothing_to_be_compared_with(runs: pd.DataFrame) -> None:
    figure = answer(runs[runs["optimizer"] == "sgd"], dataset="Rotated")
    texts = " ".join(text.get_text() for text in figure.findobj(Text))
    assert "nothing to compare" in texts
