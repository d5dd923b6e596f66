"""All that is known of one run, on either database."""

import json

import pytest
from results_helpers import make_record, make_study, make_trial

from oodbench.errors import QueryError
from oodbench.results import Database, add_sweep, claim, run_details, store_runs


def test_a_run_from_waiting_to_stored(db: Database) -> None:
    trial = make_trial(0)
    facts = {"environments": ["a", "b", "c"]}
    add_sweep(db, "one", {}, [make_study([make_trial(1), trial], "first", facts=facts)])
    add_sweep(db, "two", {}, [make_study([trial], "second", facts=facts)])
    waiting = run_details(db, trial.id[:8])
    assert (waiting.run, waiting.trial, waiting.status) == (trial.id, trial, "waiting")
    assert (waiting.owner, waiting.started, waiting.scores, waiting.provenance) == (
        None,
        None,
        {},
        {},
    )
    assert waiting.environments == ("a", "b", "c")
    assert [(a["sweep"], a["study"], a["index"], a["sampler"]) for a in waiting.asked_by] == [
        ("one", "first", 1, "random"),
        ("two", "second", 0, "random"),
    ]
    claims = claim(db, "me", sweep="two", size=1, lease=60)
    provenance = {"seconds": 1.5, "weights": [{"checkpoint": "last"}]}
    points = ((50, "a", "id_val", 0.75, 8), (100, "a", "id_val", 0.5, 8))
    assert store_runs(db, [(claims[0], make_record(trial, *points, provenance=provenance))]) == []
    stored = run_details(db, trial.id)
    assert (stored.status, stored.owner, stored.attempts) == ("completed", "me", 1)
    assert stored.provenance == provenance
    assert stored.scores["last"] == {"step": 100, "id_val": 0.5, "n_id_val": 8}
    assert stored.scores["best_id_val"]["step"] == 50
    assert stored.finished >= stored.started > 0
    found = json.loads(json.dumps(stored.to_json()))
    assert found["trial"] == trial.to_json()
    assert found["asked_by"][1]["sweep"] == "two"
    said = repr(stored)
    assert said.splitlines()[0].split() == ["run", trial.id]
    assert "last (step 100)" in said
    assert "id_val 0.500" in said
    assert max(map(len, said.splitlines())) < 120
    assert "<th>status</th><td>completed</td>" in stored._repr_html_()


def test_unknown_runs_are_refused(db: Database) -> None:
    with pytest.raises(QueryError, match="No run has an id that begins with 'x'"):
        run_details(db, "x")
