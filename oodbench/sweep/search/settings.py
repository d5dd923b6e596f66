"""The key ``search`` of a sweep file: how configurations are drawn, and when that ends."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from oodbench.results.sweeps.stopping import HEADLINE, SEARCHES
from oodbench.sweep.search.designs import MOST
from oodbench.sweep.settings import Part, Positive

STOPPING = ("among", "margin", "most", "budget", "drop")
"""The keys of a search that stops when decided; see ``oodbench.results.sweeps.stopping``."""


class Search(Part):
    """The search: how configurations are drawn."""

    sampler: Literal["random", "qmc", "grid", "tpe", "gp"] = "random"
    trials: Positive | None = None
    points: Annotated[int, Field(ge=2, le=MOST)] | None = None
    startup: Positive | None = None
    cohort: Positive | None = None
    seed: int = 0
    stop: Literal["decided"] | None = None
    among: Annotated[list[str], Field(min_length=2)] | None = None
    margin: Annotated[float, Field(gt=0, lt=1)] | None = None
    most: Positive | None = None
    budget: Positive | None = None
    drop: bool | None = None

    @property
    def adaptive(self) -> bool:
        """Whether the sampler learns from results."""
        return self.sampler in ("tpe", "gp")

    @model_validator(mode="after")
    def check_size(self) -> "Search":
        """A grid has points; the others have trials; adaptive ones also how they learn."""
        if self.stop:
            check_stopping(self)
            return self
        for key in STOPPING:
            if getattr(self, key) is not None:
                raise ValueError(f"{key} goes with stop: decided; add it, or leave {key} out")
        wanted, other = ("points", "trials") if self.sampler == "grid" else ("trials", "points")
        if getattr(self, wanted) is None or getattr(self, other) is not None:
            raise ValueError(f"sampler {self.sampler} needs {wanted}, and no {other}")
        for key in ("startup", "cohort"):
            if getattr(self, key) is not None and not self.adaptive:
                raise ValueError(f"{key} goes with the adaptive samplers tpe and gp")
        if self.adaptive and (self.trials or 0) <= self.asks["startup"]:
            raise ValueError(
                f"the first {self.asks['startup']} trials of {self.sampler} are random (startup), "
                f"so of {self.trials} none would be adaptive; raise trials or lower startup"
            )
        return self

    @property
    def drawn_first(self) -> int:
        """Draws of each study before any result is known; those of a grid are not counted."""
        return SEARCHES * (self.budget or HEADLINE) if self.stop else self.at_most

    @property
    def at_most(self) -> int:
        """Draws of each study, at most; 0 for a grid, whose size depends on the space."""
        return self.most or self.trials or 0

    @property
    def asks(self) -> dict[str, int]:
        """What an adaptive search keeps to: see ``oodbench.workers.proposing``."""
        return {
            "trials": self.trials or 0,
            "startup": self.startup or 20,
            "cohort": self.cohort or 8,
        }


def check_stopping(search: Search) -> None:
    """Raise ValueError if a search that stops when decided says something that does not hold."""
    if search.sampler != "random":
        raise ValueError(
            f"stop: decided needs independent draws, so sampler random, but got {search.sampler}"
        )
    for key in ("trials", "points", "startup", "cohort"):
        if getattr(search, key) is not None:
            raise ValueError(f"stop: decided goes with most, the most draws, and no {key}")
    if search.margin is None or search.most is None:
        raise ValueError(
            "stop: decided needs most (the most draws of each optimizer) and margin (accuracies "
            "closer than this are no different), such as margin: 0.02, most: 400"
        )
    budget = search.budget or HEADLINE
    if search.most < SEARCHES * budget:
        raise ValueError(
            f"the first look is at {SEARCHES * budget} draws, {SEARCHES} searches of {budget}, but "
            f"most is {search.most}; raise most, or lower budget"
        )
    among = search.among or []
    if len(set(among)) < len(among):
        raise ValueError(f"among lists an optimizer twice: {', '.join(among)}")
