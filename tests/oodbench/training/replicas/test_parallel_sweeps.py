"""Methods of distributing training in one sweep, from the file to the figure."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import analysis
import oodbench
from oodbench.cli import app
from oodbench.errors import RequestError
from oodbench.results import load_run, open_database
from oodbench.verbs.probe import probe


def test_methods_are_told_apart_everywhere(
    tmp_path: Path, tiny: Callable[..., dict[str, Any]]
) -> None:
    methods = [{"method": m, "replicas": 2} for m in ("ddp", "local_sgd", "diloco", "palsgd")]
    small = {"lr": {"log": [1e-3, 0.1]}}
    optimizers = [{"name": "sgd", "space": small}]
    path = tmp_path / "parallel.db"
    oodbench.run_sweep(tiny(optimizers=optimizers, parallel=["none", *methods]), path, workers=1)
    runs = oodbench.query(path)
    names = ["sgd", "ddp(sgd)x2", "local_sgd(sgd)x2", "diloco(sgd)x2", "palsgd(sgd)x2"]
    assert sorted(runs["optimizer"]) == sorted(2 * names)
    assert set(runs["status"]) == {"completed"}
    best = oodbench.query(path, select="id_val")
    assert sorted(best["optimizer"]) == sorted(names)
    (one,) = {name for name in names if name.startswith("palsgd")}
    assert len(oodbench.query(path, where=f"optimizer = '{one}' and sync_every = 32")) == 2
    figure = analysis.scatter(runs)
    shown = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert shown >= {"SGD", "DDP(SGD) x2", "Local SGD(SGD) x2", "DiLoCo(SGD) x2", "PALSGD(SGD) x2"}
    with open_database(path, read_only=True) as db:
        found = load_run(db, runs.loc[runs["optimizer"] == one, "run"].iloc[0])
    assert (found.trial.parallel, found.trial.replicas) == ("palsgd", 2)
    assert found.provenance["parallel"]["all_reduces"] == 0  # 4 steps are less than a round
    shown = CliRunner().invoke(app, ["show", found.trial.id, "--db", str(path)]).output
    assert "replicas:" in shown
    assert "each averaged 0 vectors" in shown
    table = CliRunner().invoke(app, ["query", "--db", str(path)]).output
    assert "all-reduces" in table
    assert "s waiting" not in table  # replicas that were simulated waited for nobody
    assert runs["communication_seconds"].isna().all()
    assert runs.set_index("optimizer").loc["ddp(sgd)x2", "all_reduces"].tolist() == [4, 4]
    assert runs.set_index("optimizer").loc["sgd", "all_reduces"].isna().all()
    with pytest.raises(RequestError, match="was trained on 2 replicas; probes follow one model"):
        probe("sharpness", path)
