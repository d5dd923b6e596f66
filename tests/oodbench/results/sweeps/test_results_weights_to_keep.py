"""Which weights are kept: what any of a run's sweeps wants."""

from results_helpers import make_study, make_trial

from oodbench.results import Database, add_sweep, weights_to_keep


def test_a_run_keeps_what_any_of_its_sweeps_wants(db: Database) -> None:
    trials = [make_trial(i) for i in range(4)]
    wanted = {
        "old": ({}, trials),  # made before there was such a key
        "none": ({"keep_weights": "none"}, trials),
        "last": ({"keep_weights": "last"}, trials[:2]),
        "selected": ({"keep_weights": "selected"}, trials[1:3]),
    }
    for name, (spec, some) in wanted.items():
        add_sweep(db, name, spec, [make_study(some, f"study of {name}")])
    ids = [trial.id for trial in trials]
    expected = {ids[0]: {"last"}, ids[1]: {"last", "best_id_val"}, ids[2]: {"best_id_val"}}
    assert weights_to_keep(db, ids) == expected
    assert weights_to_keep(db, ids[2:]) == {ids[2]: {"best_id_val"}}
    assert weights_to_keep(db, []) == {}
    add_sweep(db, "last", {"keep_weights": "none"}, [make_study(trials[:2], "study of last")])
    assert weights_to_keep(db, ids[:1]) == {}  # the latest file counts
