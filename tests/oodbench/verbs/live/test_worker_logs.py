"""The end of a worker's log, as far as it is about a run."""

from pathlib import Path

import pytest

from oodbench.errors import QueryError
from oodbench.logs import TAIL, busy_with, tail
from oodbench.results import open_database
from oodbench.verbs.live.worker_logs import LINES, WorkerLogs, said_of

LOG = """worker vm:worker-0:0a on cpu: sweep one of sqlite:///runs.db
worker vm:worker-0:0a trains 2 of Digits [2], erm, adam: aaaa bbbb
before
worker vm:worker-0:0a trains 1 of Digits [2], erm, adam: bbbb
Traceback (most recent call last):
MemoryError
worker vm:worker-0:1b on cpu: sweep one of sqlite:///runs.db
worker vm:worker-0:1b trains 1 of Digits [2], erm, adam: cccc
after
"""


def test_what_is_said_begins_where_the_run_was_taken_last_and_ends_where_others_begin() -> None:
    said = said_of(LOG, "vm:worker-0:0a", "bbbb").splitlines()
    assert said[0].endswith("adam: bbbb")
    assert said[1:] == ["Traceback (most recent call last):", "MemoryError"]
    assert said_of(LOG, "vm:worker-0:1b", "cccc").splitlines()[1:] == ["after"]
    assert said_of(LOG, "vm:worker-0:1b", "dddd").splitlines()[1:] == ["after"]  # not named
    long = LOG + "\n".join(f"line {i}" for i in range(1000))
    assert said_of(long, "vm:worker-0:1b", "cccc").splitlines() == [
        f"line {i}" for i in range(1000 - LINES, 1000)
    ]


def test_only_the_end_of_a_log_is_read(tmp_path: Path) -> None:
    log = tmp_path / "worker-0.log"
    assert tail(log) == ""
    log.write_bytes(b"x" * TAIL + b"\ntraining step 3 of 7\n\xff")
    assert len(tail(log)) == TAIL
    assert busy_with(log) == ""  # the last line is another
    log.write_bytes(b"x" * TAIL + b"\ntraining step 3 of 7\n")
    assert busy_with(log) == "training step 3 of 7"


def test_a_run_has_its_workers_log_or_the_reason_why_not(filled, tmp_path: Path) -> None:
    filled.plan(2)
    filled.take(1, "vm:worker-0:0a")
    filled.take(1, "elsewhere:4711:ff")
    mine, other = filled.end(1, status="failed"), filled.end(1, status="failed")
    (tmp_path / "worker-0.log").write_text(LOG.replace("bbbb", mine[0]))
    logs = WorkerLogs(filled.target, tmp_path)
    with open_database(filled.target, read_only=True) as db:
        told = logs.about(db, mine[0])
        assert told["log"] == str(tmp_path / "worker-0.log")
        assert told["text"].endswith("MemoryError")
        told = logs.about(db, other[0])
        assert (told["worker"], told["log"]) == ("elsewhere:4711:ff", "")
        assert "--logs" in told["text"]
        with pytest.raises(QueryError, match="No run"):
            logs.about(db, "no such run")
