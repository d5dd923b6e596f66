"""What keeping predictions costs a run: CPU time to pack and to store them, and bytes.

On the predictions of the shipped digits study. What a run takes beside them is the training: of
20,016 models on two cores, twice the wall time over their number.
"""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from sqlalchemy import delete, func, select

import oodbench
from oodbench.answers import KeptPredictions
from oodbench.results import open_database
from oodbench.results.answer_keys import put_predictions, read_keys
from oodbench.results.schema import predictions, runs

COHORT, ROUNDS = 32, 5
"""Runs that are stored together, and how often all are."""


def measure() -> Iterator[dict[str, object]]:
    """A row for each part of the cost; the fastest round counts."""
    with tempfile.TemporaryDirectory(prefix="bench-", dir=".") as folder:
        path = Path(folder) / "digits.db"
        oodbench.example("digits", path)
        with open_database(path) as db:
            with db.read() as connection:
                rows = connection.execute(select(predictions)).all()
                keys = read_keys(connection)
                number = connection.scalar(select(func.count()).select_from(runs))
            answers = [(keys[row.key_id], keys[row.key_id].unpack(row.packed)) for row in rows]
            packing, storing = [], []
            for _ in range(ROUNDS):
                start = time.process_time()
                packed = [key.pack(one) for key, one in answers]
                packing.append(time.process_time() - start)
                with db.write() as connection:
                    connection.execute(delete(predictions))
                kept = [
                    (row.run_id, KeptPredictions(key, {"last": one}))
                    for row, (key, _), one in zip(rows, answers, packed, strict=True)
                ]
                start = time.process_time()
                for first in range(0, len(kept), COHORT):
                    with db.write() as connection:
                        put_predictions(connection, kept[first : first + COHORT])
                storing.append(time.process_time() - start)
        size = np.mean([len(one) for one in packed])
        whole = path.stat().st_size / number
    for part, seconds in (("pack", packing), ("store, a transaction a cohort", storing)):
        yield {"part": part, "ms a run": round(1e3 * min(seconds) / len(rows), 3)}
    examples = np.mean([one.size for _, one in answers])
    yield {
        "part": f"{len(rows):,} runs, {examples:,.0f} examples each",
        "KiB a run": round(size / 2**10, 2),
        "of a database of": round(whole / 2**10, 2),
    }
