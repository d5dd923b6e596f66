"""Optimizers compared on several targets of one training: each by itself, or by their mean."""

import pickle

import numpy as np
import pandas as pd
import pytest
from simulated_searches import search, together

from analysis import compare_by_class, conclude, conclusions_as, scatter
from analysis.runs.panels import panels
from oodbench.results.targets import by_target, cell_of

NAMES = ("source", "low", "high", "copy")
POINTS = (0.0, 0.2, 0.2)
"""By how much the first optimizer is better on each target; the last two have the same scores."""


def runs(mean: bool, shift: str = "") -> pd.DataFrame:
    """Two optimizers, 40 draws of each, scored on three targets."""
    rng = np.random.default_rng(0)
    searches = []
    for optimizer, points in (("adam", POINTS), ("sgd", (0.0, 0.0, 0.0))):
        quality = rng.normal(0.6, 0.05, 40)
        scores = {f"ood[{name}]": 0.5 + 0.1 * quality for name in NAMES[1:]}
        for name, more in zip(NAMES[1:], points, strict=True):
            scores[f"ood[{name}]"] = scores[f"ood[{name}]"] + more
        ood = np.mean([*scores.values()], axis=0) if mean else np.full(40, np.nan)
        searches.append(search(optimizer, quality, ood, test_environments="", **scores))
    text = cell_of([1, 2, 3], [], NAMES, mean=mean)
    return by_target(together(*searches).assign(targets=text, shift=shift))


def test_each_target_stands_alone_whatever_the_class_of_its_shift() -> None:
    for shift in ("", "diversity"):
        table = compare_by_class(runs(mean=False, shift=shift))
        ood = table[table["score"] == "ood"].set_index("names")
        assert list(ood.index) == ["D, low", "D, high", "D, copy"]
        assert (ood["tasks"] == 1).all()
        assert ood["verdict"].tolist()[1:] == ["higher", "higher"]
        assert ood.loc["D, high", "difference"] - ood.loc["D, low", "difference"] == (
            pytest.approx(0.2)
        )


def test_targets_with_one_score_have_one_interval() -> None:
    """Draws are resampled together for all targets, since each draw is one training."""
    table = compare_by_class(runs(mean=False))
    ood = table[table["score"] == "ood"].set_index("names")
    for name in ("difference", "low", "high", "p"):
        assert ood.loc["D, high", name] == ood.loc["D, copy", name]
    width = ood["high"] - ood["low"]
    assert width["D, low"] == pytest.approx(width["D, high"])  # a constant was added


def test_the_mean_stands_for_the_dataset_where_its_authors_report_it() -> None:
    table = compare_by_class(runs(mean=True))
    ood = table[table["score"] == "ood"]
    assert list(ood["names"]) == ["D"]
    apart = compare_by_class(runs(mean=False))
    apart = apart[apart["score"] == "ood"]
    assert ood["difference"].iloc[0] == pytest.approx(apart["difference"].mean())


def test_conclusions_name_targets_and_look_at_all_of_them() -> None:
    found = conclude(runs(mean=False))
    assert [one.where for one in found.recommendations] == [
        f"ERM on D, {name} (class of shift unknown)" for name in NAMES[1:]
    ]
    assert "3 pairs looked at" in str(found)
    assert "on average over its test environments" not in str(found)
    assert [one.where for one in conclude(runs(mean=True)).recommendations] == [
        "ERM on D (class of shift unknown)"
    ]


def test_a_legend_counts_a_training_once() -> None:
    found = panels(runs(mean=False))
    assert [panel.target for panel in found] == ["low", "high", "copy"]
    figure = scatter(runs(mean=False))
    legends = [axes.get_legend() for axes in figure.axes if axes.get_legend()]
    texts = [text.get_text() for one in legends for text in one.get_texts()]
    assert texts == ["Adam 40 of 40", "SGD 40 of 40"]


def test_many_panels_are_counted_by_verdict_in_text_alone() -> None:
    names = tuple(f"t{i}" for i in range(10))
    rng = np.random.default_rng(0)
    quality = rng.normal(0.6, 0.05, (2, 40))
    table = together(
        *(
            search(
                optimizer,
                mine,
                np.full(40, np.nan),
                test_environments="",
                **{f"ood[{name}]": mine - 0.3 + better * (name == "t3") for name in names[1:]},
            )
            for optimizer, mine, better in zip(("adam", "sgd"), quality, (-0.2, 0.0), strict=True)
        )
    )
    found = conclude(by_target(table.assign(targets=cell_of(range(1, 10), [], names, mean=False))))
    text = " ".join(str(found).split())
    assert "D (class of shift unknown), each of 9 test environments" in text
    worse = "Adaptive optimizers are worse in OOD accuracy"
    verdicts = found.claims[(found.claims["claim"] == worse) & (found.claims["about"] != "")]
    assert set(verdicts["test_environments"]) == set("123456789")
    assert f"{worse}: undecided on 8, holds on 3" in text
    assert "tested on environment 3" in conclusions_as(found, "markdown")


def test_public_functions_travel_to_other_processes() -> None:
    assert pickle.loads(pickle.dumps(compare_by_class)) is compare_by_class
