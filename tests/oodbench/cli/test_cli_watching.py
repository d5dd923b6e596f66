"""status --watch: what it shows of unfinished sweeps, in terminals of any size."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from oodbench import api
from oodbench.cli.watching import screen
from oodbench.results import add_sweep, open_database
from oodbench.sweep.plan import plan
from oodbench.verbs.status import standing
from oodbench.workers.worker import work
from oodbench.workers.worker_settings import WorkerSettings

LINE = "312/1000 models, 4 diverged, 1 failed, 5.1 models/s, 0:02:10 left, best id_val 0.912"


def studies(done: int, training: int, waiting: int) -> pd.DataFrame:
    """A row a study, those that are done first, those in training last."""
    runs = {"done": (0, 0, 20), "waiting": (20, 0, 0), "training": (8, 4, 8)}
    kinds = ["done"] * done + ["waiting"] * waiting + ["training"] * training
    rows = [
        {
            **{"study": str(i), "sweep": "long", "dataset": "RotatedDigits"},
            **{"test_environments": "0", "algorithm": "erm", "optimizer": f"{kind}_{i}"},
            **dict(zip(("waiting", "running", "completed"), runs[kind], strict=True)),
            **{"diverged": 0, "failed": 0, "total": 20},
        }
        for i, kind in enumerate(kinds)
    ]
    return pd.DataFrame(rows)


def printed(frame: pd.DataFrame, width: int, height: int) -> list[str]:
    file = io.StringIO()
    console = Console(width=width, height=height, file=file, markup=False, emoji=False)
    console.print(screen(LINE, frame, console))
    return file.getvalue().splitlines()


@pytest.mark.parametrize("width", [30, 60, 80, 200])
@pytest.mark.parametrize("height", [6, 10, 24, 50, 200])
def test_it_fits_any_terminal_and_the_totals_come_first(width: int, height: int) -> None:
    lines = printed(studies(done=30, training=3, waiting=60), width, height)
    assert len(lines) < height or height == 6  # the totals and the rest are never left out
    assert max(map(len, lines)) <= width
    assert " ".join(line.strip() for line in lines).startswith(LINE)


def test_those_in_training_come_first_and_the_others_are_counted() -> None:
    frame = studies(done=30, training=3, waiting=60)
    *above, rest = printed(frame, 80, 24)
    named = [line.split()[3] for line in above if line.startswith("RotatedDigits")]
    assert named[:3] == [f"training_{i}" for i in (90, 91, 92)]
    assert named[3:] == [f"waiting_{i}" for i in range(30, 30 + len(named) - 3)]
    assert len(above) + 1 == 23  # one line of the terminal is free
    assert rest == f"Studies not shown: {63 - len(named)} unfinished, 30 done."
    lines = printed(frame, 200, 200)
    assert len([line for line in lines if line.startswith("RotatedDigits")]) == 63
    assert lines[-1] == "Studies not shown: 30 done."
    assert "not shown" not in "".join(printed(studies(0, 1, 1), 80, 24))


def test_a_run_that_studies_share_counts_once_and_the_best_is_by_id_validation(
    tmp_path: Path, tiny: Callable[..., dict[str, Any]]
) -> None:
    db = tmp_path / "runs.db"
    with open_database(db, create=True) as database:
        for name in ("tiny", "again"):
            add_sweep(database, name, {}, plan(tiny(name=name)).studies)
    assert standing(db).best is None
    work(db, "tiny", WorkerSettings(device="cpu"))
    seen = standing(db)
    assert seen.counts == {"waiting": 0, "running": 0, "completed": 4, "diverged": 0, "failed": 0}
    assert seen.studies["completed"].sum() == 8
    assert seen.best == api.query(db)["id_val"].max()
    with open_database(db) as database:
        more = tiny(name="more", search={"trials": 3})
        add_sweep(database, "more", {}, plan(more).studies)
    assert standing(db, "more").counts["waiting"] == 2
    assert standing(db, "more").best == seen.best
