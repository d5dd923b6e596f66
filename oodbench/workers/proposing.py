"""Adding trials to studies while they run: an adaptive search's next ones, winners to confirm.

Any worker does it when it finds nothing to train; see ``results.sweeps.proposals`` for how they
keep out of each other's way. Only ID validation decides, never a score on a test environment.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from oodbench.records import Scalar, Trial, canonical_json
from oodbench.results import (
    CONFIRM,
    RUN_RULES,
    Database,
    Growing,
    Past,
    add_trials,
    give_back_study,
    take_study,
)
from oodbench.results.sweeps.plans import runs_of_each, splits_of
from oodbench.seeds import seed_of
from oodbench.sweep import Study
from oodbench.sweep.search import Tried, propose
from oodbench.workers.deciding import next_rounds

LEASE = 180.0
"""Seconds that an adaptive sampler may think before another worker may ask it instead."""

Additions = Sequence[tuple[Trial, str]]
"""Trials, each with who drew it."""


def extend(db: Database, owner: str, sweep: str | None, size: int) -> int:
    """Add trials to the studies that want some: about ``size``, so that they fill a stack.

    Studies in which nothing is being trained come first, for the sampler knows most of them. One
    in which something is gets further trials only if there is no other, so that no worker idles.

    Args:
        db: The database.
        owner: A name that no other worker has.
        sweep: Name of the only sweep to extend; None: any.
        size: How many are wanted.

    Returns:
        How many were added.
    """
    added = 0
    while added < size:
        study = take_study(db, owner, sweep=sweep, lease=LEASE, idle=added > 0)
        if study is None:
            break
        try:
            trials, agenda = additions(study)
            if add_trials(db, owner, study.id, trials, agenda):
                added += len(trials)
        except BaseException:
            give_back_study(db, owner)
            raise
    return added or next_rounds(db, owner, sweep)


def additions(growing: Growing) -> tuple[Additions, Mapping[str, Any] | None]:
    """What to add to a study now, and what is left to add later; None if nothing will be."""
    agenda = growing.agenda
    tried = configurations(growing)
    new: Additions = []
    if "search" in agenda:
        new, drawn, trials = searching(growing, tried)
        # A space of few values may have fewer configurations than were asked for.
        fewer = agenda["search"]["trials"] - trials
        agenda = {
            **agenda,
            "search": {**agenda["search"], "trials": trials},
            "runs": agenda["runs"] - fewer * runs_of_each(agenda),
        }
        if drawn < trials:
            return new, agenda
    if "confirm" not in agenda:
        return new, None
    if new or not all(item.outcome.ended for item in tried):
        return new, agenda
    return confirming(growing, tried), None


@dataclass(frozen=True)
class Configuration:
    """A configuration of a study, and what is known of it.

    Its runs are one for each training seed on each split of the data.
    """

    hparams: Mapping[str, Scalar]
    runs: Sequence[Past]

    def score(self, role: str) -> float | None:
        """The mean over its runs; minus infinity if one diverged; None if one is not known."""
        if any(run.state == "diverged" for run in self.runs):
            return -math.inf
        if any(run.state != "completed" for run in self.runs):
            return None
        scores = [run.scores.get(role) for run in self.runs]
        return fmean(-math.inf if score is None else score for score in scores)

    @property
    def outcome(self) -> Tried:
        """What a sampler may know: ID validation, nothing else."""
        failed = any(run.state == "failed" for run in self.runs)
        score = self.score("id_val")
        return Tried(self.hparams, score, failed and score is None)


def configurations(growing: Growing) -> list[Configuration]:
    """The configurations that were drawn, in that order."""
    study = study_of(growing)
    groups: dict[str, list[Past]] = {}
    for run in growing.past:
        if run.sampler != CONFIRM:  # config_id would tell the splits of the data apart
            groups.setdefault(canonical_json(study.drawn(run.trial)), []).append(run)
    return [Configuration(study.drawn(group[0].trial), group) for group in groups.values()]


def study_of(growing: Growing) -> Study:
    """The study as the sweep file meant it."""
    data = splits_of(growing.agenda)
    return Study.stored(growing.sweep, data, growing.definition, growing.facts)


def searching(growing: Growing, tried: Sequence[Configuration]) -> tuple[Additions, int, int]:
    """The next trials of an adaptive search; its configurations with them, and in the end."""
    study, asks, seed = study_of(growing), growing.agenda["search"], growing.sampler_seed
    wanted = min(max(asks["cohort"], asks["startup"] - len(tried)), asks["trials"] - len(tried))
    proposals = propose(
        study.space,
        growing.sampler,
        [item.outcome for item in tried],
        max(0, wanted),
        startup=asks["startup"],
        seed=seed,
    )
    trials = asks["trials"] if len(proposals) >= wanted else len(tried) + len(proposals)
    drawn = [(item.hparams, item.runs[0].sampler) for item in tried]
    drawn += [(item.hparams, item.sampler) for item in proposals]
    known = {run.trial.id for run in growing.past}
    new = [
        (study.trial(hparams, index, repeat, split), sampler)
        for split in range(len(study.data))
        for repeat in range(growing.agenda["seeds"])
        for index, (hparams, sampler) in enumerate(drawn)
    ]
    return [item for item in new if item[0].id not in known], len(drawn), trials


def confirming(growing: Growing, tried: Sequence[Configuration]) -> Additions:
    """The winners again, on seeds that no run of the search had; the same for every study.

    A configuration counts if all its runs completed; equal scores go to the smallest run id, as in
    ``oodbench.results.select``. It is trained again on each split of the data.
    """
    confirm, known = growing.agenda["confirm"], {run.trial.id for run in growing.past}
    ranked = []
    for item in tried:
        score = item.score(RUN_RULES[confirm["by"]])
        if score is not None and score > -math.inf:
            ranked.append((-score, min(run.trial.id for run in item.runs), item))
    winners = [item for _, _, item in sorted(ranked, key=lambda entry: entry[:2])]
    again = [
        replace(trial, seed=seed_of(growing.sampler_seed, "confirm", repeat))
        for item in winners[: confirm["top"]]
        for trial in {run.trial.data_seed: run.trial for run in item.runs}.values()
        for repeat in range(confirm["seeds"])
    ]
    return [(trial, CONFIRM) for trial in again if trial.id not in known]
