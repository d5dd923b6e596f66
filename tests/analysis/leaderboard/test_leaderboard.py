"""The leaderboard of searches whose cells, verdicts and ranks are known."""

import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
import pytest
from simulated_searches import search, together

from analysis import compare_to, expected_best, leaderboard, leaderboard_html, leaderboard_lines
from analysis.leaderboard.ranks import rank_ranges
from oodbench.errors import RequestError, UnknownNameError

FAST: dict[str, Any] = {"resamples": 60}


def drawn(optimizer: str, off: float, trials: int = 48, **other: Any) -> pd.DataFrame:
    """A search whose OOD accuracy is that of the same draws plus ``off``, with a little noise."""
    rng = np.random.default_rng(0)
    quality = rng.uniform(0.5, 0.9, trials)
    noise = np.random.default_rng(len(optimizer)).normal(0, 0.002, trials)
    found = search(optimizer, quality + noise, quality - 0.2 + off + noise, **other)
    return found.assign(run=found["run"] + f"-{'-'.join(map(str, other.values()))}")


def cell(board: Any, **wanted: Any) -> "pd.Series[Any]":
    rows = board.cells
    for name, value in wanted.items():
        rows = rows[rows[name] == value]
    (row,) = (row for _, row in rows.iterrows())
    return row


def test_cells_are_those_worked_out_by_hand() -> None:
    """Of the six pairs of four draws, the one ranked k-th from below is best in k - 1."""
    runs = together(
        search("momentum", [0.1, 0.2, 0.3, 0.4], [0.9, 0.6, 0.3, 0.5]),
        search("adam", [0.4, 0.3, 0.2], [0.1, 0.2, 0.3], diverged=1),
    )
    board = leaderboard(runs, budget=2, **FAST)
    mine = cell(board, optimizer="momentum")
    assert mine["ood"] == pytest.approx((1 * 0.6 + 2 * 0.3 + 3 * 0.5) / 6)
    assert mine["verdict"] == "reference"
    other = cell(board, optimizer="adam")
    assert other["ood"] == pytest.approx((1 * 0.3 + 2 * 0.2 + 3 * 0.1) / 6)
    assert other["difference"] == pytest.approx(other["ood"] - mine["ood"])
    assert (other["trials"], other["completed"], other["diverged"], other["failed"]) == (4, 3, 1, 0)
    assert other["gradient_evaluations"] == 200
    assert other["verdict"] == "undecided"  # four draws give no interval
    assert np.isnan(other["low"])


def test_verdicts_and_ranks_are_the_known_ones() -> None:
    offs = {"momentum": 0.0, "sgd": 0.0, "adam": 0.05, "rmsprop": -0.05}
    board = leaderboard(together(*(drawn(name, off) for name, off in offs.items())), **FAST)
    found = {row["optimizer"]: row for row in board.cells.to_dict("records")}
    assert {name: row["verdict"] for name, row in found.items()} == {
        "momentum": "reference",
        "sgd": "no difference",
        "adam": "higher",
        "rmsprop": "lower",
    }
    ranks = {name: (row["rank_low"], row["rank_high"]) for name, row in found.items()}
    assert ranks == {"adam": (1, 1), "momentum": (2, 3), "sgd": (2, 3), "rmsprop": (4, 4)}
    assert board.compared == 3


def test_ranks_leave_what_pairs_do_not_decide() -> None:
    """a beats c, nothing else is decided: a is no third, c is no first, b may be anything."""
    cells = pd.DataFrame({"bed": 1, "optimizer": ["a", "b", "c"]})
    pairs = pd.DataFrame({"bed": 1, "a": ["a", "a", "b"], "b": ["b", "c", "c"], "sign": [0, 1, 0]})
    found = rank_ranges(cells, pairs, ["bed"])
    assert found[["rank_low", "rank_high"]].to_numpy().tolist() == [[1, 2], [1, 3], [2, 3]]


def test_a_cell_is_what_the_comparisons_say_of_the_same_runs() -> None:
    runs = together(*(drawn(name, off) for name, off in {"momentum": 0, "adam": 0.02}.items()))
    row = cell(leaderboard(runs, **FAST), optimizer="adam")
    other = compare_to(runs, "momentum", budget=8, **FAST)
    (other,) = other[other["score"] == "ood"].to_dict("records")
    for name in ("difference", "low", "high", "p", "verdict", "not_under", "improvement"):
        assert row[name] == other[name], name
    bought = expected_best(runs, budgets=[8], **FAST)
    (mine,) = bought[bought["optimizer"] == "adam"].to_dict("records")
    for name in ("id", "id_low", "ood", "ood_low", "ood_high"):
        assert row[name] == pytest.approx(mine[name]), name


def test_test_environments_of_a_dataset_are_averaged() -> None:
    apart = {place: drawn("momentum", off, test_environments=place) for place, off in PLACES}
    both = cell(leaderboard(together(*apart.values()), **FAST), optimizer="momentum")
    each = [cell(leaderboard(one, **FAST), optimizer="momentum")["ood"] for one in apart.values()]
    assert both["ood"] == pytest.approx(np.mean(each))
    assert both["test_environments"] == "0; 1"


PLACES = (("0", 0.0), ("1", 0.1))


def test_what_is_trained_otherwise_is_another_testbed() -> None:
    runs = together(
        *(drawn(name, 0, steps=300) for name in ("momentum", "adam")),
        *(drawn(name, 0.1, steps=600) for name in ("momentum", "adam")),
        *(drawn(name, 0.2, steps=300, algorithm="irm") for name in ("momentum", "adam")),
        *(drawn(name, 0.3, steps=300, protocol="1") for name in ("momentum", "adam")),
    ).fillna({"protocol": "2"})
    board = leaderboard(runs, **FAST)
    assert len(board.cells) == 8
    assert board.cells["testbed"].nunique() == 3
    assert board.cells["cell"].is_unique
    short = cell(board, settings="300 steps", algorithm="erm", protocol="2", optimizer="adam")
    long = cell(board, settings="600 steps", optimizer="adam")
    assert long["ood"] - short["ood"] == pytest.approx(0.1)
    assert set(board.runs_of(long)["steps"]) == {600}


def test_optimizers_without_enough_runs_have_no_cell_and_are_named() -> None:
    runs = together(
        *(drawn("momentum", 0, test_environments=place) for place in ("0", "1")),
        drawn("adam", 0, test_environments="0"),
        *(drawn("sgd", 0, trials=4, test_environments=place) for place in ("0", "1")),
    )
    board = leaderboard(runs, **FAST)
    assert set(board.cells["optimizer"]) == {"momentum"}
    assert board.notes == (
        "Adam on D, unknown model: no runs tested on 1",
        "SGD on D, unknown model: 4 trials, fewer than the budget of 8",
    )
    with pytest.raises(RequestError, match="No optimizer has 100 trials"):
        leaderboard(runs, budget=100, **FAST)
    with pytest.raises(UnknownNameError, match="nesterov"):
        leaderboard(runs, "nesterov", **FAST)


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.targets: set[str] = set()
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self.tags.add(tag)
        self.ids |= {known["id"] or ""} if "id" in known else set()
        if (known.get("href") or "").startswith("#"):
            self.targets.add((known["href"] or "")[1:])


def test_the_page_needs_nothing_and_every_cell_opens_its_runs() -> None:
    evil = "<script>alert(1)</script>"
    runs = together(drawn("momentum", 0), drawn("adam", 0.05), drawn(evil, 0.0))
    board = leaderboard(runs, **FAST)
    page = leaderboard_html(board)
    assert not re.search(r"(src|href)=\"(https?:)?//", page)
    assert evil not in page
    links = Links()
    links.feed(page)
    assert links.targets <= links.ids
    assert set(board.cells["cell"]) <= links.targets
    best = runs[runs["optimizer"] == "adam"].nlargest(1, "id_val")["run"].iloc[0]
    assert best in page
    assert "5.0 higher" in page


def test_sentences_are_of_the_optimizers_that_are_asked_for() -> None:
    runs = together(
        drawn("momentum", 0), drawn("adam", 0.05), drawn("sgd", 0), drawn("rprop", 0, trials=2)
    )
    adam, rprop = leaderboard_lines(leaderboard(runs, **FAST), ["adam", "rprop"])
    assert re.fullmatch(
        r"Adam with ERM on D: \S+ \(\S+ to \S+\)%; against Momentum higher: \+5\.0 points "
        r"\(\+\S+ to \+\S+\); p \S+ corrected; rank 1 of 3",
        adam,
    )
    assert rprop == "no cell: Rprop on D, unknown model: 2 trials, fewer than the budget of 8"
