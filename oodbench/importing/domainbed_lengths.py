"""Find which DomainBed runs are complete, from their logs alone.

``train.py`` logs at every ``checkpoint_freq`` steps and at the last one, which is ``args.steps``
- 1, or the dataset's default. The file ``done`` that it leaves at its end is seldom published.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from oodbench.errors import check_name
from oodbench.results.domainbed_logs import DONE, ENVIRONMENTS, DomainBedRun

DEFAULT_STEPS = 5001
"""Steps on every dataset of DomainBed's (facebookresearch/DomainBed at b93c22a)."""

POLICIES = ("skip", "keep")
"""What becomes of runs that did not end: they are left out, or are failed runs."""

SHOWN = 3
"""How many folders a line names."""


@dataclass(frozen=True)
class Lengths:
    """What was found of the lengths of a sweep's runs.

    Attributes:
        short: Folder of each run that stops before its last step -> why, as a sentence.
        assumed: What says that runs without the file ``done`` are complete -> how many.
        stopped: Folders of runs that have that file and stop before ``args.steps``.
    """

    short: dict[str, str]
    assumed: Counter[str]
    stopped: tuple[str, ...]


def lengths_of(runs: Sequence[DomainBedRun]) -> Lengths:
    """Hold each run to its ``args.steps``, its dataset's default, or the longest of its peers.

    Peers are the runs on the same dataset that do not say their steps. The default does not count
    where no peer reaches it and two or more end at one step, as in a fork with another default.
    """
    peers: dict[str, list[int]] = {}
    for run in runs:
        if _asked(run) is None:
            peers.setdefault(run.job[0], []).append(run.last + 1)
    expected = {dataset: _of_peers(dataset, ends) for dataset, ends in peers.items()}
    short: dict[str, str] = {}
    assumed: Counter[str] = Counter()
    stopped = []
    for run in runs:
        asked = _asked(run)
        steps, says = (asked, "args.steps") if asked is not None else expected[run.job[0]]
        logged = run.last + 1
        if run.done and asked is not None:
            logged += _interval(run) - 1  # older versions do not log the last step
        if (run.done and asked is None) or (steps and logged >= steps):
            assumed.update([] if run.done else [says])
        else:
            of = f"of {steps:,}, which {says} says" if steps else "and nothing says how many it has"
            short[run.folder] = f"It stopped after step {run.last + 1:,} {of}."
            stopped += [run.folder] if run.done else []
    return Lengths(short, assumed, tuple(stopped))


def _asked(run: DomainBedRun) -> int | None:
    steps = run.lines[0]["args"].get("steps")
    return steps if type(steps) is int and steps > 0 else None


def _interval(run: DomainBedRun) -> int:
    """Steps from one line to the next."""
    freq = run.lines[0]["args"].get("checkpoint_freq")
    if type(freq) is int and freq > 0:
        return freq
    steps = sorted({row["step"] for row in run.accuracies})
    return steps[1] - steps[0] if len(steps) > 1 else 1


def _of_peers(dataset: str, ends: Sequence[int]) -> tuple[int, str]:
    """How many steps runs on a dataset have that do not say it, and what says so; 0: not known."""
    longest = max(ends)
    if dataset in ENVIRONMENTS and (longest >= DEFAULT_STEPS or ends.count(longest) < 2):
        return DEFAULT_STEPS, "the dataset's default"
    return (longest if len(ends) > 1 else 0), "the longest of its peers"


def summary(lengths: Lengths, policy: str) -> tuple[list[str], list[str]]:
    """A line for each kind of run: those left out, and notes on those that are not.

    Raises:
        UnknownNameError: If there is no such policy.
    """
    check_name("way with unfinished runs", policy, POLICIES)
    cut = [folder for folder in lengths.short if folder not in lengths.stopped]
    lines = []
    if cut:
        lines.append(f"{_some(cut)} did not end: their logs stop before the last step")
    if lengths.stopped:
        lines.append(f"{_some(lengths.stopped)} stop before their args.steps in spite of {DONE!r}")
    keep = policy == "keep"
    fate = "they are failed runs" if keep else "--unfinished keep has them as failed runs"
    lines = [f"{line}; {fate}." for line in lines]
    notes = [
        f"{n:,} runs have no file {DONE!r}, and are complete by {says}."
        for says, n in lengths.assumed.items()
    ]
    return ([], [*notes, *lines]) if keep else (lines, notes)


def _some(folders: Iterable[str]) -> str:
    """How many runs, and the first of their folders."""
    names = list(folders)
    more = ", ..." if len(names) > SHOWN else ""
    return f"{len(names):,} runs ({', '.join(names[:SHOWN])}{more})"
