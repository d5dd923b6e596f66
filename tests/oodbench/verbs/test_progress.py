"""The rate and the time left, when models finish in lumps."""

import pytest

import oodbench
from oodbench.logs import NO_ANSWER
from oodbench.verbs import display
from oodbench.verbs.display import Pace, rate_text
from oodbench.verbs.progress import Progress, describe


def test_the_rate_is_known_from_the_first_lump_and_steady_until_the_next() -> None:
    pace = Pace(100.0, ended=64)  # 64 were stored before
    assert pace.rate() == 0
    pace.update(104.0, 64 + 32)
    for now in (104.0, 105.0, 107.9):
        pace.update(now, 64 + 32)
        assert pace.rate() == 8.0
    assert [pace.left(now, models=80) for now in (104.0, 106.0, 114.0, 120.0)] == [10, 8, 0, 0]
    pace.update(108.0, 64 + 96)
    assert pace.rate() == 12.0


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (12.34, "12.3 models/s"),
        (1.0, "1.0 models/s"),
        (0.5, "30.0 models/min"),
        (0.01, "36.0 models/h"),
    ],
)
def test_slow_models_are_counted_by_the_minute_or_hour(rate: float, text: str) -> None:
    assert rate_text(rate) == text


def test_the_line_says_what_ended_badly_the_rate_and_the_time_left() -> None:
    counts = {"waiting": 60, "running": 20, "completed": 30, "diverged": 2, "failed": 0}
    pace = Pace(0.0, ended=0)
    assert describe(counts, pace, 1.0) == "2 diverged, 0 failed"
    pace.update(4.0, 32)
    assert describe(counts, pace, 4.0) == "2 diverged, 0 failed, 8.0 models/s, 0:00:10 left"
    text = "2 diverged, 0 failed, 8.0 models/s, 0:00:10 left, best id_val 0.912"
    assert describe(counts, pace, 4.0, best=0.9123) == text
    done = {**counts, "waiting": 0, "running": 0}
    assert describe(done, pace, 4.0) == "2 diverged, 0 failed, 8.0 models/s"


def test_without_a_terminal_progress_is_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    counts = {"waiting": 1, "running": 0, "completed": 0, "diverged": 0, "failed": 0}
    with Progress() as progress:
        progress(counts)
        progress(counts)  # at once: too early for another line
        progress({**counts, "waiting": 0, "completed": 1})
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == ["0/1 models", "1/1 models"]


def test_a_full_disk_shows_in_the_line_of_the_sweep(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(display, "LINE_EVERY", 0.0)
    counts = {"waiting": 9, "running": 1, "completed": 50, "diverged": 0, "failed": 0}
    log = tmp_path / "worker-1.log"
    (tmp_path / "worker-0.log").write_text("computing features: 3 of 9 examples\n")
    with Progress(tmp_path) as progress:
        progress({**counts, "completed": 0})
        progress(counts)  # fast so far
        log.write_text(f"{NO_ANSWER}, asking again for 300 s: database or disk is full.\n")
        progress(counts)
        log.write_text("worker b trains 1 of them\n")  # there is room again
        progress({**counts, "completed": 51})
    lines = capsys.readouterr().err.splitlines()
    assert [("disk is full" in line) for line in lines] == [False, False, True, False]


def test_what_workers_prepare_is_told_until_a_model_is_done(tmp_path, capsys) -> None:
    counts = {"waiting": 1, "running": 1, "completed": 0, "diverged": 0, "failed": 0}
    (tmp_path / "worker-0.log").write_text("worker a begins\n")
    log = tmp_path / "worker-1.log"
    log.write_text("worker b begins\ncomputing PACS-features: 32 of 900 examples\n")
    with Progress(tmp_path) as progress:
        progress(counts)
    assert capsys.readouterr().err == "0/2 models, computing PACS-features: 32 of 900 examples\n"
    with Progress(tmp_path) as progress:
        log.write_text(log.read_text() + "all is there\n")
        progress(counts)
    assert capsys.readouterr().err == "0/2 models, training the first models\n"


def test_what_a_worker_trains_is_shown_while_models_take_long(tmp_path, capsys) -> None:
    counts = {"waiting": 2, "running": 0, "completed": 0, "diverged": 0, "failed": 0}
    with Progress(tmp_path) as progress:
        progress(counts)
    assert capsys.readouterr().err == "0/2 models, starting workers\n"
    line = "training step 120 of 5,000, loss 1.2, 2.1 s a step"
    (tmp_path / "worker-0.log").write_text(f"worker a begins\n{line}\n")
    with Progress(tmp_path) as progress:
        progress({**counts, "waiting": 1, "running": 1})
    assert capsys.readouterr().err == f"0/2 models, {line}\n"


def test_the_best_is_looked_up_when_runs_have_completed(capsys, monkeypatch) -> None:
    monkeypatch.setattr(display, "LINE_EVERY", 0.0)
    counts = {"waiting": 2, "running": 0, "completed": 1, "diverged": 0, "failed": 0}
    asked = iter([0.5, 0.75])
    with Progress() as progress:
        progress.best = lambda: next(asked)
        progress(counts)
        progress({**counts, "waiting": 1, "diverged": 1})
        progress({**counts, "waiting": 0, "completed": 2, "diverged": 1})
    lines = capsys.readouterr().err.splitlines()
    assert "best id_val 0.500" in lines[1]
    assert "best id_val 0.750" in lines[2]


@pytest.mark.slow
def test_run_sweep_shows_progress_unless_it_is_asked_not_to(tmp_path, capsys) -> None:
    sweep = {
        "name": "small",
        "datasets": [{"name": "ColoredDigits", "test_environments": [2]}],
        "algorithms": ["erm"],
        "optimizers": ["sgd"],
        "model": {"name": "linear"},
        "search": {"trials": 2},
        "train": {"steps": 2, "batch": {"per_environment": 8}},
    }
    oodbench.run_sweep(sweep, tmp_path / "runs.db", workers=1, device="cpu")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "0/2 models, starting workers"
    best = max(oodbench.query(tmp_path / "runs.db")["id_val"])
    assert lines[-1].startswith("2/2 models, 0 diverged, 0 failed")
    assert lines[-1].endswith(f", best id_val {best:.3f}")
    oodbench.run_sweep(sweep, tmp_path / "others.db", workers=1, device="cpu", progress=False)
    assert "models" not in capsys.readouterr().err
