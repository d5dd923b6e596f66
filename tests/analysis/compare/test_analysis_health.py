from typing import Any

import numpy as np
import pandas as pd
import pytest
from simulated_searches import search, together

from analysis.compare.health import edge_notes, search_health
from oodbench.errors import RequestError, UnknownNameError


def test_a_search_whose_outcomes_are_known() -> None:
    """At chance (.1) on 100 examples: at most .1 + 1.96 * .03. The effective number, of weights
    1, .61, .37 and .05: 2.02**2 / 1.51 = 2.7."""
    id_val = [0.9, 0.895, 0.89, 0.87, 0.2, 0.15, 0.1, 0.1]
    id_test = [0.9, 0.9, 0.9, 0.9, 0.2, 0.158, 0.1, 0.05]
    runs = search("adam", id_val, id_val, id_test=id_test, diverged=1, failed=1, n_id=100)
    (row,) = search_health(runs).to_dict("records")
    assert row["trials"] == 10
    assert row["lost"] == pytest.approx(0.2)
    assert row["at_chance"] == pytest.approx(0.3)
    assert row["best"] == 0.9
    assert row["near_best"] == pytest.approx(0.3)
    assert row["ranges"] == 0
    assert row["edges"] == ""
    assert row["words"] == (
        "10 trials, 20% lost, 30% at chance; best 0.900, 30% within a point (effectively 2.7)"
    )


@pytest.mark.parametrize("k", [1, 4, 17])
def test_the_effective_number_counts_equals(k: int) -> None:
    id_val = [0.9] * k + [0.4] * 20
    (row,) = search_health(search("adam", id_val, id_val)).to_dict("records")
    assert row["effective"] == pytest.approx(k)


def test_the_effective_number_of_two_that_are_a_point_apart() -> None:
    (row,) = search_health(search("adam", [0.9, 0.89], [0.5, 0.5])).to_dict("records")
    p = np.array([1, np.exp(-1)]) / (1 + np.exp(-1))
    assert row["effective"] == pytest.approx(1 / (p**2).sum())


def test_without_trials_there_is_an_empty_table() -> None:
    runs = search("adam", [0.9, 0.8], [0.5, 0.5], sampler="tpe")
    assert search_health(runs).empty
    assert edge_notes(search_health(runs)) == []
    lost = search_health(search("adam", [], [], diverged=3))
    assert lost["words"].tolist() == ["3 trials, 100% lost, 0% at chance"]
    with pytest.raises(UnknownNameError):
        search_health(runs, "best")
    with pytest.raises(RequestError):
        search_health(runs.iloc[:0])


NAMES = ("lr", "weight_decay", "beta", "eps", "momentum")


def drawn(rng: np.random.Generator, trials: int) -> dict[str, Any]:
    return {name: rng.uniform(size=trials) for name in NAMES}


def flagged(panels: int, trials: int, losing: Any, repeats: int = 1) -> list[str]:
    """Edges of each of some panels, whose first range matters as ``losing`` says."""
    rng = np.random.default_rng(trials + repeats)
    tables = []
    for i in range(panels):
        places = drawn(rng, trials)
        truth = 0.9 - losing(places["lr"]) + rng.normal(0, 0.02, trials)
        runs = [np.round(truth + rng.normal(0, 0.003, trials), 3) for _ in range(repeats)]
        values = {name: np.tile(x, repeats) for name, x in places.items()}
        id_val = np.concatenate(runs)
        tables.append(search("adam", id_val, id_val, dataset=f"D{i}", **values))
    return search_health(together(*tables))["edges"].tolist()


def nothing(place: Any) -> Any:
    return 0 * place


def inside(place: Any) -> Any:
    """A peak in the middle."""
    return 0.5 * (2 * place - 1) ** 2


def plateau(place: Any) -> Any:
    """Good from the middle on, to the end of the range."""
    return np.maximum(0.5 - place, 0)


def rising(place: Any) -> Any:
    return 0.3 * (1 - place)


@pytest.mark.parametrize("losing", [nothing, inside, plateau])
@pytest.mark.parametrize(("trials", "repeats"), [(24, 1), (500, 1), (50, 3)])
def test_ranges_that_do_not_end_short(losing: Any, trials: int, repeats: int) -> None:
    """At 5%, 8 or more of 60 panels would be flagged in 1 of 100 such tests."""
    assert sum(map(bool, flagged(60, trials, losing, repeats))) < 8


@pytest.mark.parametrize(("trials", "least"), [(24, 0.3), (100, 0.99), (500, 0.99)])
def test_a_range_that_ends_short(trials: int, least: float) -> None:
    found = flagged(20, trials, rising)
    assert np.mean([text.startswith("high end of lr") for text in found]) >= least
    assert not any("low end of lr" in text for text in found)


def test_what_is_said_of_an_edge() -> None:
    rng = np.random.default_rng(0)
    places = drawn(rng, 100)
    lr = 10 ** (-4 + 3 * places["lr"])
    scores = 0.6 + 0.3 * places["lr"] + rng.normal(0, 0.01, 100)
    adam = search("adam", scores, scores, **{**places, "lr": lr})
    flat = rng.normal(0.8, 0.01, 100)
    health = search_health(together(adam, search("sgd", flat, flat, **places)))
    end = f"high end of lr ({lr.max():.3g})"
    assert health["edges"].tolist() == [end, ""]
    said = f"the best scores rise towards the {end}: a better value may lie beyond"
    assert edge_notes(health) == [f"ERM on D, test environment 0, Adam: {said}."]
    assert health["words"][0].endswith(f"; {said}")


def test_correction_is_over_the_panel() -> None:
    """Many more ranges, of other optimizers, make a weak rise no longer one."""
    rng = np.random.default_rng(1)
    places = drawn(rng, 60)
    scores = 0.8 + 0.12 * places["lr"] + rng.normal(0, 0.02, 60)
    alone = search("adam", scores, scores, lr=places["lr"])
    others = []
    for i in range(12):
        flat = rng.normal(0.8, 0.02, 60)
        others.append(search(f"sgd{i}", flat, flat, **drawn(rng, 60)))
    few, many = (search_health(table)["edges"][0] for table in (alone, together(alone, *others)))
    assert few.startswith("high end of lr")
    assert many == ""
    elsewhere = pd.concat([alone, together(*others).assign(dataset="E")], ignore_index=True)
    assert search_health(elsewhere)["edges"][0] == few
