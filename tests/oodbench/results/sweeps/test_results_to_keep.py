"""What is kept of a run: what any of its sweeps wants."""

from results_helpers import make_study, make_trial

from oodbench.results import Database, add_sweep, to_keep

LAST, BEST = {"last"}, {"best_id_val"}


def test_a_run_keeps_what_any_of_its_sweeps_wants(db: Database) -> None:
    trials = [make_trial(i) for i in range(4)]
    wanted = {
        "none": ({"keep_weights": "none", "keep_predictions": "none"}, trials),
        "last": ({"keep_weights": "last", "keep_predictions": "none"}, trials[:2]),
        "selected": ({"keep_weights": "selected", "keep_predictions": "last"}, trials[1:3]),
        "both": ({"keep_weights": "none", "keep_predictions": "selected"}, trials[:1]),
    }
    for name, (spec, some) in wanted.items():
        add_sweep(db, name, spec, [make_study(some, f"study of {name}")])
    ids = [trial.id for trial in trials]
    kept = to_keep(db, ids)
    assert kept.weights == {ids[0]: LAST, ids[1]: LAST | BEST, ids[2]: BEST}
    assert kept.predictions == {ids[0]: LAST | BEST, ids[1]: LAST, ids[2]: LAST}
    assert to_keep(db, ids[2:]).weights == {ids[2]: BEST}
    assert vars(to_keep(db, [])) == {"weights": {}, "predictions": {}}
    changed = {"keep_weights": "none", "keep_predictions": "none"}
    add_sweep(db, "last", changed, [make_study(trials[:2], "study of last")])
    assert ids[0] not in to_keep(db, ids).weights  # the latest file counts


def test_a_sweep_of_an_older_oodbench_keeps_predictions(db: Database) -> None:
    trial = make_trial()
    add_sweep(db, "old", {}, [make_study([trial])])  # there was no such key
    assert to_keep(db, [trial.id]).predictions == {trial.id: LAST}
    assert to_keep(db, [trial.id]).weights == {}
