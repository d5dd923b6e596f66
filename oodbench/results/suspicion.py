"""Whether a run kills its workers, or they die around it: of a machine that fails, a job that ends.

A run whose worker died is trained again, in the end alone. A healthy one then meets the deaths that
its neighbours meet, too: where each training of one run alone ends in a death with probability p,
k deaths in a row have the probability p^k, and one of m runs that are tried alone has so many with
m p^k at most. p is estimated from the runs of the sweep that were trained alone to the end.
"""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, case, func, select

from oodbench.results.schema import COMPLETED, DIVERGED, runs

FEWEST = 3
"""Deaths alone, at least, of a run that is recorded as failed."""
CHANCE = 1e-4
"""The probability that a healthy run is taken for one that kills, where p is well known."""

DEATHS_ALONE: ColumnElement[int] = case(
    (runs.c.cohort_size == 1, runs.c.attempt - runs.c.excused), else_=0
)
"""Of a run that is lost: how often in a row its worker died while it was trained alone and got no
further. Of one that ended, one less."""


@dataclass(frozen=True)
class Background:
    """What happened to the other runs of a sweep that were trained alone.

    Attributes:
        deaths: Deaths of workers while they trained one of the runs that ended.
        ended: How many ended.
        suspects: How many runs died alone at least once, this one included.
    """

    deaths: int
    ended: int
    suspects: int

    @property
    def risk(self) -> float:
        """Probability that a worker dies while it trains one run; one half if nothing is known.

        The posterior mean under a uniform prior (Laplace's rule of succession); each death counts
        twice, for deaths come in bursts, and those of runs that have not ended are not known yet.
        """
        return (2 * self.deaths + 1) / (2 * self.deaths + self.ended + 2)


def is_beyond_chance(deaths: int, others: Background) -> bool:
    """Whether a run has died alone more often than the deaths of its neighbours explain."""
    return deaths >= FEWEST and others.suspects * others.risk**deaths < CHANCE


def background(connection: Connection, wanted: ColumnElement[bool], run: str) -> Background:
    """What the other ``wanted`` runs say of how often workers die by themselves.

    Those that have not ended count as suspects alone: they may kill their workers, too.
    """
    ended = runs.c.state.in_((COMPLETED, DIVERGED))
    again = DEATHS_ALONE > 1
    counts = (
        func.count(case((ended, 1))),
        func.sum(case((and_(ended, again), DEATHS_ALONE - 1), else_=0)),
        func.count(case((again, 1))),
    )
    alone = select(*counts).where(runs.c.cohort_size == 1, runs.c.id != run, wanted)
    survivors, deaths, suspects = connection.execute(alone).one()
    return Background(int(deaths or 0), survivors, suspects + 1)
