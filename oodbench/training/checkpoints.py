"""Checkpoint files: a run that is trained alone goes on from one, on any worker.

A run that goes on ends bit for bit as one that was never interrupted (on one kind of device, with
one version of torch). Which examples it sees is a function of the step; all else is in the file.
"""

import math
import os
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from uuid import uuid4

import torch

from oodbench.errors import StopTrainingError
from oodbench.records import Measurement, Trial
from oodbench.training.random import generator_states, set_generator_states

if TYPE_CHECKING:
    from oodbench.training.loop import Run

FORMAT = 3
"""Version of the files' format; files of another version are not read."""
SOON = 5.0
"""A worker that is to stop saves a run again if this many seconds of training would be lost."""


def tell_nobody(run: str) -> None:
    """What ``Saving.on_saved`` does by default; unlike a lambda it may go to another process."""


@dataclass(frozen=True)
class Saving:
    """What training leaves in the artifacts folder.

    Attributes:
        folder: The artifacts folder, created when it is first needed; None: nothing is saved.
        every: Seconds from one checkpoint of a run to the next; 0: after every step;
            infinite: only when the training is stopped.
        weights: Trial id -> the checkpoints (``last``, ``best_id_val``) whose weights are kept.
        predictions: Trial id -> the checkpoints whose predictions are kept. They need no folder
            unless they are many.
        on_saved: Called with the trial's id after each of its checkpoints.
    """

    folder: Path | None = None
    every: float = math.inf
    weights: Mapping[str, Collection[str]] = field(default_factory=dict)
    predictions: Mapping[str, Collection[str]] = field(default_factory=dict)
    on_saved: Callable[[str], None] = tell_nobody

    def checkpoint(self, run: str) -> Path | None:
        """The checkpoint file of a run, if there is to be one."""
        return None if self.folder is None else self.folder / "checkpoints" / f"{run}.pt"

    @property
    def selected(self) -> set[str]:
        """Ids of the trials of which to keep the weights of the best checkpoint."""
        return {trial for trial, kept in self.weights.items() if "best_id_val" in kept}

    def begun(self, trial: Trial) -> bool:
        """Whether a checkpoint of the trial lies here."""
        file = self.checkpoint(trial.id)
        return file is not None and file.exists()

    def forget(self, run: str) -> None:
        """Remove the checkpoint of a run that is stored, and what killed workers left half done."""
        file = self.checkpoint(run)
        if file is not None:
            for path in (file, *file.parent.glob(f".{file.name}.*")):
                path.unlink(missing_ok=True)


NOTHING = Saving()
"""Leave nothing on disk."""


@contextmanager
def written_whole(path: Path) -> Iterator[IO[bytes]]:
    """A file to write that takes the place of ``path`` in the end, whole or not at all.

    Raises:
        OSError: If the folder or the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with draft.open("xb") as file:  # with the permissions that the user's umask gives
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


class Saver:
    """Saves one run while it is trained alone; ``tick`` takes the place of the loop's."""

    def __init__(self, run: "Run", file: Path, saving: Saving, tick: Callable[[], None]) -> None:
        self._run, self._file, self._saving, self._tick = run, file, saving, tick
        self._saved = time.monotonic()

    def tick(self) -> None:
        """Save if it is time, or if the worker is to stop: then before the run is given back."""
        self.save_after(self._saving.every)
        try:
            self._tick()
        except StopTrainingError:
            self.save_after(min(self._saving.every, SOON))
            raise

    def save_after(self, seconds: float) -> None:
        """Save the run unless it was saved less than ``seconds`` ago.

        A disk that is full ends no training: the log says so, and the next time comes.
        """
        if time.monotonic() - self._saved < seconds:
            return
        self._run.look_for_broken([0])
        if self._run.broken:  # it will be trained anew as a module of its own
            return
        trial = self._run.trials[0].id
        try:
            with written_whole(self._file) as file:
                torch.save(snapshot(self._run), file)
        except OSError as error:
            print(f"run {trial}: no checkpoint at step {self._run.done}: {error}", file=sys.stderr)
        else:
            self._saving.on_saved(trial)
        self._saved = time.monotonic()


def snapshot(run: "Run") -> dict[str, Any]:
    """All that decides how a run that is trained alone goes on, and what came of it so far."""
    run.look_at_losses()
    run.steps.write_states()
    return {
        "format": FORMAT,
        "trial": run.trials[0].id,
        "stacked": run.stacked,
        "step": run.done,
        "model": run.models.state(0),
        "optimizer": run.optimizers[0].state_dict(),
        "algorithm": run.algorithm.state,
        "average": run.average.state_dict() if run.average else {},
        # A stack draws nothing while it is trained: see ``can_stack``.
        "generators": {} if run.stacked else generator_states(run.device),
        "bad_since": run.bad_since,
        "total": run.total,
        "summed": run.summed,
        "diverged": run.diverged,
        "measurements": [astuple(item) for item in run.measurements[0]],
        "best": run.best,
        "first": run.first,
        "predicted": run.predicted,
        "seconds": run.seconds,
        "resumed_at": run.resumed_at,
    }


def restore(run: "Run", saved: Mapping[str, Any]) -> None:
    """Put a new run where the saved one was.

    Raises:
        ValueError: If it is the checkpoint of something else.
    """
    expected = {"format": FORMAT, "trial": run.trials[0].id, "stacked": run.stacked}
    for key, value in expected.items():
        if saved[key] != value:
            raise ValueError(f"its {key} is {saved[key]!r}, but should be {value!r}")
    for step in sorted({*run.algorithm.restarts, *run.layout.stages}):
        if step < saved["step"]:  # else its optimizer would be of another class, or age
            run.enter(step)
            run.restart(run.algorithm.restarts.get(step, ()))
    run.models.load_state(0, saved["model"])
    run.optimizers[0].load_state_dict(saved["optimizer"])
    run.algorithm.state.update({k: v.to(run.device) for k, v in saved["algorithm"].items()})
    if run.average:
        run.average.load_state_dict(saved["average"])
    run.bad_since.copy_(saved["bad_since"])
    run.total.copy_(saved["total"])
    run.done, run.summed, run.diverged = saved["step"], saved["summed"], saved["diverged"]
    run.measurements[0] = [Measurement(*values) for values in saved["measurements"]]
    run.best, run.predicted, run.seconds = saved["best"], saved["predicted"], saved["seconds"]
    run.first = saved.get("first", [])
    run.resumed_at = [*saved["resumed_at"], saved["step"]]
    set_generator_states(saved["generators"], run.device)


def resumed(build: "Callable[[], Run]", file: Path) -> "Run":
    """The run, at the step of its checkpoint; a new one if there is none that can be used."""
    run = build()
    try:
        # Only tensors and plain values: a checkpoint is data, and runs no code.
        saved = torch.load(file, map_location="cpu", weights_only=True)
        restore(run, saved)
    except FileNotFoundError:
        return run
    except Exception as error:  # torn, foreign, another trial's: torch raises anything
        what = str(error).strip().splitlines() or [""]
        print(
            f"run {run.trials[0].id} starts anew: {file} cannot be used: "
            f"{type(error).__name__}: {what[0]}",
            file=sys.stderr,
        )
        return build()
    print(f"run {run.trials[0].id} goes on from step {run.done}", flush=True)
    return run
