"""A search on several splits of the data."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import oodbench
from oodbench.cli.estimate import preview
from oodbench.data import DATASETS, Dataset, DatasetSpec, Environment, Split
from oodbench.errors import RequestError, SweepError
from oodbench.records import Trial
from oodbench.results import Shard, add_sweep, open_database, pairs, state_counts
from oodbench.results.sweeps.plans import PlannedStudy
from oodbench.results.sweeps.shards import divide
from oodbench.sweep import parse_sweep
from oodbench.sweep.estimate import estimate
from oodbench.sweep.plan import plan

Tiny = Callable[..., dict[str, Any]]


def studies(values: dict[str, Any]) -> tuple[PlannedStudy, ...]:
    return plan(parse_sweep(values)).studies


def trials(values: dict[str, Any]) -> list[Trial]:
    return [trial for study in studies(values) for trial in study.trials]


def test_every_draw_is_trained_on_every_split_with_the_same_seed(tiny: Tiny) -> None:
    """The splits are those of three sweeps with one data seed each, whose trials these are."""
    found = studies(tiny(data_seed=5, data_seeds=3, seeds=2))
    alone = [studies(tiny(data_seed=seed, seeds=2)) for seed in (5, 6, 7)]
    for position, study in enumerate(found):
        parts = [one[position].trials for one in alone]
        assert list(study.trials) == [trial for part in parts for trial in part]
        assert study.id == alone[0][position].id, "more splits are more trials of the same study"
        assert len({trial.fingerprint for trial in study.trials}) == 3
        for split in parts[1:]:
            assert [t.hparams for t in split] == [t.hparams for t in parts[0]]
            assert [t.seed for t in split] == [t.seed for t in parts[0]]


def test_one_split_is_what_there_was_before(tiny: Tiny) -> None:
    assert studies(tiny(data_seeds=1)) == studies(tiny())


def test_further_draws_move_none(tiny: Tiny) -> None:
    few, many = (
        dict(studies(tiny(data_seeds=3, seeds=2, search={"trials": n}))[0].drawn()) for n in (2, 5)
    )
    assert sorted(many) == list(range(5 * 3 * 2))
    assert few == {place: many[place] for place in range(2 * 3 * 2)}


@pytest.mark.parametrize("search", [{"sampler": "qmc", "trials": 4}, {"sampler": "grid"}])
def test_every_design_is_the_same_on_each_split(tiny: Tiny, search: dict[str, Any]) -> None:
    search = {"points": 2, **search} if search["sampler"] == "grid" else search
    values = tiny(data_seeds=2, search=search, optimizers=["sgd"])
    (study,) = studies(values)
    half = len(study.trials) // 2
    first, second = study.trials[:half], study.trials[half:]
    assert half == 4
    assert [t.hparams for t in first] == [t.hparams for t in second]
    assert {t.data_seed for t in first} == {0}
    assert {t.data_seed for t in second} == {1}


def test_shards_divide_it(tiny: Tiny) -> None:
    planned = studies(tiny(data_seeds=3, search={"trials": 5}))
    parts = [divide(planned, Shard(number, 4)) for number in range(4)]
    for position, study in enumerate(planned):
        drawn = [item for part in parts for item in part[position].drawn()]
        assert sorted(drawn, key=lambda item: item[0]) == sorted(study.drawn(), key=lambda i: i[0])
        assert {len(part[position].trials) for part in parts} == {3, 4}


def test_an_edited_file_adds_splits_and_removes_none(tiny: Tiny, tmp_path: Path) -> None:
    counts = []
    with open_database(tmp_path / "runs.db", create=True) as db:
        for seeds, number in ((1, 2), (3, 2), (3, 4), (1, 2)):
            planned = plan(parse_sweep(tiny(data_seeds=seeds, search={"trials": number})))
            add_sweep(db, "tiny", {}, planned.studies)
            counts.append(state_counts(db)["waiting"])
        frame = pairs(db)
    assert counts == [4, 12, 24, 24]
    assert frame.groupby(["optimizer", "data_seed"])["seed"].nunique().tolist() == [4] * 6


def test_a_dataset_with_one_split_is_refused_by_name(tiny: Tiny) -> None:
    values = tiny(datasets=[{"name": "Camelyon17"}], model={"name": "mnist_cnn"}, data_seeds=2)
    with pytest.raises(SweepError, match="data_seeds asks for 2 splits of the data, but Camelyon"):
        parse_sweep(values)


def test_data_seeds_that_decide_nothing_are_refused(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch, colored_digits: Dataset
) -> None:
    def build(data_seed: int) -> Dataset:
        parts: dict[str, Split] = dict(colored_digits.environments[0].splits)
        return Dataset("Fixed", (Environment("a", parts), Environment("b", parts)), 2)

    list(DATASETS)  # entry points are read first
    monkeypatch.setitem(DATASETS._things, "Fixed", DatasetSpec("Fixed", ("a", "b"), 2, build))
    values = tiny(datasets=[{"name": "Fixed", "test_environments": [1]}])
    assert len(trials(values)) == 4
    with pytest.raises(RequestError, match="2 splits of the data, but Fixed has one whatever"):
        studies(values | {"data_seeds": 2})


def test_the_dry_run_says_what_the_splits_cost(
    tiny: Tiny, capsys: pytest.CaptureFixture[str]
) -> None:
    values = tiny(data_seeds=3, confirm={"top": 1, "seeds": 5}, seeds=2)
    (found,) = estimate(parse_sweep(values))
    (alone,) = estimate(parse_sweep(values | {"data_seeds": 1}))
    assert alone.models == 2 * (2 * 2 + 5)
    assert (found.models, found.database) == (3 * alone.models, 3 * alone.database)
    preview([parse_sweep(values)], None)
    assert "tiny: each draw is trained on 3 splits (data seeds 0 to 2)" in capsys.readouterr().out
    preview([parse_sweep(tiny())], None)
    assert "splits (" not in capsys.readouterr().out


def test_its_runs_are_trained_scored_and_reproduced(tiny: Tiny, tmp_path: Path) -> None:
    db = tmp_path / "runs.db"
    values = tiny(data_seeds=2, optimizers=["sgd"], keep_weights="last")
    oodbench.run_sweep(values, db, workers=1)
    frame = oodbench.query(db)
    assert frame["status"].tolist() == ["completed"] * 4
    assert frame.groupby("data_seed")["id_val"].nunique().tolist() == [2, 2]
    assert frame["n_id_val"].nunique() == 1
    run = frame.loc[frame["data_seed"] == 1, "run"].iloc[0]
    assert oodbench.reproduce(db, run, device="cpu").exact
    table = oodbench.evaluate(db, run, device="cpu").dropna(subset=["stored"])
    assert len(table)
    assert (table["accuracy"] == table["stored"]).all()
