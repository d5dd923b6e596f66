"""A dataset with several targets: one training is scored on each, under the target's own name."""

from dataclasses import replace
from pathlib import Path

import pytest
from target_helpers import NAME, SPEC, TARGETS, build, sweep, trained
from training_helpers import CPU

import oodbench
from oodbench.data import DATASETS
from oodbench.errors import UnknownNameError
from oodbench.results import checkpoints, load_run, open_database
from oodbench.training.inputs.tensors import load


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    DATASETS.names()
    monkeypatch.setitem(DATASETS._things, NAME, SPEC)


@pytest.mark.parametrize(
    ("named", "tested"), [((), TARGETS), ((2,), ("flipped",)), ((3, 1), ("same", "turned.90"))]
)
def test_a_trial_is_tested_on_the_targets_that_it_names_or_on_all(
    named: tuple[int, ...], tested: tuple[str, ...]
) -> None:
    import torch

    tensors = load(build(0), named, CPU, torch.float32)
    assert tensors.targets == tested
    assert {s.environment for s in tensors.evaluation if s.role == "ood_test"} == set(tested)
    assert {s.environment for s in tensors.evaluation} == {"upright", *tested}
    assert tensors.sizes == (800,)


def test_sweep_files_name_targets_by_index_or_name() -> None:
    asked = [oodbench.plan(sweep(*given)).studies for given in ((), (2,), ("flipped", 3))]
    assert [studies[0].test_environments for studies in asked] == [(), (2,), (2, 3)]
    assert asked[0][0].facts["targets"] == [1, 2, 3]
    with pytest.raises(UnknownNameError, match=r"'fliped'\. Did you mean 'flipped'"):
        SPEC.indices(["fliped"])


def test_scores_on_targets_are_those_that_the_id_test_examples_give(tmp_path: Path) -> None:
    db = trained(tmp_path / "targets.db", sweep())
    runs = oodbench.query(db)
    assert set(runs["status"]) == {"completed"}
    with open_database(db) as database:
        for run in runs["run"]:
            record = load_run(database, run)
            for step in (15, 30):
                value = {
                    (m.role, m.environment): m.value
                    for m in record.measurements
                    if m.step == step and m.metric == "accuracy"
                }
                right = value["id_test", "upright"]
                assert value["ood_test", "same"] == right
                assert round(597 * value["ood_test", "flipped"]) == 597 - round(597 * right)
    assert runs["ood"].isna().all()  # nobody reports the mean of these
    assert runs["id"].notna().all()


def test_one_training_scores_each_target_as_one_that_names_it_alone(tmp_path: Path) -> None:
    def scores(*named: int) -> dict[tuple[str, int, str], float]:
        db = trained(tmp_path / f"{named}.db", sweep(*named))
        table = oodbench.query(
            db,
            sql="SELECT optimizer, seed, environment, value FROM curves JOIN runs "
            "ON run_id = runs.id WHERE role = 'ood_test' AND step = 30",
        )
        return {tuple(key): value for *key, value in table.itertuples(index=False)}

    apart = scores(1) | scores(2) | scores(3)
    assert len(apart) == 3 * 2 * 3
    assert scores() == apart


def test_a_mean_over_targets_is_taken_where_the_authors_mean_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = replace(SPEC, name="MeanOfTargets", mean_of_targets=True)
    monkeypatch.setitem(DATASETS._things, spec.name, spec)
    db = trained(tmp_path / "targets.db", sweep(datasets=[{"name": spec.name}]))
    runs = oodbench.query(db)
    with open_database(db) as database:
        for run, ood in zip(runs["run"], runs["ood"], strict=True):
            last = [m for m in load_run(database, run).measurements if m.step == 30]
            values = [m.value for m in last if m.role == "ood_test"]
            assert len(values) == 3
            assert ood == pytest.approx(sum(values) / 3)


def test_conditions_and_figures_take_each_target_by_itself(tmp_path: Path) -> None:
    db = trained(tmp_path / "targets.db", sweep())
    runs = oodbench.query(db)
    assert (runs["ood[same]"] == runs["id"]).all()
    assert (runs["ood[flipped]"] * 597).round().tolist() == (
        597 - runs["id"] * 597
    ).round().tolist()
    half = runs["ood[turned.90]"].median()
    found = oodbench.query(db, where=f"ood[turned.90] > {half} and n_ood[same] = 597")
    assert set(found["run"]) == set(runs["run"][runs["ood[turned.90]"] > half])
    with pytest.raises(UnknownNameError, match="unknown column"):
        oodbench.query(db, where="ood[sam] > 0.5")
    with open_database(db) as database:
        points = checkpoints(database)
    assert (points["ood[same]"] == points["id_test"]).all()
    assert points["ood_test"].isna().all()
