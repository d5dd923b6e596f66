"""oodbench probe: what is stored, that it is the run's own, and that nothing else changes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import oodbench
from oodbench import api
from oodbench.errors import QueryError, RequestError, UnknownNameError
from oodbench.optimizers import OPTIMIZERS
from oodbench.probes import recording
from oodbench.records import Measurement
from oodbench.results import add_sweep, open_database, probed, store_probes
from oodbench.sweep.plan import plan
from oodbench.verbs import display
from oodbench.workers.worker import work
from oodbench.workers.worker_settings import WorkerSettings

STEPS = 20


@pytest.fixture(scope="module")
def probed_db(
    tmp_path_factory: pytest.TempPathFactory, tiny: Callable[..., dict[str, Any]]
) -> Path:
    path = tmp_path_factory.mktemp("probed") / "runs.db"
    optimizers = ["sgd", "adam", "sasam", "asgd"]
    if OPTIMIZERS.get("schedule_free_sgd").installed:
        optimizers.append("pytorch_optimizer.gravity")  # trained alone, for it draws at random
    train = {"steps": STEPS, "batch": {"per_environment": 8}, "evaluate_every": 10}
    planned = plan(tiny(optimizers=optimizers, algorithms=["erm", "group_dro"], train=train))
    spec = planned.spec.model_dump(mode="json", exclude_none=True)
    with open_database(path, create=True) as db:
        add_sweep(db, "tiny", spec, planned.studies)
    work(path, "tiny", WorkerSettings(device="cpu", stack=4))
    before = oodbench.query(path)
    found = {kind: api.probe(kind, path, device="cpu") for kind in ("rsi-eb", "sharpness")}
    for frame in found.values():
        assert len(frame) == (before["status"] == "completed").sum() > 10
        assert (frame["difference"] == 0).all()  # each is the run that is stored
    after = oodbench.query(path)
    assert before.equals(after)
    return path


def test_paths_are_stored_and_read_back(probed_db: Path) -> None:
    with open_database(probed_db, read_only=True) as db:
        frame = probed(db, "path_")
    runs = oodbench.query(probed_db, "status = 'completed'")["run"]
    assert len(frame) == STEPS * len(runs)
    np.testing.assert_allclose(frame["path_rsi"] / frame["path_eb"], frame["path_gamma"])
    assert frame["path_gamma_null"].between(-1, 1).all()
    assert (frame.groupby("run")["path_alignment"].last() > 0.999).all()


def test_so_is_sharpness(probed_db: Path) -> None:
    with open_database(probed_db, read_only=True) as db:
        frame = probed(db, "sharpness_")
    assert (frame["step"] == STEPS).all()
    assert {*frame.columns} == {
        *("run", "step", "sharpness_eigenvalue", "sharpness_sam", "sharpness_trace")
    }
    assert (frame["sharpness_sam"] > 0).all()


def test_probing_again_replaces(probed_db: Path) -> None:
    with open_database(probed_db, read_only=True) as db:
        before = probed(db)
    api.probe("rsi-eb", probed_db, "optimizer = 'sgd'", device="cpu")
    with open_database(probed_db, read_only=True) as db:
        after = probed(db)
    key = ["run", "step"]
    assert before.sort_values(key, ignore_index=True).equals(
        after.sort_values(key, ignore_index=True)
    )


def test_full_gradients_are_stored_where_they_were_taken(probed_db: Path) -> None:
    where = "optimizer in ('adam', 'sasam') and algorithm = 'group_dro'"
    found = api.probe("rsi-eb", probed_db, where, device="cpu", every=2, full_every=5)
    assert np.isfinite(found["full gamma"]).all()
    with open_database(probed_db, read_only=True) as db:
        frame = probed(db, "path_full_")
    assert {*frame["run"]} == {*found["run"]}
    assert {*frame["step"]} == {0, 5, 10, 15}
    np.testing.assert_allclose(
        frame["path_full_rsi"] / frame["path_full_eb"], frame["path_full_gamma"]
    )
    api.probe("rsi-eb", probed_db, where, device="cpu")  # every step, for the other tests


def paths_of(path: Path, prefix: str, run: str) -> pd.DataFrame:
    with open_database(path, read_only=True) as db:
        frame = probed(db, prefix)
    frame = frame[frame["run"] == run].drop(columns="run")
    return (
        frame.rename(columns=lambda name: name.removeprefix(prefix))
        .dropna(axis=1)
        .reset_index(drop=True)
    )


def test_other_end_points(probed_db: Path) -> None:
    where = "optimizer in ('sgd', 'asgd') and algorithm = 'erm'"
    runs = oodbench.query(probed_db, where)
    run = runs["run"].iloc[0]
    of_seed = api.probe("rsi-eb", probed_db, where, device="cpu", end="seed", full_every=10)
    assert len(of_seed) == len(runs)
    assert (of_seed["last distance"] > 0.1).all()
    toward = api.probe("rsi-eb", probed_db, where, device="cpu", end=run[:6]).set_index("run")
    assert toward["last distance"][run] == 0  # it is its own
    assert (toward["last distance"].drop(run) > 0).all()
    own = paths_of(probed_db, "path_", run)
    shared = ["step", "distance", "rsi", "eb", "gamma", "best_lr", "alignment"]
    to_itself = paths_of(probed_db, f"path_to_{run[:10]}_", run)
    assert sorted(to_itself.columns) == sorted(shared)
    assert own[shared].equals(to_itself[shared])  # to the bit
    seed = paths_of(probed_db, "path_seed_", run)
    assert not np.isclose(own["distance"], seed["distance"]).any()
    assert own["alignment"].iloc[-1] > 0.999
    assert seed["alignment"].iloc[-1] < 0.9
    with open_database(probed_db, read_only=True) as db:
        assert len(probed(db, "path_seed_full_")) == 2 * len(runs)


def test_an_end_point_has_to_be_a_completed_run_of_the_model(
    probed_db: Path, tiny: Callable[..., dict[str, Any]]
) -> None:
    sgd = {"name": "sgd", "space": {"lr": 1e30}}
    wider = {"name": "mlp", "width": 9, "depth": 1}
    for name, changes in (("hot", {"optimizers": [sgd]}), ("wide", {"model": wider})):
        planned = plan(tiny(name=name, search={"trials": 1}, **changes))
        with open_database(probed_db) as db:
            add_sweep(db, name, {}, planned.studies)
        work(probed_db, name, WorkerSettings(device="cpu"))
    where = "optimizer = 'sgd' and lr < 1e9 and algorithm = 'erm'"
    refused = {"hot": "is diverged: it is no end point", "wide": "its model_options is {'width': 9"}
    for name, said in refused.items():
        run = oodbench.query(probed_db, sweep=name)["run"].iloc[0]
        with pytest.raises(RequestError, match=said):
            api.probe("rsi-eb", probed_db, where, sweep="tiny", device="cpu", end=run)
    with pytest.raises(QueryError, match="No run has an id that begins with 'sead'"):
        api.probe("rsi-eb", probed_db, where, sweep="tiny", device="cpu", end="sead")


def test_a_probed_run_still_reproduces(probed_db: Path) -> None:
    run = oodbench.query(probed_db, "optimizer = 'adam'")["run"].iloc[0]
    assert oodbench.reproduce(probed_db, run, device="cpu").exact


def test_it_says_how_many_runs_are_probed_and_how_far_the_next_is(
    probed_db: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(display, "LINE_EVERY", 0.0)
    monkeypatch.setattr(recording, "TELL_EVERY", 0.0)
    where = "optimizer in ('sgd', 'adam') and algorithm = 'erm'"  # two stacks
    runs = len(api.probe("sharpness", probed_db, where, sweep="tiny", device="cpu", stack=2))
    lines = capsys.readouterr().err.splitlines()
    assert (lines[0], runs) == ("0/4 runs probed", 4)
    assert [line for line in lines if line.startswith("2/4 runs probed, ")]
    assert lines[-1].startswith("4/4 runs probed, ")
    steps = [line.split("training step ")[1] for line in lines if "training" in line]
    assert [step.split(",")[0] for step in steps] == [
        f"{n} of {STEPS}" for n in range(1, STEPS + 1)
    ] * 2
    api.probe("sharpness", probed_db, where, sweep="tiny", device="cpu", progress=False)
    assert capsys.readouterr().err == ""


def test_what_cannot_be_probed(probed_db: Path) -> None:
    with pytest.raises(UnknownNameError, match="rsi-eb, sharpness"):
        api.probe("rsi", probed_db)
    with pytest.raises(RequestError, match="nothing to probe"):
        api.probe("rsi-eb", probed_db, "optimizer = 'sgd' and lr > 1e9")
    with (
        open_database(probed_db) as db,
        pytest.raises(ValueError, match="no probe's to measure"),
    ):
        store_probes(db, {"x": [Measurement(1, "", "train", "train", "loss", 0.0, 1)]})


def test_a_bf16_run_is_followed_as_it_was_trained_and_its_sharpness_is_float32s(
    tmp_path: Path, tiny: Callable[..., dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    train = {"steps": STEPS, "batch": {"per_environment": 8}, "evaluate_every": 10}
    planned = plan(tiny(optimizers=["sgd"], train={**train, "precision": "bf16"}))
    with open_database(tmp_path / "runs.db", create=True) as db:
        add_sweep(db, "tiny", {}, planned.studies)
    work(tmp_path / "runs.db", "tiny", WorkerSettings(device="cpu"))
    capsys.readouterr()
    quietly = {"device": "cpu", "progress": False}
    paths = api.probe("rsi-eb", tmp_path / "runs.db", **quietly, full_every=10)
    assert capsys.readouterr().err == ""
    ends = api.probe("sharpness", tmp_path / "runs.db", **quietly)
    assert capsys.readouterr().err == "sharpness of bf16 runs: of their loss in float32\n"
    for frame in (paths, ends):
        assert (frame["difference"] == 0).all()
    assert (paths["full gamma"] > 0).all()
    assert (ends["SAM"] > 0).all()
