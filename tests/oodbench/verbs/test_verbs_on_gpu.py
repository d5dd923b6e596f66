"""A sweep whose runs are trained, scored, probed and trained again on a GPU: ``make test-gpu``."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from oodbench import api
from oodbench.results import add_sweep, open_database
from oodbench.sweep.plan import plan
from oodbench.workers.worker import work
from oodbench.workers.worker_settings import WorkerSettings

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize(
    ("model", "precision", "probes"),
    [
        ({"name": "mlp", "width": 8, "depth": 1}, "float32", ["rsi-eb", "sharpness"]),
        ({"name": "mlp", "width": 8, "depth": 1}, "bf16", ["sharpness"]),
        ({"name": "mnist_cnn"}, "tf32", []),
    ],
)
def test_runs_are_trained_scored_probed_and_trained_again(
    model: dict[str, Any],
    precision: str,
    probes: list[str],
    tiny: Callable[..., dict[str, Any]],
    device: torch.device,
    oodbench: Callable[..., Any],
    tmp_path: Path,
) -> None:
    db, name = tmp_path / "runs.db", str(device)
    train = {**tiny()["train"], "precision": precision}
    changes = {"optimizers": ["adam"], "search": {"trials": 1 if model["name"] != "mlp" else 3}}
    sweep = tiny(model=model, train=train, keep_weights="last", **changes)
    with open_database(db, create=True) as database:
        add_sweep(database, "tiny", sweep, plan(sweep).studies)
    assert work(db, "tiny", WorkerSettings(device=name)).stored == sweep["search"]["trials"]
    runs = api.query(db)
    assert set(runs["status"]) == {"completed"}
    assert set(runs["precision"]) == {precision}
    for run in runs["run"]:
        scored = api.evaluate(db, run, device=name).dropna(subset=["stored"])
        assert len(scored) > 3
        # In a stack of another size a near tie may fall the other way.
        assert (scored["accuracy"] - scored["stored"]).abs().max() < 0.02
    shown = oodbench("show", run, "--db", db).out
    assert (", deterministic), " in shown) == (device.type == "cuda")
    again = api.reproduce(db, runs["run"][0], device=name, tolerance=0.02)
    assert again.matches, again
    assert not again.origins
    for kind in probes:
        assert api.probe(kind, db, device=name)["difference"].max() < 0.02
