"""The run rules that rest on single environments, against numbers worked out by hand."""

import math

import pandas as pd
import pytest
from results_helpers import make_record, make_study, make_trial

from oodbench import api
from oodbench.errors import QueryError, RequestError
from oodbench.results import Database, add_sweep, claim, pairs, store_runs
from oodbench.results.select import RUN_RULES, left_out_mean, select

NAMES = ("e0", "e1", "e2")
FACTS = {"environments": list(NAMES), "chance": 0.5}

# Accuracies on e0, e1 and e2, by configuration and test environments, after 100 steps. Environment
# 2 is the test one; the others are left out in turn.
SCORES = {
    ("a", (2,)): (0.9, 0.5, 0.3),
    ("a", (0, 2)): (0.2, 0.8, 0.1),
    ("a", (1, 2)): (0.8, 0.3, 0.1),
    ("b", (2,)): (0.7, 0.6, 0.4),
    ("b", (0, 2)): (0.5, 0.6, 0.9),
    ("b", (1, 2)): (0.6, 0.4, 0.9),
    ("c", (2,)): (0.8, 0.4, 0.2),
    ("c", (0, 2)): (0.9, 0.6, 0.9),  # its sibling without e1 diverged
    ("c", (1, 2)): None,
}


def points(tested: tuple[int, ...], scores: tuple[float, ...], step: int = 100) -> list:
    """What is measured on the validation part of each environment, and on the test part."""
    rows = []
    for i, (name, value) in enumerate(zip(NAMES, scores, strict=True)):
        role = "oracle_val" if i in tested else "id_val"
        rows.append((step, name, role, value, 10))
        if i in tested:  # what is reported is never what selects
            rows.append((step, name, "ood_test", 1 - value, 10))
    return rows


@pytest.fixture
def filled(db: Database) -> Database:
    """Three configurations, each with environment 2 left out, and with one more."""
    lr = {"a": 0.1, "b": 0.2, "c": 0.3}
    trials = {
        key: make_trial(0, hparams={"lr": lr[key[0]]}, test_environments=key[1]) for key in SCORES
    }
    groups = [[t for key, t in trials.items() if key[1] == tested] for tested in ((2,), (0, 2))]
    groups.append([t for key, t in trials.items() if key[1] == (1, 2)])
    studies = [make_study(g, f"study{i}", facts=FACTS) for i, g in enumerate(groups)]
    add_sweep(db, "sweep", {}, studies)
    claims = {item.trial.id: item for item in claim(db, "worker", size=9, lease=60)}
    while len(claims) < len(trials):
        claims |= {item.trial.id: item for item in claim(db, "worker", size=9, lease=60)}
    results = []
    for key, trial in trials.items():
        scores = SCORES[key]
        if scores is None:
            how = {"status": "diverged", "reason": "The loss is not finite."}
            early = points(key[1], (0.9, 0.9, 0.9))
            results.append((claims[trial.id], make_record(trial, *early, **how)))
        else:
            early = points(key[1], tuple(reversed(scores)), step=50)
            record = make_record(trial, *early, *points(key[1], scores))
            results.append((claims[trial.id], record))
    assert store_runs(db, results) == []
    return db


def test_the_worst_group_is_the_training_environment_with_the_lowest_validation(filled) -> None:
    frame = pairs(filled, "test_environments = '2'").set_index("lr")
    assert frame["worst_group_val"].tolist() == [0.5, 0.6, 0.4]
    assert frame["id_val"].tolist() == pytest.approx([0.7, 0.65, 0.6])
    chosen = {rule: select(pairs(filled), rule)["lr"][0] for rule in ("id_val", "worst_group_val")}
    assert chosen == {"id_val": 0.1, "worst_group_val": 0.2}
    best = pairs(filled, "test_environments = '2' and lr = 0.1", checkpoint="best_id_val")
    assert (best["step"][0], best["worst_group_val"][0]) == (100, 0.5)
    best = pairs(filled, "test_environments = '1,2' and lr = 0.2", checkpoint="best_id_val")
    assert (best["step"][0], best["worst_group_val"][0]) == (50, 0.9)
    assert pairs(filled, "status = 'diverged'")["worst_group_val"].isna().all()


def test_leaving_one_environment_out_asks_the_runs_without_it(filled) -> None:
    """Configuration a: (.2 + .3) / 2, b: (.5 + .4) / 2; of c, one of the two diverged."""
    frame = pairs(filled).set_index(["lr", "test_environments"])
    found = frame["leave_one_environment_out"].xs("2", level="test_environments")
    assert found[:2].tolist() == pytest.approx([0.25, 0.45])
    assert math.isnan(found[0.3])
    assert frame.drop(index="2", level=1)["leave_one_environment_out"].isna().all()
    chosen = select(pairs(filled), "leave_one_environment_out").set_index("test_environments")
    assert (chosen["lr"]["2"], chosen["n_candidates"]["2"], chosen["completed"]["2"]) == (0.2, 2, 3)
    assert chosen["run"].isna().tolist() == [False, True, True]


def test_siblings_are_found_whatever_is_asked_for(filled) -> None:
    frame = pairs(filled, "test_environments = '2' and lr < 0.25")
    assert frame["leave_one_environment_out"].tolist() == pytest.approx([0.25, 0.45])


def test_another_seed_or_setting_is_no_sibling(db: Database) -> None:
    trials = [
        make_trial(0, test_environments=(2,)),
        make_trial(0, test_environments=(0, 2)),
        make_trial(0, test_environments=(1, 2), seed=7),
    ]
    add_sweep(db, "sweep", {}, [make_study([t], str(i), facts=FACTS) for i, t in enumerate(trials)])
    for _ in trials:
        for item in claim(db, "worker", size=1, lease=60):
            tested = item.trial.test_environments
            store_runs(db, [(item, make_record(item.trial, *points(tested, (0.5, 0.5, 0.5))))])
    frame = pairs(db)
    assert frame["status"].tolist() == ["completed"] * 3
    assert frame["leave_one_environment_out"].isna().all()
    with pytest.raises(
        QueryError, match=r"of 3 completed runs on Digits none has its siblings.*each pair"
    ):
        select(frame, "leave_one_environment_out")


def test_a_rule_without_its_scores_is_refused_by_name(filled) -> None:
    frame = pairs(filled)
    with pytest.raises(QueryError, match=r"rule ood_val cannot choose: of 8 completed runs on Dig"):
        select(frame, "ood_val")
    held_apart = frame.assign(ood_val=[0.1, 0.3, 0.2, *[math.nan] * 6])
    assert select(held_apart, "ood_val")["lr"][0] == 0.2
    with pytest.raises(QueryError, match="needs the columns worst_group_val"):
        select(frame.drop(columns="worst_group_val"), "worst_group_val")


def test_a_refusal_names_the_rules_that_can_choose_on_every_dataset(filled) -> None:
    frame = pairs(filled).assign(id_val=math.nan, worst_group_val=math.nan, ood_val=0.5)
    with pytest.raises(QueryError) as error:
        select(frame, "id_val")
    told = str(error.value)
    assert f"completed runs on {frame['dataset'].iloc[0]} none has accuracy on validation" in told
    can = "ood_val, leave_one_environment_out, oracle (which looks at the test environments)."
    assert told.endswith(f"Or choose by another rule (--select): {can}")
    none = dict.fromkeys(RUN_RULES.values(), math.nan)
    both = pd.concat([frame, frame.assign(dataset="Other", **none)])
    with pytest.raises(QueryError, match=r"on \w+, Other none .*No other rule can either\."):
        select(both, "id_val")


def test_only_oracle_reads_what_a_run_measured_on_its_test_environments(filled) -> None:
    frame = pairs(filled)
    hidden = frame.assign(ood_test=0.0, ood=0.0, oracle_val=-frame["oracle_val"])
    for rule in ("id_val", "worst_group_val", "leave_one_environment_out"):
        assert select(hidden, rule)["run"][0] == select(frame, rule)["run"][0]
    assert select(hidden, "oracle")["run"][0] != select(frame, "oracle")["run"][0]


@pytest.mark.parametrize("target", ["sqlite"], indirect=True)
def test_the_command_line_has_every_rule_and_none_looks_ahead(filled: Database) -> None:
    for rule in set(RUN_RULES) - {"ood_val"}:
        assert set(api.query(filled.url, select=rule)["rule"]) == {rule}
    for rule in set(RUN_RULES) - {"oracle"}:
        with pytest.raises(RequestError, match=f"The rule {rule} never looks at test scores"):
            api.query(filled.url, "ood > 0.5", select=rule)


def test_a_mean_needs_every_environment_left_out_once() -> None:
    left_out = {("x", frozenset({0, 3}), 0): 0.5, ("x", frozenset({1, 3}), 1): 0.25}
    assert left_out_mean(left_out, "x", frozenset({3}), (0, 1, 3)) == 0.375
    assert left_out_mean(left_out, "x", frozenset({3}), (0, 1, 2, 3)) is None
    assert left_out_mean(left_out, "y", frozenset({3}), (0, 1, 3)) is None
