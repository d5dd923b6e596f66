"""Training a stored run again, and comparing what comes out."""

import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oodbench.errors import RequestError
from oodbench.machine import ARITHMETIC
from oodbench.records import LAST, Measurement, RunRecord
from oodbench.results import load_run, open_database, refuse_imported
from oodbench.results.probes import TRAINED
from oodbench.training import Saving
from oodbench.training.weights import write_file
from oodbench.workers.place import find_device
from oodbench.workers.trainer import Trainer

VERSIONS = ("python", "torch", "numpy", "oodbench", "commit", "dirty")
ORIGINS = (
    *VERSIONS,
    *("device", "driver", "deterministic", "products", "compiled"),
    *ARITHMETIC,
)
"""What of a run's provenance may explain a difference."""

Key = tuple[int, str, str, str]


@dataclass(frozen=True)
class Reproduced:
    """What training a run again gave, beside what is stored.

    Attributes:
        run: Id of the run.
        status: The stored one and the new one.
        compared: How many measurements there are on either side.
        differing: How many of them are not equal to the last bit.
        largest: The largest absolute difference; infinite where one side lacks a measurement, or
            only one is a number.
        where: Step, environment, split and metric of the largest difference; empty if none differ.
        weights: Checkpoint whose weights were kept -> whether the new ones are the same bytes.
        origins: What of versions, commit, device and arithmetic differs -> (stored, here); what an
            older run did not record is None.
        tolerance: The largest difference that still matches.
        reason: Why the new run diverged or failed; else empty.
    """

    run: str
    status: tuple[str, str]
    compared: int
    differing: int
    largest: float
    where: str
    weights: Mapping[str, bool]
    origins: Mapping[str, tuple[Any, Any]]
    tolerance: float
    reason: str

    @property
    def exact(self) -> bool:
        """Whether status, every measurement and all kept weights are the same to the last bit."""
        same = self.status[0] == self.status[1] and not self.differing
        return same and all(self.weights.values())

    @property
    def matches(self) -> bool:
        """Whether it is exact, or the status is the same and no difference above the tolerance."""
        close = self.status[0] == self.status[1] and self.largest <= self.tolerance
        return self.exact or (close and self.tolerance > 0)


def reproduce(
    target: str | Path,
    run: str,
    *,
    weights: str | Path | None = None,
    tolerance: float = 0.0,
    device: str = "auto",
) -> Reproduced:
    """Train a stored run again, here, and compare. The database is only read.

    On the machine and with the versions that it was trained with, a run comes out the same to the
    last bit, whatever stack it was trained in; one that was compiled (``--compile``) does but for
    rounding, as nothing is compiled here, and so does one that was trained ``--nondeterministic``
    on a GPU. What a GPU promises beyond that is in docs/gpu.md.

    Args:
        target: URL or path of the database.
        run: The run's id, or enough of its beginning; it may have diverged or failed.
        weights: A file for the new weights (safetensors) at the last step.
        tolerance: Largest absolute difference of a measurement that still matches; kept weights
            have to be the same only if it is 0.
        device: ``auto``, ``cpu``, ``cuda``, ...

    Raises:
        QueryError: If no run or several begin so, or it is not finished.
        RequestError: If the run was imported, the data on this machine are not those of the run,
            or the tolerance or the place for the weights cannot be used.
        ArtifactError: If the weights cannot be written.
    """
    if not tolerance >= 0:
        raise RequestError(f"tolerance must be at least 0, but got {tolerance}.")
    if weights is not None and not Path(weights).absolute().parent.is_dir():
        raise RequestError(f"Cannot write weights to {weights}: its folder does not exist.")
    with open_database(target, read_only=True) as db:
        stored = load_run(db, run)
    refuse_imported(stored.trial, "trained again")
    return compare(stored, train_again(stored, device, weights), tolerance)


def train_again(stored: RunRecord, device: str, weights: str | Path | None) -> RunRecord:
    """The run trained here, and the weights of its last step in a file ``weights``, if named."""
    with tempfile.TemporaryDirectory() as folder:
        kept = {item["checkpoint"] for item in stored.provenance.get("weights", [])} | {LAST}
        saving = Saving(Path(folder), weights={stored.trial.id: kept})
        trainer = Trainer(find_device(device))
        (found,) = trainer.train([stored.trial], lambda: None, saving)
        if weights is not None and found.provenance.get("weights"):
            file = by_checkpoint(found)[LAST]["file"]
            write_file(Path(weights), (Path(folder) / "weights" / file).read_bytes())
    return found


def compare(stored: RunRecord, found: RunRecord, tolerance: float) -> Reproduced:
    """What differs between the stored run and the new one."""
    old, new = (values(record.measurements) for record in (stored, found))
    differences = {key: difference(old.get(key), new.get(key)) for key in old | new}
    worst, largest = max(differences.items(), key=lambda item: item[1], default=((), 0.0))
    theirs, ours = by_checkpoint(stored), by_checkpoint(found)
    return Reproduced(
        run=stored.trial.id,
        status=(stored.status, found.status),
        compared=len(differences),
        differing=sum(value > 0 for value in differences.values()),
        largest=largest,
        where="step {}, {} {} {}".format(*worst) if largest > 0 else "",
        weights={
            checkpoint: checkpoint in ours and item["sha256"] == ours[checkpoint]["sha256"]
            for checkpoint, item in theirs.items()
        },
        origins=different_origins(stored.provenance, found.provenance),
        tolerance=tolerance,
        reason=found.reason,
    )


def different_origins(
    stored: Mapping[str, Any], here: Mapping[str, Any]
) -> dict[str, tuple[Any, Any]]:
    """What differs -> (stored, here), where both runs say how they came about."""
    if not (stored and here):
        return {}
    names = [name for name in ORIGINS if name in stored or name in ARITHMETIC]
    pairs = {name: (stored.get(name), here.get(name)) for name in names}
    return {name: (old, new) for name, (old, new) in pairs.items() if old != new}


def values(measurements: tuple[Measurement, ...]) -> dict[Key, float]:
    """What was measured, by step, environment, split and metric."""
    trained = (m for m in measurements if m.metric in TRAINED)  # probes came later
    return {(m.step, m.environment, m.split, m.metric): m.value for m in trained}


def difference(a: float | None, b: float | None) -> float:
    """The difference of two measurements, None if not made. Databases keep no infinities."""
    if a is None or b is None:
        return math.inf
    if not (math.isfinite(a) and math.isfinite(b)):
        return 0.0 if math.isfinite(a) == math.isfinite(b) else math.inf
    return abs(a - b)


def by_checkpoint(record: RunRecord) -> dict[str, Mapping[str, Any]]:
    """The weights files of a run."""
    return {item["checkpoint"]: item for item in record.provenance.get("weights", [])}
