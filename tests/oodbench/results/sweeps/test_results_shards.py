"""A sweep in parts, each in a database of its own."""

from collections import Counter
from pathlib import Path

import pytest
from results_helpers import make_study, make_trial

from oodbench.errors import DatabaseError, RequestError
from oodbench.records import hash_of
from oodbench.results import Shard, add_shard, open_database, runs, sql
from oodbench.results.sweeps.plans import PlannedStudy, in_turn
from oodbench.results.sweeps.shards import divide


def planned(trials: int = 10, studies: int = 3, name: str = "") -> list[PlannedStudy]:
    """Studies of trials that differ; the last one shares the first trial of the first."""
    plan = [
        make_study([make_trial(i, optimizer=f"o{s}") for i in range(trials)], hash_of([name, s]))
        for s in range(studies)
    ]
    shared = make_study([make_trial(0, optimizer="o0")], hash_of([name, "shared"]))
    return [*plan, shared]


@pytest.mark.parametrize("text", ["3", "3/3", "-1/2", "a/b", "1/0", "1/2/3", "", "1.5/2"])
def test_a_shard_is_written_i_n(text: str) -> None:
    with pytest.raises(RequestError, match="such as 3/16, but got"):
        Shard.parse(text)
    assert Shard.parse("3/16") == Shard(3, 16)


@pytest.mark.parametrize("of", [1, 3, 7, 64])
def test_every_trial_is_in_one_shard_and_each_study_is_divided_evenly(of: int) -> None:
    plan = planned()
    parts = [divide(plan, Shard(number, of)) for number in range(of)]
    runs = Counter(
        t.id for part in parts for t in {t.id: t for s in part for t in s.trials}.values()
    )
    assert runs == Counter({trial.id: 1 for study in plan for trial in study.trials})
    for position, study in enumerate(plan[:3]):
        sizes = [len(part[position].trials) for part in parts]
        assert max(sizes) - min(sizes) <= 1
        drawn = [item for part in parts for item in part[position].drawn()]
        assert sorted(drawn, key=lambda item: item[0]) == list(study.drawn())
    (home,) = {n for n, part in enumerate(parts) if plan[0].trials[0] in part[0].trials}
    assert [len(part[3].trials) for part in parts] == [int(n == home) for n in range(of)]


def test_small_studies_do_not_all_burden_the_first_shards() -> None:
    plan = [make_study([make_trial(s)], hash_of(s)) for s in range(400)]
    sizes = [sum(len(s.trials) for s in divide(plan, Shard(n, 8))) for n in range(8)]
    assert sum(sizes) == 400
    assert min(sizes) > 25  # of 50; by chance once in ten thousand


def test_more_trials_and_more_studies_move_none() -> None:
    few, many = planned(10, 3), planned(20, 5)
    for number in range(4):
        before, after = divide(few, Shard(number, 4)), divide(many, Shard(number, 4))
        for old, new in zip(before[:3], after[:3], strict=True):
            assert list(old.drawn()) == [item for item in new.drawn() if item[0] < 10]


def test_what_learns_from_results_is_refused_and_winners_wait_for_the_merge(tmp_path: Path) -> None:
    agenda = {"search": {}, "runs": 9}
    with pytest.raises(RequestError, match="sampler tpe learns from the results of all workers"):
        divide([make_study([make_trial()], "ab", sampler="tpe", agenda=agenda)], Shard(0, 2))
    confirming = make_study([make_trial()], "ab", agenda={"confirm": {}, "runs": 6})
    (part,) = divide([confirming], Shard(0, 1))
    assert part.agenda is None


def test_places_and_order_are_those_of_the_whole_sweep(tmp_path: Path) -> None:
    plan = planned()
    order = in_turn(plan)
    found = {}
    for number in range(3):
        with open_database(tmp_path / f"{number}.db", create=True) as db:
            added = add_shard(db, "s", {}, plan, Shard(number, 3))
            assert added.new_runs == len(runs(db))
            again = add_shard(db, "s", {}, plan, Shard(number, 3))
            assert (again.new_runs, again.known_runs) == (0, added.new_runs)
            for row in sql(db, "SELECT position, id FROM runs").itertuples():
                found[row.position] = row.id
            links = sql(db, "SELECT study_id, idx, run_id FROM study_trials")
        for link in links.itertuples():
            study = next(s for s in plan if s.id == link.study_id)
            assert study.trials[link.idx].id == link.run_id
    assert [found[place] for place in sorted(found)] == list(order)
    assert sorted(found) == list(range(len(order)))


def test_a_database_of_another_shard_is_refused(tmp_path: Path) -> None:
    with open_database(tmp_path / "0.db", create=True) as db:
        add_shard(db, "s", {}, planned(), Shard(0, 3))
        for other in (Shard(1, 3), Shard(0, 4)):
            with pytest.raises(DatabaseError, match=f"not of shard {other}.*database of its own"):
                add_shard(db, "s", {}, planned(), other)
        add_shard(db, "s", {}, planned(20), Shard(0, 3))  # the file was edited
