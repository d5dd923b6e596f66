"""Searches that stop when decided: looking at a round that has ended, and drawing the next.

Any worker does it when it finds nothing to train; see ``results.sweeps.rounds`` for how they keep
out of each other's way. What is decided follows from the runs alone, whoever looks.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from oodbench.records import Trial
from oodbench.results import Database, Growing, give_back_study, pairs
from oodbench.results.sweeps.plans import splits_of
from oodbench.results.sweeps.rounds import Deciding, add_round, deciding, take_group
from oodbench.results.sweeps.stopping import Group
from oodbench.seeds import seed_of
from oodbench.sweep import Study
from oodbench.sweep.search import draw
from oodbench.workers.artifacts import known_predictions

if TYPE_CHECKING:
    from oodbench.analysis import Standing

LEASE = 600.0
"""Seconds that a look may take before another worker may look instead."""


def next_rounds(db: Database, owner: str, sweep: str | None) -> int:
    """Look at each group of searches whose round has ended, and draw what it wants next.

    Args:
        db: The database.
        owner: A name that no other worker has.
        sweep: Name of the only sweep to look at; None: any.

    Returns:
        How many trials were added.
    """
    added = 0
    while group := take_group(db, owner, sweep=sweep, lease=LEASE):
        try:
            added += _look(db, owner, group)
        except BaseException:
            give_back_study(db, owner)
            raise
    return added


def _look(db: Database, owner: str, open_studies: Sequence[Growing]) -> int:
    """Draw the next round of studies, or close them; returns how many trials were added."""
    first = open_studies[0]
    (asked,) = deciding(db, first.sweep)
    cell = first.definition["dataset"], first.definition["algorithm"]
    group = next(one for one in asked.groups if (one.dataset, one.algorithm) == cell)
    standing = standing_of(db, asked, [group])[0]
    trials: dict[str, list[Trial]] = {}
    agendas: dict[str, Any] = {}
    for study in open_studies:
        wanted = standing.wanted.get(study.definition["optimizer"])
        agendas[study.id] = study.agenda if wanted else None
        trials[study.id] = round_of(study, wanted) if wanted else []
    done = add_round(db, owner, trials, agendas)
    return sum(map(len, trials.values())) if done else 0


def round_of(growing: Growing, draws: int) -> list[Trial]:
    """The trials that a study lacks of its first ``draws`` draws."""
    data = splits_of(growing.agenda)
    study = Study.stored(growing.sweep, data, growing.definition, growing.facts)
    known = {run.trial.id for run in growing.past}
    every = (
        study.trial(hparams, index, repeat, split)
        for index, hparams in enumerate(draw(study.space, draws, growing.sampler_seed))
        for repeat in range(growing.agenda["seeds"])
        for split in range(len(data))
    )
    return [trial for trial in every if trial.id not in known]


def standing_of(
    db: Database, asked: Deciding, groups: Sequence[Group] | None = None
) -> "list[Standing]":
    """How far the groups of a sweep are, or these; see ``analysis.decisions``."""
    from oodbench import analysis  # late: only who looks needs it

    where = None
    if groups is not None:
        names = {"dataset": {g.dataset for g in groups}, "algorithm": {g.algorithm for g in groups}}
        where = " and ".join(f"{name} in {sorted(values)}" for name, values in names.items())
    runs = pairs(db, where, asked.sweep, "last", per_environment=False)
    numbers = {
        seed_of(asked.seed, index, repeat): index
        for index in range(asked.stopping.most)
        for repeat in range(asked.repeats)
    }
    runs["draw_number"] = runs["seed"].map(numbers)
    predictions = known_predictions(db, where, asked.sweep, "last")
    return analysis.decisions(runs, asked.stopping, groups or asked.groups, predictions)
